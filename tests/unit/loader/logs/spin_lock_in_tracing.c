// class: lock-not-allowed
// refused: bpf_spin_lock(&value->lock);
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct guarded { struct bpf_spin_lock lock; __u64 count; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guarded);
} state SEC(".maps");

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	__u32 key = 0;
	struct guarded *value = bpf_map_lookup_elem(&state, &key);

	if (!value)
		return 0;
	bpf_spin_lock(&value->lock);
	value->count++;
	bpf_spin_unlock(&value->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

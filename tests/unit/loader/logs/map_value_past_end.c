// class: out-of-bounds
// refused: value[2] = 7;
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} rows SEC(".maps");

SEC("socket")
int pick(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&rows, &key);

	if (!value)
		return 0;
	value[2] = 7;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

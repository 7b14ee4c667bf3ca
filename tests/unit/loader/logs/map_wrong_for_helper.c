// class: wrong-map
// refused: void *room = bpf_ringbuf_reserve
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sys_enter")
int submit(void *ctx)
{
	void *room = bpf_ringbuf_reserve(&counts, 8, 0);

	if (room)
		bpf_ringbuf_discard(room, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

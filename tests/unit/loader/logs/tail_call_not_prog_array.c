// class: wrong-map
// refused: bpf_tail_call(ctx, &targets
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

SEC("xdp")
int jump(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &targets, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

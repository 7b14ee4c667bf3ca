// class: wrong-argument
// refused: return bpf_map_lookup_elem(&counts
// note: __u32 key =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;

	return bpf_map_lookup_elem(&counts, (void *)(long)key) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

// class: wrong-argument
// refused: return bpf_map_lookup_elem(&number
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int number;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&number, &key) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

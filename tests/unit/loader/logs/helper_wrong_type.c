// class: helper-not-allowed
// refused: return bpf_get_stackid
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int who(struct xdp_md *ctx)
{
	return bpf_get_stackid(ctx, 0, 0) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

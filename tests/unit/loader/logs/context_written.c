// class: context-field
// refused: ctx->ingress_ifindex = 1;
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int write(struct xdp_md *ctx)
{
	ctx->ingress_ifindex = 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

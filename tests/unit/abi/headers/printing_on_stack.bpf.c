#define BPF_NO_GLOBAL_DATA
#include "types.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int print_from_stack(struct xdp_md *ctx)
{
	bpf_printk("none");
	bpf_printk("three %d %d %d", 1, 2, ctx->ingress_ifindex);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

#include "types.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int print_all(struct xdp_md *ctx)
{
	char text[64];
	int n = ctx->ingress_ifindex;

	bpf_printk("none");
	bpf_printk("one %d", n);
	bpf_printk("two %d %d", n, 2);
	bpf_printk("three %d %d %d", n, 2, 3);
	bpf_printk("four %d %d %d %d", n, 2, 3, 4);
	bpf_printk("twelve %d %d %d %d %d %d %d %d %d %d %d %d", n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	bpf_printk("pointers %p %s %d %d", ctx, "text", 3, 4);
	BPF_SNPRINTF(text, sizeof(text), "%d and %s", n, "text");
	return BPF_SNPRINTF(text, sizeof(text), "nothing") > 0 ? XDP_PASS : XDP_ABORTED;
}

char LICENSE[] SEC("license") = "GPL";

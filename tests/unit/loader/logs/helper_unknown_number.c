// class: no-such-helper
// refused: return mystery(ctx)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static long (*mystery)(void *ctx) = (void *)9999;

SEC("xdp")
int call(struct xdp_md *ctx)
{
	return mystery(ctx) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

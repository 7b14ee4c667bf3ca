// class: global-function-call
// refused: return twice((int *)4)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__attribute__((noinline)) int twice(int *number)
{
	return number ? *number * 2 : 0;
}

SEC("xdp")
int call(struct xdp_md *ctx)
{
	return twice((int *)4) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

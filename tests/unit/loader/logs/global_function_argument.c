// class: unchecked-null
// refused: return *number * 2;
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__attribute__((noinline)) int twice(int *number)
{
	return *number * 2;
}

SEC("xdp")
int call(struct xdp_md *ctx)
{
	int number = ctx->ingress_ifindex;

	return twice(&number) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

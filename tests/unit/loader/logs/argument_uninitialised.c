// class: no-value
// refused: asm volatile("call 5; r1 = r2"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int use(struct xdp_md *ctx)
{
	asm volatile("call 5; r1 = r2" ::: "r0", "r1", "r2", "r3", "r4", "r5");
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

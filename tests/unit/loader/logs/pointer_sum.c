// class: pointer-arithmetic
// refused: asm volatile("%0 += %1"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int sum(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	asm volatile("%0 += %1" : "+r"(data) : "r"(end));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

// class: misaligned
// refused: return *(__u32 *)(data + 1)
// strict
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int read(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (data + 8 > end)
		return XDP_PASS;
	return *(__u32 *)(data + 1) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

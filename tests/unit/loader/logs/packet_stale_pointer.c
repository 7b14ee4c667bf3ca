// class: not-a-pointer
// refused: return *(__u8 *)data
// note: if (bpf_xdp_adjust_head
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int strip(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (data + 20 > end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	return *(__u8 *)data ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

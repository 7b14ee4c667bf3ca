// class: packet-bounds
// refused: return *(__u8 *)(data + 14
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>

SEC("xdp")
int options(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 length;

	if (data + 34 > end)
		return XDP_PASS;
	length = (*(__u8 *)(data + 14) & 15) * 4;
	return *(__u8 *)(data + 14 + length) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

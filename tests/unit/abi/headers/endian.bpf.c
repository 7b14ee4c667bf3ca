#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

_Static_assert(bpf_htons(0x0102) == 0x0201, "16 bits");
_Static_assert(bpf_ntohl(0x01020304) == 0x04030201, "32 bits");
_Static_assert(bpf_cpu_to_be64(0x0102030405060708ULL) == 0x0807060504030201ULL, "64 bits");
_Static_assert(bpf_cpu_to_le32(0x01020304) == 0x01020304, "little-endian stays");
_Static_assert(__bpf_constant_htons(0x86dd) == 0xdd86, "the older spelling");
_Static_assert(sizeof(bpf_htons(1)) == 2 && sizeof(bpf_htonl(1)) == 4, "sizes");

static const __be16 wanted = bpf_htons(0x0800);

SEC("xdp")
int swap(struct xdp_md *ctx)
{
	__u64 all = bpf_be64_to_cpu(ctx->rx_queue_index) + bpf_ntohs(ctx->ingress_ifindex) + bpf_htonl(ctx->data_end);

	switch (ctx->ingress_ifindex) {
	case bpf_htons(0x86dd):
		return XDP_DROP;
	}
	return all == wanted ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

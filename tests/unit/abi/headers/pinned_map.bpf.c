#include "types.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} kept SEC(".maps");

enum libbpf_pin_type not_pinned = LIBBPF_PIN_NONE;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&kept, &key);

	if (unlikely(!value))
		return XDP_ABORTED;
	__sync_fetch_and_add(value, ctx->data_end - ctx->data);
	return likely(*value) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

// class: wrong-argument
// refused: return bpf_xdp_adjust_head((void *)key
// note: __u64 *key =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int shift(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *key = bpf_map_lookup_elem(&counts, &zero);

	if (!key)
		return XDP_PASS;
	return bpf_xdp_adjust_head((void *)key, 4) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

// class: unchecked-null
// refused: *second += *first;
// note: second = bpf_map
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *first = bpf_map_lookup_elem(&counts, &key);
	__u64 *second;

	key = 2;
	second = bpf_map_lookup_elem(&counts, &key);
	if (!first)
		return XDP_PASS;
	*second += *first;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

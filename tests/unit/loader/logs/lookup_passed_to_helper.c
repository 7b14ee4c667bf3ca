// class: wrong-argument
// refused: bpf_map_update_elem(&counts, value
// note: __u32 *value =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} counts SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 1, one = 1;
	__u32 *value = bpf_map_lookup_elem(&counts, &key);

	bpf_map_update_elem(&counts, value, &one, BPF_ANY);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

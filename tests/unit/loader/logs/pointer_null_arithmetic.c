// class: unchecked-null
// refused: asm volatile("%0 += 1"
// note: char *value =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int shift(struct xdp_md *ctx)
{
	__u32 zero = 0;
	char *value = bpf_map_lookup_elem(&counts, &zero);

	asm volatile("%0 += 1" : "+r"(value));
	if (!value)
		return XDP_PASS;
	return *value ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

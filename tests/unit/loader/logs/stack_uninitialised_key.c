// class: stack-uninitialised
// refused: value = bpf_map_lookup_elem
// without: perfmon,sys_admin
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key { __u32 address; __u16 port; __u16 pad; };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct key);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct key key;
	__u64 *value;

	key.address = ctx->ingress_ifindex;
	value = bpf_map_lookup_elem(&counts, &key);
	return value ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

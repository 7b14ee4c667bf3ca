// class: unchecked-null
// refused: seen->packets++;
// note: return bpf_map_lookup_elem
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow { __u64 packets; __u64 bytes; };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct flow);
} table SEC(".maps");

static __attribute__((noinline)) struct flow *find(__u32 *key)
{
	return bpf_map_lookup_elem(&table, key);
}

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	struct flow *seen = find(&key);

	seen->packets++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

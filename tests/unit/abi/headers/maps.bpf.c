#include "types.h"
#include <bpf/bpf_helpers.h>

struct value {
	__u64 count;
	char name[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct value);
} counts SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} inner_one SEC(".maps"), inner_two SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = { &inner_one, &inner_two },
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 16);
	__type(value, __u32);
	__ulong(map_extra, 3);
} bloom SEC(".maps");

int xdp_slot(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { (void *)&xdp_slot },
};

SEC("xdp")
int xdp_slot(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	struct value *found = bpf_map_lookup_elem(&counts, &key);
	__u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (record) {
		*record = found ? found->count : 0;
		bpf_ringbuf_submit(record, 0);
	}
	bpf_map_push_elem(&bloom, &key, 0);
	key = 0;
	return bpf_map_lookup_elem(&outer, &key) ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int xdp_entry(struct xdp_md *ctx)
{
	bpf_tail_call_static(ctx, &jumps, 0);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

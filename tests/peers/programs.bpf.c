#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct seen {
	__u64 count;
	int last;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct seen);
} seen_by_device SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} jumps SEC(".maps");

int counter = 0;
const volatile int step = 1;

static __attribute__((noinline)) int sum(int a, int b)
{
	return a + b + counter;
}

__attribute__((noinline)) int twice(int a)
{
	return a * 2;
}

static long each_total(void *map, __u32 *key, __u64 *value, void *context)
{
	*value += 1;
	return 0;
}

SEC("xdp")
int hello(struct xdp_md *ctx)
{
	bpf_printk("Hello World %d", counter);
	counter += step;
	return XDP_PASS;
}

SEC("xdp")
int with_functions(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	struct seen *seen = bpf_map_lookup_elem(&seen_by_device, &key);

	if (seen)
		__sync_fetch_and_add(&seen->count, 1);
	bpf_for_each_map_elem(&totals, each_total, 0, 0);
	bpf_tail_call(ctx, &jumps, 1);
	return sum(key, twice(counter)) & 1 ? XDP_PASS : XDP_DROP;
}

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	__u32 key = 0;
	__u64 *total = bpf_map_lookup_elem(&totals, &key);

	if (total)
		*total += bpf_ktime_get_ns();
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_exec_raw(void *ctx)
{
	counter += bpf_get_current_pid_tgid();
	return 0;
}

SEC("tp_btf/sched_process_exec")
int on_exec_typed(__u64 *ctx)
{
	counter += ctx[0] != 0;
	return 0;
}

SEC("socket")
int keep_long_packets_only(struct __sk_buff *skb)
{
	return skb->len > 64 ? -1 : 0;
}

SEC("tc")
int on_ingress(struct __sk_buff *skb)
{
	return skb->mark ? 2 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "types.h"
#include <bpf/bpf_helpers.h>

struct task_struct;

struct outer {
	int first;
	int second;
};

struct holder {
	struct task_struct __kptr *task;
	struct task_struct __kptr_untrusted *weak_task;
};

struct user_holder {
	int __percpu_kptr *counters;
	int __uptr *memory;
};

struct user_holder *unused_holder __hidden;

__hidden int hidden_sum(int a, int b)
{
	return a + b;
}

__weak int checked_alone(struct xdp_md *ctx __arg_ctx, int *number __arg_nonnull)
{
	return ctx->rx_queue_index + *number;
}

int declared_only(void *a __arg_trusted __arg_nullable, void *b __arg_untrusted, void *c __arg_arena);

static __noinline int far_away(int *second)
{
	struct outer *outer = container_of(second, struct outer, second);

	barrier();
	barrier_var(outer);
	return outer->first;
}

static __always_inline int near_by(void)
{
	return offsetof(struct outer, second) + sizeof(struct holder);
}

SEC("xdp")
int attributes(struct xdp_md *ctx)
{
	struct outer outer = { 1, ctx->rx_queue_index };
	int sum = hidden_sum(far_away(&outer.second), near_by());

	if (sizeof(outer) != 8)
		__bpf_unreachable();
	return checked_alone(ctx, &sum) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

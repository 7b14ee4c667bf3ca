// class: context-address
// refused: return ctx->args[index]
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int read(struct bpf_raw_tracepoint_args *ctx)
{
	int index = bpf_get_prandom_u32() & 1;

	return ctx->args[index];
}

char LICENSE[] SEC("license") = "GPL";

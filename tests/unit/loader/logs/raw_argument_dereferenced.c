// class: not-a-pointer
// refused: return regs->ax
// note: struct regs *regs =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct regs { __u64 pad[10]; __u64 ax; };

SEC("raw_tp/sys_enter")
int who(struct bpf_raw_tracepoint_args *ctx)
{
	struct regs *regs = (void *)ctx->args[0];

	return regs->ax;
}

char LICENSE[] SEC("license") = "GPL";

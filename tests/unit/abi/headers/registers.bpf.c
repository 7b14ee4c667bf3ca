#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("kprobe/do_nanosleep")
int direct(struct pt_regs *ctx)
{
	return PT_REGS_PARM1(ctx) + PT_REGS_PARM2(ctx) + PT_REGS_PARM3(ctx) + PT_REGS_PARM4(ctx) +
	       PT_REGS_PARM5(ctx) + PT_REGS_RET(ctx) + PT_REGS_FP(ctx) + PT_REGS_RC(ctx) +
	       PT_REGS_SP(ctx) + PT_REGS_IP(ctx);
}

SEC("kprobe/do_nanosleep")
int relocated(struct pt_regs *ctx)
{
	return PT_REGS_PARM1_CORE(ctx) + PT_REGS_PARM2_CORE(ctx) + PT_REGS_PARM3_CORE(ctx) +
	       PT_REGS_PARM4_CORE(ctx) + PT_REGS_PARM5_CORE(ctx) + PT_REGS_RET_CORE(ctx) +
	       PT_REGS_FP_CORE(ctx) + PT_REGS_RC_CORE(ctx) + PT_REGS_SP_CORE(ctx) + PT_REGS_IP_CORE(ctx);
}

SEC("kprobe/do_nanosleep")
int system_call(struct pt_regs *ctx)
{
	struct pt_regs *regs = PT_REGS_SYSCALL_REGS(ctx);

	return PT_REGS_PARM1_SYSCALL(ctx) + PT_REGS_PARM2_SYSCALL(ctx) + PT_REGS_PARM3_SYSCALL(ctx) +
	       PT_REGS_PARM4_SYSCALL(ctx) + PT_REGS_PARM5_SYSCALL(ctx) + PT_REGS_PARM6_SYSCALL(ctx) +
	       PT_REGS_PARM1_CORE_SYSCALL(regs) + PT_REGS_PARM2_CORE_SYSCALL(regs) +
	       PT_REGS_PARM3_CORE_SYSCALL(regs) + PT_REGS_PARM4_CORE_SYSCALL(regs) +
	       PT_REGS_PARM5_CORE_SYSCALL(regs) + PT_REGS_PARM6_CORE_SYSCALL(regs);
}

#if defined(bpf_target_arm64) || defined(bpf_target_riscv)
SEC("kprobe/do_nanosleep")
int eight(struct pt_regs *ctx)
{
	return PT_REGS_PARM6(ctx) + PT_REGS_PARM7(ctx) + PT_REGS_PARM8(ctx) + PT_REGS_PARM8_CORE(ctx);
}
#endif

char LICENSE[] SEC("license") = "GPL";

/* Tracing programs: registers of the traced code by their role, and programs with named arguments.
 *
 * Which architecture is traced is said by __TARGET_ARCH_x86, __TARGET_ARCH_arm64 and so on, since
 * an eBPF program is compiled for the machine it will watch, not for the one that compiles it.
 */
#ifndef __BPF_TRACING_H__
#define __BPF_TRACING_H__

#include "bpf_helpers.h"
#include "bpf_core_read.h"

/* -- architectures as tables ---------------------------------------------------------------------
 *
 * For each: the struct that the registers are read from, the registers that hold a function's
 * arguments (by its calling convention, as many as there are), those of a system call where they
 * differ, and return address, frame pointer, result, stack pointer and instruction pointer.
 */

#if defined(__TARGET_ARCH_x86)
#define bpf_target_x86
#elif defined(__TARGET_ARCH_arm64)
#define bpf_target_arm64
#elif defined(__TARGET_ARCH_s390)
#define bpf_target_s390
#elif defined(__TARGET_ARCH_riscv)
#define bpf_target_riscv
#elif defined(__TARGET_ARCH_powerpc)
#define bpf_target_powerpc
#elif defined(__TARGET_ARCH_loongarch)
#define bpf_target_loongarch
#elif defined(__x86_64__)
#define bpf_target_x86
#elif defined(__aarch64__)
#define bpf_target_arm64
#elif defined(__s390x__)
#define bpf_target_s390
#elif defined(__riscv) && __riscv_xlen == 64
#define bpf_target_riscv
#elif defined(__powerpc64__)
#define bpf_target_powerpc
#elif defined(__loongarch__)
#define bpf_target_loongarch
#else
#define ___bpf_target_missing
#endif

#if defined(bpf_target_x86)

/* The kernel's own struct pt_regs (vmlinux.h) and that of <linux/ptrace.h> name registers differently. */
#if defined(__KERNEL__) || defined(__VMLINUX_H__) || defined(__VMLINUX_H) || defined(__VMLINUX_X86_H__)
#define ___bpf_x86(kernel, user) kernel
#else
#define ___bpf_x86(kernel, user) user
#endif
#define ___bpf_regs_type struct pt_regs
#define ___bpf_reg_parm1 ___bpf_x86(di, rdi)
#define ___bpf_reg_parm2 ___bpf_x86(si, rsi)
#define ___bpf_reg_parm3 ___bpf_x86(dx, rdx)
#define ___bpf_reg_parm4 ___bpf_x86(cx, rcx)
#define ___bpf_reg_parm5 r8
#define ___bpf_reg_parm6 r9
#define ___bpf_reg_call4 r10 /* the instruction `syscall` destroys rcx */
#define ___bpf_reg_ret ___bpf_x86(sp, rsp) /* the return address lies on the stack, here */
#define ___bpf_reg_fp ___bpf_x86(bp, rbp)
#define ___bpf_reg_rc ___bpf_x86(ax, rax)
#define ___bpf_reg_sp ___bpf_x86(sp, rsp)
#define ___bpf_reg_ip ___bpf_x86(ip, rip)

#elif defined(bpf_target_arm64)

/* struct pt_regs begins with what struct user_pt_regs has, which both kinds of headers know. */
#define ___bpf_regs_type struct user_pt_regs
#define ___bpf_reg_parm1 regs[0]
#define ___bpf_reg_parm2 regs[1]
#define ___bpf_reg_parm3 regs[2]
#define ___bpf_reg_parm4 regs[3]
#define ___bpf_reg_parm5 regs[4]
#define ___bpf_reg_parm6 regs[5]
#define ___bpf_reg_parm7 regs[6]
#define ___bpf_reg_parm8 regs[7]
#define ___bpf_call1_struct pt_regs___arm64
#define ___bpf_call1_field orig_x0
#define ___bpf_reg_ret regs[30]
#define ___bpf_reg_fp regs[29]
#define ___bpf_reg_rc regs[0]
#define ___bpf_reg_sp sp
#define ___bpf_reg_ip pc

#elif defined(bpf_target_s390)

#define ___bpf_regs_type struct ___bpf_s390_regs
struct ___bpf_s390_regs {
	unsigned long args[1];
	struct {
		unsigned long mask;
		unsigned long addr;
	} psw;
	unsigned long gprs[16];
};
#define ___bpf_reg_parm1 gprs[2]
#define ___bpf_reg_parm2 gprs[3]
#define ___bpf_reg_parm3 gprs[4]
#define ___bpf_reg_parm4 gprs[5]
#define ___bpf_reg_parm5 gprs[6]
#define ___bpf_call1_struct pt_regs___s390
#define ___bpf_call1_field orig_gpr2
#define ___bpf_reg_ret gprs[14]
#define ___bpf_reg_fp gprs[11]
#define ___bpf_reg_rc gprs[2]
#define ___bpf_reg_sp gprs[15]
#define ___bpf_reg_ip psw.addr

#elif defined(bpf_target_riscv)

#define ___bpf_regs_type struct user_regs_struct
#define ___bpf_reg_parm1 a0
#define ___bpf_reg_parm2 a1
#define ___bpf_reg_parm3 a2
#define ___bpf_reg_parm4 a3
#define ___bpf_reg_parm5 a4
#define ___bpf_reg_parm6 a5
#define ___bpf_reg_parm7 a6
#define ___bpf_reg_parm8 a7
#define ___bpf_call1_struct pt_regs___riscv
#define ___bpf_call1_field orig_a0
#define ___bpf_reg_ret ra
#define ___bpf_reg_fp s0
#define ___bpf_reg_rc a0
#define ___bpf_reg_sp sp
#define ___bpf_reg_ip pc

#elif defined(bpf_target_powerpc)

#define ___bpf_regs_type struct pt_regs
#define ___bpf_reg_parm1 gpr[3]
#define ___bpf_reg_parm2 gpr[4]
#define ___bpf_reg_parm3 gpr[5]
#define ___bpf_reg_parm4 gpr[6]
#define ___bpf_reg_parm5 gpr[7]
#define ___bpf_reg_parm6 gpr[8]
#define ___bpf_reg_parm7 gpr[9]
#define ___bpf_reg_parm8 gpr[10]
#define ___bpf_reg_call1 orig_gpr3
#define ___bpf_reg_ret link
#define ___bpf_reg_fp gpr[31]
#define ___bpf_reg_rc gpr[3]
#define ___bpf_reg_sp gpr[1]
#define ___bpf_reg_ip nip

#elif defined(bpf_target_loongarch)

#define ___bpf_regs_type struct pt_regs
#define ___bpf_reg_parm1 regs[4]
#define ___bpf_reg_parm2 regs[5]
#define ___bpf_reg_parm3 regs[6]
#define ___bpf_reg_parm4 regs[7]
#define ___bpf_reg_parm5 regs[8]
#define ___bpf_reg_parm6 regs[9]
#define ___bpf_reg_parm7 regs[10]
#define ___bpf_reg_parm8 regs[11]
#define ___bpf_reg_call1 orig_a0
#define ___bpf_reg_ret regs[1]
#define ___bpf_reg_fp regs[22]
#define ___bpf_reg_rc regs[4]
#define ___bpf_reg_sp regs[3]
#define ___bpf_reg_ip csr_era

#endif

/* -- registers by role ------------------------------------------------------------------------------
 *
 * PT_REGS_PARM1(ctx) reads from a program's own context. The _CORE forms read from any pointer to
 * registers, by CO-RE. The _SYSCALL forms take a system call's arguments from the registers that the
 * kernel saved when it was entered.
 */

struct pt_regs;

#ifdef ___bpf_target_missing

#define ___bpf_no_target \
	({ _Pragma("GCC error \"registers are named, but not of which architecture: compile with -D__TARGET_ARCH_x86, -D__TARGET_ARCH_arm64 or another\"") 0l; })
#define ___bpf_reg(x, role) ___bpf_no_target
#define ___bpf_reg_core(x, role) ___bpf_no_target
#define ___bpf_reg_parm6 x
#define ___bpf_reg_parm7 x
#define ___bpf_reg_parm8 x

#else

#define __PT_REGS_CAST(x) ((const ___bpf_regs_type *)(x))
#define ___bpf_reg(x, role) (__PT_REGS_CAST(x)->___bpf_reg_##role)
#define ___bpf_reg_core(x, role) BPF_CORE_READ(__PT_REGS_CAST(x), ___bpf_reg_##role)

#endif

#define PT_REGS_PARM1(x) ___bpf_reg(x, parm1)
#define PT_REGS_PARM2(x) ___bpf_reg(x, parm2)
#define PT_REGS_PARM3(x) ___bpf_reg(x, parm3)
#define PT_REGS_PARM4(x) ___bpf_reg(x, parm4)
#define PT_REGS_PARM5(x) ___bpf_reg(x, parm5)
#define PT_REGS_RET(x) ___bpf_reg(x, ret)
#define PT_REGS_FP(x) ___bpf_reg(x, fp)
#define PT_REGS_RC(x) ___bpf_reg(x, rc)
#define PT_REGS_SP(x) ___bpf_reg(x, sp)
#define PT_REGS_IP(x) ___bpf_reg(x, ip)

#define PT_REGS_PARM1_CORE(x) ___bpf_reg_core(x, parm1)
#define PT_REGS_PARM2_CORE(x) ___bpf_reg_core(x, parm2)
#define PT_REGS_PARM3_CORE(x) ___bpf_reg_core(x, parm3)
#define PT_REGS_PARM4_CORE(x) ___bpf_reg_core(x, parm4)
#define PT_REGS_PARM5_CORE(x) ___bpf_reg_core(x, parm5)
#define PT_REGS_RET_CORE(x) ___bpf_reg_core(x, ret)
#define PT_REGS_FP_CORE(x) ___bpf_reg_core(x, fp)
#define PT_REGS_RC_CORE(x) ___bpf_reg_core(x, rc)
#define PT_REGS_SP_CORE(x) ___bpf_reg_core(x, sp)
#define PT_REGS_IP_CORE(x) ___bpf_reg_core(x, ip)

/* Not every architecture passes so many arguments in registers. */
#define ___bpf_no_register \
	({ _Pragma("GCC error \"this architecture passes fewer arguments in registers: read this one from the stack\"") 0l; })
#ifdef ___bpf_reg_parm6
#define PT_REGS_PARM6(x) ___bpf_reg(x, parm6)
#define PT_REGS_PARM6_CORE(x) ___bpf_reg_core(x, parm6)
#else
#define PT_REGS_PARM6(x) ___bpf_no_register
#define PT_REGS_PARM6_CORE(x) ___bpf_no_register
#endif
#ifdef ___bpf_reg_parm7
#define PT_REGS_PARM7(x) ___bpf_reg(x, parm7)
#define PT_REGS_PARM7_CORE(x) ___bpf_reg_core(x, parm7)
#else
#define PT_REGS_PARM7(x) ___bpf_no_register
#define PT_REGS_PARM7_CORE(x) ___bpf_no_register
#endif
#ifdef ___bpf_reg_parm8
#define PT_REGS_PARM8(x) ___bpf_reg(x, parm8)
#define PT_REGS_PARM8_CORE(x) ___bpf_reg_core(x, parm8)
#else
#define PT_REGS_PARM8(x) ___bpf_no_register
#define PT_REGS_PARM8_CORE(x) ___bpf_no_register
#endif

/* The first argument of a system call shares its register with the result, so the kernel keeps a
 * copy: within the struct (___bpf_reg_call1), or past what user space may see of it, where only
 * CO-RE finds it (___bpf_call1_field). */
#if defined(___bpf_call1_field)
struct ___bpf_call1_struct {
	unsigned long ___bpf_call1_field;
} __attribute__((preserve_access_index));
#define PT_REGS_PARM1_CORE_SYSCALL(x) \
	BPF_CORE_READ((const struct ___bpf_call1_struct *)(x), ___bpf_call1_field)
#define PT_REGS_PARM1_SYSCALL(x) PT_REGS_PARM1_CORE_SYSCALL(x)
#elif defined(___bpf_reg_call1)
#define PT_REGS_PARM1_SYSCALL(x) ___bpf_reg(x, call1)
#define PT_REGS_PARM1_CORE_SYSCALL(x) ___bpf_reg_core(x, call1)
#else
#define PT_REGS_PARM1_SYSCALL(x) PT_REGS_PARM1(x)
#define PT_REGS_PARM1_CORE_SYSCALL(x) PT_REGS_PARM1_CORE(x)
#endif
#ifdef ___bpf_reg_call4
#define PT_REGS_PARM4_SYSCALL(x) ___bpf_reg(x, call4)
#define PT_REGS_PARM4_CORE_SYSCALL(x) ___bpf_reg_core(x, call4)
#else
#define PT_REGS_PARM4_SYSCALL(x) PT_REGS_PARM4(x)
#define PT_REGS_PARM4_CORE_SYSCALL(x) PT_REGS_PARM4_CORE(x)
#endif
#define PT_REGS_PARM2_SYSCALL(x) PT_REGS_PARM2(x)
#define PT_REGS_PARM3_SYSCALL(x) PT_REGS_PARM3(x)
#define PT_REGS_PARM5_SYSCALL(x) PT_REGS_PARM5(x)
#define PT_REGS_PARM2_CORE_SYSCALL(x) PT_REGS_PARM2_CORE(x)
#define PT_REGS_PARM3_CORE_SYSCALL(x) PT_REGS_PARM3_CORE(x)
#define PT_REGS_PARM5_CORE_SYSCALL(x) PT_REGS_PARM5_CORE(x)
#if defined(bpf_target_s390)
#define PT_REGS_PARM6_SYSCALL(x) (__PT_REGS_CAST(x)->gprs[7])
#define PT_REGS_PARM6_CORE_SYSCALL(x) BPF_CORE_READ(__PT_REGS_CAST(x), gprs[7])
#else
#define PT_REGS_PARM6_SYSCALL(x) PT_REGS_PARM6(x)
#define PT_REGS_PARM6_CORE_SYSCALL(x) PT_REGS_PARM6_CORE(x)
#endif
#define PT_REGS_PARM7_SYSCALL(x) PT_REGS_PARM7(x)
#define PT_REGS_PARM7_CORE_SYSCALL(x) PT_REGS_PARM7_CORE(x)

/* The registers that a system call's entry function was handed: on kernels that wrap system calls it
 * gets a pointer to the saved registers as its only argument, on others they are its own. */
#ifndef PT_REGS_SYSCALL_REGS
#if defined(bpf_target_x86) || defined(bpf_target_arm64) || defined(bpf_target_s390) || \
	defined(bpf_target_riscv)
#define PT_REGS_SYSCALL_REGS(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))
#else
#define PT_REGS_SYSCALL_REGS(ctx) ctx
#endif
#endif

/* The address that a function will return to, in its kprobe and in its kretprobe. */
#if defined(bpf_target_x86)
#define BPF_KPROBE_READ_RET_IP(ip, ctx) \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)PT_REGS_RET(ctx)); })
#define BPF_KRETPROBE_READ_RET_IP(ip, ctx) \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)(PT_REGS_FP(ctx) + sizeof(ip))); })
#else
#define BPF_KPROBE_READ_RET_IP(ip, ctx) ({ (ip) = PT_REGS_RET(ctx); })
#define BPF_KRETPROBE_READ_RET_IP(ip, ctx) \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)(PT_REGS_FP(ctx) + sizeof(ip))); })
#endif

/* -- programs with named arguments -------------------------------------------------------------------
 *
 * Each macro makes two functions: the program, which takes the context, and an inlined one with the
 * arguments as written, whose body follows the macro. `ctx` can be used in the body.
 */

#define ___bpf_program(ctx_type, name, call_args, args...) \
	name(ctx_type *ctx); \
	static __always_inline typeof(name(0)) ____##name(ctx_type *ctx, ##args); \
	typeof(name(0)) name(ctx_type *ctx) \
	{ \
		_Pragma("GCC diagnostic push") \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
		return ____##name(call_args); \
		_Pragma("GCC diagnostic pop") \
	} \
	static __always_inline typeof(name(0)) \
	____##name(ctx_type *ctx __attribute__((unused)), ##args)

/* Arguments as 64-bit words one after another: tp_btf, raw_tp, fentry, fexit, lsm, struct_ops. */
#define ___bpf_ctx_cast0() ctx
#define ___bpf_ctx_cast1(x) ___bpf_ctx_cast0(), (void *)ctx[0]
#define ___bpf_ctx_cast2(x, args...) ___bpf_ctx_cast1(args), (void *)ctx[1]
#define ___bpf_ctx_cast3(x, args...) ___bpf_ctx_cast2(args), (void *)ctx[2]
#define ___bpf_ctx_cast4(x, args...) ___bpf_ctx_cast3(args), (void *)ctx[3]
#define ___bpf_ctx_cast5(x, args...) ___bpf_ctx_cast4(args), (void *)ctx[4]
#define ___bpf_ctx_cast6(x, args...) ___bpf_ctx_cast5(args), (void *)ctx[5]
#define ___bpf_ctx_cast7(x, args...) ___bpf_ctx_cast6(args), (void *)ctx[6]
#define ___bpf_ctx_cast8(x, args...) ___bpf_ctx_cast7(args), (void *)ctx[7]
#define ___bpf_ctx_cast9(x, args...) ___bpf_ctx_cast8(args), (void *)ctx[8]
#define ___bpf_ctx_cast10(x, args...) ___bpf_ctx_cast9(args), (void *)ctx[9]
#define ___bpf_ctx_cast11(x, args...) ___bpf_ctx_cast10(args), (void *)ctx[10]
#define ___bpf_ctx_cast12(x, args...) ___bpf_ctx_cast11(args), (void *)ctx[11]
#define ___bpf_ctx_cast(args...) ___bpf_apply(___bpf_ctx_cast, ___bpf_narg(args))(args)

/*	SEC("tp_btf/sched_process_exec")
 *	int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *binary)
 */
#define BPF_PROG(name, args...) \
	___bpf_program(unsigned long long, name, ___bpf_ctx_cast(args), ##args)

/* -- arguments that are structs: BPF_PROG2(name, type, argument, type, argument, ...) ---------------- */

#define ___bpf_words(t) (sizeof(t) > 8 ? 2 : 1)

/* A value of up to 16 bytes, put together from one or two words of the context. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ___bpf_word(t, w) (w)
#else
#define ___bpf_word(t, w) (sizeof(t) < 8 ? (w) << ((64 - 8 * sizeof(t)) & 63) : (w))
#endif
#define ___bpf_take(t, at) \
	({ \
		union { \
			unsigned long long words[2]; \
			t value; \
		} ___u; \
		_Static_assert(sizeof(t) <= 16, "arguments of more than 16 bytes are passed by reference"); \
		___u.words[0] = ___bpf_word(t, ctx[at]); \
		if (sizeof(t) > 8) \
			___u.words[1] = ctx[(at) + ___bpf_words(t) - 1]; \
		___u.value; \
	})

#define ___bpf_decl0()
#define ___bpf_decl2(t, x) , t x
#define ___bpf_decl4(t, x, more...) , t x ___bpf_decl2(more)
#define ___bpf_decl6(t, x, more...) , t x ___bpf_decl4(more)
#define ___bpf_decl8(t, x, more...) , t x ___bpf_decl6(more)
#define ___bpf_decl10(t, x, more...) , t x ___bpf_decl8(more)
#define ___bpf_decl12(t, x, more...) , t x ___bpf_decl10(more)
#define ___bpf_decl(args...) ___bpf_apply(___bpf_decl, ___bpf_narg(args))(args)

#define ___bpf_pass0(at)
#define ___bpf_pass2(at, t, x) , ___bpf_take(t, at)
#define ___bpf_pass4(at, t, x, more...) , ___bpf_take(t, at) ___bpf_pass2((at) + ___bpf_words(t), more)
#define ___bpf_pass6(at, t, x, more...) , ___bpf_take(t, at) ___bpf_pass4((at) + ___bpf_words(t), more)
#define ___bpf_pass8(at, t, x, more...) , ___bpf_take(t, at) ___bpf_pass6((at) + ___bpf_words(t), more)
#define ___bpf_pass10(at, t, x, more...) , ___bpf_take(t, at) ___bpf_pass8((at) + ___bpf_words(t), more)
#define ___bpf_pass12(at, t, x, more...) , ___bpf_take(t, at) ___bpf_pass10((at) + ___bpf_words(t), more)
#define ___bpf_pass(args...) ___bpf_apply(___bpf_pass, ___bpf_narg(args))(0, ##args)

#define BPF_PROG2(name, args...) \
	name(unsigned long long *ctx); \
	static __always_inline typeof(name(0)) ____##name(unsigned long long *ctx ___bpf_decl(args)); \
	typeof(name(0)) name(unsigned long long *ctx) \
	{ \
		return ____##name(ctx ___bpf_pass(args)); \
	} \
	static __always_inline typeof(name(0)) \
	____##name(unsigned long long *ctx __attribute__((unused)) ___bpf_decl(args))

/* -- functions of the kernel and of programs ----------------------------------------------------------- */

#define ___bpf_kprobe_args0() ctx
#define ___bpf_kprobe_args1(x) ___bpf_kprobe_args0(), (void *)PT_REGS_PARM1(ctx)
#define ___bpf_kprobe_args2(x, args...) ___bpf_kprobe_args1(args), (void *)PT_REGS_PARM2(ctx)
#define ___bpf_kprobe_args3(x, args...) ___bpf_kprobe_args2(args), (void *)PT_REGS_PARM3(ctx)
#define ___bpf_kprobe_args4(x, args...) ___bpf_kprobe_args3(args), (void *)PT_REGS_PARM4(ctx)
#define ___bpf_kprobe_args5(x, args...) ___bpf_kprobe_args4(args), (void *)PT_REGS_PARM5(ctx)
#define ___bpf_kprobe_args6(x, args...) ___bpf_kprobe_args5(args), (void *)PT_REGS_PARM6(ctx)
#define ___bpf_kprobe_args7(x, args...) ___bpf_kprobe_args6(args), (void *)PT_REGS_PARM7(ctx)
#define ___bpf_kprobe_args8(x, args...) ___bpf_kprobe_args7(args), (void *)PT_REGS_PARM8(ctx)
#define ___bpf_kprobe_args(args...) ___bpf_apply(___bpf_kprobe_args, ___bpf_narg(args))(args)

/*	SEC("kprobe/do_unlinkat")
 *	int BPF_KPROBE(on_unlink, int dfd, struct filename *name)
 */
#define BPF_KPROBE(name, args...) ___bpf_program(struct pt_regs, name, ___bpf_kprobe_args(args), ##args)

/* The only argument, which may be left out, is what the function returned. */
#define ___bpf_kretprobe_args0() ctx
#define ___bpf_kretprobe_args1(x) ___bpf_kretprobe_args0(), (void *)PT_REGS_RC(ctx)
#define ___bpf_kretprobe_args(args...) ___bpf_apply(___bpf_kretprobe_args, ___bpf_narg(args))(args)
#define BPF_KRETPROBE(name, args...) \
	___bpf_program(struct pt_regs, name, ___bpf_kretprobe_args(args), ##args)

/* Functions of programs pass their arguments as the kernel's do. */
#define BPF_UPROBE(name, args...) BPF_KPROBE(name, ##args)
#define BPF_URETPROBE(name, args...) BPF_KRETPROBE(name, ##args)

/* -- system calls ---------------------------------------------------------------------------------------- */

/* The loader sets it: whether this kernel hands system calls a pointer to the saved registers. */
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;

#define ___bpf_syscall_args0() ctx
#define ___bpf_syscall_args1(x) ___bpf_syscall_args0(), (void *)PT_REGS_PARM1_SYSCALL(___regs)
#define ___bpf_syscall_args2(x, args...) ___bpf_syscall_args1(args), (void *)PT_REGS_PARM2_SYSCALL(___regs)
#define ___bpf_syscall_args3(x, args...) ___bpf_syscall_args2(args), (void *)PT_REGS_PARM3_SYSCALL(___regs)
#define ___bpf_syscall_args4(x, args...) ___bpf_syscall_args3(args), (void *)PT_REGS_PARM4_SYSCALL(___regs)
#define ___bpf_syscall_args5(x, args...) ___bpf_syscall_args4(args), (void *)PT_REGS_PARM5_SYSCALL(___regs)
#define ___bpf_syscall_args6(x, args...) ___bpf_syscall_args5(args), (void *)PT_REGS_PARM6_SYSCALL(___regs)
#define ___bpf_syscall_args7(x, args...) ___bpf_syscall_args6(args), (void *)PT_REGS_PARM7_SYSCALL(___regs)
#define ___bpf_syscall_args(args...) ___bpf_apply(___bpf_syscall_args, ___bpf_narg(args))(args)

#define ___bpf_wrapped_args0() ctx
#define ___bpf_wrapped_args1(x) ___bpf_wrapped_args0(), (void *)PT_REGS_PARM1_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args2(x, args...) ___bpf_wrapped_args1(args), (void *)PT_REGS_PARM2_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args3(x, args...) ___bpf_wrapped_args2(args), (void *)PT_REGS_PARM3_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args4(x, args...) ___bpf_wrapped_args3(args), (void *)PT_REGS_PARM4_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args5(x, args...) ___bpf_wrapped_args4(args), (void *)PT_REGS_PARM5_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args6(x, args...) ___bpf_wrapped_args5(args), (void *)PT_REGS_PARM6_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args7(x, args...) ___bpf_wrapped_args6(args), (void *)PT_REGS_PARM7_CORE_SYSCALL(___regs)
#define ___bpf_wrapped_args(args...) ___bpf_apply(___bpf_wrapped_args, ___bpf_narg(args))(args)

/*	SEC("ksyscall/execve")
 *	int BPF_KSYSCALL(on_execve, const char *path)
 */
#define BPF_KSYSCALL(name, args...) \
	name(struct pt_regs *ctx); \
	static __always_inline typeof(name(0)) ____##name(struct pt_regs *ctx, ##args); \
	typeof(name(0)) name(struct pt_regs *ctx) \
	{ \
		struct pt_regs *___regs __attribute__((unused)) = \
			LINUX_HAS_SYSCALL_WRAPPER ? PT_REGS_SYSCALL_REGS(ctx) : ctx; \
		_Pragma("GCC diagnostic push") \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
		if (LINUX_HAS_SYSCALL_WRAPPER) \
			return ____##name(___bpf_wrapped_args(args)); \
		return ____##name(___bpf_syscall_args(args)); \
		_Pragma("GCC diagnostic pop") \
	} \
	static __always_inline typeof(name(0)) \
	____##name(struct pt_regs *ctx __attribute__((unused)), ##args)

#define BPF_KPROBE_SYSCALL BPF_KSYSCALL

#endif

/* USDT: statically defined probes of programs and libraries, with their arguments.
 *
 * A program's note says of each argument where it lies when the probe is met: a constant, a register,
 * or memory at a register. The loader reads the notes and fills the two maps below; the functions
 * here look the place up and read it.
 */
#ifndef __USDT_BPF_H__
#define __USDT_BPF_H__

#include "bpf_helpers.h"
#include "bpf_tracing.h"

/* Programs may set these before they include this file: how many different probes (by where their
 * arguments lie), and how many places in code, where the kernel has no cookies. */
#ifndef BPF_USDT_MAX_SPEC_CNT
#define BPF_USDT_MAX_SPEC_CNT 256
#endif
#ifndef BPF_USDT_MAX_IP_CNT
#define BPF_USDT_MAX_IP_CNT (4 * BPF_USDT_MAX_SPEC_CNT)
#endif

#define BPF_USDT_MAX_ARG_CNT 12

enum __bpf_usdt_arg_type {
	BPF_USDT_ARG_CONST,     /* val_off is the value */
	BPF_USDT_ARG_REG,       /* in a register */
	BPF_USDT_ARG_REG_DEREF, /* in memory at register + val_off */
	BPF_USDT_ARG_SIB,       /* in memory at register + (index register << scale) + val_off */
};

/* Where one argument lies. Offsets of registers count from the begin of struct pt_regs. */
struct __bpf_usdt_arg_spec {
	__u64 val_off;
	__u8 arg_type;
	__u8 __pad1;
	__u16 idx_reg_off : 12;
	__u16 scale_bitshift : 4;
	__u16 __pad2;
	__s16 reg_off;
	/* narrower values: the sign counts, and 64 minus their width in bits */
	_Bool arg_signed;
	char arg_bitshift;
	__u16 __pad3[3];
};

/* What the loader knows of one probe. */
struct __bpf_usdt_spec {
	struct __bpf_usdt_arg_spec args[BPF_USDT_MAX_ARG_CNT];
	__u64 usdt_cookie;
	__s16 arg_cnt;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BPF_USDT_MAX_SPEC_CNT);
	__type(key, int);
	__type(value, struct __bpf_usdt_spec);
} __bpf_usdt_specs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_USDT_MAX_IP_CNT);
	__type(key, long);
	__type(value, __u32);
} __bpf_usdt_ip_to_spec_id SEC(".maps") __weak;

/* The loader sets it: whether an attachment carries a cookie (kernel 5.15), which is then the number
 * of the specification; otherwise the address of the probe leads to it. */
extern const _Bool LINUX_HAS_BPF_COOKIE __kconfig;

static __always_inline struct __bpf_usdt_spec *__bpf_usdt_spec_of(struct pt_regs *ctx)
{
	int id;

	if (!LINUX_HAS_BPF_COOKIE) {
		long ip = PT_REGS_IP(ctx);
		int *found = bpf_map_lookup_elem(&__bpf_usdt_ip_to_spec_id, &ip);

		if (!found)
			return NULL;
		id = *found;
	} else {
		id = bpf_get_attach_cookie(ctx);
	}
	return bpf_map_lookup_elem(&__bpf_usdt_specs, &id);
}

/* Where the arguments of the probe that was met are described, by number; NULL for one too many. */
static __always_inline struct __bpf_usdt_arg_spec *
__bpf_usdt_arg_spec_of(struct __bpf_usdt_spec *spec, __u64 arg_num)
{
	if (arg_num >= BPF_USDT_MAX_ARG_CNT)
		return NULL;
	/* keeps the bound above in the program, for the verifier to see */
	barrier_var(arg_num);
	if (arg_num >= BPF_USDT_MAX_ARG_CNT || (__s64)arg_num >= spec->arg_cnt)
		return NULL;
	return &spec->args[arg_num];
}

/* How many arguments the probe has; -3 (ESRCH) where the loader does not know it. */
__weak __hidden int bpf_usdt_arg_cnt(struct pt_regs *ctx)
{
	struct __bpf_usdt_spec *spec = __bpf_usdt_spec_of(ctx);

	return spec ? spec->arg_cnt : -3;
}

/* The size of an argument in bytes, as far as loading it goes: what its note says; -2 (ENOENT) where
 * the probe has no such argument, -3 (ESRCH) where the loader does not know the probe. */
__weak __hidden int bpf_usdt_arg_size(struct pt_regs *ctx, __u64 arg_num)
{
	struct __bpf_usdt_spec *spec = __bpf_usdt_spec_of(ctx);
	struct __bpf_usdt_arg_spec *arg;

	if (!spec)
		return -3;
	arg = __bpf_usdt_arg_spec_of(spec, arg_num);
	return arg ? (64 - arg->arg_bitshift) >> 3 : -2;
}

/* Stores an argument's value, widened to 64 bits by its sign. Returns 0, or -2 (ENOENT) where the
 * probe has no such argument, -3 (ESRCH) where the loader does not know the probe, -22 (EINVAL) for
 * a kind of place that is not known here, or what a failed read gave; the value is then zero. */
__weak __hidden int bpf_usdt_arg(struct pt_regs *ctx, __u64 arg_num, long *res)
{
	struct __bpf_usdt_spec *spec = __bpf_usdt_spec_of(ctx);
	struct __bpf_usdt_arg_spec *arg;
	unsigned long value = 0, index = 0;
	int err = 0;

	*res = 0;
	if (!spec)
		return -3;
	arg = __bpf_usdt_arg_spec_of(spec, arg_num);
	if (!arg)
		return -2;
	/* A register at an offset that only the running program knows has to be read like foreign
	 * memory: the verifier allows direct reads of the context at constant offsets only. */
	switch (arg->arg_type) {
	case BPF_USDT_ARG_CONST:
		value = arg->val_off;
		break;
	case BPF_USDT_ARG_REG:
		err = bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + arg->reg_off);
		break;
	case BPF_USDT_ARG_SIB:
		err = bpf_probe_read_kernel(&index, sizeof(index), (void *)ctx + arg->idx_reg_off);
		if (err)
			return err;
		index <<= arg->scale_bitshift;
		__attribute__((fallthrough));
	case BPF_USDT_ARG_REG_DEREF:
		err = bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + arg->reg_off);
		if (err)
			return err;
		err = bpf_probe_read_user(&value, sizeof(value), (void *)value + index + arg->val_off);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		value >>= arg->arg_bitshift;
#endif
		break;
	default:
		return -22;
	}
	if (err)
		return err;
	value <<= arg->arg_bitshift;
	*res = arg->arg_signed ? (long)value >> arg->arg_bitshift : (long)(value >> arg->arg_bitshift);
	return 0;
}

/* The cookie that was given when the program was attached; 0 where there is none. (The kernel's own
 * cookie, as bpf_get_attach_cookie() gives it, is the loader's.) */
__weak __hidden long bpf_usdt_cookie(struct pt_regs *ctx)
{
	struct __bpf_usdt_spec *spec = __bpf_usdt_spec_of(ctx);

	return spec ? spec->usdt_cookie : 0;
}

#define ___bpf_usdt_value(number) \
	({ \
		long ___x; \
		bpf_usdt_arg(ctx, number, &___x); \
		(void *)___x; \
	})
#define ___bpf_usdt_args0() ctx
#define ___bpf_usdt_args1(x) ___bpf_usdt_args0(), ___bpf_usdt_value(0)
#define ___bpf_usdt_args2(x, args...) ___bpf_usdt_args1(args), ___bpf_usdt_value(1)
#define ___bpf_usdt_args3(x, args...) ___bpf_usdt_args2(args), ___bpf_usdt_value(2)
#define ___bpf_usdt_args4(x, args...) ___bpf_usdt_args3(args), ___bpf_usdt_value(3)
#define ___bpf_usdt_args5(x, args...) ___bpf_usdt_args4(args), ___bpf_usdt_value(4)
#define ___bpf_usdt_args6(x, args...) ___bpf_usdt_args5(args), ___bpf_usdt_value(5)
#define ___bpf_usdt_args7(x, args...) ___bpf_usdt_args6(args), ___bpf_usdt_value(6)
#define ___bpf_usdt_args8(x, args...) ___bpf_usdt_args7(args), ___bpf_usdt_value(7)
#define ___bpf_usdt_args9(x, args...) ___bpf_usdt_args8(args), ___bpf_usdt_value(8)
#define ___bpf_usdt_args10(x, args...) ___bpf_usdt_args9(args), ___bpf_usdt_value(9)
#define ___bpf_usdt_args11(x, args...) ___bpf_usdt_args10(args), ___bpf_usdt_value(10)
#define ___bpf_usdt_args12(x, args...) ___bpf_usdt_args11(args), ___bpf_usdt_value(11)
#define ___bpf_usdt_args(args...) ___bpf_apply(___bpf_usdt_args, ___bpf_narg(args))(args)

/*	SEC("usdt/libc.so.6:libc:setjmp")
 *	int BPF_USDT(on_setjmp, void *env, int value, void *address)
 */
#define BPF_USDT(name, args...) ___bpf_program(struct pt_regs, name, ___bpf_usdt_args(args), ##args)

#endif

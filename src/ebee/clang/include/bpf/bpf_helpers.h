/* What every eBPF program needs: helper functions, sections, map definitions, printing, loops. */
#ifndef __BPF_HELPERS_H
#define __BPF_HELPERS_H

/* The helpers' prototypes speak of __u32, struct xdp_md and the like, which have to be known here. */
#if !defined(__VMLINUX_H__) && !defined(__VMLINUX_H) && !defined(__VMLINUX_X86_H__) && \
	!defined(__VMLINUX_ARM64_H__) && !defined(__LINUX_BPF_H__) && !defined(_UAPI__LINUX_BPF_H__) && \
	!defined(_LINUX_TYPES_H) && !defined(_UAPI_LINUX_TYPES_H) && !defined(BPF_OWN_TYPES)
#error "<bpf/...> headers need the types of the kernel: put #include <linux/bpf.h> or <vmlinux.h> above them (or define BPF_OWN_TYPES where the program declares __u32 and its like itself)"
#else

#include "bpf_helper_defs.h"

/* -- sections and attributes ------------------------------------------------------------------- */

/* Puts a program, a map or a variable into the ELF section whose name tells the loader what it is. */
#define SEC(name) \
	_Pragma("GCC diagnostic push") \
	_Pragma("GCC diagnostic ignored \"-Wignored-attributes\"") \
	__attribute__((section(name), used)) \
	_Pragma("GCC diagnostic pop")

/* The C library's headers may have defined these without what follows here. */
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif

/* A global function that other objects do not see: the verifier checks it where it is called, with
 * what is known there, instead of once for all arguments. */
#define __hidden __attribute__((visibility("hidden")))

#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))

/* Pointers that a map's value holds: to objects of the kernel, per CPU or not, and to user memory. */
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))

/* What the verifier may take for granted of a global function's parameter. */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))

/* -- map definitions --------------------------------------------------------------------------- */

/* A map is a struct that never exists in memory: its members' types say what kind of map it is. A
 * number is the length of an array, a type is what a pointer points to. */
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
/* For numbers too large for an array's length (map_extra). */
#define __ulong(name, val) enum { ___bpf_concat(__unique_value, __COUNTER__) = (val) } name

/* Values of __uint(pinning, ...). */
enum libbpf_pin_type {
	LIBBPF_PIN_NONE,
	/* pinned under the loader's folder in bpffs, and taken from there where it is already */
	LIBBPF_PIN_BY_NAME,
};

/* Values of CONFIG_... that can be a module. */
enum libbpf_tristate {
	TRI_NO = 0,
	TRI_YES = 1,
	TRI_MODULE = 2,
};

/* -- small things of C -------------------------------------------------------------------------- */

#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef container_of
#define container_of(ptr, type, member) ((type *)((void *)(ptr) - offsetof(type, member)))
#endif
#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif

/* The compiler keeps no memory (barrier) or no knowledge of a variable (barrier_var) across it;
 * used where an optimisation would hide a bounds check from the verifier. */
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

/* Fails the build where the compiler does not see that a place is never reached. */
#ifndef __bpf_unreachable
#define __bpf_unreachable() __builtin_trap()
#endif

/* Whether a weak kernel function or variable is there. */
#define bpf_ksym_exists(sym) \
	({ \
		_Static_assert(!__builtin_constant_p(!!(sym)), #sym " must be declared __weak"); \
		!!(sym); \
	})

/* -- building blocks for macros that count their arguments --------------------------------------- */

#define ___bpf_concat(a, b) a##b
#define ___bpf_apply(fn, n) ___bpf_concat(fn, n)
#define ___bpf_nth(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _a, _b, _c, N, ...) N
/* How many arguments: 0 to 12. */
#define ___bpf_narg(...) ___bpf_nth(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

/* Stores arguments into the places of an array of 64-bit numbers. */
#define ___bpf_fill0(arr, p, x) do {} while (0)
#define ___bpf_fill1(arr, p, x) arr[p] = (unsigned long long)(x)
#define ___bpf_fill2(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill1(arr, p + 1, args)
#define ___bpf_fill3(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill2(arr, p + 1, args)
#define ___bpf_fill4(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill3(arr, p + 1, args)
#define ___bpf_fill5(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill4(arr, p + 1, args)
#define ___bpf_fill6(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill5(arr, p + 1, args)
#define ___bpf_fill7(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill6(arr, p + 1, args)
#define ___bpf_fill8(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill7(arr, p + 1, args)
#define ___bpf_fill9(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill8(arr, p + 1, args)
#define ___bpf_fill10(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill9(arr, p + 1, args)
#define ___bpf_fill11(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill10(arr, p + 1, args)
#define ___bpf_fill12(arr, p, x, args...) arr[p] = (unsigned long long)(x); ___bpf_fill11(arr, p + 1, args)
#define ___bpf_fill(arr, args...) ___bpf_apply(___bpf_fill, ___bpf_narg(args))(arr, 0, args)

/* -- printing ----------------------------------------------------------------------------------- */

/* Programs without global data (kernels before 5.2, or by choice) keep the format on the stack. */
#ifdef BPF_NO_GLOBAL_DATA
#define BPF_PRINTK_FMT_MOD
#else
#define BPF_PRINTK_FMT_MOD static const
#endif

#define __bpf_printk(fmt, ...) \
	({ \
		BPF_PRINTK_FMT_MOD char ____fmt[] = fmt; \
		bpf_trace_printk(____fmt, sizeof(____fmt), ##__VA_ARGS__); \
	})

/* The numbers of a format as an array, handed to a call as `___param`, and its size in bytes; an
 * array of no length is no C, so there is always room for one. The pointers become numbers. */
#define ___bpf_with_params(call, args...) \
	({ \
		unsigned long long ___param[___bpf_narg(args) ? ___bpf_narg(args) : 1] = {}; \
		_Pragma("GCC diagnostic push") \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
		___bpf_fill(___param, args); \
		_Pragma("GCC diagnostic pop") \
		call; \
	})
#define ___bpf_param_bytes(args...) (___bpf_narg(args) * sizeof(unsigned long long))

#define __bpf_vprintk(fmt, args...) \
	({ \
		static const char ___fmt[] = fmt; \
		___bpf_with_params( \
			bpf_trace_vprintk(___fmt, sizeof(___fmt), ___param, ___bpf_param_bytes(args)), ##args); \
	})

#define ___bpf_pick_printk(...) \
	___bpf_nth(_, ##__VA_ARGS__, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, \
		   __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, __bpf_vprintk, \
		   __bpf_printk /*3*/, __bpf_printk /*2*/, __bpf_printk /*1*/, __bpf_printk /*0*/)

/* Prints a line to the trace pipe: up to three values by bpf_trace_printk(), up to twelve by
 * bpf_trace_vprintk() (kernel 5.16). */
#define bpf_printk(fmt, args...) ___bpf_pick_printk(args)(fmt, ##args)

/* Prints to the file of an iterator. */
#define BPF_SEQ_PRINTF(seq, fmt, args...) \
	({ \
		static const char ___fmt[] = fmt; \
		___bpf_with_params( \
			bpf_seq_printf(seq, ___fmt, sizeof(___fmt), ___param, ___bpf_param_bytes(args)), ##args); \
	})

/* Prints into memory; returns the length with the terminating zero (kernel 5.13). */
#define BPF_SNPRINTF(out, out_size, fmt, args...) \
	({ \
		static const char ___fmt[] = fmt; \
		___bpf_with_params( \
			bpf_snprintf(out, out_size, ___fmt, ___param, ___bpf_param_bytes(args)), ##args); \
	})

/* -- tail calls --------------------------------------------------------------------------------- */

/* A tail call whose slot is a constant, which the kernel turns into a direct jump. Written in
 * assembler because the compiler may otherwise merge two calls and lose the constant. */
static __always_inline void bpf_tail_call_static(void *ctx, const void *map, const __u32 slot)
{
	if (!__builtin_constant_p(slot))
		__bpf_unreachable();
	asm volatile("r1 = %[ctx]\n\t"
		     "r2 = %[map]\n\t"
		     "r3 = %[slot]\n\t"
		     "call 12"
		     :
		     : [ctx] "r"(ctx), [map] "r"(map), [slot] "i"(slot)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

/* -- loops -------------------------------------------------------------------------------------- */

struct bpf_iter_num;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

/* The iterator's variable destroys itself however the loop is left. Naming the destructor in the
 * initialiser as well makes clang emit its BTF, which a use by `cleanup` alone does not. */
#define ___bpf_iter(type, args...) \
	struct bpf_iter_##type ___it \
		__attribute__((aligned(8), cleanup(bpf_iter_##type##_destroy))), \
	*___p __attribute__((unused)) = \
		(bpf_iter_##type##_new(&___it, ##args), (void)bpf_iter_##type##_destroy, (void *)0)

/* Goes through what an open-coded iterator of the kernel gives (kernel 6.4):
 *	struct task_struct *task;
 *	bpf_for_each(task, task, NULL, BPF_TASK_ITER_ALL_PROCS) { ... }
 */
#ifndef bpf_for_each
#define bpf_for_each(type, cur, args...) \
	for (___bpf_iter(type, ##args); ((cur) = bpf_iter_##type##_next(&___it));)
#endif

/* Counts i from start up to end, end left out (kernel 6.4). The comparison with both bounds is for
 * the verifier, which then knows the range of i. */
#ifndef bpf_for
#define bpf_for(i, start, end) \
	for (___bpf_iter(num, (start), (end)); ({ \
		int *___t = bpf_iter_num_next(&___it); \
		___t && ((i) = *___t, (i) >= (start) && (i) < (end)); \
	});)
#endif

/* Does something N times (kernel 6.4). */
#ifndef bpf_repeat
#define bpf_repeat(N) for (___bpf_iter(num, 0, (N)); bpf_iter_num_next(&___it);)
#endif

#endif /* types known */
#endif

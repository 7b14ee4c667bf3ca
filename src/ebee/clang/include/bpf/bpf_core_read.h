/* CO-RE: reading the kernel's structs wherever their fields stand on the kernel that the program
 * will meet, and asking what that kernel has.
 *
 * clang notes every such access in .BTF.ext; the loader puts in the numbers of the running kernel.
 */
#ifndef __BPF_CORE_READ_H__
#define __BPF_CORE_READ_H__

#include "bpf_helpers.h"

/* What can be asked of a field, a type and an enum's value; the numbers are clang's. */
enum bpf_field_info_kind {
	BPF_FIELD_BYTE_OFFSET = 0,
	BPF_FIELD_BYTE_SIZE = 1,
	BPF_FIELD_EXISTS = 2,
	BPF_FIELD_SIGNED = 3,
	BPF_FIELD_LSHIFT_U64 = 4,
	BPF_FIELD_RSHIFT_U64 = 5,
};

enum bpf_type_id_kind {
	BPF_TYPE_ID_LOCAL = 0,
	BPF_TYPE_ID_TARGET = 1,
};

enum bpf_type_info_kind {
	BPF_TYPE_EXISTS = 0,
	BPF_TYPE_SIZE = 1,
	BPF_TYPE_MATCHES = 2,
};

enum bpf_enum_value_kind {
	BPF_ENUMVAL_EXISTS = 0,
	BPF_ENUMVAL_VALUE = 1,
};

/* -- questions ------------------------------------------------------------------------------------ */

/* A field is named by an expression (task->comm) or by its type and name (struct task_struct, comm). */
#define ___bpf_field_ref1(field) (field)
#define ___bpf_field_ref2(type, field) (((typeof(type) *)0)->field)
#define ___bpf_field_ref(args...) ___bpf_apply(___bpf_field_ref, ___bpf_narg(args))(args)

#define bpf_core_field_exists(field...) \
	__builtin_preserve_field_info(___bpf_field_ref(field), BPF_FIELD_EXISTS)
#define bpf_core_field_size(field...) \
	__builtin_preserve_field_info(___bpf_field_ref(field), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(field...) \
	__builtin_preserve_field_info(___bpf_field_ref(field), BPF_FIELD_BYTE_OFFSET)

#define bpf_core_type_id_local(type) __builtin_btf_type_id(*(typeof(type) *)0, BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*(typeof(type) *)0, BPF_TYPE_ID_TARGET)
#define bpf_core_type_exists(type) __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_EXISTS)
#define bpf_core_type_matches(type) __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_MATCHES)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_SIZE)

#define bpf_core_enum_value_exists(enum_type, enum_value) \
	__builtin_preserve_enum_value(*(typeof(enum_type) *)enum_value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(enum_type, enum_value) \
	__builtin_preserve_enum_value(*(typeof(enum_type) *)enum_value, BPF_ENUMVAL_VALUE)

/* -- single reads ---------------------------------------------------------------------------------- */

#define bpf_core_read(dst, sz, src) \
	bpf_probe_read_kernel(dst, sz, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user(dst, sz, src) \
	bpf_probe_read_user(dst, sz, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_str(dst, sz, src) \
	bpf_probe_read_kernel_str(dst, sz, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user_str(dst, sz, src) \
	bpf_probe_read_user_str(dst, sz, (const void *)__builtin_preserve_access_index(src))

/* A pointer that the verifier lets a program read through, with a type of the kernel's: reads that
 * meet a bad address give zero (kernel 6.2). */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define bpf_core_cast(ptr, type) \
	((typeof(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

/* -- bit fields -------------------------------------------------------------------------------------- */

#define __CORE_RELO(src, field, info) __builtin_preserve_field_info((src)->field, BPF_FIELD_##info)

/* A bit field's word, moved up to the top of 64 bits and then down again, which cuts off its
 * neighbours and extends its sign. The shifts are the loader's to fill in. */
#define ___bpf_core_cut(src, field, word) \
	({ \
		unsigned long long ___w = (word) << __CORE_RELO(src, field, LSHIFT_U64); \
		if (__CORE_RELO(src, field, SIGNED)) \
			___w = (unsigned long long)((long long)___w >> __CORE_RELO(src, field, RSHIFT_U64)); \
		else \
			___w >>= __CORE_RELO(src, field, RSHIFT_U64); \
		___w; \
	})

/* Where a word of fewer than eight bytes goes in a 64-bit variable. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ___bpf_core_low(var, size) ((void *)&(var))
#else
#define ___bpf_core_low(var, size) ((void *)&(var) + (8 - (size)))
#endif

/* Reads a bit field of a struct that can only be reached by a probe read. */
#define BPF_CORE_READ_BITFIELD_PROBED(s, field) \
	({ \
		unsigned long long ___v = 0; \
		bpf_probe_read_kernel( \
			___bpf_core_low(___v, __CORE_RELO(s, field, BYTE_SIZE)), \
			__CORE_RELO(s, field, BYTE_SIZE), \
			(const void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET)); \
		___bpf_core_cut(s, field, ___v); \
	})

/* Reads a bit field of a struct that the program may read directly. The empty assembler keeps the
 * compiler from working out the address before the loader has. */
#define BPF_CORE_READ_BITFIELD(s, field) \
	({ \
		const void *___p = (const void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET); \
		unsigned long long ___v = 0; \
		asm volatile("" : "=r"(___p) : "0"(___p)); \
		switch (__CORE_RELO(s, field, BYTE_SIZE)) { \
		case 1: ___v = *(const unsigned char *)___p; break; \
		case 2: ___v = *(const unsigned short *)___p; break; \
		case 4: ___v = *(const unsigned int *)___p; break; \
		case 8: ___v = *(const unsigned long long *)___p; break; \
		} \
		___bpf_core_cut(s, field, ___v); \
	})

/* Writes a bit field of a struct that the program may write, and leaves its neighbours alone. */
#define BPF_CORE_WRITE_BITFIELD(s, field, new_val) \
	({ \
		void *___p = (void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET); \
		unsigned int ___size = __CORE_RELO(s, field, BYTE_SIZE); \
		unsigned int ___up = __CORE_RELO(s, field, LSHIFT_U64); \
		unsigned int ___down = __CORE_RELO(s, field, RSHIFT_U64); \
		unsigned long long ___mask = (~0ULL << ___down) >> ___up; \
		unsigned long long ___new = ((unsigned long long)(new_val) << ___down) >> ___up; \
		unsigned long long ___old = 0; \
		asm volatile("" : "=r"(___p) : "0"(___p)); \
		switch (___size) { \
		case 1: ___old = *(unsigned char *)___p; break; \
		case 2: ___old = *(unsigned short *)___p; break; \
		case 4: ___old = *(unsigned int *)___p; break; \
		case 8: ___old = *(unsigned long long *)___p; break; \
		} \
		___new = (___old & ~___mask) | (___new & ___mask); \
		switch (___size) { \
		case 1: *(unsigned char *)___p = ___new; break; \
		case 2: *(unsigned short *)___p = ___new; break; \
		case 4: *(unsigned int *)___p = ___new; break; \
		case 8: *(unsigned long long *)___p = ___new; break; \
		} \
	})

/* -- chains ------------------------------------------------------------------------------------------ */

/* The expression src->a->b->c; only its type is ever asked for. */
#define ___bpf_arrow1(s) (s)
#define ___bpf_arrow2(s, a) (s)->a
#define ___bpf_arrow3(s, a, b) (s)->a->b
#define ___bpf_arrow4(s, a, b, c) (s)->a->b->c
#define ___bpf_arrow5(s, a, b, c, d) (s)->a->b->c->d
#define ___bpf_arrow6(s, a, b, c, d, e) (s)->a->b->c->d->e
#define ___bpf_arrow7(s, a, b, c, d, e, f) (s)->a->b->c->d->e->f
#define ___bpf_arrow8(s, a, b, c, d, e, f, g) (s)->a->b->c->d->e->f->g
#define ___bpf_arrow9(s, a, b, c, d, e, f, g, h) (s)->a->b->c->d->e->f->g->h
#define ___bpf_arrow10(s, a, b, c, d, e, f, g, h, i) (s)->a->b->c->d->e->f->g->h->i
#define ___bpf_arrow(args...) ___bpf_apply(___bpf_arrow, ___bpf_narg(args))(args)

/* The address of a field, with and without a note for the loader. */
#define ___bpf_core_place(T, p, f) ((const void *)__builtin_preserve_access_index(&((typeof(T))(p))->f))
#define ___bpf_plain_place(T, p, f) ((const void *)&((typeof(T))(p))->f)

/* Follows pointers: each step reads one with `step` into ___t, the last reads into dst with `last`.
 * T is an expression of the type that p has; it grows by a field a step, and is never evaluated. */
#define ___bpf_chain1(place, step, last, dst, p, T, f) \
	last((void *)(dst), sizeof(*(dst)), place(T, p, f))
#define ___bpf_chain2(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain1(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain3(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain2(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain4(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain3(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain5(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain4(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain6(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain5(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain7(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain6(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain8(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain7(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain9(place, step, last, dst, p, T, f, more...) \
	step((void *)&___t, sizeof(___t), place(T, p, f)); \
	___bpf_chain8(place, step, last, dst, ___t, (T)->f, more)
#define ___bpf_chain(place, step, last, dst, src, fields...) \
	({ \
		const void *___t __attribute__((unused)); \
		___bpf_apply(___bpf_chain, ___bpf_narg(fields))(place, step, last, dst, src, src, fields); \
	})

/* Reads src->a->b->c, whose pointers are the kernel's:
 *	BPF_CORE_READ(task, mm, exe_file, f_path.dentry)
 * An _INTO form stores it at a place instead and returns 0 or a negative error number; a _STR_INTO
 * form ends with a string. The _USER forms are for structs of the kernel's interface in user memory. */
#define BPF_CORE_READ_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_core_place, bpf_probe_read_kernel, bpf_probe_read_kernel, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_core_place, bpf_probe_read_user, bpf_probe_read_user, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_STR_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_core_place, bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_STR_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_core_place, bpf_probe_read_user, bpf_probe_read_user_str, dst, (src), a, ##__VA_ARGS__)

/* The same for structs that are not the kernel's: nothing is relocated. */
#define BPF_PROBE_READ_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_plain_place, bpf_probe_read_kernel, bpf_probe_read_kernel, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_plain_place, bpf_probe_read_user, bpf_probe_read_user, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_STR_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_plain_place, bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, (src), a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_STR_INTO(dst, src, a, ...) \
	___bpf_chain(___bpf_plain_place, bpf_probe_read_user, bpf_probe_read_user_str, dst, (src), a, ##__VA_ARGS__)

/* A place to read into must not be const, which fields of a const struct are. */
#if defined(__clang__) && __clang_major__ >= 19
#define ___bpf_typeof_unqual(x) __typeof_unqual__(x)
#else
#define ___bpf_typeof_unqual(x) typeof(x)
#endif

#define BPF_CORE_READ(src, a, ...) \
	({ \
		___bpf_typeof_unqual(___bpf_arrow((src), a, ##__VA_ARGS__)) ___r; \
		BPF_CORE_READ_INTO(&___r, (src), a, ##__VA_ARGS__); \
		___r; \
	})
#define BPF_CORE_READ_USER(src, a, ...) \
	({ \
		___bpf_typeof_unqual(___bpf_arrow((src), a, ##__VA_ARGS__)) ___r; \
		BPF_CORE_READ_USER_INTO(&___r, (src), a, ##__VA_ARGS__); \
		___r; \
	})
#define BPF_PROBE_READ(src, a, ...) \
	({ \
		___bpf_typeof_unqual(___bpf_arrow((src), a, ##__VA_ARGS__)) ___r; \
		BPF_PROBE_READ_INTO(&___r, (src), a, ##__VA_ARGS__); \
		___r; \
	})
#define BPF_PROBE_READ_USER(src, a, ...) \
	({ \
		___bpf_typeof_unqual(___bpf_arrow((src), a, ##__VA_ARGS__)) ___r; \
		BPF_PROBE_READ_USER_INTO(&___r, (src), a, ##__VA_ARGS__); \
		___r; \
	})

#endif

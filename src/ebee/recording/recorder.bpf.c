// What stands between a program that is recorded and the kernel: each helper that reads the outside
// world has its likeness here, which does the same and also notes what was read.
//
// `instrument.py` gives every program copies of these functions with maps of its own. They are static,
// so the verifier follows them with the types of whoever calls; they keep to registers, because the
// 512 bytes of stack are the program's. An event grows in `scratch`, which no second run of the same
// program on the same CPU can reach meanwhile, and goes out whole or not at all.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MOST_BYTES 4096u /* of one piece of memory */
#define CONTEXT_MOST_BYTES 4096u
#define DYNAMIC_FIELDS 4
#define STACK_BYTES (127 * 8)
#define DATA_BYTES (32768u - 64u) /* a value of a per-CPU map has at most 32 KiB */
#define LAST_PLACE (DATA_BYTES - MOST_BYTES - sizeof(struct piece))

enum kind { USER = 1, KERNEL = 2, RESULT = 3, FAILED = 4 };
enum flag { CUT = 1 };

struct event {
	__u32 program;
	__u32 flags;
	__u64 time_ns;
	__u64 cgroup_id;
	__u32 pid;
	__u32 tgid;
	__u32 uid;
	__u32 gid;
	__u32 cpu;
	__u32 context_bytes;
	char comm[16];
};

struct piece {
	__u16 kind;
	__u16 size_bytes;
	__s32 number; /* of the helper; of FAILED, the errno */
	__u64 address; /* of RESULT, the value */
};

struct scratch {
	__u32 used;
	__u32 active;
	__u32 own_pid;
	__u32 own_tgid;
	__u64 unused[6];
	char data[DATA_BYTES];
};

struct facts {
	__u32 zero; /* the key of `scratch` */
	__u32 program;
	__u32 context_bytes;
	__u32 hidden_bytes; /* at the context's begin, which no program may read */
	__u32 dynamic[DYNAMIC_FIELDS]; /* where __data_loc fields stand; 0 for none */
	__u64 namespace_device;
	__u64 namespace_inode;
	__u32 skipped_tgid;
	__u32 only_pid;
	__u64 only_comm[2];
};

const volatile struct facts facts = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

// How many events found no room in the ring buffer, over all programs.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

#define RECORDED static __attribute__((noinline, used))
#define INSIDE static __attribute__((always_inline)) inline
// Keeps the compiler from proving a bound by other means than the verifier does.
#define OPAQUE(variable) asm volatile("" : "+r"(variable))

INSIDE struct scratch *find(void)
{
	return bpf_map_lookup_elem(&scratch, (const void *)&facts.zero);
}

INSIDE void cut(struct scratch *room)
{
	((struct event *)room->data)->flags |= CUT;
}

INSIDE struct piece *next_piece(struct scratch **found)
{
	struct scratch *room = find();
	if (!room || !room->active)
		return 0;
	__u64 used = room->used;
	OPAQUE(used);
	if (used > LAST_PLACE) {
		cut(room);
		return 0;
	}
	*found = room;
	return (struct piece *)(room->data + used);
}

INSIDE void finish(struct scratch *room, struct piece *piece, __u32 kind, __s32 number, __u64 address, __u64 size)
{
	piece->kind = kind;
	piece->size_bytes = size;
	piece->number = number;
	piece->address = address;
	room->used += sizeof(*piece) + ((size + 7) & ~7ull);
}

// Note `size` bytes at `from`, which is memory that may be read.
INSIDE void note(__u32 kind, __s32 number, __u64 address, const void *from, __u64 size)
{
	struct scratch *room;
	struct piece *piece = next_piece(&room);
	if (!piece)
		return;
	OPAQUE(size);
	if (size > MOST_BYTES) {
		size = MOST_BYTES;
		cut(room);
	}
	char *data = (char *)(piece + 1);
	if (size) {
		__u64 last = (size - 1) & ~7ull & (MOST_BYTES - 1);
		OPAQUE(last);
		*(__u64 *)(data + last) = 0;
		bpf_probe_read_kernel(data, size, from);
	}
	finish(room, piece, kind, number, address, size);
}

INSIDE __u32 owner(__u64 address)
{
	return (__s64)address < 0 ? KERNEL : USER;
}

INSIDE void note_memory(__u32 kind, long result, void *to, __u64 size, const void *from)
{
	if (result)
		note(FAILED, result, (__u64)from, 0, 0);
	else
		note(kind, 0, (__u64)from, to, size);
}

// Note a string further than the program read it, so that a program with more room finds it whole.
INSIDE void note_string(__u32 kind, long result, const void *from)
{
	struct scratch *room;
	if (result < 0) {
		note(FAILED, result, (__u64)from, 0, 0);
		return;
	}
	struct piece *piece = next_piece(&room);
	if (!piece)
		return;
	char *data = (char *)(piece + 1);
	long size;
	if (kind == USER)
		size = bpf_probe_read_user_str(data, MOST_BYTES, from);
	else
		size = bpf_probe_read_kernel_str(data, MOST_BYTES, from);
	OPAQUE(size);
	if (size <= 0 || size > MOST_BYTES)
		return;
	if (size == MOST_BYTES) {
		size--; // the zero at the end is the helper's
		cut(room);
	}
	finish(room, piece, kind, 0, (__u64)from, size);
}

#define READ(name, kind)                                                                  \
	RECORDED long ebee_##name(void *to, __u64 size, const void *from)                 \
	{                                                                                 \
		long result = bpf_##name(to, size, from);                                 \
		note_memory(kind, result, to, size, from);                                \
		return result;                                                            \
	}

#define READ_STRING(name, kind)                                                           \
	RECORDED long ebee_##name(void *to, __u64 size, const void *from)                 \
	{                                                                                 \
		long result = bpf_##name(to, size, from);                                 \
		note_string(kind, result, from);                                          \
		return result;                                                            \
	}

#define RESULT_OF(name, number)                                                           \
	RECORDED __u64 ebee_##name(void)                                                  \
	{                                                                                 \
		__u64 result = (__u64)bpf_##name();                                       \
		note(RESULT, number, result, 0, 0);                                       \
		return result;                                                            \
	}

READ(probe_read, owner((__u64)from))
READ(probe_read_user, USER)
READ(probe_read_kernel, KERNEL)
READ(copy_from_user, USER)
READ_STRING(probe_read_str, owner((__u64)from))
READ_STRING(probe_read_user_str, USER)
READ_STRING(probe_read_kernel_str, KERNEL)
RESULT_OF(ktime_get_ns, BPF_FUNC_ktime_get_ns)
RESULT_OF(ktime_get_boot_ns, BPF_FUNC_ktime_get_boot_ns)
RESULT_OF(ktime_get_coarse_ns, BPF_FUNC_ktime_get_coarse_ns)
RESULT_OF(ktime_get_tai_ns, BPF_FUNC_ktime_get_tai_ns)
RESULT_OF(jiffies64, BPF_FUNC_jiffies64)
RESULT_OF(get_prandom_u32, BPF_FUNC_get_prandom_u32)
RESULT_OF(get_numa_node_id, BPF_FUNC_get_numa_node_id)
RESULT_OF(get_current_task, BPF_FUNC_get_current_task)

RECORDED void *ebee_get_current_task_btf(void)
{
	void *result = bpf_get_current_task_btf();
	note(RESULT, BPF_FUNC_get_current_task_btf, (__u64)result, 0, 0);
	return result;
}

RECORDED long ebee_copy_from_user_task(void *to, __u64 size, const void *from, struct task_struct *task,
				       __u64 flags)
{
	long result = bpf_copy_from_user_task(to, size, from, task, flags);
	note_memory(USER, result, to, size, from);
	return result;
}

RECORDED __u64 ebee_get_attach_cookie(void *ctx)
{
	__u64 result = bpf_get_attach_cookie(ctx);
	note(RESULT, BPF_FUNC_get_attach_cookie, result, 0, 0);
	return result;
}

RECORDED __u64 ebee_get_func_ip(void *ctx)
{
	__u64 result = bpf_get_func_ip(ctx);
	note(RESULT, BPF_FUNC_get_func_ip, result, 0, 0);
	return result;
}

RECORDED __u64 ebee_get_current_ancestor_cgroup_id(__u64 level)
{
	__u64 result = bpf_get_current_ancestor_cgroup_id(level);
	note(RESULT, BPF_FUNC_get_current_ancestor_cgroup_id, result, &level, sizeof(level));
	return result;
}

RECORDED long ebee_get_ns_current_pid_tgid(__u64 device, __u64 inode, struct bpf_pidns_info *ids, __u64 size)
{
	long result = bpf_get_ns_current_pid_tgid(device, inode, ids, size);
	note(RESULT, BPF_FUNC_get_ns_current_pid_tgid, result, ids, sizeof(*ids));
	return result;
}

// Note the whole stack, whatever part of it the program takes; the value says whose it is.
INSIDE void note_stack(void *ctx, __u64 flags)
{
	struct scratch *room;
	struct piece *piece = next_piece(&room);
	if (!piece)
		return;
	flags &= BPF_F_USER_STACK;
	long size = bpf_get_stack(ctx, piece + 1, STACK_BYTES, flags);
	OPAQUE(size);
	if (size > 0 && size <= STACK_BYTES)
		finish(room, piece, RESULT, BPF_FUNC_get_stack, flags, size);
}

RECORDED long ebee_get_stackid(void *ctx, void *map, __u64 flags)
{
	note_stack(ctx, flags);
	return bpf_get_stackid(ctx, map, flags);
}

RECORDED long ebee_get_stack(void *ctx, void *to, __u64 size, __u64 flags)
{
	note_stack(ctx, flags);
	return bpf_get_stack(ctx, to, size, flags);
}

RECORDED long ebee_d_path(struct path *path, char *to, __u64 size)
{
	long result = bpf_d_path(path, to, size);
	note(RESULT, BPF_FUNC_d_path, result, to, result > 0 ? result : 0);
	return result;
}

// What the program reads of the kernel by itself, after this call: so many bytes, or (0) a string.
RECORDED void ebee_load(const char *base, __u64 offset, __u64 size)
{
	const char *from = base + offset;
	if (owner((__u64)from) != KERNEL)
		return;
	if (size)
		note(KERNEL, 0, (__u64)from, from, size);
	else
		note_string(KERNEL, 0, from);
}

// What a program prints is for whoever runs it; while it is recorded nobody listens.
RECORDED long ebee_trace_printk(void)
{
	return 0;
}

RECORDED long ebee_trace_vprintk(void)
{
	return 0;
}

INSIDE int is_wanted(struct scratch *room, struct event *event)
{
	if (bpf_get_ns_current_pid_tgid(facts.namespace_device, facts.namespace_inode,
					(struct bpf_pidns_info *)&room->own_pid, 8))
		room->own_pid = room->own_tgid = 0;
	if (facts.skipped_tgid && room->own_tgid == facts.skipped_tgid)
		return 0;
	if (facts.only_pid && room->own_pid != facts.only_pid && room->own_tgid != facts.only_pid)
		return 0;
	__u64 *comm = (__u64 *)event->comm;
	if (facts.only_comm[0] && (comm[0] != facts.only_comm[0] || comm[1] != facts.only_comm[1]))
		return 0;
	return 1;
}

// Copy what lies behind the fixed part of a tracepoint's record: strings, and arrays of any length.
INSIDE __u64 copy_dynamic(struct event *event, char *context, const char *ctx)
{
	__u64 fixed = facts.context_bytes, end = fixed;
	for (int i = 0; i < DYNAMIC_FIELDS; i++) {
		__u64 place = facts.dynamic[i];
		if (!place || place > CONTEXT_MOST_BYTES - 4)
			break;
		__u32 where = *(__u32 *)(context + place);
		__u64 last = (where & 0xffff) + (where >> 16);
		if (last > end)
			end = last;
	}
	OPAQUE(end);
	if (end > CONTEXT_MOST_BYTES) {
		end = CONTEXT_MOST_BYTES;
		event->flags |= CUT;
	}
	if (fixed > 1024 || end <= fixed)
		return fixed;
	__u64 more = end - fixed;
	OPAQUE(more);
	if (more > CONTEXT_MOST_BYTES || bpf_probe_read_kernel(context + fixed, more, ctx + fixed))
		return fixed;
	return end;
}

RECORDED void ebee_begin(const char *ctx)
{
	struct scratch *room = find();
	if (!room)
		return;
	struct event *event = (struct event *)room->data;
	char *context = (char *)(event + 1);
	room->active = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (!is_wanted(room, event))
		return;
	event->program = facts.program;
	event->flags = 0;
	event->time_ns = bpf_ktime_get_ns();
	event->cgroup_id = bpf_get_current_cgroup_id();
	__u64 ids = bpf_get_current_pid_tgid();
	event->pid = ids;
	event->tgid = ids >> 32;
	ids = bpf_get_current_uid_gid();
	event->uid = ids;
	event->gid = ids >> 32;
	event->cpu = bpf_get_smp_processor_id();
	__u64 fixed = facts.context_bytes;
	if (fixed > 1024 || bpf_probe_read_kernel(context, fixed, ctx))
		return;
	if (facts.hidden_bytes)
		*(__u64 *)context = 0;
	__u64 size = copy_dynamic(event, context, ctx);
	event->context_bytes = size;
	*(__u64 *)(context + (size & ~7ull & 8191)) &= size & 7 ? ~0ull >> (64 - 8 * (size & 7)) : 0;
	room->used = sizeof(*event) + ((size + 7) & ~7ull);
	room->active = 1;
}

RECORDED void ebee_end(void)
{
	struct scratch *room = find();
	if (!room || !room->active)
		return;
	room->active = 0;
	__u64 used = room->used;
	OPAQUE(used);
	if (used > DATA_BYTES)
		return;
	if (bpf_ringbuf_output(&events, room->data, used, 0)) {
		__u64 *count = bpf_map_lookup_elem(&lost, (const void *)&facts.zero);
		if (count)
			__sync_fetch_and_add(count, 1);
	}
}

char LICENSE[] SEC("license") = "GPL";

// Which programs are started, with their first words: what `execsnoop` does, in its simplest form.
//
// A process asks for another program by execve(2); sched_process_exec tells that it got it.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// As /sys/kernel/tracing/events/syscalls/sys_enter_execve/format tells it.
struct execve_args {
	__u64 common;
	__s64 number;
	const char *filename;
	const char *const *argv;
	const char *const *envp;
};

// As /sys/kernel/tracing/events/sched/sched_process_exec/format tells it.
struct exec_args {
	__u64 common;
	__u32 filename_place; /* in the lower 16 bits: where the name lies, from the record's begin */
	__s32 pid;
	__s32 old_pid;
};

struct name {
	char text[64];
};

// How often each program was started.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct name);
	__type(value, __u64);
} starts SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_execve")
int asked(struct execve_args *ctx)
{
	struct name filename = {}, word = {};
	const char *first = 0;

	bpf_probe_read_user_str(&filename, sizeof(filename), ctx->filename);
	bpf_probe_read_user(&first, sizeof(first), &ctx->argv[1]);
	if (first)
		bpf_probe_read_user_str(&word, sizeof(word), first);
	bpf_printk("asks for %s %s", filename.text, word.text);
	return 0;
}

SEC("tracepoint/sched/sched_process_exec")
int started(struct exec_args *ctx)
{
	struct name filename = {};
	__u64 one = 1;

	bpf_probe_read_kernel_str(&filename, sizeof(filename), (char *)ctx + (ctx->filename_place & 0xffff));
	__u64 *count = bpf_map_lookup_elem(&starts, &filename);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&starts, &filename, &one, BPF_ANY);
	bpf_printk("starts %s as process %d", filename.text, ctx->pid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

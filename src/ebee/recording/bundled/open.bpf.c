// Which files are opened, and by whom: what `opensnoop` does, in its simplest form.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// As /sys/kernel/tracing/events/syscalls/sys_enter_openat/format tells it.
struct openat_args {
	__u64 common;
	__s64 number;
	__s64 folder;
	const char *filename;
	__s64 flags;
	__u64 mode;
};

struct task {
	char comm[16];
};

// How many files each task opened.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct task);
	__type(value, __u64);
} opened SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int opens(struct openat_args *ctx)
{
	char filename[128];
	struct task task = {};
	__u64 one = 1;

	if (bpf_probe_read_user_str(filename, sizeof(filename), ctx->filename) < 0)
		return 0;
	bpf_get_current_comm(task.comm, sizeof(task.comm));
	__u64 *count = bpf_map_lookup_elem(&opened, &task);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&opened, &task, &one, BPF_ANY);
	bpf_printk("%s opens %s", task.comm, filename);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

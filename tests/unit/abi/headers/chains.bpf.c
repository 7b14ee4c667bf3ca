#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct own {
	struct own *next;
	int number;
	char text[8];
};

SEC("raw_tp/sched_process_exec")
int kernel_memory(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct task_struct *unchanged = task;
	char comm[16], name[32];
	struct dentry *dentry;
	int pid = 0, deep;

	pid += BPF_CORE_READ(task, pid) + BPF_CORE_READ(unchanged, tgid);
	pid += BPF_CORE_READ(task, real_parent, pid);
	deep = BPF_CORE_READ(task, real_parent, real_parent, real_parent, real_parent, real_parent, real_parent,
			     real_parent, real_parent, pid);
	dentry = BPF_CORE_READ(task, mm, exe_file, f_path.dentry);
	pid += BPF_CORE_READ_INTO(&comm, task, real_parent, comm);
	pid += BPF_CORE_READ_STR_INTO(&comm, task, comm);
	pid += bpf_core_read(&pid, sizeof(pid), &task->pid);
	pid += bpf_core_read_str(name, sizeof(name), &task->comm);
	return pid + deep + (dentry == NULL) + comm[0] + name[0] + (ctx == NULL);
}

SEC("raw_tp/sched_process_exec")
int user_memory(void *ctx)
{
	struct task_struct *foreign = ctx;
	char comm[16], name[32];
	int pid = 0;

	pid += BPF_CORE_READ_USER(foreign, real_parent, pid);
	pid += BPF_CORE_READ_USER_INTO(&pid, foreign, pid);
	pid += BPF_CORE_READ_USER_STR_INTO(&comm, foreign, real_parent, comm);
	pid += bpf_core_read_user(&pid, sizeof(pid), &foreign->pid);
	pid += bpf_core_read_user_str(name, sizeof(name), &foreign->comm);
	return pid + comm[0] + name[0];
}

SEC("raw_tp/sched_process_exec")
int own_memory(void *ctx)
{
	struct own *own = ctx;
	char text[8];
	int number = 0;

	number += BPF_PROBE_READ(own, number) + BPF_PROBE_READ(own, next, next, number);
	number += BPF_PROBE_READ_USER(own, next, number);
	number += BPF_PROBE_READ_INTO(&number, own, next, number);
	number += BPF_PROBE_READ_USER_INTO(&number, own, next, number);
	number += BPF_PROBE_READ_STR_INTO(&text, own, text);
	number += BPF_PROBE_READ_USER_STR_INTO(&text, own, next, text);
	return number + text[0];
}

char LICENSE[] SEC("license") = "GPL";

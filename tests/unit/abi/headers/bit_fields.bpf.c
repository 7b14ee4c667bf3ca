#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

SEC("raw_tp/sched_process_exec")
int probed(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) + BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait) +
	       (ctx == NULL);
}

SEC("tp_btf/sched_process_exec")
int direct(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[0];

	return BPF_CORE_READ_BITFIELD(task, in_execve) + BPF_CORE_READ_BITFIELD(task, in_iowait);
}

/* Not to be loaded: no program may write there. */
SEC("?tp_btf/sched_process_exec")
int written(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[0];

	BPF_CORE_WRITE_BITFIELD(task, in_iowait, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// class: not-a-pointer
// refused: return task->pid
// note: struct task *task =
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct task { __u64 pad[10]; int pid; };

SEC("raw_tp/sys_enter")
int who(void *ctx)
{
	struct task *task = (void *)bpf_get_current_task();

	return task->pid;
}

char LICENSE[] SEC("license") = "GPL";

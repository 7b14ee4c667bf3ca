#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct;

SEC("raw_tp/sched_process_exit")
int BPF_PROG(on_exit)
{
	return ctx[0] == 0;
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, void *binary)
{
	bpf_printk("%d %d", old_pid, task != binary);
	return 0;
}

SEC("?raw_tp/sched_switch")
int BPF_PROG(twelve, long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, char l)
{
	return a + b + c + d + e + f + g + h + i + j + k + l;
}

char LICENSE[] SEC("license") = "GPL";

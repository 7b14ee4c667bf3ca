#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct small {
	int a, b;
};

struct large {
	long a;
	int b;
};

SEC("raw_tp/sched_process_exit")
int BPF_PROG2(no_arguments)
{
	return ctx[0] == 0;
}

SEC("?raw_tp/sched_switch")
int BPF_PROG2(structs, struct small, first, struct large, second, char, third, void *, fourth, struct large, fifth)
{
	return first.b + second.b + third + (fourth == NULL) + fifth.a;
}

char LICENSE[] SEC("license") = "GPL";

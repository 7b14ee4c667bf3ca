// class: kernel-read-only
// refused: *(volatile int *)next = 1;
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sched_switch")
int pick(__u64 *ctx)
{
	void *next = (void *)ctx[2];

	*(volatile int *)next = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// class: kernel-field
// refused: return ((char *)next)[100000]
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sched_switch")
int pick(__u64 *ctx)
{
	void *next = (void *)ctx[2];

	return ((char *)next)[100000];
}

char LICENSE[] SEC("license") = "GPL";

// class: endless-loop
// refused: while (1)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile int counter;

SEC("socket")
int forever(struct __sk_buff *skb)
{
	while (1)
		asm volatile("");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// class: pointer-arithmetic
// refused: asm volatile("r1 *= 2"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int scale(struct __sk_buff *skb)
{
	asm volatile("r1 *= 2" ::: "r1");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

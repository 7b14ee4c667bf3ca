// class: arithmetic
// refused: asm volatile("r1 = 1; r1 <<= 64"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int shift(struct __sk_buff *skb)
{
	asm volatile("r1 = 1; r1 <<= 64" ::: "r1");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

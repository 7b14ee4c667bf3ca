// class: misaligned
// refused: asm volatile("*(u64 *)(r10 - 12)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int write(struct __sk_buff *skb)
{
	asm volatile("*(u64 *)(r10 - 12) = r1" ::: "memory");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// class: unreachable
// refused: __builtin_unreachable();
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int nothing(struct __sk_buff *skb)
{
	asm volatile("exit");
	__builtin_unreachable();
}

char LICENSE[] SEC("license") = "GPL";

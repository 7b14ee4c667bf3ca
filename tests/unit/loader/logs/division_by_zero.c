// class: arithmetic
// refused: asm volatile("r1 = 1; .byte
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int divide(struct __sk_buff *skb)
{
	asm volatile("r1 = 1; .byte 0x37, 0x01, 0, 0, 0, 0, 0, 0 /* r1 /= 0 */" ::: "r1");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

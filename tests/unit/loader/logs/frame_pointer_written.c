// class: arithmetic
// refused: asm volatile(".byte 0x07
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int move(struct __sk_buff *skb)
{
	asm volatile(".byte 0x07, 0x0a, 0, 0, 8, 0, 0, 0 /* r10 += 8 */");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

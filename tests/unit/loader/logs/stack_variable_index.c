// class: unbounded-index
// refused: return table[skb->len]
// note: return table[skb->len]
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int pick(struct __sk_buff *skb)
{
	volatile char table[16] = {};

	return table[skb->len];
}

char LICENSE[] SEC("license") = "GPL";

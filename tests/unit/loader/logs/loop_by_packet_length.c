// class: too-complex
// refused: for (i = 0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int sum;

SEC("socket")
int add(struct __sk_buff *skb)
{
	__u32 i;

	for (i = 0; i < skb->len; i++)
		sum += i * sum;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

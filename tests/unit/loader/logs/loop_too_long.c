// class: too-complex
// refused: for (int i = 0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int sum;

SEC("socket")
int add(struct __sk_buff *skb)
{
	for (int i = 0; i < 10000000; i++)
		sum += i * sum;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

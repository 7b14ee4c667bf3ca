// class: too-complex
// refused: for (int i = 0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int sum;

SEC("socket")
int flip(struct __sk_buff *skb)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < 100000; i++)
		if (bpf_get_prandom_u32() & 1)
			sum += i;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// class: read-only-map
// refused: *(volatile int *)&limit = 4;
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile const int limit = 3;

SEC("socket")
int set(struct __sk_buff *skb)
{
	*(volatile int *)&limit = 4;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

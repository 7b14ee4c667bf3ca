// class: wrong-argument
// refused: bpf_loop(4, (void *)
// note: bpf_loop(4, (void *)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int loop(struct __sk_buff *skb)
{
	bpf_loop(4, (void *)(long)skb->len, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

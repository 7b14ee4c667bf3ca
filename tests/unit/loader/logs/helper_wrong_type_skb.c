// class: helper-not-allowed
// refused: bpf_skb_load_bytes(ctx
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int load(void *ctx)
{
	__u8 byte = 0;

	bpf_skb_load_bytes(ctx, 0, &byte, 1);
	return byte;
}

char LICENSE[] SEC("license") = "GPL";

// class: may-sleep
// refused: bpf_copy_from_user(&word
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int copy(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 word = 0;

	bpf_copy_from_user(&word, sizeof(word), (void *)ctx->args[0]);
	return word & 1;
}

char LICENSE[] SEC("license") = "GPL";

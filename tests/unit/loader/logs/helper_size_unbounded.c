// class: unbounded-size
// refused: bpf_probe_read_user(buffer
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int copy(struct bpf_raw_tracepoint_args *ctx)
{
	char buffer[64] = {};
	void *address = (void *)ctx->args[0];
	__u32 length = ctx->args[1];

	bpf_probe_read_user(buffer, length, address);
	return buffer[0];
}

char LICENSE[] SEC("license") = "GPL";

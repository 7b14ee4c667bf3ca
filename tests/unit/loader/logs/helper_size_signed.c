// class: unbounded-size
// refused: bpf_probe_read_user(buffer
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int copy(struct bpf_raw_tracepoint_args *ctx)
{
	char buffer[64] = {};
	void *address = (void *)ctx->args[0];
	long length = ctx->args[1];

	if (length > 64)
		return 0;
	bpf_probe_read_user(buffer, length, address);
	return buffer[0];
}

char LICENSE[] SEC("license") = "GPL";

// class: stack-too-large
// refused: bpf_probe_read_user(buffer
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int copy(struct bpf_raw_tracepoint_args *ctx)
{
	char buffer[64] = {};
	void *address = (void *)ctx->args[0];

	bpf_probe_read_user(buffer, 128, address);
	return buffer[0];
}

char LICENSE[] SEC("license") = "GPL";

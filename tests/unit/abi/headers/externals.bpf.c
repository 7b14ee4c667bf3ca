#include "types.h"
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig __weak;
extern unsigned long CONFIG_HZ __kconfig __weak;
extern const void jiffies __ksym __weak;
extern int bpf_no_such_function(int number) __ksym __weak;

SEC("xdp")
int ask(struct xdp_md *ctx)
{
	if (LINUX_KERNEL_VERSION < KERNEL_VERSION(4, 18, 0) || CONFIG_BPF_SYSCALL == TRI_NO)
		return XDP_ABORTED;
	if (bpf_ksym_exists(bpf_no_such_function))
		return bpf_no_such_function(ctx->rx_queue_index);
	return CONFIG_HZ && bpf_ksym_exists(&jiffies) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";

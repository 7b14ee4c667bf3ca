#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("kprobe/do_nanosleep")
int BPF_KPROBE(no_arguments)
{
	return ctx == NULL;
}

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(six, int a, void *b, long c, long d, unsigned char e, __u32 f)
{
	unsigned long ip = 0;

	BPF_KPROBE_READ_RET_IP(ip, ctx);
	return a + (b == NULL) + c + d + e + f + ip;
}

SEC("kretprobe/do_unlinkat")
int BPF_KRETPROBE(result, int ret)
{
	unsigned long ip = 0;

	BPF_KRETPROBE_READ_RET_IP(ip, ctx);
	return ret + ip;
}

SEC("kretprobe/do_nanosleep")
int BPF_KRETPROBE(no_result)
{
	return 0;
}

SEC("uprobe")
int BPF_UPROBE(function, int a, int b)
{
	return a + b;
}

SEC("uretprobe")
int BPF_URETPROBE(function_result, const char *text)
{
	char copy[8];

	return bpf_probe_read_user_str(copy, sizeof(copy), text);
}

char LICENSE[] SEC("license") = "GPL";

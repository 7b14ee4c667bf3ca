#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("ksyscall/getpid")
int BPF_KSYSCALL(no_arguments)
{
	return 0;
}

SEC("ksyscall/execve")
int BPF_KPROBE_SYSCALL(on_execve, const char *path)
{
	bpf_printk("%s", path);
	return 0;
}

SEC("ksyscall/mmap")
int BPF_KSYSCALL(on_mmap, void *at, unsigned long length, int protection, int flags, int fd, long offset)
{
	return (at == NULL) + length + protection + flags + fd + offset;
}

char LICENSE[] SEC("license") = "GPL";

// class: stack-too-large
// refused: asm volatile("*(u64 *)(r10 - 520)
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int fill(void *ctx)
{
	char text[480];

	bpf_get_current_comm(text, sizeof(text));
	asm volatile("*(u64 *)(r10 - 520) = r0" ::: "memory");
	return text[3];
}

char LICENSE[] SEC("license") = "GPL";

// class: unreachable
// refused: asm volatile("r0 = 0; exit; r0 = 1; exit")
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
__attribute__((naked)) int dead(void)
{
	asm volatile("r0 = 0; exit; r0 = 1; exit");
}

char LICENSE[] SEC("license") = "GPL";

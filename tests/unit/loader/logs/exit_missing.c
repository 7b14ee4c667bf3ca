// class: no-exit
// refused: asm volatile("r0 = 0")
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
__attribute__((naked)) int open_end(void)
{
	asm volatile("r0 = 0");
}

char LICENSE[] SEC("license") = "GPL";

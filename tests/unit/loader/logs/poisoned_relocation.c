// class: no-such-helper
// refused: asm volatile("call 195896080"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int relocated(void *ctx)
{
	asm volatile("call 195896080" ::: "r0", "r1", "r2", "r3", "r4", "r5");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

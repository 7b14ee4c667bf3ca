// class: licence
// refused: bpf_printk("hello
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int hello(void *ctx)
{
	bpf_printk("hello %d", 1);
	return 0;
}

// class: stack-too-large
// refused: text[1] = deeper(ctx);
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static __attribute__((noinline)) int deeper(struct __sk_buff *ctx)
{
	volatile char text[400] = {};

	return text[7];
}

SEC("socket")
int fill(struct __sk_buff *ctx)
{
	volatile char text[400] = {};

	text[1] = deeper(ctx);
	return text[3];
}

char LICENSE[] SEC("license") = "GPL";

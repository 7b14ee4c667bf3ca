// class: licence
// refused: bpf_probe_read_kernel(&word
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int hello(void *ctx)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), ctx);
	return word & 1;
}

char LICENSE[] SEC("license") = "Proprietary";

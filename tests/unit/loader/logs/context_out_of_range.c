// class: context-field
// refused: return ((__u32 *)ctx)[20]
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int read(struct xdp_md *ctx)
{
	return ((__u32 *)ctx)[20];
}

char LICENSE[] SEC("license") = "GPL";

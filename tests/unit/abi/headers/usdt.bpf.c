#include "types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

SEC("usdt")
int BPF_USDT(no_arguments)
{
	long value;

	return bpf_usdt_arg(ctx, 0, &value) + bpf_usdt_arg_cnt(ctx) + bpf_usdt_arg_size(ctx, 1) +
	       bpf_usdt_cookie(ctx);
}

SEC("usdt/libc.so.6:libc:setjmp")
int BPF_USDT(three, void *env, int value, void *address)
{
	return (env == address) + value;
}

SEC("usdt")
int BPF_USDT(twelve, long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, char l)
{
	return a + b + c + d + e + f + g + h + i + j + k + l;
}

_Static_assert(sizeof(struct __bpf_usdt_arg_spec) == 24, "what loaders fill in");
_Static_assert(offsetof(struct __bpf_usdt_arg_spec, reg_off) == 14, "what loaders fill in");
_Static_assert(offsetof(struct __bpf_usdt_spec, usdt_cookie) == 288, "what loaders fill in");

char LICENSE[] SEC("license") = "GPL";

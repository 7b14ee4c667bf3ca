#include "types.h"
#include <bpf/bpf_helpers.h>

int numbers[100];
int start = 3, end = 90;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	int i, sum = 0, *number;

	bpf_for(i, 0, 100)
		numbers[i] = i;
	bpf_for(i, start, end) {
		if (i == 70)
			break;
		if (i >= 0 && i < 100)
			sum += numbers[i];
	}
	bpf_repeat(10)
		sum++;
	bpf_for_each(num, number, 0, 5)
		sum += *number;
	return sum == (int)ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";

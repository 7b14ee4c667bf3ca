#include <linux/bpf.h>

int counter;

int hello(struct xdp_md *ctx)
{
	coutner++;
	printf("%d", counter);
	return ctx->dta;
}

/* The kernel's types by whichever way the test asks for. */
#ifdef WITH_VMLINUX
#include <vmlinux.h>
#else
#include <linux/bpf.h>
#include <linux/ptrace.h>
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What <linux/if.h> wants of the C library, of which a BPF program has none: struct sockaddr, and the
 * numbers of address families that programs compare with (include/linux/socket.h). */
#ifndef EBEE_SYS_SOCKET_H
#define EBEE_SYS_SOCKET_H

#include <linux/socket.h>

typedef __kernel_sa_family_t sa_family_t;
typedef unsigned int socklen_t;

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

#ifndef AF_UNSPEC
#define AF_UNSPEC 0
#endif
#ifndef AF_UNIX
#define AF_UNIX 1
#endif
#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif
#ifndef AF_NETLINK
#define AF_NETLINK 16
#endif
#ifndef AF_PACKET
#define AF_PACKET 17
#endif

#endif

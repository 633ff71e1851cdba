/* Linux's numbers that older C libraries do not name. */
#ifndef CLAIMWIRE_UDP_LINUX_H
#define CLAIMWIRE_UDP_LINUX_H
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
enum { CW_SK_MEMINFO_DROPS = 8, CW_SK_MEMINFO_VARS = 9 };
#endif

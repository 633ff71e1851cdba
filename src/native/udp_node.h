/* The UDP half of the addon: adds its functions to `exports`, or nothing where the system is not Linux. Called once per
 * environment; `arena` is the environment's own, read at every gather. */
#ifndef CLAIMWIRE_UDP_NODE_H
#define CLAIMWIRE_UDP_NODE_H
#include <node_api.h>
#include "claimwire_kernel.h"

void cw_udp_register(napi_env env, napi_value exports, const struct cw_arena *arena);
#endif

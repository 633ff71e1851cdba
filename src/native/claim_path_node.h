/* Adds the claim path's functions to the addon's exports. */
#ifndef CLAIMWIRE_CLAIM_PATH_NODE_H
#define CLAIMWIRE_CLAIM_PATH_NODE_H
#include <node_api.h>
void cw_path_register(napi_env env, napi_value exports);
#endif

/* The few functions of libuv that this addon calls, declared by hand, since node-api-headers has no uv.h. Node exports them,
 * and their ABI has not changed within libuv 1.x. The size of a handle is asked for at run time (uv_handle_size). */
#ifndef CLAIMWIRE_LIBUV_H
#define CLAIMWIRE_LIBUV_H
#include <stddef.h>

struct uv_loop_s;
typedef struct cw_uv_handle cw_uv_handle; /* uv_handle_t and uv_poll_t alike */

enum { CW_UV_POLL = 8 };     /* enum uv_handle_type */
enum { CW_UV_READABLE = 1 }; /* enum uv_poll_event */

size_t uv_handle_size(int type);
void *uv_handle_get_data(const cw_uv_handle *handle);
void uv_handle_set_data(cw_uv_handle *handle, void *data);
int uv_poll_init(struct uv_loop_s *loop, cw_uv_handle *handle, int fd);
int uv_poll_start(cw_uv_handle *handle, int events, void (*callback)(cw_uv_handle *handle, int status, int events));
int uv_poll_stop(cw_uv_handle *handle);
void uv_close(cw_uv_handle *handle, void (*callback)(cw_uv_handle *handle));
#endif

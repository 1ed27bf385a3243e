/* The header must stand alone in C, and its layout may never move: these asserts are the proof. A field that is added at
 * the end adds a line and changes the SIZE of its struct; any other line that has to be changed is a new major version. */
#include "gw_backplane.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "the size of " #type " changed")
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field " moved")

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "the ABI is defined for LP64");

SIZE(gw_span, 16);
AT(gw_span, ptr, 0);
AT(gw_span, len, 8);

SIZE(gw_publication, 32);
AT(gw_publication, name, 0);
AT(gw_publication, data, 16);

SIZE(gw_backplane_config, 72);
AT(gw_backplane_config, struct_size, 0);
AT(gw_backplane_config, timeout_ms, 4);
AT(gw_backplane_config, urls, 8);
AT(gw_backplane_config, url_count, 16);
AT(gw_backplane_config, client_name, 24);
AT(gw_backplane_config, user, 40);
AT(gw_backplane_config, password, 56);

SIZE(gw_engine, 528);
AT(gw_engine, struct_size, 0);
AT(gw_engine, reserved, 4);
AT(gw_engine, max_data, 8);
AT(gw_engine, text, 16);

SIZE(gw_backplane_host, 32);
AT(gw_backplane_host, struct_size, 0);
AT(gw_backplane_host, abi_version, 4);
AT(gw_backplane_host, deliver, 8);
AT(gw_backplane_host, lost, 16);
AT(gw_backplane_host, log, 24);

SIZE(gw_backplane, 96);
AT(gw_backplane, struct_size, 0);
AT(gw_backplane, abi_version, 4);
AT(gw_backplane, name, 8);
AT(gw_backplane, version, 16);
AT(gw_backplane, schemes, 24);
AT(gw_backplane, flags, 32);
AT(gw_backplane, reserved, 36);
AT(gw_backplane, start, 40);
AT(gw_backplane, connect, 48);
AT(gw_backplane, subscribe, 56);
AT(gw_backplane, unsubscribe, 64);
AT(gw_backplane, publish, 72);
AT(gw_backplane, disconnect, 80);
AT(gw_backplane, stop, 88);

_Static_assert(GW_BACKPLANE_ABI(1, 0) == 0x10000, "versions are compared as numbers");

/* gw_extensions.h - optional tables that the gateway offers handlers, by name: host->get_extension(host, GW_EXT_...).
 *
 * Each answers NULL where it is not offered, so a handler goes without it. A table only grows at its end, like those of
 * gw_handler.h (GW_HAS); what would change a meaning is another revision, with another name.
 */
#ifndef GW_EXTENSIONS_H
#define GW_EXTENSIONS_H

#include "gw_handler.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GW_EXT_METRICS "gw.metrics/1"
typedef struct gw_ext_metrics {  /* `admin` serves them at /metrics, `gateway status --json` shows them; names get the
                                  * prefix handler_<name>_ ; label: the route */
    uint32_t struct_size;
    uint32_t reserved0;
    /* kind 0 counter, 1 gauge, 2 histogram; same name gives the same id, also across reloads; 0 = refused. [control]
     * only, so that recording never takes a lock */
    uint32_t (*define)(const gw_host *host, gw_instance instance, int32_t kind, const char *name, const char *help);
    /* add, set or observe. [any] */
    void (*record)(const gw_host *host, uint32_t id, double value);
} gw_ext_metrics;

#define GW_EXT_THREAD_CHECK "gw.thread-check/1"
typedef struct gw_ext_thread_check {
    uint32_t struct_size;
    uint32_t reserved0;
    uint32_t (*is_conn_thread)(const gw_host *host, gw_conn conn);  /* [any] */
} gw_ext_thread_check;

#ifdef __cplusplus
}
#endif
#endif

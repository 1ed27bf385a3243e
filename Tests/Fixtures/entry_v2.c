/* Mistake: a handler for a later major version of the ABI only. */
const void *gw_handler_entry_v2(const void *host);
const void *gw_handler_entry_v2(const void *host) { return host; }

/* The headers must stand alone in C, and their layout may never move: these asserts are the proof. A field that is added
 * at the end adds a line and changes the SIZE of its struct; any other line that has to be changed is a new major
 * version. */
#include "gw_extensions.h"
#include "gw_handler.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "the size of " #type " changed")
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field " moved")

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "the ABI is defined for LP64");

SIZE(gw_str, 16);
AT(gw_str, ptr, 0);
AT(gw_str, len, 8);

SIZE(gw_bytes, 16);
AT(gw_bytes, ptr, 0);
AT(gw_bytes, len, 8);

SIZE(gw_kv, 32);
AT(gw_kv, key, 0);
AT(gw_kv, value, 16);

SIZE(gw_kvs, 16);
AT(gw_kvs, ptr, 0);
AT(gw_kvs, len, 8);

SIZE(gw_strs, 16);
AT(gw_strs, ptr, 0);
AT(gw_strs, len, 8);

SIZE(gw_request, 328);
AT(gw_request, struct_size, 0);
AT(gw_request, flags, 4);
AT(gw_request, id, 8);
AT(gw_request, uuid, 16);
AT(gw_request, ticket, 32);
AT(gw_request, method, 40);
AT(gw_request, path, 56);
AT(gw_request, query, 72);
AT(gw_request, route, 88);
AT(gw_request, host, 104);
AT(gw_request, origin, 120);
AT(gw_request, peer_addr, 136);
AT(gw_request, local_addr, 152);
AT(gw_request, peer_port, 168);
AT(gw_request, local_port, 170);
AT(gw_request, http_version, 172);
AT(gw_request, reserved0, 174);
AT(gw_request, tls_version, 176);
AT(gw_request, tls_cipher, 192);
AT(gw_request, tls_sni, 208);
AT(gw_request, tls_client_name, 224);
AT(gw_request, params, 240);
AT(gw_request, headers, 256);
AT(gw_request, subprotocols, 272);
AT(gw_request, body, 288);
AT(gw_request, body_buf, 304);
AT(gw_request, subprotocol, 312);

SIZE(gw_reply, 64);
AT(gw_reply, struct_size, 0);
AT(gw_reply, status, 4);
AT(gw_reply, reserved0, 6);
AT(gw_reply, subprotocol, 8);
AT(gw_reply, headers, 24);
AT(gw_reply, body, 40);
AT(gw_reply, conn_state, 56);

SIZE(gw_message, 48);
AT(gw_message, struct_size, 0);
AT(gw_message, kind, 4);
AT(gw_message, flags, 8);
AT(gw_message, reserved0, 12);
AT(gw_message, data, 16);
AT(gw_message, buf, 32);
AT(gw_message, received_ns, 40);

SIZE(gw_close, 64);
AT(gw_close, struct_size, 0);
AT(gw_close, code, 4);
AT(gw_close, by, 6);
AT(gw_close, reason, 8);
AT(gw_close, msgs_in, 24);
AT(gw_close, msgs_out, 32);
AT(gw_close, bytes_in, 40);
AT(gw_close, bytes_out, 48);
AT(gw_close, os_error, 56);
AT(gw_close, reserved0, 60);

SIZE(gw_event, 56);
AT(gw_event, struct_size, 0);
AT(gw_event, kind, 4);
AT(gw_event, token, 8);
AT(gw_event, timer, 16);
AT(gw_event, ptr, 24);
AT(gw_event, data, 32);
AT(gw_event, status, 48);
AT(gw_event, reserved0, 52);

SIZE(gw_config, 64);
AT(gw_config, struct_size, 0);
AT(gw_config, flags, 4);
AT(gw_config, instance, 8);
AT(gw_config, route, 16);
AT(gw_config, origin, 32);
AT(gw_config, values, 48);

SIZE(gw_saved, 48);
AT(gw_saved, struct_size, 0);
AT(gw_saved, state_version, 4);
AT(gw_saved, state_format, 8);
AT(gw_saved, generation, 16);
AT(gw_saved, data, 24);
AT(gw_saved, flags, 40);
AT(gw_saved, reserved0, 44);

SIZE(gw_conn_info, 56);
AT(gw_conn_info, struct_size, 0);
AT(gw_conn_info, flags, 4);
AT(gw_conn_info, queued_bytes, 8);
AT(gw_conn_info, high_water, 16);
AT(gw_conn_info, age_ms, 24);
AT(gw_conn_info, last_in_ms, 32);
AT(gw_conn_info, last_out_ms, 40);
AT(gw_conn_info, rtt_us, 48);
AT(gw_conn_info, topics, 52);

SIZE(gw_host, 336);
AT(gw_host, struct_size, 0);
AT(gw_host, abi_version, 4);
AT(gw_host, generation, 8);
AT(gw_host, name, 16);
AT(gw_host, version, 24);
AT(gw_host, get_extension, 32);
AT(gw_host, log, 40);
AT(gw_host, now_ns, 48);
AT(gw_host, fail, 56);
AT(gw_host, config_get, 64);
AT(gw_host, req_header, 72);
AT(gw_host, req_query, 80);
AT(gw_host, req_cookie, 88);
AT(gw_host, req_param, 96);
AT(gw_host, reply, 104);
AT(gw_host, buf_copy, 112);
AT(gw_host, buf_wrap, 120);
AT(gw_host, buf_retain, 128);
AT(gw_host, buf_release, 136);
AT(gw_host, buf_bytes, 144);
AT(gw_host, send, 152);
AT(gw_host, send_buf, 160);
AT(gw_host, send_fragment, 168);
AT(gw_host, ping, 176);
AT(gw_host, pong, 184);
AT(gw_host, close, 192);
AT(gw_host, abort, 200);
AT(gw_host, set_reading, 208);
AT(gw_host, conn_info, 216);
AT(gw_host, conn_state, 224);
AT(gw_host, conn_set_state, 232);
AT(gw_host, conn_request, 240);
AT(gw_host, conns, 248);
AT(gw_host, subscribe, 256);
AT(gw_host, unsubscribe, 264);
AT(gw_host, publish, 272);
AT(gw_host, post, 280);
AT(gw_host, timer_start, 288);
AT(gw_host, timer_cancel, 296);
AT(gw_host, offload, 304);
AT(gw_host, sink_write, 312);
AT(gw_host, hold, 320);
AT(gw_host, release, 328);

SIZE(gw_handler, 224);
AT(gw_handler, struct_size, 0);
AT(gw_handler, abi_version, 4);
AT(gw_handler, min_host_abi, 8);
AT(gw_handler, flags, 12);
AT(gw_handler, name, 16);
AT(gw_handler, version, 24);
AT(gw_handler, sdk, 32);
AT(gw_handler, state_format, 40);
AT(gw_handler, state_version, 48);
AT(gw_handler, reserved0, 52);
AT(gw_handler, start, 56);
AT(gw_handler, reconfigure, 64);
AT(gw_handler, stop, 72);
AT(gw_handler, upgrade, 80);
AT(gw_handler, open, 88);
AT(gw_handler, message, 96);
AT(gw_handler, fragment, 104);
AT(gw_handler, ping, 112);
AT(gw_handler, pong, 120);
AT(gw_handler, drained, 128);
AT(gw_handler, error, 136);
AT(gw_handler, close, 144);
AT(gw_handler, http, 152);
AT(gw_handler, event, 160);
AT(gw_handler, work, 168);
AT(gw_handler, save_self, 176);
AT(gw_handler, restore_self, 184);
AT(gw_handler, save_conn, 192);
AT(gw_handler, restore_conn, 200);
AT(gw_handler, drop_conn, 208);
AT(gw_handler, get_extension, 216);

_Static_assert(GW_HANDLER_MIN_SIZE == offsetof(gw_handler, reconfigure), "a table of 1.0 is taken up to start()");
_Static_assert(GW_REPLY_MIN_SIZE == offsetof(gw_reply, conn_state) + sizeof(void *), "a reply of 1.0 is taken");
_Static_assert(GW_CONN_INFO_MIN_SIZE == offsetof(gw_conn_info, topics) + sizeof(uint32_t), "all of 1.0 is filled");
_Static_assert(GW_ABI(1, 0) == 0x10000, "versions are compared as numbers");

SIZE(gw_ext_metrics, 24);
AT(gw_ext_metrics, struct_size, 0);
AT(gw_ext_metrics, reserved0, 4);
AT(gw_ext_metrics, define, 8);
AT(gw_ext_metrics, record, 16);

SIZE(gw_ext_thread_check, 16);
AT(gw_ext_thread_check, struct_size, 0);
AT(gw_ext_thread_check, reserved0, 4);
AT(gw_ext_thread_check, is_conn_thread, 8);

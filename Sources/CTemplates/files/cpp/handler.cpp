// Answers each text message with its number on the connection; a newer build takes the numbers over.
// gw_handler.h says what every callback may do, and on which thread it is called.
#include "gw_handler.h"

#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace {

// Of this generation: a reload loads a new image beside this one, with variables of its own.
const gw_host *host;

void close(gw_conn conn, std::uint16_t code, std::string_view why) {
    host->close(host, conn, code, why.data(), why.size());
}

void log_failure(gw_conn conn, const char *what) { host->log(host, conn, GW_LOG_ERROR, what, std::strlen(what)); }

// What is kept per connection: made in open() or restore_conn(), freed in close() or drop_conn().
class Visitor {
public:
    explicit Visitor(std::uint64_t count = 0) : count(count) {}

    void hear(gw_conn conn, const gw_message &message) {
        if (message.kind != GW_TEXT) {
            return close(conn, 1003, "text only");
        }
        count += 1;
        auto answer = std::to_string(count) + ": ";
        answer.append(reinterpret_cast<const char *>(message.data.ptr), message.data.len);
        // What send() answers is left alone: a connection that is gone needs no answer, and `slow_consumer` in
        // gateway.conf says what becomes of a client that does not read.
        host->send(host, conn, GW_TEXT, 0, answer.data(), answer.size());
    }

    std::uint64_t count;
};

// No exception may cross into the gateway: what is thrown ends this connection and is a line of the log.
template <typename Body> gw_status guarded(gw_conn conn, Body body) noexcept {
    try {
        return body();
    } catch (const std::exception &error) {
        log_failure(conn, error.what());
    } catch (...) {
        log_failure(conn, "something was thrown");
    }
    return GW_E_FAILED;
}

gw_status start(const gw_host *, const gw_config *, void **self) {
    *self = nullptr;
    return GW_OK;
}

void open(void *, gw_conn conn, void *, const gw_request *) {
    auto made = guarded(conn, [&] {
        auto visitor = std::make_unique<Visitor>();
        auto status = host->conn_set_state(host, conn, visitor.get());
        if (status >= 0) {
            visitor.release();
        }
        return status;
    });
    if (made < 0) {
        close(conn, 1011, {});
    }
}

void message(void *, gw_conn conn, void *state, const gw_message *message) {
    auto *visitor = static_cast<Visitor *>(state);
    if (visitor == nullptr) {
        return;  // open() is closing it
    }
    auto heard = guarded(conn, [&] {
        visitor->hear(conn, *message);
        return gw_status{GW_OK};
    });
    if (heard < 0) {
        close(conn, 1011, {});
    }
}

void closed(void *, gw_conn, void *state, const gw_close *) { delete static_cast<Visitor *>(state); }

// ---- A reload: the old generation writes what it knows of a connection, the new one reads it, the old one frees it.

gw_status save(void *, gw_conn, void *state, gw_sink *sink) {
    if (state == nullptr) {
        return GW_E_FAILED;
    }
    auto count = static_cast<Visitor *>(state)->count;
    return host->sink_write(host, sink, &count, sizeof count);
}

gw_status restore(void *, gw_conn conn, const gw_request *, const gw_saved *saved, void **state) {
    std::uint64_t count;
    if (saved->state_version != 1 || saved->data.len != sizeof count) {
        return GW_E_UNSUPPORTED;  // the connection stays with the generation it has
    }
    std::memcpy(&count, saved->data.ptr, sizeof count);
    return guarded(conn, [&] {
        *state = new Visitor(count);
        return gw_status{GW_OK};
    });
}

void drop(void *, gw_conn, void *state) { delete static_cast<Visitor *>(state); }

const gw_handler handler = {
    GW_HANDLER_INIT,
    .min_host_abi = GW_ABI(1, 0),  // nothing newer is used
    .flags = 0,                    // the runtime of C++ may have what an unloaded image would miss: it stays mapped
    .name = "@NAME@",
    .version = "0.1.0",
    .sdk = "c++",
    .state_format = 0x@FORMAT@u,  // builds with the same number hand connections over to each other
    .state_version = 1,           // of what save() writes: raise it when that changes, and read the older one, too
    .reserved0 = 0,
    .start = start,
    .reconfigure = nullptr,
    .stop = nullptr,
    .upgrade = nullptr,
    .open = open,
    .message = message,
    .fragment = nullptr,
    .ping = nullptr,
    .pong = nullptr,
    .drained = nullptr,
    .error = nullptr,
    .close = closed,
    .http = nullptr,
    .event = nullptr,
    .work = nullptr,
    .save_self = nullptr,
    .restore_self = nullptr,
    .save_conn = save,
    .restore_conn = restore,
    .drop_conn = drop,
    .get_extension = nullptr,
};

}  // namespace

extern "C" const gw_handler *gw_handler_entry_v1(const gw_host *offered) {
    host = offered;
    return &handler;
}

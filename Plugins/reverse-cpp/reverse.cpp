// A handler in C++17: answers every message with its characters reversed and numbered.
//
// What belongs to a connection is an object with one owner at a time: upgrade() makes it, the gateway carries it, and
// close() or drop_conn() takes it back. No exception leaves a callback (rule R4); guarded() stands in all their ways.
#include "gw_handler.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

namespace {

const gw_host *host;

struct Talk {
    std::uint64_t answers = 0;
};

/// Runs `body`; an exception becomes a line in the log and GW_E_FAILED.
template <typename Body>
gw_status guarded(gw_conn conn, Body body) noexcept {
    try {
        return body();
    } catch (const std::exception &error) {
        host->log(host, conn, GW_LOG_ERROR, error.what(), std::strlen(error.what()));
    } catch (...) {
        constexpr char what[] = "something that is no exception was thrown";
        host->log(host, conn, GW_LOG_ERROR, what, sizeof what - 1);
    }
    return GW_E_FAILED;
}

/// The same for callbacks that cannot say how it went: RFC 6455 7.4.1 has 1011 for an "unexpected condition".
template <typename Body>
void guarded_or_closed(gw_conn conn, Body body) noexcept {
    if (guarded(conn, body) < 0) host->close(host, conn, 1011, nullptr, 0);
}

/// Turns bytes round, and if they are text the bytes of each character back again.
std::string reversed(const gw_message &message) {
    std::string bytes(reinterpret_cast<const char *>(message.data.ptr), message.data.len);
    std::reverse(bytes.begin(), bytes.end());
    if (message.kind != GW_TEXT) return bytes;
    // RFC 3629 3: all bytes of a character but the first are 10xxxxxx. The gateway has checked that the text is UTF-8.
    const auto is_first = [](char byte) { return (byte & 0xC0) != 0x80; };
    for (auto begin = bytes.begin(); begin != bytes.end();) {
        const auto end = std::next(std::find_if(begin, bytes.end(), is_first));
        std::reverse(begin, end);
        begin = end;
    }
    return bytes;
}

gw_status start(const gw_host *, const gw_config *, void **self) {
    *self = nullptr;
    return GW_OK;
}

gw_status upgrade(void *, const gw_request *request) {
    return guarded(0, [&] {
        auto talk = std::make_unique<Talk>();
        gw_reply reply{};
        reply.struct_size = sizeof reply;
        reply.status = 101;
        reply.conn_state = talk.get();
        const gw_status status = host->reply(host, request->ticket, &reply);
        // Only a reply that was taken has taken over the state.
        if (status == GW_OK) talk.release();
        return status == GW_OK ? gw_status{GW_DEFER} : status;
    });
}

void message(void *, gw_conn conn, void *state, const gw_message *message) {
    guarded_or_closed(conn, [&] {
        auto &talk = *static_cast<Talk *>(state);
        const std::string answer = std::to_string(++talk.answers) + " " + reversed(*message);
        host->send(host, conn, message->kind, 0, answer.data(), answer.size());
        return gw_status{GW_OK};
    });
}

void drop_conn(void *, gw_conn, void *state) { std::unique_ptr<Talk>(static_cast<Talk *>(state)); }

void close(void *self, gw_conn conn, void *state, const gw_close *) { drop_conn(self, conn, state); }

gw_status save_conn(void *, gw_conn, void *state, gw_sink *sink) {
    return host->sink_write(host, sink, state, sizeof(Talk));
}

gw_status restore_conn(void *, gw_conn conn, const gw_request *, const gw_saved *saved, void **state) {
    return guarded(conn, [&] {
        if (saved->state_version != 1 || saved->data.len != sizeof(Talk)) return gw_status{GW_E_INVALID};
        auto talk = std::make_unique<Talk>();
        std::memcpy(talk.get(), saved->data.ptr, sizeof(Talk));
        *state = talk.release();
        return gw_status{GW_OK};
    });
}

}  // namespace

const gw_handler *gw_handler_entry_v1(const gw_host *given) {
    host = given;
    static const gw_handler table = [] {
        gw_handler table{};
        table.struct_size = sizeof table;
        table.abi_version = GW_ABI_VERSION;
        table.min_host_abi = GW_ABI(1, 0);  // nothing newer is used
        table.name = "reverse-cpp";
        table.version = "1.0";
        table.sdk = "c++";
        table.state_format = 0x72657665727365;
        table.state_version = 1;
        table.start = start;
        table.upgrade = upgrade;
        table.message = message;
        table.close = close;
        table.save_conn = save_conn;
        table.restore_conn = restore_conn;
        table.drop_conn = drop_conn;
        return table;
    }();
    return &table;
}

import GatewayConfiguration
import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// A worker as if of a process that may die at any moment, and one as if of the process after it. Sockets have a duplicate,
/// as the first process has it.
final class Survival {
    let old: StepWorker
    let new: StepWorker
    private var duplicates: [UInt64: Int32] = [:]

    init(
        _ handler: String = "fixture_counter_v1", route: String = "", rest: String = "",
        checkpoint: Isolation.Checkpoint = .message
    ) throws {
        let rest = "defaults { ping_interval off; } \(rest)"
        old = try StepWorker(handler: handler, route: route, rest: rest, checkpoint: checkpoint)
        new = try StepWorker(handler: handler, route: route, rest: rest, checkpoint: checkpoint)
    }

    deinit { for number in duplicates.values { close(number) } }

    /// A client of the old process.
    func connect(saying first: String = "", sendBuffer: Int32? = nil) -> SocketPeer {
        let peer = SocketPeer(of: old, sendBuffer: sendBuffer)
        if let place = peer.place(in: old) {
            duplicates[peer.id.number] = fcntl(place.pointee.transport.number, F_DUPFD_CLOEXEC, 3)
        }
        if !first.isEmpty { peer.say(Array(first.utf8)) }
        return peer
    }

    /// One whose opening handshake has been answered, and the answer read.
    func open(_ query: String = "", headers: String = "", sendBuffer: Int32? = nil) -> SocketPeer {
        let peer = connect(
            saying: "GET /echo\(query) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(headers)\r\n",
            sendBuffer: sendBuffer)
        old.step()
        _ = peer.frames()
        return peer
    }

    /// What is written of a connection.
    func finding(_ peer: SocketPeer) throws -> LedgerFinding { try old.finding(peer.id) }

    /// The record of one that can go on.
    func record(_ peer: SocketPeer) throws -> ConnectionRecord {
        guard case .goesOn(let record) = try finding(peer) else {
            throw Failure(description: "\(try finding(peer))")
        }
        return record
    }

    /// Has a connection go on in the new process.
    func goOn(_ peer: SocketPeer) throws {
        let number = fcntl(duplicates[peer.id.number] ?? -1, F_DUPFD_CLOEXEC, 3)
        new.worker.port.post(.take(try record(peer).bytes, number, received: 0))
        new.step()
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}

extension StepWorker {
    /// What it has written of a connection.
    func finding(_ id: ConnectionID) throws -> LedgerFinding {
        let number = fcntl(ledger, F_DUPFD_CLOEXEC, 3)
        return try LedgerReader(FileDescriptor(adopting: number)).finding(of: id, at: nanoseconds)
    }
}

extension LedgerFinding {
    /// Why a connection is lost to which something can still be said; nil when it is not.
    var loss: String? { if case .lost(let why, .some) = self { why } else { nil } }
}

import Bytes
import GatewayHTTP2
import GatewayIO
import WebSocket

/// Counts what the buffers of a worker's connections hold, and closes those that hold most when it is too much
/// (`max_memory`).
///
/// It looks now and then, at some of the slots each time, so that neither sending nor receiving counts anything; with
/// `max_memory off` it does not look.
final class MemoryGauge {
    /// How often it looks, and at how many slots at most.
    private static let interval = TimerWheel.ticks(milliseconds: 128)
    private static let portion: UInt32 = 16 * 1024

    /// What was found last, portion by portion.
    private var portions: [MemoryBudget.Share] = []
    private var next = 0
    private var told = MemoryBudget.Share()

    /// The configuration is read: looks from here on, or no more.
    func follow(on worker: Worker) {
        if worker.routing.maxMemory != nil { return worker.timers.scheduleGauge(at: worker.now + Self.interval) }
        portions.removeAll()
        tell(on: worker)
    }

    /// The time to look has come.
    func look(on worker: Worker) {
        guard worker.routing.maxMemory != nil else { return }
        let count = max(1, Int((worker.table.used + Self.portion - 1) / Self.portion))
        while portions.count < count { portions.append(.init()) }
        next = (next + 1) % portions.count
        portions[next] = measure(next, on: worker)
        let excess = tell(on: worker)
        if excess > 0 { shed(excess, on: worker) }
        worker.timers.scheduleGauge(at: worker.now + Self.interval)
    }

    /// - Returns: how many bytes are to be freed here.
    @discardableResult
    private func tell(on worker: Worker) -> Int {
        var share = MemoryBudget.Share()
        for portion in portions {
            share.held += portion.held
            share.leaving += portion.leaving
        }
        defer { told = share }
        return worker.server.memory.note(
            share, before: told, most: worker.routing.maxMemory, now: worker.nowNanoseconds)
    }

    private func measure(_ index: Int, on worker: Worker) -> MemoryBudget.Share {
        var share = MemoryBudget.Share()
        let first = UInt32(index) * Self.portion
        for slot in first..<max(first, min(first + Self.portion, worker.table.used)) {
            guard let peer = worker.table.occupant(slot) else { continue }
            let bytes = peer.pointee.bufferedBytes
            if peer.pointee.phase.isLeaving { share.leaving += bytes } else { share.held += bytes }
        }
        return share
    }

    /// Closes connections, those first that hold most, until so many bytes are on their way out.
    private func shed(_ excess: Int, on worker: Worker) {
        var holders: [(bytes: Int, slot: UInt32)] = []
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot), !peer.pointee.phase.isLeaving else { continue }
            let bytes = peer.pointee.bufferedBytes
            if bytes > 0 { holders.append((bytes, slot)) }
        }
        holders.sort { $0.bytes > $1.bytes }
        var freed = 0
        for holder in holders where freed < excess {
            guard let peer = worker.table.occupant(holder.slot) else { continue }
            worker.closer.shed(peer, on: worker)
            freed += holder.bytes
        }
        for index in portions.indices { portions[index] = measure(index, on: worker) }
        tell(on: worker)
    }
}

extension Connection.Phase {
    /// It ends without anything else having to happen.
    fileprivate var isLeaving: Bool {
        switch self {
        case .head, .body, .answering, .open, .away, .multiplexed: false
        case .closing, .ending, .lingering, .gone: true
        }
    }
}

extension Connection {
    /// Bytes of everything that is kept for it beside its slot.
    fileprivate var bufferedBytes: Int {
        var bytes = outbox.count + leftover.capacity + assembler.capacity + transport.bytesKept
        bytes += exchange?.body.capacity ?? 0
        guard let rareState else { return bytes }
        bytes += rareState.held.count + (rareState.compression?.contextBytes ?? 0)
        bytes += rareState.http2.map { _ in HTTP2Session.memory } ?? 0
        return bytes
    }
}

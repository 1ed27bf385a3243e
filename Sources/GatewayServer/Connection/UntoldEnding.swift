import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

/// The end of a connection that was open and of which no handler hears here: its handler's process is not there any more, or
/// does not go on with it. It is counted and told of as any other.
enum UntoldEnding {
    /// The connection ends, as its record says where that has begun. What is known of it by then is what its end will say.
    ///
    /// - Parameter record: as of another process; nil where nothing is known.
    static func begin(_ peer: ConnectionPointer, _ record: ConnectionRecord?, _ ending: EndingRecord, on worker: Worker)
    {
        let hasBegun = record?.phase == .closing && record?.ending.by != 0
        let ending = hasBegun ? record?.ending ?? ending : ending
        (peer.pointee.closeCode, peer.pointee.closeBy) = (ending.code, ending.by)
        if !ending.reason.isEmpty { peer.pointee.ownRareState.closeReason = ending.reason }
        if ending.osError != 0 { peer.pointee.ownRareState.osError = ending.osError }
        peer.pointee.ownRareState.isEndUntold = true
        guard let record else { return }
        (peer.pointee.messagesIn, peer.pointee.messagesOut) = (record.traffic.messagesIn, record.traffic.messagesOut)
        (peer.pointee.bytesIn, peer.pointee.bytesOut) = (record.traffic.bytesIn, record.traffic.bytesOut)
        peer.pointee.counted = CountedTraffic(peer.pointee, uncounted: record.traffic.uncounted)
        if let subprotocol = record.route?.subprotocol { peer.pointee.ownRareState.subprotocol = subprotocol }
        if let logged = record.route?.logged { peer.pointee.ownRareState.loggedRequest = LoggedRequest(logged) }
        let age = TimerWheel.ticks(milliseconds: Int64(clamping: record.times.openedAgo))
        worker.port.sharedTable[peer.pointee.slot].openedAt.store(worker.now &- age, ordering: .relaxed)
    }

    /// Its slot is emptied.
    static func tell(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.rareState?.isEndUntold = false
        worker.counters(peer)?.noteClose(code: peer.pointee.closeCode, by: UInt16(peer.pointee.closeBy))
        worker.responder.noteClosed(peer, on: worker)
        guard worker.tracing.isActive else { return }
        peer.pointee.flags.insert(.inspected)
        worker.tracing.closed(peer, on: worker)
    }
}

/// Something another thread wants done by the worker that owns a connection; done in the order of arrival.
enum WorkerMessage: Sendable {
    /// Set in the `head` of a frame whose sender was told GW_BACKPRESSURE: once it is queued, `drained` is owed.
    ///
    /// It stands where the wire has RSV3, which is never sent. It travels with the frame, because a flag beside the
    /// mailbox could be answered before the frame comes, and its sender would wait for ever.
    static let owesDrained: UInt8 = 0x10
    /// Set in the `head` of a message that is not to be compressed; it stands where the wire has RSV2.
    static let plain: UInt8 = 0x20

    /// A peer that another worker accepted; the descriptor changes its owner.
    case adopt(Int32, ListenerOptions, isSurplus: Bool)
    /// The connection may begin its handshake, for which it has waited.
    case handshake(ConnectionID, HandshakeLimit.Place)
    /// A whole frame: opcode and final bit as in the first byte of the wire.
    case frame(ConnectionID, head: UInt8, payload: [UInt8])
    /// A whole message in shared bytes, one ownership of which travels with it.
    case shared(ConnectionID, head: UInt8, address: UInt)
    case subscribe(ConnectionID, Topic)
    case unsubscribe(ConnectionID, TopicKey)
    /// A frame for the subscribers of a topic, in shared bytes one ownership of which travels with it.
    ///
    /// - Parameter number: that `SuccessionMail` has given it; 0 where there is no other program.
    case publication(Topic, address: UInt, isPlain: Bool, except: UInt64, number: UInt64 = 0)
    /// Something a handler asked of a connection that is not known here: it may be with the other program.
    case errand(SuccessionErrand, isFromElsewhere: Bool)
    /// Something a handler asked for earlier.
    case event(HandlerEvent)
    /// `start` of an instance whose [home] is here has ended.
    case openHome(InstanceContext)
    /// Another thread has ended the connection in the way that the port has written down (`takeEnd`).
    case close(ConnectionID)
    case abort(ConnectionID)
    /// The callback queue of the connection, if it has one, is to be told as well, unless the handler did so in its
    /// callback.
    case setReading(ConnectionID, Bool, tellsPool: Bool)
    /// `upgrade` or `http` has returned on the pool.
    case asked(ConnectionID, ticket: UInt64, status: Int32)
    /// So little waits for the pool that the peer may be read again.
    case poolEased(ConnectionID)
    /// What came before the peer's Close has been delivered.
    case poolReachedClose(ConnectionID)
    /// So much waits for the peer that its callback queue delivers nothing more, until it is told that the peer has
    /// read.
    case poolThrottled(ConnectionID)
    /// A send of another thread was refused (`slow_consumer`): `drained` is owed.
    case refused(ConnectionID)
    /// A connection was handed over on the pool, or either side refused.
    case poolMoved(CallbackQueue, Handover, Bool)
    /// The handler lets a connection go to another process, or not, and what it has saved.
    case poolSaved(CallbackQueue, ConnectionTransfer, Bool, StateRecord?)
    /// The handler has taken a connection over from another process, or has not.
    case poolRestored(CallbackQueue, Bool)
    /// A call of a connection is over, and all that it has asked for lies in front of this; where that is written down, with
    /// what its handler has saved then.
    case poolDone(CallbackQueue, PoolRecording.Kind, StateRecord?)
    /// An answer to a request whose callback may have returned.
    case reply(ConnectionID, ticket: UInt64, Reply)
    /// Where peers come in from now on.
    case listeners(Listeners)
    /// The routes as they are from now on.
    case routing(RoutingTable)
    /// Connections of one binding go to another one.
    case handover(Handover)
    /// Connections go to another process: the worker looks at some, and posts it again until it has seen all.
    case export(ConnectionTransfer)
    /// No more of them do.
    case endExport
    /// A connection of another process, with its record; the descriptor changes its owner.
    ///
    /// - Parameter received: how much of what this process has given away it had had there.
    case take([UInt8], Int32, received: UInt64)
    /// All connections of the process before are here: they may be read from.
    case gathered
    /// News of connections that are with the process of their handler.
    case away(AwayNews)
    /// Copies of some records are to be added.
    case copyRecords(RecordCopies)
    /// How many slots are used is to be noted.
    case countSlots(UsedSlots)
    /// Connections that are to have what this process has given away up to a number have been let in.
    case letIn(SuccessionMail.Passage)
    /// No more connections of another process come: their slots are anybody's.
    case releaseReserved
    /// Tell the control thread that a turn has ended since: bindings that were looked up before are counted now.
    case fence(Fence)
    /// The control thread wants to know how long this takes.
    case lag(LoopLag)
    /// The gateway drains: who speaks HTTP/2 is asked to open no more streams.
    case drain
    /// Say 1001 to one peer after the other, within so many ticks; nil = within what their routes say.
    case depart(within: UInt32?)
    /// Somebody wants to know who is connected: the worker looks at some, and posts it again until it has seen all.
    case list(ConnectionListing)
    /// Somebody follows frames, or does not any more; posted again in the same way.
    case trace(Tracer, from: UInt32, found: Int)
    case endTrace(Tracer, from: UInt32)
    /// Serve no new peer, say 1001 to the old ones, end when they are gone or time is up.
    case stop

    /// The message has been read before its turn.
    case done

    /// Output, what decides which peers get it, and what is to hold with it: reading it calls no handler, so it can be done inside a callback as
    /// well.
    var isOutput: Bool {
        switch self {
        case .frame, .shared, .publication, .subscribe, .unsubscribe, .poolDone: true
        case .adopt, .handshake, .errand, .event, .openHome, .close, .abort, .setReading, .asked, .poolEased,
            .poolReachedClose,
            .poolThrottled,
            .refused,
            .poolMoved,
            .reply,
            .poolSaved, .poolRestored, .listeners, .routing, .handover, .export, .endExport, .take,
            .countSlots,
            .copyRecords, .letIn,
            .releaseReserved, .gathered, .away, .fence,
            .lag, .drain, .depart,
            .list, .trace, .endTrace, .stop, .done:
            false
        }
    }

    /// The end of a connection, or whether it is read from: as far as the handler is concerned that is done.
    var isEnd: Bool {
        switch self {
        case .close, .abort, .setReading: true
        default: false
        }
    }

    /// Whether it is for a connection, or about it.
    ///
    /// - Parameter isMember: publications may be for it.
    func concerns(_ id: ConnectionID, isMember: Bool) -> Bool {
        switch self {
        case .frame(let other, _, _), .shared(let other, _, _), .subscribe(let other, _), .unsubscribe(let other, _),
            .close(let other), .abort(let other), .setReading(let other, _, _), .asked(let other, _, _),
            .poolEased(let other), .poolReachedClose(let other), .poolThrottled(let other), .refused(let other),
            .reply(let other, _, _), .handshake(let other, _):
            other == id
        case .publication: isMember
        case .event(let event): event.connection == id.number
        case .errand(let errand, _): errand.connection == id.number
        case .poolMoved(let callbacks, _, _), .poolSaved(let callbacks, _, _, _), .poolRestored(let callbacks, _),
            .poolDone(let callbacks, _, _):
            callbacks.id == id
        case .adopt, .openHome, .listeners, .routing, .handover, .export, .endExport, .take, .countSlots, .copyRecords,
            .letIn,
            .releaseReserved, .gathered, .away, .fence, .lag, .drain,
            .depart, .list, .trace, .endTrace, .stop, .done:
            false
        }
    }

    /// Whether the head of a frame is that of a part of a fragmented message.
    static func isFragment(head: UInt8) -> Bool { head & 0x80 == 0 || head & 0x0F == 0 }
}

import GatewayIO
import Glibc

/// One process gives its connections to the next one, which may be another program's.
extension IsolatedHandler {
    /// What another program is to know of its process; nil where there is none that serves.
    var share: (SuccessionMessage.HandlerShare, PassedDescriptors)? {
        guard case .serving(let process) = phase else { return nil }
        let copy = fcntl(process.ledger.number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { return nil }
        let share = SuccessionMessage.HandlerShare(handler: handler, generation: module.generation)
        return (share, PassedDescriptors(adopting: [copy]))
    }

    /// Its process hands over to another one.
    ///
    /// One that still gets connections itself gives them when it has all that it will get.
    func handOver(_ socket: PassedDescriptors) {
        if hadFormerProcess, !isAlone, let former, former.givesConnections {
            former.keepOthers()
            return waitingHandOver = socket
        }
        hasKept = false
        remaining = nil
        if case .distant(_, let tell) = phase {
            tell(.succeed(handler: handler, socket))
        } else {
            process?.send(.handOver(socket, keepsRelayed: heir != nil))
        }
        handlerManager.loop.bell.ring()
    }

    /// Its process gives its connections to nobody any more.
    func keepOthers() {
        if case .distant(_, let tell) = phase {
            tell(.keep(handler: handler))
        } else {
            process?.send(.keep(handler: handler))
        }
        handlerManager.loop.bell.ring()
    }

    /// Its process is not being started just now, nor about to be.
    var isSettled: Bool {
        switch phase {
        case .serving, .leaving, .distant, .left, .failed, .ended: true
        case .launching, .mourning, .waiting: false
        }
    }

    /// There is a process that can be asked for its connections.
    var givesConnections: Bool {
        switch phase {
        case .serving, .leaving, .distant: true
        case .launching, .mourning, .waiting, .left, .failed, .ended: false
        }
    }

    /// Its process gives its connections to that of the program which takes over, and which hears what becomes of it.
    func giveWay(over socket: PassedDescriptors, _ heir: @escaping (SuccessionMessage.HandlerNews) -> Void) {
        self.heir = heir
        handOver(socket)
    }

    /// Nobody takes over.
    func keepServing() { heir = nil }

    /// Whoever comes from here on is the other program's, but for those that this one relays.
    func endServing() {
        guard case .serving(let process) = phase else { return }
        for item in port.takeItems() { process.give(item) }
        port.end(isLate: true)
        process.send(.latecomers(areExpected: true))
        hasLatecomers = true
        phase = .leaving(process)
    }

    /// Nobody is here any more who could ask for it.
    func expectNobody() {
        if hasLatecomers { process?.send(.latecomers(areExpected: false)) }
        hasLatecomers = false
    }

    /// Its process has looked at all that it is to hand over, or has gone.
    var hasHandedOver: Bool { remaining != nil || process == nil }

    /// The program before says what has become of its child, or has gone.
    func hear(_ news: SuccessionMessage.HandlerNews) {
        guard case .distant(let ledger, _) = phase else { return }
        tell(news.taken) { .taken($0, port) }
        tell(news.ended) { .ended($0) }
        if news.isKept { hasKept = true }
        if news.isGone {
            phase = .left(ledger)
            if next == nil || isFollowed { sweep() }
        }
        handlerManager.loop.bell.ring()
    }

    /// Gives a publication to its members. While two processes share them it is for the former to hear it.
    func hear(_ publication: SuccessionMail.Publication) {
        let hears =
            switch phase {
            case .serving: isAlone || former == nil || !hadFormerProcess
            case .leaving: !isFollowed
            case .launching, .mourning, .waiting, .distant, .left, .failed, .ended: false
            }
        guard hears, let process, !process.isFull, let message = SuccessionMessage(.publication(publication)) else {
            return
        }
        process.send(message)
    }
}

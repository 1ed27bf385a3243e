import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules

extension Server {
    /// Changes of files are heard of, and not later.
    var watchesFiles: Bool { (phase == .serving || phase == .starting) && predecessor == nil && !isTakingOver }

    /// Replaces handlers whose files have changed and come to rest.
    func reloadChanged() {
        guard let watch, watchesFiles else { return }
        let modules = handlerManager.handlerNames(of: handlerManager.configuration).map {
            handlerManager.service(named: $0).module
        }
        for news in watch.turn(modules: modules) {
            switch news {
            case .changed(let name):
                _ = handlerManager.reload(
                    handlerManager.service(named: name), cause: "the file changed", isAutomatic: true)
            case .stillBeingWritten(let name):
                log.warn("handler \"\(name)\": its file is still being written, it is tried once as it is")
                _ = handlerManager.reload(
                    handlerManager.service(named: name), cause: "the file changed and did not come to rest",
                    isAutomatic: true)
            case .deleted(let name):
                guard let serving = handlerManager.service(named: name).serving else { continue }
                log.warn(
                    "handler \"\(name)\": its file is gone; generation \(serving.generation.number) goes on serving")
            }
        }
    }

    /// A change of `listen` lines that has been prepared and not yet committed.
    struct ListenerChange {
        var entries: [Listeners.Entry] = []
        /// For listeners that stay.
        private(set) var options: [(entry: Listeners.Entry, next: ListenerOptions)] = []
        /// Of those, what is said of them.
        private(set) var saidOfOptions: [String] = []
        var said: [String] = []

        private static func checkSocket(
            _ known: ListenerConfiguration?, _ wanted: ListenerConfiguration
        ) throws(Failure) {
            guard let known else { return }
            var name: String?
            if known.socketMode != wanted.socketMode { name = "mode" }
            if known.socketGroup != wanted.socketGroup { name = "group" }
            guard let name else { return }
            throw Failure(
                description:
                    "\(wanted.origin): \"\(name)\" cannot change while a listener listens; start the gateway again",
                isConfiguration: true)
        }

        /// Takes over a listener that stays, with the certificates that its files hold now.
        mutating func keep(_ known: Listeners.Entry, _ wanted: ListenerConfiguration) throws(Failure) {
            entries.append(known)
            try Self.checkSocket(known.configured, wanted)
            let before = known.options
            if before.isPlain, wanted.isPlain { return }
            let next = try Server.readOptions(wanted, after: before)
            options.append((known, next))
            saidOfOptions += next.differences(from: before).map { "\(wanted.address): \($0)" }
        }
    }

    /// Opens what is new among the `listen` lines; nothing changes yet, and what comes in there waits.
    func openListeners(_ next: Configuration) -> Result<ListenerChange, Failure> {
        var change = ListenerChange()
        for wanted in next.listeners {
            // There may be several on port 0, one after the other.
            let known = listeners.entries.first { entry in
                entry.configured?.address == wanted.address && !change.entries.contains { $0 === entry }
            }
            if let known {
                do throws(Failure) {
                    try change.keep(known, wanted)
                } catch {
                    return .failure(explained(error))
                }
                continue
            }
            do throws(Failure) {
                let entry = try Self.open(wanted, .plain, inherited)
                change.entries.append(entry)
                let note = entry.inheritedName.map { " (handed over as \"\($0)\")" } ?? ""
                change.said.append("listening on \(wanted.address)\(note)")
            } catch {
                return .failure(explained(error))
            }
        }
        return .success(change)
    }

    /// What is forbidden to the user that the gateway has become may not have been to the one who started it.
    private func explained(_ failure: Failure) -> Failure {
        let denials = [EACCES, EPERM].map { Errno($0).description }
        guard let user = startConfiguration.user, denials.contains(where: { failure.description.contains($0) }) else {
            return failure
        }
        let why =
            "The gateway became user \"\(user)\" when it started, and cannot do any more what only root may, such as"
            + " listening on ports below 1024; start it again."
        return Failure(
            description: "\(failure.description)\n   \(why)", isConfiguration: failure.isConfiguration)
    }

    /// Takes over changed `listen` lines: what stays is not touched, what is new serves before what is gone closes.
    ///
    /// - Returns: what changed.
    func commit(_ change: ListenerChange) -> [String] {
        for each in change.options {
            each.entry.options = each.next
            if let most = each.next.certificates?.handshakeLimit { each.next.handshakes?.change(to: most) }
        }
        let leaving = listeners.entries.filter { old in !change.entries.contains { $0 === old } }
        let said = change.said + leaving.map { "no longer listening on \($0.listener.address)" }
        guard !said.isEmpty else { return change.saidOfOptions }
        listeners = Listeners(change.entries)
        for port in context.ports { port.post(.listeners(listeners)) }
        // Workers let go of them when they read the message; closing here already refuses peers that come meanwhile.
        for entry in leaving { entry.close() }
        return change.saidOfOptions + said
    }
}

import GatewayConfiguration
import GatewayIO
import HandlerModules

extension Server {
    /// Replaces handlers whose files have changed and come to rest.
    func reloadChanged() {
        guard let watch, phase == .serving else { return }
        for news in watch.turn(handlers: services.handlerNames(of: services.configuration)) {
            switch news {
            case .changed(let name):
                _ = services.reload(services.service(named: name), cause: "the file changed")
            case .stillBeingWritten(let name):
                log.warn("handler \"\(name)\": its file is still being written, it is tried once as it is")
                _ = services.reload(services.service(named: name), cause: "the file changed and did not come to rest")
            case .deleted(let name):
                guard let serving = services.service(named: name).serving else { continue }
                log.warn(
                    "handler \"\(name)\": its file is gone; generation \(serving.generation.number) goes on serving")
            }
        }
    }

    /// Takes over changed `listen` lines: what stays is not touched, what is new is opened before what is gone closes.
    ///
    /// - Returns: what changed, or why nothing was.
    func changeListeners(_ next: Configuration) -> Result<[String], Failure> {
        var said: [String] = []
        var entries: [Listeners.Entry] = []
        for wanted in next.listeners {
            if let known = listeners.entries.first(where: { $0.configured == wanted.address }) {
                entries.append(known)
                continue
            }
            do throws(Failure) {
                entries.append(try Self.open(wanted))
                said.append("listening on \(wanted.address)")
            } catch {
                return .failure(error)
            }
        }
        let leaving = listeners.entries.filter { old in !entries.contains { $0 === old } }
        said += leaving.map { "no longer listening on \($0.listener.address)" }
        guard !said.isEmpty else { return .success([]) }
        listeners = Listeners(entries)
        for port in context.ports { port.post(.listeners(listeners)) }
        // Workers let go of them when they read the letter; closing here already refuses who comes meanwhile.
        for entry in leaving { entry.listener.close() }
        return .success(said)
    }
}

import GatewayIO
import Glibc
import HandlerModules
import Synchronization

extension Services {
    /// How long an instance may keep threads of a pool before it is left alone instead of stopped.
    private static let jobMilliseconds = 10_000

    /// `start` has succeeded: what came for [home] meanwhile is delivered.
    func open(_ record: InstanceRecord) {
        record.isOpen.store(true, ordering: .releasing)
        server.ports[record.home].post(.openHome(record))
    }

    /// It serves no new connections: the timers of [home] end, those of connections go with them.
    func retire(_ record: InstanceRecord) {
        record.isRetiring.store(true, ordering: .releasing)
        server.ports[record.home].timers.end(.home(record.instance.id))
    }

    /// Nothing of it is begun any more, and its number means nobody.
    func close(_ record: InstanceRecord) {
        record.stop()
        _ = server.instances.remove(record.instance.id)
        retire(record)
        server.ports[record.home].post(.openHome(record))
    }

    /// The header: stop() waits for work(), and comes after the last callback. Answers false when that takes too long.
    func waitForJobs(_ record: InstanceRecord) -> Bool {
        var waited = 0
        while record.hasJobs || record.lanes.load(ordering: .acquiring) > 0 {
            if waited >= Self.jobMilliseconds { return false }
            usleep(2000)
            waited += 2
        }
        return true
    }
}

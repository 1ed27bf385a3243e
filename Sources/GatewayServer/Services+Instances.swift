import CGatewayABI
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

extension Services {
    /// How long an instance may keep its [pool] work before it is left alone instead of stopped.
    private static let jobNanoseconds: UInt64 = 10_000_000_000

    /// `start` has succeeded: what came for [home] meanwhile is delivered.
    func open(_ record: InstanceRecord) {
        record.isOpen.store(true, ordering: .releasing)
    }

    /// Nothing of it is called any more, and its number means nobody.
    func close(_ record: InstanceRecord) {
        record.stop()
        _ = server.instances.remove(record.instance.id)
    }

    /// The header: stop() waits for work(). Answers false when that takes too long.
    func waitForJobs(_ record: InstanceRecord) -> Bool {
        true
    }
}

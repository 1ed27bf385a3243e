import Bytes
import CLinux
import GatewayIO
import Glibc

/// What a process that a handler may end has written down for the one after it: a file of memory that both have, in which
/// each connection stands as it was when the last event of it had been seen to.
///
///     worker ─▶ LedgerPage ─▶ [ entries | records, checkpoints, half messages, unsent output ] ─▶ LedgerReader
///
/// The process that supervises makes the file and reads it when the other one has died; that one writes, each worker to a
/// page of its own.
final class Ledger: Sendable {
    let memory: SharedMemory
    let layout: LedgerLayout

    /// Makes an empty one.
    ///
    /// - Parameter capacity: slots of each worker.
    static func makeFile(workers: Int, capacity: Int) throws(Errno) -> FileDescriptor {
        let layout = LedgerLayout(workers: workers, capacity: capacity)
        let file = unsafe FileDescriptor(adopting: clinux_make_memory("gateway-ledger", UInt64(layout.size)))
        guard file.number >= 0 else { throw Errno.last }
        let header = [LedgerLayout.mark, UInt64(workers), UInt64(capacity), UInt64(layout.arena)]
        let written = unsafe header.withUnsafeBytes { unsafe pwrite(file.number, $0.baseAddress, $0.count, 0) }
        guard written == header.count * 8 else { throw written < 0 ? Errno.last : Errno(EIO) }
        return file
    }

    /// Maps one that another process has made.
    convenience init(adopting file: consuming FileDescriptor) throws(Errno) { try self.init(mapping: file) }

    /// The same for a file that stays its owner's.
    init(mapping file: borrowing FileDescriptor) throws(Errno) {
        layout = try Self.layout(of: file)
        guard let memory = SharedMemory(descriptor: file.number, count: layout.size) else { throw Errno.last }
        self.memory = memory
    }

    /// - Throws: EINVAL when the file is no ledger.
    static func layout(of file: borrowing FileDescriptor) throws(Errno) -> LedgerLayout {
        var status = stat()
        guard unsafe fstat(file.number, &status) == 0 else { throw Errno.last }
        var header = [UInt64](repeating: 0, count: 4)
        let count = unsafe header.withUnsafeMutableBytes { unsafe pread(file.number, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw Errno.last }
        guard count == header.count * 8,
            let layout = LedgerLayout(
                mark: header[0], workers: header[1], capacity: header[2], size: Int(status.st_size))
        else { throw Errno(EINVAL) }
        return layout
    }

    /// Has it written down for ever what a callback ends, and what another thread then is at. Any thread.
    func noteEndings() -> Bool {
        _ = unsafe Unmanaged.passRetained(self)
        return unsafe clinux_note_endings(memory.pointer(to: LedgerLayout.lastCallbackAt)) == 0
    }

    /// When ticks begin by the monotonic clock; before any worker writes.
    func begin(at nanoseconds: UInt64) { memory.publish(nanoseconds, at: LedgerLayout.startAt) }

    /// The process is about to end in a callback of a connection; 0 for none.
    func noteLast(_ callback: clinux_callback, of connection: UInt64) {
        // How many messages that has been given only its own thread knows.
        memory.publish(0, at: LedgerLayout.lastCountAt)
        memory.publish(connection, at: LedgerLayout.lastConnectionAt)
        memory.publish(UInt64(callback.rawValue), at: LedgerLayout.lastCallbackAt)
    }

    /// What one worker writes, on its thread alone; nil where the ledger has no place for such a worker.
    func page(of worker: Int) -> LedgerPage? {
        worker < layout.workers ? LedgerPage(self, worker) : nil
    }
}

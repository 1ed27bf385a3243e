import Bytes
import CGatewayABI
import Synchronization

/// Host functions about buffers that outlive a callback.
@unsafe enum BufferFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.buf_copy = { _, start, count in
            // A size_t beyond Int comes as a negative number.
            guard count >= 0, unsafe start != nil || count == 0 else { return nil }
            return unsafe SharedBuffer.copy(UnsafeRawBufferPointer(start: start, count: count)).map {
                OpaquePointer($0)
            }
        }
        unsafe table.buf_wrap = { host, start, count, release, context in
            let keeper = unsafe HostContext.with(host, else: nil) { context in
                unsafe context.isRetired.load(ordering: .acquiring) ? nil : context.wrapped
            }
            guard count >= 0, unsafe start != nil || count == 0, let keeper = unsafe keeper else {
                unsafe release?(context)
                return nil
            }
            let bytes = unsafe UnsafeRawBufferPointer(start: start, count: count)
            let shared = unsafe SharedBuffer.wrap(bytes, release: release, context: context, keeper: keeper)
            // The header promises that release is called exactly once, also when this fails.
            if unsafe shared == nil { unsafe release?(context) }
            return unsafe shared.map { OpaquePointer($0) }
        }
        unsafe table.buf_retain = { _, buffer in
            guard let shared = unsafe BufferFunctions.shared(buffer) else { return nil }
            if unsafe shared.pointee.isBorrowed {
                return unsafe BufferFunctions.keep(shared.pointee.bytes).map { OpaquePointer($0) }
            }
            unsafe shared.pointee.retain()
            return unsafe buffer
        }
        unsafe table.buf_release = { _, buffer in
            if let shared = unsafe BufferFunctions.shared(buffer) { unsafe SharedBuffer.release(shared) }
        }
        unsafe table.buf_bytes = { _, buffer in
            guard let shared = unsafe BufferFunctions.shared(buffer) else { return unsafe gw_bytes(ptr: nil, len: 0) }
            return unsafe gw_bytes(shared.pointee.bytes)
        }
    }

    /// Copies what a callback was lent, within the budget of the instance it was lent to.
    private static func keep(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<SharedBuffer>? {
        let instanceContext: InstanceContext?? =
            unsafe HostFunctions.onCallbackQueue { $0.namesNone ? nil : unsafe $0.binding.pointee.instanceContext }
            ?? HostFunctions.onWorker { worker in
                let id = ConnectionID(worker.running.connection)
                return unsafe worker.table.find(slot: id.slot, serial: id.serial)?.pointee.binding?.pointee
                    .instanceContext
            }
        // The body of a request is bounded by itself, and its callback belongs to no connection.
        guard let instanceContext = instanceContext ?? nil, let retained = unsafe instanceContext.retained else {
            return unsafe SharedBuffer.copy(bytes)
        }
        if unsafe retained.pointee.load(ordering: .relaxed) + bytes.count > InstanceContext.mostRetained { return nil }
        return unsafe SharedBuffer.copy(bytes, keeper: retained)
    }

    /// What a `gw_buf` points at.
    static func shared(_ buffer: OpaquePointer?) -> UnsafeMutablePointer<SharedBuffer>? {
        unsafe buffer.map { unsafe UnsafeMutablePointer<SharedBuffer>($0) }
    }
}

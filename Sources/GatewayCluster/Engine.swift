import CBackplaneABI

/// One engine as a link sees it: the functions of its module.
@safe final class Engine {
    private let table: UnsafePointer<gw_backplane>
    private let host: UnsafeMutablePointer<gw_backplane_host>
    private let config: UnsafeMutablePointer<gw_backplane_config>
    private let arena = SpanArena()
    /// Room for as many publications as go at once.
    private let list: UnsafeMutablePointer<gw_publication>
    private var instance: UnsafeMutableRawPointer?
    private var hasStarted = false
    /// Whose functions the module calls.
    private let link: ClusterLink

    /// What it takes at most in one publication; 0 when no limit is known.
    private(set) var mostData = 0
    /// Engine, version and address, or why there is none.
    private(set) var text = ""

    /// So long a call may take, in milliseconds.
    private static let timeout: UInt32 = 5000

    init(
        _ module: BackplaneModule, _ settings: ClusterSettings, urls: [String], for link: ClusterLink
    ) throws(ClusterError) {
        self.link = link
        unsafe table = module.table
        unsafe list = .allocate(capacity: Self.batch)
        unsafe host = .allocate(capacity: 1)
        unsafe host.initialize(to: ClusterLink.functions)
        unsafe config = .allocate(capacity: 1)
        unsafe config.initialize(to: gw_backplane_config())
        unsafe config.pointee.struct_size = UInt32(MemoryLayout<gw_backplane_config>.size)
        unsafe config.pointee.timeout_ms = Self.timeout
        unsafe config.pointee.urls = unsafe arena.spans(urls.map { Array($0.utf8) })
        unsafe config.pointee.url_count = urls.count
        unsafe config.pointee.client_name = arena.span(Array(settings.name.utf8))
        unsafe config.pointee.user = arena.span(Array(settings.user.utf8))
        unsafe config.pointee.password = arena.span(Array(settings.password.utf8))
        var error = [CChar](repeating: 0, count: Int(GW_BACKPLANE_TEXT_MAX) + 1)
        let context = unsafe Unmanaged.passUnretained(link).toOpaque()
        let status = unsafe table.pointee.start(host, context, config, &error, &instance)
        hasStarted = status == Int32(GW_BACKPLANE_OK)
        if !hasStarted {
            let reason = error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw ClusterError(String(decoding: reason, as: UTF8.self))
        }
    }

    deinit {
        if hasStarted { unsafe table.pointee.stop(instance) }
        unsafe config.deallocate()
        unsafe host.deallocate()
        unsafe list.deallocate()
    }

    /// The last call failed for want of a right.
    private(set) var isRefused = false

    /// Whether a call has done what it should.
    private func isFine(_ status: Int32) -> Bool {
        isRefused = status == Int32(GW_BACKPLANE_E_REFUSED)
        return status == Int32(GW_BACKPLANE_OK)
    }

    /// Tries once.
    func connect(_ attempt: UInt64) -> Bool {
        var found = gw_engine()
        found.struct_size = UInt32(MemoryLayout<gw_engine>.size)
        let status = unsafe table.pointee.connect(instance, attempt, &found)
        mostData = found.max_data
        text = unsafe withUnsafeBytes(of: found.text) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return isFine(status)
    }

    func disconnect() { unsafe table.pointee.disconnect(instance) }

    /// So many names, or publications, go at once.
    static let batch = Int(GW_BACKPLANE_BATCH_MAX)

    func subscribe(_ names: ArraySlice<[UInt8]>) -> Bool {
        unsafe withSpans(names) { unsafe table.pointee.subscribe(instance, $0, names.count) }
    }

    func unsubscribe(_ names: ArraySlice<[UInt8]>) -> Bool {
        unsafe withSpans(names) { unsafe table.pointee.unsubscribe(instance, $0, names.count) }
    }

    private func withSpans(_ names: ArraySlice<[UInt8]>, _ body: (UnsafePointer<gw_span>) -> Int32) -> Bool {
        if names.isEmpty { return true }
        let arena = SpanArena()
        return unsafe isFine(body(arena.spans(Array(names))))
    }

    enum Published: Equatable {
        case all
        /// The engine takes no more; of the one behind these nobody knows.
        case failed(taken: Int)
        /// The one behind these is larger than the engine takes.
        case tooLarge(taken: Int)
    }

    /// What is to be published, where it lies.
    @unsafe struct Publication {
        let name: UnsafeRawBufferPointer
        let data: UnsafeRawBufferPointer
    }

    /// Any number of them, in their order.
    func publish(_ all: [Publication]) -> Published {
        var start = 0
        while unsafe start < all.count {
            let count = unsafe min(Self.batch, all.count - start)
            for index in 0..<count {
                let each = unsafe all[start + index]
                let name = unsafe gw_span(ptr: Self.octets(each.name), len: each.name.count)
                let data = unsafe gw_span(ptr: Self.octets(each.data), len: each.data.count)
                unsafe (list + index).initialize(to: gw_publication(name: name, data: data))
            }
            var taken = 0
            let status = unsafe table.pointee.publish(instance, list, count, &taken)
            if !isFine(status) {
                taken = start + min(max(0, taken), count)
                return status == Int32(GW_BACKPLANE_E_TOO_LARGE) ? .tooLarge(taken: taken) : .failed(taken: taken)
            }
            start += count
        }
        return .all
    }

    /// A few that lie nowhere yet.
    func publish(_ few: [(name: [UInt8], data: [UInt8])]) -> Published {
        let arena = SpanArena()
        return unsafe publish(
            few.map {
                let (name, data) = unsafe (arena.span($0.name), arena.span($0.data))
                return unsafe Publication(
                    name: UnsafeRawBufferPointer(start: name.ptr, count: name.len),
                    data: UnsafeRawBufferPointer(start: data.ptr, count: data.len))
            })
    }

    private static func octets(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}

/// Bytes at places that do not move, for as long as it lives.
@safe private final class SpanArena {
    private var blocks: [UnsafeMutableRawPointer] = unsafe []

    deinit { for index in unsafe blocks.indices { unsafe blocks[index].deallocate() } }

    func span(_ bytes: [UInt8]) -> gw_span {
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        unsafe blocks.append(block)
        unsafe bytes.withUnsafeBytes {
            unsafe block.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block), byteCount: bytes.count)
        }
        return unsafe gw_span(ptr: block.assumingMemoryBound(to: UInt8.self), len: bytes.count)
    }

    func spans(_ all: [[UInt8]]) -> UnsafePointer<gw_span> {
        let block = unsafe UnsafeMutableRawPointer.allocate(
            byteCount: max(1, all.count) * MemoryLayout<gw_span>.stride, alignment: MemoryLayout<gw_span>.alignment)
        unsafe blocks.append(block)
        let list = unsafe block.bindMemory(to: gw_span.self, capacity: max(1, all.count))
        for (index, bytes) in all.enumerated() { unsafe (list + index).initialize(to: span(bytes)) }
        return unsafe UnsafePointer(list)
    }
}

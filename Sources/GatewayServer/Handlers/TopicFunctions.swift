import Bytes
import CGatewayABI
import CLinux
import GatewayCluster
import HandlerModules
import Synchronization
import WebSocket

/// Host functions about topics.
@unsafe enum TopicFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.subscribe = { host, connection, flags, name, count in
            unsafe HostContext.with(host, else: Status.invalid) { unsafe $0.subscribe(connection, flags, name, count) }
        }
        unsafe table.unsubscribe = { host, connection, flags, name, count in
            unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.unsubscribe(connection, flags, name, count)
            }
        }
        unsafe table.publish = { host, instance, name, length, kind, flags, start, count, except, reached in
            unsafe TopicFunctions.publish(host, instance, name, length, kind, flags, start, count, except, reached)
        }
    }

    static func publish(
        _ host: UnsafePointer<gw_host>?, _ instance: gw_instance, _ name: UnsafePointer<CChar>?, _ length: Int,
        _ kind: UInt32, _ flags: UInt32, _ start: UnsafeRawPointer?, _ count: Int, _ except: gw_conn,
        _ reached: UnsafeMutablePointer<UInt32>?
    ) -> gw_status {
        unsafe reached?.pointee = 0
        guard let opcode = HostContext.dataOpcode(kind), let payload = unsafe HostContext.bytes(start, count) else {
            return Status.invalid
        }
        return unsafe HostContext.with(host, else: Status.invalid) { context in
            unsafe context.publish(instance, name, length, flags, opcode, payload, except, reached)
        }
    }
}

extension HostContext {
    /// Bytes of publications that may be on their way to one worker; more are not queued for any subscriber.
    static let mostPublished = 64 << 20

    /// A topic's name; nil when there is none, or it is not text.
    private static func name(_ start: UnsafePointer<CChar>?, _ count: Int) -> [UInt8]? {
        guard count > 0, let start = unsafe start else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: min(count, TopicKey.maximumName + 1))
        if count > TopicKey.maximumName { return unsafe Array(bytes) }
        return unsafe UTF8Checker.isValid(bytes) ? Array(bytes) : nil
    }

    private func scope(of found: FoundConnection) -> String {
        let address = found.port.sharedTable[found.slot].binding.load(ordering: .acquiring)
        return unsafe UnsafeMutablePointer<Binding>(bitPattern: address)?.pointee.route.name ?? ""
    }

    private func topicKey(_ flags: UInt32, _ name: [UInt8], _ scope: @autoclosure () -> String) -> TopicKey {
        TopicKey(scope: isGlobal(flags) ? "" : scope(), name: name)
    }

    private func isGlobal(_ flags: UInt32) -> Bool { flags & UInt32(GW_GLOBAL_TOPIC) != 0 }

    // MARK: Subscribing

    func subscribe(
        _ connection: gw_conn, _ flags: UInt32, _ start: UnsafePointer<CChar>?, _ count: Int
    ) -> gw_status {
        guard accepts(flags: flags, of: "subscribe"), let name = unsafe Self.name(start, count) else {
            return Status.invalid
        }
        let id = ConnectionID(connection)
        if name.count > TopicKey.maximumName { return find(id) == nil ? refusal : Status.limit }
        guard let found = find(id) else { return passOn(connection, .subscribe(isGlobal: isGlobal(flags)), name) }
        let key = topicKey(flags, name, scope(of: found))
        let isKnown = onOwner(of: found) { _, peer in
            peer.pointee.rareState?.memberships.contains { $0.topic.topic.key == key } ?? false
        } else: {
            false
        }
        if isKnown { return Status.ok }
        // Counted here, so that neither a limit nor the next publication of this thread can miss it.
        let sharedTable = found.port.sharedTable
        if sharedTable[found.slot].topics.add(1, ordering: .relaxed).newValue > Topic.maximumPerConnection {
            sharedTable[found.slot].topics.subtract(1, ordering: .relaxed)
            return Status.limit
        }
        let topic = server.topics.join(key, worker: Int(found.port.index))
        onOwner(found.port) { worker in
            worker.pubSub.receiveSubscription(topic, of: id, on: worker)
        } else: {
            found.port.post(.subscribe(id, topic))
        }
        return Status.ok
    }

    func unsubscribe(
        _ connection: gw_conn, _ flags: UInt32, _ start: UnsafePointer<CChar>?, _ count: Int
    ) -> gw_status {
        guard accepts(flags: flags, of: "unsubscribe"), let name = unsafe Self.name(start, count) else {
            return Status.invalid
        }
        guard let found = find(ConnectionID(connection)) else {
            return passOn(connection, .unsubscribe(isGlobal: isGlobal(flags)), name)
        }
        let key = topicKey(flags, name, scope(of: found))
        onOwner(of: found) { worker, peer in
            worker.pubSub.unsubscribe(peer, key, on: worker)
        } else: {
            found.port.post(.unsubscribe(found.id, key))
        }
        return Status.ok
    }

    // MARK: Publishing

    func publish(
        _ instance: gw_instance, _ name: UnsafePointer<CChar>?, _ length: Int, _ flags: UInt32, _ opcode: Opcode,
        _ payload: UnsafeRawBufferPointer, _ except: gw_conn, _ reached: UnsafeMutablePointer<UInt32>?
    ) -> gw_status {
        guard accepts(flags: flags, of: "publish"), let name = unsafe Self.name(name, length) else {
            return Status.invalid
        }
        if server.isProbe { return Status.ok }
        let instanceContext: InstanceContext
        switch find(instance: instance) {
        case .found(let found): instanceContext = found
        case .refused(let status): return status
        }
        if name.count > TopicKey.maximumName { return Status.limit }
        if opcode == .text, !instanceContext.instance.generation.has(GW_HF_NO_UTF8), unsafe !isText(payload) {
            return Status.invalid
        }
        let key = topicKey(flags, name, instanceContext.scope)
        let local: WorkerTopic? = unsafe HostFunctions.onWorker { $0.pubSub.topics[key] } ?? nil
        let (status, count) = unsafe publishHere(
            key, local?.topic, opcode, payload, isPlain: flags & UInt32(GW_NO_COMPRESS) != 0, except)
        unsafe reached?.pointee = UInt32(clamping: count)
        if status < 0 { return status }
        guard server.cluster.isOn.load(ordering: .acquiring), flags & UInt32(GW_LOCAL_TOPIC) == 0 else {
            return Status.ok
        }
        let isPlain = flags & UInt32(GW_NO_COMPRESS) != 0
        if let local { return unsafe share(key, local, opcode, payload, isPlain: isPlain) }
        return unsafe shareRarely(key, nil, opcode, payload, isPlain: isPlain)
    }

    /// Gives a publication to the members here, and to those of another program that serves at the same time.
    ///
    /// - Parameter topic: what this worker knows of it.
    @inline(__always)
    private func publishHere(
        _ key: TopicKey, _ topic: Topic?, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool,
        _ except: gw_conn
    ) -> (gw_status, Int) {
        if key.scope.isEmpty, server.neighbours.isOn.load(ordering: .acquiring),
            unsafe !server.neighbours.give(key, isText: opcode == .text, isPlain: isPlain, except: except, payload)
        {
            return (Status.dropped, 0)
        }
        if topic == nil, unsafe clinux_worker() == nil {
            return server.succession.publishing {
                unsafe publishKnowing(key, topic, opcode, payload, isPlain: isPlain, except)
            }
        }
        return unsafe publishKnowing(key, topic, opcode, payload, isPlain: isPlain, except)
    }

    @inline(__always)
    private func publishKnowing(
        _ key: TopicKey, _ topic: Topic?, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool,
        _ except: gw_conn
    ) -> (gw_status, Int) {
        if server.succession.isOn.load(ordering: .sequentiallyConsistent) {
            return unsafe publishToBoth(key, opcode, payload, isPlain: isPlain, except)
        }
        guard let topic = topic ?? server.topics.find(key) else { return (Status.ok, 0) }
        return unsafe spread(topic, opcode, payload, isPlain: isPlain, except)
    }

    /// Numbers a publication for the members of both programs, and gives it out.
    @inline(never)
    private func publishToBoth(
        _ key: TopicKey, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool, _ except: gw_conn
    ) -> (gw_status, Int) {
        let mail = server.succession
        let isCrowded = server.ports.contains {
            $0.publishedBytes.load(ordering: .relaxed) > Self.mostPublished
        }
        if isCrowded || mail.isFull { return (Status.dropped, 0) }
        let publication = SuccessionMail.Publication(
            key: key, isText: opcode == .text, isPlain: isPlain, except: except, payload: unsafe Array(payload))
        guard let frame = unsafe publication.frame else { return (Status.noMemory, 0) }
        defer { unsafe SharedBuffer.release(frame) }
        let here: Int?? = unsafe HostFunctions.onWorker { worker in
            if worker.closer.isDelivering { return nil }
            let others = mail.settled(worker) { state in
                unsafe number(publication, frame, &state, but: worker.port)
            }
            guard let others else { return nil }
            let local = worker.pubSub.topics[key].map {
                unsafe worker.pubSub.publish($0, frame, isPlain: isPlain, except: except, on: worker)
            }
            return others + (local ?? 0)
        }
        if case let count?? = here { return (Status.ok, count) }
        return (Status.ok, mail.locked { state in unsafe number(publication, frame, &state, but: nil) })
    }

    /// - Returns: how many members of the workers it is queued for.
    private func number(
        _ publication: SuccessionMail.Publication, _ frame: UnsafeMutablePointer<SharedBuffer>,
        _ state: inout SuccessionMail.State, but own: WorkerPort?
    ) -> Int {
        state.give(.publication(publication))
        // A member may be on its way to any worker of the successor.
        let isForAll = state.side == .successor
        let known = server.topics.find(publication.key)
        guard let topic = known ?? (isForAll ? Topic(publication.key, workers: server.ports.count) : nil) else {
            return 0
        }
        var count = 0
        for port in server.ports where port !== own && (isForAll || topic.count(in: Int(port.index)) > 0) {
            count += unsafe post(
                topic, frame, isPlain: publication.isPlain, publication.except, number: state.given, to: port)
        }
        return count
    }

    /// Gives a publication to the other gateways.
    ///
    /// - Parameter local: the topic, which has subscribers on this worker.
    @inline(never)
    private func share(
        _ key: TopicKey, _ local: WorkerTopic, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool
    ) -> gw_status {
        let status: gw_status?? = unsafe HostFunctions.onWorker { worker in
            guard let topic = unsafe local.borrowed else { return nil }
            let answer = unsafe topic._withUnsafeGuaranteedRef {
                unsafe $0.publish(
                    isText: opcode == .text, isPlain: isPlain, payload, at: worker.nowNanoseconds)
            }
            guard let answer else { return nil }
            if answer.isAwaited { worker.pubSub.ringSoon(for: local) }
            return answer.isHigh ? Status.backpressure : Status.ok
        }
        if case let status?? = status { return status }
        return unsafe shareRarely(key, local, opcode, payload, isPlain: isPlain)
    }

    /// The same where it has to be looked for, or may not be taken.
    @inline(never)
    private func shareRarely(
        _ key: TopicKey, _ local: WorkerTopic?, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool
    ) -> gw_status {
        var topic = local?.shared
        let outcome = unsafe server.cluster.publish(
            key.clusterName, &topic, isText: opcode == .text, isPlain: isPlain, payload, at: server.clock())
        topic?.ring()
        if let local, local.shared !== topic { local.shared = topic }
        return Self.status(outcome)
    }

    @inline(__always)
    private static func status(_ outcome: Cluster.Outcome) -> gw_status {
        switch outcome {
        case .queued, .off: Status.ok
        case .high: Status.backpressure
        case .full: Status.dropped
        }
    }

    private func isText(_ payload: UnsafeRawBufferPointer) -> Bool {
        let isKnown = unsafe HostFunctions.onWorker { unsafe $0.running.isBorrowedText(payload) } ?? false
        return unsafe isKnown || UTF8Checker.isValid(payload)
    }

    /// Gives a publication to every worker that has subscribers: the own one at once, the others by one message each.
    private func spread(
        _ topic: Topic, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool, _ except: gw_conn
    ) -> (gw_status, Int) {
        let here = unsafe HostFunctions.onWorker { Int($0.port.index) }
        let header = FrameWriter(opcode, isFinal: true, payloadLength: payload.count)
        let others = server.ports.filter { Int($0.index) != here && topic.count(in: Int($0.index)) > 0 }
        let size = header.count + payload.count
        for port in others where port.publishedBytes.load(ordering: .relaxed) > Self.mostPublished {
            return (Status.dropped, 0)
        }
        if others.isEmpty, size < PublicationBatch.large {
            let count: Int?? = unsafe HostFunctions.onWorker { worker in
                worker.pubSub.topics[topic.key].map {
                    unsafe worker.pubSub.publish($0, header, payload, isPlain: isPlain, except: except, on: worker)
                }
            }
            return (Status.ok, (count ?? 0) ?? 0)
        }
        guard let frame = unsafe SharedBuffer.frame(header, payload) else { return (Status.noMemory, 0) }
        var count = 0
        for port in others { count += unsafe post(topic, frame, isPlain: isPlain, except, to: port) }
        let local: Int?? = unsafe HostFunctions.onWorker { worker in
            worker.pubSub.topics[topic.key].map {
                unsafe worker.pubSub.publish($0, frame, isPlain: isPlain, except: except, on: worker)
            }
        }
        unsafe SharedBuffer.release(frame)
        return (Status.ok, count + ((local ?? 0) ?? 0))
    }

    /// - Returns: how many subscribers of that worker it is queued for.
    private func post(
        _ topic: Topic, _ frame: UnsafeMutablePointer<SharedBuffer>, isPlain: Bool, _ except: gw_conn,
        number: UInt64 = 0, to port: WorkerPort
    ) -> Int {
        unsafe frame.pointee.retain()
        unsafe port.publishedBytes.add(frame.pointee.count, ordering: .relaxed)
        let count = topic.count(in: Int(port.index))
        let address = UInt(bitPattern: frame)
        port.post(.publication(topic, address: address, isPlain: isPlain, except: except, number: number))
        // Only the worker of the excepted connection knows whether it is subscribed; a handler that excepts one means
        // a subscriber.
        let id = ConnectionID(except)
        let isThere = except != 0 && id.worker == Int(port.index) && port.sharedTable.find(id) != nil
        return max(0, count - (isThere ? 1 : 0))
    }
}

extension SharedBuffer {
    /// A whole frame in one block; nil when there is no memory.
    static func frame(
        _ header: FrameWriter, _ payload: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        unsafe withUnsafeBytes(of: (header.low.littleEndian, header.high.littleEndian)) {
            unsafe join(UnsafeRawBufferPointer(rebasing: $0[..<header.count]), payload)
        }
    }
}

import CGatewayABI
import GatewayIO
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// Two workers as if of two processes, each of which gives the other what it has for its connections; the test decides when
/// what comes to where.
private final class TwoPrograms {
    let old: StepWorker
    let new: StepWorker
    private var toNew: [SuccessionMail.Item] = []
    private var toOld: [SuccessionMail.Item] = []
    private var mailOfOld: SuccessionMail { old.server.context.succession }
    private var mailOfNew: SuccessionMail { new.server.context.succession }

    init() throws {
        old = try StepWorker(handler: "fixture_counter_v1", rest: "defaults { ping_interval off; }")
        new = try StepWorker(handler: "fixture_counter_v1", rest: "defaults { ping_interval off; }")
        mailOfOld.begin(.predecessor, bell: try ControlWaker())
        mailOfNew.begin(.successor, bell: try ControlWaker())
    }

    /// Connections go over as soon as nothing keeps them.
    func begin() throws {
        let transfer = try ConnectionTransfer(
            ["/echo": (old.route().handler, HandoverFacts(new.binding().pointee.generation))], to: mailOfOld,
            patience: 100_000, spread: 1, progress: ControlWaker())
        old.worker.port.post(.export(transfer))
    }

    /// Brings at most so much of what has been given away to the other side.
    func carry(_ most: Int) {
        toNew += mailOfOld.takeOutgoing()
        toOld += mailOfNew.takeOutgoing()
        for _ in 0..<min(most, toNew.count) {
            let item = toNew.removeFirst()
            guard case .connection(_, let received, let record, let socket) = item else {
                mailOfNew.take(item, new.server.context)
                continue
            }
            guard let descriptor = socket.take() else { continue }
            new.worker.port.post(.take(record, descriptor.release(), received: received))
        }
        for _ in 0..<min(most, toOld.count) { mailOfOld.take(toOld.removeFirst(), old.server.context) }
        mailOfOld.tellReceived()
    }

    var isEmpty: Bool { toNew.isEmpty && toOld.isEmpty }
}

extension StepWorker {
    fileprivate func subscribe(_ peer: SocketPeer, _ topic: String) -> gw_status {
        var topic = topic
        return topic.withUTF8 { name in
            name.withMemoryRebound(to: CChar.self) { host().subscribe(peer.id.number, 0, $0.baseAddress, $0.count) }
        }
    }

    fileprivate func publish(_ topic: String, _ text: String, except: UInt64 = 0) -> gw_status {
        let instance = binding().pointee.instanceID
        var (topic, text) = (topic, text)
        return topic.withUTF8 { name in
            text.withUTF8 { payload in
                name.withMemoryRebound(to: CChar.self) { name in
                    host().publish(
                        instance, name.baseAddress, name.count, 0, .text, UnsafeRawBufferPointer(payload), except, nil)
                }
            }
        }
    }

    fileprivate func send(_ peer: SocketPeer, _ text: String) -> gw_status {
        var text = text
        return text.withUTF8 { host().send(peer.id.number, UInt32(GW_TEXT), 0, $0.baseAddress, $0.count) }
    }
}

@Suite("SuccessionMail: connections that go to another program get everything once, and in order")
struct SuccessionMailTests {
    /// Who says something: `o` and `n` publish; `p` and `q` send, each from the worker and from another thread, which are two
    /// senders.
    private static func act(
        _ pair: TwoPrograms, _ peers: [SocketPeer], _ count: inout [String: Int], _ dice: inout SeededRandom
    ) {
        let (steps, letter) = Bool.random(using: &dice) ? (pair.old, "o") : (pair.new, "n")
        let isPublication = Bool.random(using: &dice)
        let isOnWorker = Bool.random(using: &dice)
        let name = isPublication ? letter : (letter == "o" ? "p" : "q") + (isOnWorker ? "w" : "t")
        let number = count[name, default: 0]
        func say() {
            if isPublication {
                #expect(steps.publish("room", "\(name) \(number)") == 0)
            } else {
                for peer in peers { #expect(steps.send(peer, "\(name) \(number)") == 0) }
            }
        }
        if isOnWorker { steps.onWorker { say() } } else { say() }
        count[name] = number + 1
    }

    @Test("publications and messages of both programs while members go over", arguments: 1...200)
    func exactlyOnce(_ seed: UInt64) throws {
        var dice = SeededRandom(seed: seed)
        let pair = try TwoPrograms()
        let peers = (0..<6).map { _ in SocketPeer(of: pair.old) }
        for peer in peers {
            peer.say(
                Array(
                    ("GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").utf8))
        }
        pair.old.step()
        var heard: [[String]] = peers.map(\.texts)
        for peer in peers {
            #expect(pair.old.subscribe(peer, "room") == 0)
            // As if something kept it.
            pair.old.worker.port.sharedTable[peer.id.slot].jobs.add(1, ordering: .relaxed)
        }
        pair.old.step()
        var kept = Array(peers.indices)
        var count: [String: Int] = [:]
        try pair.begin()
        for _ in 0..<120 {
            switch Int.random(in: 0..<8, using: &dice) {
            case 0...3: Self.act(pair, peers, &count, &dice)
            case 4: pair.old.step(after: 20)
            case 5: pair.new.step(after: 20)
            case 6: pair.carry(Int.random(in: 1...4, using: &dice))
            default:
                guard let free = kept.indices.randomElement(using: &dice), Int.random(in: 0..<3, using: &dice) == 0
                else { continue }
                let slot = peers[kept.remove(at: free)].id.slot
                pair.old.worker.port.sharedTable[slot].jobs.subtract(1, ordering: .relaxed)
            }
            for index in peers.indices { heard[index] += peers[index].texts }
        }
        for index in kept {
            pair.old.worker.port.sharedTable[peers[index].id.slot].jobs.subtract(1, ordering: .relaxed)
        }
        for _ in 0..<20 {
            pair.old.step(after: 20)
            pair.carry(.max)
            pair.new.step(after: 20)
            for index in peers.indices { heard[index] += peers[index].texts }
        }
        #expect(pair.isEmpty && pair.old.worker.table.count == 0 && pair.new.worker.table.count == peers.count)
        for (index, lines) in heard.enumerated() {
            for (name, total) in count {
                let numbers = lines.filter { $0.hasPrefix(name + " ") }
                #expect(numbers == (0..<total).map { "\(name) \($0)" }, "peer \(index), seed \(seed)")
            }
        }
    }
}

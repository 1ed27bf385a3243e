import Bytes
import Testing

@Suite("Reserved memory is zero, stays where it is, and costs what is touched")
struct ReservedArrayTests {
    struct Wide {
        var words = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    }

    @Test("a gigabyte of which two elements are touched")
    func big() {
        let capacity = 1 << 24
        guard let memory = ReservedArray<Wide>(capacity: capacity) else {
            Issue.record("no address space")
            return
        }
        #expect(memory.capacity == capacity)
        let last = UInt32(capacity - 1)
        let values = (memory[0].words.0, memory[last].words.7)
        #expect(values == (0, 0))
        memory[0].words.0 = 1
        memory[last].words.7 = 2
        let changed = (memory[0].words.0, memory[last].words.7, memory[1].words.0)
        #expect(changed == (1, 2, 0))
    }

    @Test("addresses follow each other and do not move")
    func addresses() {
        guard let memory = ReservedArray<UInt32>(capacity: 1000) else {
            Issue.record("no address space")
            return
        }
        let first = memory.address(0)
        for index in 0..<1000 as Range<UInt32> {
            memory[index] = index &* 3
            let address = memory.address(index)
            #expect(address == first + Int(index))
        }
        #expect((0..<1000).allSatisfy { memory[$0] == $0 &* 3 })
    }

    @Test("no capacity is one element", arguments: [0, -1, Int.min])
    func none(_ capacity: Int) {
        guard let memory = ReservedArray<Int>(capacity: capacity) else {
            Issue.record("no address space")
            return
        }
        #expect(memory.capacity == 1)
        memory[0] = 5
        #expect(memory[0] == 5)
    }

    @Test("what the kernel cannot give is nil, not a trap", arguments: [Int.max, Int.max / 64, 1 << 48])
    func refused(_ capacity: Int) {
        let isNil = ReservedArray<Wide>(capacity: capacity) == nil
        #expect(isNil)
    }

    @Test("a slot out of range ends the process")
    func outOfRange() async {
        await #expect(processExitsWith: .failure) {
            guard let memory = ReservedArray<Int>(capacity: 4) else { return }
            memory[4] = 1
        }
    }
}

import Glibc
import Synchronization

/// Descriptors on their way between two processes, in their order. They have this one owner: those that nobody takes are
/// closed with it.
package final class PassedDescriptors: Sendable {
    private let numbers: Mutex<[Int32]>

    /// Takes over descriptors that have no other owner to close them.
    package init(adopting numbers: [Int32] = []) { self.numbers = Mutex(numbers) }

    package convenience init(_ descriptor: consuming FileDescriptor) { self.init(adopting: [descriptor.release()]) }

    deinit {
        for number in numbers.withLock({ $0 }) { _ = close(number) }
    }

    package var count: Int { numbers.withLock { $0.count } }

    /// Takes the first one out; nil when none is left.
    package func take() -> FileDescriptor? {
        let number = numbers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        return number.map { FileDescriptor(adopting: $0) }
    }

    /// Takes the first ones out, into an owner of their own; nil when there are fewer.
    package func take(_ count: Int) -> PassedDescriptors? {
        numbers.withLock { numbers in
            guard numbers.count >= count else { return nil }
            let taken = PassedDescriptors(adopting: Array(numbers[..<count]))
            numbers.removeFirst(count)
            return taken
        }
    }

    /// Closes them: their copies have left.
    func closeAll() {
        let closed = numbers.withLock { numbers in
            defer { numbers = [] }
            return numbers
        }
        for number in closed { _ = close(number) }
    }

    /// For one system call, while nobody takes any.
    func withNumbers<Result>(_ body: ([Int32]) -> Result) -> Result { numbers.withLock { body($0) } }

    func append(_ more: some Sequence<Int32>) { numbers.withLock { $0 += more } }
}

import Glibc

/// The file of this program, as the kernel knows it.
package enum OwnProgram {
    /// Where it came from; empty where /proc is missing. What lies there by now may be another file, or nothing.
    package static var path: String { place(link) }

    /// What a link of proc(5) says without what stands behind the name of a file that was replaced or removed.
    package static func place(_ link: String) -> String {
        let mark = " (deleted)"
        return link.hasSuffix(mark) ? String(link.dropLast(mark.count)) : link
    }

    private static var link: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            let count = unsafe readlink("/proc/self/exe", start, buffer.count)
            let name = unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<max(0, count)])
            return unsafe String(decoding: name, as: UTF8.self)
        }
    }
}

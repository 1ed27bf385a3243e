import Glibc

/// Copies of texts as the C library takes lists of them, with NULL at the end; who makes it frees it.
@unsafe
struct CStringList {
    let pointers: [UnsafeMutablePointer<CChar>?]

    init(_ texts: [String]) {
        let copies = unsafe texts.map { unsafe strdup($0) }
        unsafe pointers = unsafe copies + [nil]
    }

    func free() { unsafe pointers.forEach { unsafe Glibc.free($0) } }
}

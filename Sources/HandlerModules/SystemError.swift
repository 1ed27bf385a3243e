import Glibc

/// An errno together with the call that answered it.
package struct SystemError: Error, Equatable {
    /// The call, as one would look it up in the manual.
    package let call: String
    package let code: Int32

    /// Takes errno as it stands, so it must be made right after the call that failed.
    package init(_ call: String) {
        self.call = call
        self.code = errno
    }

    package init(_ call: String, code: Int32) {
        self.call = call
        self.code = code
    }
}

extension SystemError: CustomStringConvertible {
    package var description: String { "\(call): \(Self.text(code))" }

    /// The sentence the C library has for an errno.
    package static func text(_ code: Int32) -> String {
        // strerror is thread-safe in glibc since 2.32: known codes are constants, unknown ones thread-local.
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}

import CPages
package import HTTP

/// A file of the pages that the gateway serves itself, as it lies in `Sources/CPages/files`.
package struct PageFile: Sendable, Equatable {
    /// Where it stands there, such as `dashboard/index.html`.
    package let name: String
    package let bytes: [UInt8]

    /// Every one, by its name.
    private static let all: [String: PageFile] = {
        var files: [String: PageFile] = [:]
        var number = 0
        while let file = unsafe cpages_file(number) {
            let bytes = unsafe UnsafeBufferPointer(start: file.pointee.bytes, count: file.pointee.length)
            let name = unsafe String(cString: file.pointee.name)
            unsafe files[name] = PageFile(name: name, bytes: Array(bytes))
            number += 1
        }
        return files
    }()

    /// The name of every one.
    package static var names: [String] { all.keys.sorted() }

    /// A file of a page, or else one that the pages share; nil where there is neither.
    package static func named(_ name: String, of page: String) -> PageFile? {
        all["\(page)/\(name)"] ?? all["common/\(name)"]
    }

    /// Nil for what is no file of a page.
    private static func contentType(_ name: String) -> String? {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "svg": "image/svg+xml"
        default: nil
        }
    }

    /// What a browser may do with the pages: run and load their own files, and talk to where they came from. Nobody may
    /// put them into a frame, where a click could be meant for something else.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    /// The answer that it is.
    ///
    /// - Parameter base: what stands for `@BASE@` in a page: in front of the names of its files.
    package func response(base: String) -> PlainResponse {
        var body = bytes
        if name.hasSuffix(".html") {
            body = Array(String(decoding: bytes, as: UTF8.self).replacing("@BASE@", with: base).utf8)
        }
        var response = PlainResponse(
            status: 200, contentType: Self.contentType(name) ?? "application/octet-stream", body: body)
        response.addPageHeaders(policy: Self.policy)
        return response
    }
}

extension PlainResponse {
    /// What answers to pages have, so that browsers take them for nothing else.
    package mutating func addPageHeaders(policy: String? = nil) {
        let lines = [
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Cache-Control", "no-store"),
        ]
        for (name, value) in lines + (policy.map { [("Content-Security-Policy", $0)] } ?? []) {
            // Every one is a line without control characters, and none of them is reserved.
            try? headers.append(name, value)
        }
    }
}

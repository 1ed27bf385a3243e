/// Look-ups in the header lines of a request; none of them allocates unless it returns an array.
extension RequestHead {
    /// The value of the first line with a name, which has to be given in lower case; nil if there is none.
    public func first(_ name: String) -> Range<Int>? {
        let span = bytes.span
        for field in fields where span.equals(name, in: field.name) { return field.value }
        return nil
    }

    /// The value of the first line with a name in any case; nil if there is none.
    public func first(named name: Span<UInt8>) -> Range<Int>? {
        let span = bytes.span
        for field in fields where span.equalsIgnoringCase(name, in: field.name) { return field.value }
        return nil
    }

    /// How many lines have a name, which has to be given in lower case.
    public func count(_ name: String) -> Int {
        let span = bytes.span
        var count = 0
        for field in fields where span.equals(name, in: field.name) { count += 1 }
        return count
    }

    /// The elements of a list header over all its lines; the name has to be in lower case.
    public func elements(of name: String) -> ListElements {
        ListElements(self, name: name)
    }

    /// Whether a list header names a token, in any case, at any position, on any line; its name in lower case.
    public func hasToken(_ token: String, in name: String) -> Bool {
        let span = bytes.span
        for field in fields where span.equals(name, in: field.name) {
            var scanner = ElementScanner(field.value)
            while let element = scanner.next(span) {
                if span.equalsIgnoringCase(token, in: element) { return true }
            }
        }
        return false
    }

    /// The decoded value of the first query pair with a key; nil if there is none.
    public func queryValue(_ key: Span<UInt8>) -> [UInt8]? {
        guard let query = target.rawQuery else { return nil }
        return QueryString.value(of: key, in: bytes.span, query)
    }

    /// The decoded value of the first cookie with a name, over all Cookie lines; nil if there is none.
    public func cookieValue(_ name: Span<UInt8>) -> [UInt8]? {
        let span = bytes.span
        for field in fields where span.equals("cookie", in: field.name) {
            if let value = CookieString.value(of: name, in: span, field.value) { return value }
        }
        return nil
    }
}

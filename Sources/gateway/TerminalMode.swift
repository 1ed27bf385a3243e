import Glibc

/// A terminal that gives each key at once and shows none by itself, until this ends.
struct TerminalMode: ~Copyable {
    private let descriptor: Int32
    private let before: termios

    /// Nil where there is no terminal.
    init?(of descriptor: Int32) {
        var mode = termios()
        guard unsafe tcgetattr(descriptor, &mode) == 0 else { return nil }
        let before = mode
        unsafe cfmakeraw(&mode)
        // An end of a line still goes to the first column.
        mode.c_oflag |= tcflag_t(OPOST)
        guard unsafe tcsetattr(descriptor, TCSADRAIN, &mode) == 0 else { return nil }
        (self.descriptor, self.before) = (descriptor, before)
    }

    deinit {
        var mode = before
        _ = unsafe tcsetattr(descriptor, TCSADRAIN, &mode)
    }

    /// Columns and rows; 80 and 24 where nobody says.
    static func size(of descriptor: Int32) -> (columns: Int, rows: Int) {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}

import Glibc
import HandlerModules

/// Where files are called modules. No link: those are not followed.
nonisolated(unsafe) private let path = "/dev/shm/gateway-fuzz-\(getpid()).so"

/// Any file that is called a module is judged without being believed.
func tryELF(_ bytes: [UInt8]) -> Int32 {
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(file >= 0 && bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == bytes.count)
    close(file)
    defer { unlink(path) }
    _ = ELFImage.isWhole(path)
    do throws(ELFError) {
        let image = try ELFImage(path: path)
        _ = (image.hazards, image.privateLibraries)
    } catch {
        precondition(!error.description.isEmpty && !error.remedy.isEmpty, "a refusal says why")
    }
    return 0
}

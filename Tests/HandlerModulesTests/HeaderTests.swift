import Glibc
import Testing

@Suite("gw_handler.h stands alone")
struct HeaderTests {
    private static let package = String(#filePath.dropLast("Tests/HandlerModulesTests/HeaderTests.swift".count))
    private static let include = package + "Sources/CGatewayABI/include"
    private static let warnings = "-Wall -Wextra -Wpedantic -Wpadded -Werror -fsyntax-only"

    private static func has(_ compiler: String) -> Bool {
        system("command -v \(compiler) >/dev/null 2>&1") == 0
    }

    @Test(arguments: ["cc", "gcc", "clang"])
    func `compiles as C11 without a warning or hidden padding`(_ compiler: String) {
        guard Self.has(compiler) else { return }
        let source = Self.package + "Sources/CGatewayABI/abi.c"
        #expect(system("\(compiler) -std=c11 \(Self.warnings) -I'\(Self.include)' '\(source)'") == 0)
    }

    @Test(arguments: ["c++", "g++", "clang++"])
    func `compiles as C++17`(_ compiler: String) {
        guard Self.has(compiler) else { return }
        let folder = TemporaryFolder()
        let source = folder.write("handler.cpp", Array(Self.handler.utf8))
        #expect(system("\(compiler) -std=c++17 \(Self.warnings) -I'\(Self.include)' '\(source)'") == 0)
    }

    private static let handler = """
        #include "gw_handler.h"
        static gw_status start(const gw_host *, const gw_config *, void **self) { *self = nullptr; return GW_OK; }
        static void message(void *, gw_conn, void *, const gw_message *) {}
        static const gw_handler table = [] {
            gw_handler t = {};
            t.struct_size = sizeof t;
            t.abi_version = GW_ABI_VERSION;
            t.name = "cpp";
            t.start = start;
            t.message = message;
            return t;
        }();
        const gw_handler *gw_handler_entry_v1(const gw_host *host) {
            return GW_HAS(host, gw_host, sink_write) ? &table : nullptr;
        }

        """
}

import GatewayControl
import HTTP
import Testing

@Suite("The files of the pages lie in the executable, and say how browsers are to take them")
struct PageFileTests {
    @Test func `each page has its own files and those that all share`() {
        #expect(PageFile.named("index.html", of: "console")?.name == "console/index.html")
        #expect(PageFile.named("index.html", of: "dashboard")?.name == "dashboard/index.html")
        #expect(PageFile.named("base.css", of: "dashboard") == PageFile.named("base.css", of: "console"))
        #expect(PageFile.named("feed.js", of: "console") == nil)
        for name in ["", "../dashboard/feed.js"] { #expect(PageFile.named(name, of: "console") == nil) }
    }

    @Test(arguments: PageFile.names)
    func `every file has a type, and nothing comes from elsewhere`(name: String) throws {
        let parts = name.split(separator: "/").map { String($0) }
        let file = try #require(PageFile.named(parts[1], of: parts[0]))
        let response = file.response(base: "/somewhere")
        let isText = ["text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"]
        #expect(isText.contains(response.contentType) || response.contentType == "image/svg+xml")
        let headers = String(decoding: response.headers.bytes, as: UTF8.self)
        #expect(headers.contains("Content-Security-Policy: default-src 'none'; script-src 'self';"))
        #expect(headers.contains("X-Content-Type-Options: nosniff\r\n"))
        let text = String(decoding: response.body, as: UTF8.self)
        for outside in ["src=\"http", "href=\"http", "@import", "url(", "innerHTML", "eval(", "@BASE@"] {
            #expect(!text.contains(outside), "\(outside)")
        }
    }

    /// What a page names, and what its modules import.
    @Test(arguments: ["console", "dashboard"])
    func `whatever a page asks for is there`(page: String) throws {
        var asked: Set<Substring> = []
        for name in PageFile.names where name.hasPrefix("\(page)/") || name.hasPrefix("common/") {
            let file = try #require(PageFile.named(String(name.split(separator: "/")[1]), of: page))
            let text = String(decoding: file.bytes, as: UTF8.self)
            asked.formUnion(text.matches(of: /"@BASE@\/-\/([^"]+)"/).map(\.1))
            asked.formUnion(text.matches(of: /from "\.\/([^"]+)"/).map(\.1))
        }
        #expect(asked.count > 8)
        for name in asked { #expect(PageFile.named(String(name), of: page) != nil, "\(name)") }
    }
}

--- Requests of HTTP/1.1 as bytes, each with the verdict that a clause of RFC 9112 (or,
--- where it says so, of RFC 9110) gives it. Where the RFC lets a recipient choose, the
--- verdict is the stricter one: what two on the way may read differently is refused.

---@class spec.HttpVector
---@field name string
---@field clause string  "9112 §6.3", ...
---@field bytes string
---@field requests string[][]  those that are accepted, in order: method, target, body
---@field status integer?  what is answered behind them; nil: nothing
---@field cut boolean?  the last one is not whole
---@field served boolean?  the server decides it, and not the parser

local vectors = {}
local seen = {}

local function add(clause, name, bytes, requests, more)
  assert(not seen[name], name)
  seen[name] = true
  local vector = {name = name, clause = clause, bytes = bytes, requests = requests}
  for key, value in pairs(more or {}) do
    vector[key] = value
  end
  vectors[#vectors + 1] = vector
end

--- Accepted, as these requests.
local function accept(clause, name, bytes, ...)
  add(clause, name, bytes, {...})
end

--- Refused, behind `requests` that are accepted.
local function refuse(clause, name, bytes, status, requests)
  add(clause, name, bytes, requests or {}, {status = status or 400})
end

--- Never whole.
local function cut(clause, name, bytes, requests)
  add(clause, name, bytes, requests or {}, {cut = true})
end

local function quoted(byte)
  return ("%q"):format(byte):gsub("\n", "n")
end

local HOST = "Host: h\r\n"
local PLAIN = "GET / HTTP/1.1\r\n" .. HOST .. "\r\n"
local ROOT = {"GET", "/", ""}
local NEXT = "GET /next HTTP/1.1\r\n" .. HOST .. "\r\n"
local FOLLOWS = {"GET", "/next", ""}
local DELIMITERS = '"(),/:;<=>?@[\\]{}'
local TOKEN = "!#$%&'*+-.^_`|~09azAZ"

local function line(text)
  return text .. "\r\n" .. HOST .. "\r\n"
end

--- A GET with these lines behind its Host.
local function get(lines)
  return "GET / HTTP/1.1\r\n" .. HOST .. lines .. "\r\n\r\n"
end

local function post(lines, body)
  return "POST /p HTTP/1.1\r\n" .. HOST .. lines .. "\r\n\r\n" .. body
end

local function sized(length, body)
  return post("Content-Length:" .. length, body or "hello")
end

local function coded(coding, body)
  return post("Transfer-Encoding:" .. coding, body or "5\r\nhello\r\n0\r\n\r\n")
end

local function chunked(body)
  return coded(" chunked", body)
end

local function posted(body)
  return {"POST", "/p", body}
end

local HELLO = posted "hello"


-- Methods

for _, method in ipairs {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"} do
  accept("9112 §3.1", "method " .. method, line(method .. " /m HTTP/1.1"), {method, "/m", ""})
end
for _, method in ipairs {"get", "Get", "GETT", "GE", "X", "G!T"} do
  refuse("9110 §9.1", "unknown method " .. method, line(method .. " / HTTP/1.1"), 501)
end
for byte in (DELIMITERS .. "\0\1\t\v\f\127\128\255"):gmatch "." do
  refuse("9112 §3.1", "method with " .. quoted(byte), line("G" .. byte .. "T / HTTP/1.1"))
end
refuse("9112 §3", "no method", line "/ HTTP/1.1")


-- Targets

for _, target in ipairs {
  "/", "/a", "/a?b=c", "/?", "/a??b", "//a", "/a/../b", "/a//b", "/%20", "/a;b=c", "/a:80", "/a@b", "/*",
  "/~a!$&'()+,",
} do
  accept("9112 §3.2.1", "origin-form " .. target, line("GET " .. target .. " HTTP/1.1"), {"GET", target, ""})
end
for _, target in ipairs {"http://h/x", "http://h", "http://h:80/x?y", "HTTP://h/x", "http://other/x",
  "http://h?q"} do
  accept("9112 §3.2.2", "absolute-form " .. target, line("GET " .. target .. " HTTP/1.1"), {"GET", target, ""})
end
accept("9112 §3.2.3", "authority-form", line "CONNECT h:443 HTTP/1.1", {"CONNECT", "h:443", ""})
accept("9112 §3.2.4", "asterisk-form", line "OPTIONS * HTTP/1.1", {"OPTIONS", "*", ""})
for _, target in ipairs {"h", "h:", "h:x", "h:70000", "/x", "http://h:80/", "*", "h:80/x"} do
  refuse("9110 §9.3.6", "CONNECT " .. target, line("CONNECT " .. target .. " HTTP/1.1"))
end
for _, target in ipairs {"a", "h/x", "?a", "*", "*x", "h:80", "#a", ".", "\\x"} do
  refuse("9112 §3.2", "target " .. target, line("GET " .. target .. " HTTP/1.1"))
end
for _, target in ipairs {"http:///x", "http://", "http://:80/", "https:///"} do
  refuse("9110 §4.2.1", "no host in " .. target, line("GET " .. target .. " HTTP/1.1"))
end
refuse("9110 §4.2.4", "userinfo in the target", line "GET http://u@h/ HTTP/1.1")
refuse("9110 §4.2.4", "userinfo with a password in the target", line "GET http://u:p@h/ HTTP/1.1")
refuse("9112 §3.2", "no target", line "GET  HTTP/1.1")
refuse("9112 §3.2", "a fragment", line "GET /a#b HTTP/1.1")
for byte in ("\0\1\b\t\v\f\r\27\31 \127\128\195\255"):gmatch "." do
  refuse("9112 §3.2", "target with " .. quoted(byte), line("GET /a" .. byte .. "b HTTP/1.1"))
end


-- Versions

accept("9112 §2.3", "HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ROOT)
for _, version in ipairs {
  "http/1.1", "Http/1.1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.1.1", "HTTP/1,1", "HTTP/01.1", "HTTP/1.10",
  "HTTP/1.01", "HTTPS/1.1", "HTT/1.1", "HTTP1.1", "HTTP/1.1x", "HTTP/x.1", "HTTP/-1.1", "HTTP", "1.1", "HTTP/ 1.1",
  "HTTP /1.1", "HTTP//1.1", "ICE/1.0", "RTSP/1.0",
} do
  refuse("9112 §2.3", "version " .. version, line("GET / " .. version))
end
for _, version in ipairs {"HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"} do
  refuse("9110 §15.6.6", "version " .. version, line("GET / " .. version), 505)
end
refuse("9112 §3", "no version, with a Host", line "GET /")
refuse("9112 §3", "a simple request of HTTP/0.9", "GET /\r\n\r\n")


-- Blanks of the request line

for name, text in pairs {
  ["two before the target"] = "GET  / HTTP/1.1", ["two before the version"] = "GET /  HTTP/1.1",
  ["tab before the target"] = "GET\t/ HTTP/1.1", ["tab before the version"] = "GET /\tHTTP/1.1",
  ["vt before the target"] = "GET\v/ HTTP/1.1", ["ff before the version"] = "GET /\fHTTP/1.1",
  ["cr before the version"] = "GET /\rHTTP/1.1", ["one behind"] = "GET / HTTP/1.1 ",
  ["tab behind"] = "GET / HTTP/1.1\t", ["one in front"] = " GET / HTTP/1.1", ["tab in front"] = "\tGET / HTTP/1.1",
  ["nul in front"] = "\0GET / HTTP/1.1", ["a fourth word"] = "GET / HTTP/1.1 HTTP/1.1",
  ["a smuggled version"] = "GET /a HTTP/1.1 /b HTTP/1.1",
} do
  refuse("9112 §3", "blanks of the request line: " .. name, line(text))
end


-- Ends of lines

accept("9112 §2.2", "an empty line in front", "\r\n" .. PLAIN, ROOT)
refuse("9112 §2.2", "two empty lines in front", "\r\n\r\n" .. PLAIN)
refuse("9112 §2.2", "only empty lines", "\r\n\r\n")
refuse("9112 §2.2", "LF in front", "\n" .. PLAIN)
refuse("9112 §2.2", "CR in front", "\r" .. PLAIN)
for name, wrong in pairs {LF = "\n", CR = "\r", ["CR CR LF"] = "\r\r\n", ["LF CR"] = "\n\r", ["NUL LF"] = "\0\n"} do
  refuse("9112 §2.2", name .. " behind the request line", "GET / HTTP/1.1" .. wrong .. HOST .. "\r\n" .. NEXT)
  refuse("9112 §2.2", name .. " behind the Host", "GET / HTTP/1.1\r\nHost: h" .. wrong .. "A: b\r\n\r\n" .. NEXT)
  refuse("9112 §2.2", name .. " behind a field", get("A: b" .. wrong .. "C: d") .. NEXT)
  refuse("9112 §2.2", name .. " as the empty line", "GET / HTTP/1.1\r\n" .. HOST .. wrong .. NEXT)
end
refuse("9112 §2.2", "a line hidden by LF in a value", get "A: b\nTransfer-Encoding: chunked")
refuse("9112 §2.2", "a line hidden by CR in a value", get "A: b\rTransfer-Encoding: chunked")


-- Names of fields

for byte in TOKEN:gmatch(".") do
  accept("9110 §5.6.2", "name with " .. quoted(byte), get("A" .. byte .. ": b"), ROOT)
end
for byte in (DELIMITERS:gsub(":", "") .. "\0\1\t\v\f\27\127\128\255 "):gmatch "." do
  refuse("9110 §5.1", "name with " .. quoted(byte), get("A" .. byte .. "C: d"))
end
for name, text in pairs {
  ["blank before the colon"] = "A : b", ["tab before the colon"] = "A\t: b", ["no name"] = ": b",
  ["no colon"] = "A",
  ["no colon, but a blank"] = "A b", ["a colon alone"] = ":", ["an equals sign"] = "A=b",
} do
  refuse("9112 §5.1", "field: " .. name, get(text))
end
for name, blank in pairs {blank = " ", tab = "\t"} do
  refuse("9112 §5.2", "folded by a " .. name, get("A: b\r\n" .. blank .. "c"))
  refuse("9112 §5.2", "folded to nothing by a " .. name, get("A: b\r\n" .. blank))
  refuse("9112 §2.2", "the first field behind a " .. name, "GET / HTTP/1.1\r\n" .. blank .. HOST .. "\r\n")
  refuse("9112 §5.2", "a folded length, by a " .. name, post("Content-Length:\r\n" .. blank .. "5", "hello"))
  refuse("9112 §5.2", "a folded coding, by a " .. name,
    post("Transfer-Encoding:\r\n" .. blank .. "chunked", "0\r\n\r\n"))
end


-- Values of fields

for name, value in pairs {
  ["empty"] = "", ["blank"] = " ", ["tabs around"] = "\tb\t", ["blanks around"] = "   b   ",
  ["without a blank"] = "b",
  ["a colon"] = " b: c", ["obs-text"] = " \128\195\164\255", ["quoted"] = ' "b\\"c"', ["blanks inside"] = " b \t c",
  ["delimiters"] = " " .. DELIMITERS, ["7,000 bytes"] = (" b"):rep(3500),
} do
  accept("9110 §5.5", "value: " .. name, get("A:" .. value), ROOT)
end
for code = 0, 31 do
  if code ~= 9 and code ~= 10 and code ~= 13 then
    refuse("9110 §5.5", ("value with 0x%02x"):format(code), get("A: b" .. string.char(code) .. "c"))
  end
end
refuse("9110 §5.5", "value with 0x7f", get "A: b\127c")
refuse("9110 §5.5", "value that begins with 0x00", get "A:\0b")
refuse("9110 §5.5", "value that ends with 0x0b", get "A: b\v")


-- Host

local function hosts(lines, target)
  return "GET " .. (target or "/") .. " HTTP/1.1\r\n" .. lines .. "\r\n"
end

for _, host in ipairs {"h", "h:80", "[::1]:80", "127.0.0.1", "a-b.c", ""} do
  accept("9110 §7.2", "Host '" .. host .. "'", hosts("Host: " .. host .. "\r\n"), ROOT)
end
accept("9110 §5.1", "HOST", hosts "HOST: h\r\n", ROOT)
accept("9112 §3.2.2", "a Host that is not the target's", hosts("Host: a\r\n", "http://b/"), {"GET", "http://b/",
  ""})
refuse("9112 §3.2", "no Host", hosts "")
refuse("9112 §3.2", "no Host, but others", hosts "A: b\r\n")
refuse("9112 §3.2", "no Host with an absolute target", hosts("", "http://h/"))
refuse("9112 §3.2", "two Hosts", hosts "Host: a\r\nHost: b\r\n")
refuse("9112 §3.2", "the same Host twice", hosts "Host: a\r\nHost: a\r\n")
refuse("9112 §3.2", "an empty Host and another", hosts "Host:\r\nhost: a\r\n")
refuse("9112 §3.2", "two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
for _, host in ipairs {"a b", "a/b", "a@b", "a,b", "a?b", "a#b", "a\\b", "http://a", "a\tb", "\195\164", "a:x",
  "a:80:80"} do
  refuse("9112 §3.2", "Host '" .. host .. "'", hosts("Host: " .. host .. "\r\n"))
end


-- Content-Length

for _, length in ipairs {"5", " 5", "\t5 ", "05", " 0000000000000000000000005"} do
  accept("9112 §6.2", "Content-Length:" .. length, sized(length) .. NEXT, HELLO, FOLLOWS)
end
accept("9112 §6.2", "Content-Length: 0", sized(" 0", "") .. NEXT, posted "", FOLLOWS)
accept("9110 §5.1", "content-LENGTH", post("content-LENGTH: 5", "hello") .. NEXT, HELLO, FOLLOWS)
accept("9112 §6.3", "a POST without a length", post("A: b", "") .. NEXT, posted "", FOLLOWS)
accept("9112 §6.3", "Content_Length is none", post("Content_Length: 5", "") .. NEXT, posted "", FOLLOWS)
accept("9112 §6.3", "Content-Length in HTTP/1.0", "POST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", HELLO)
for _, method in ipairs {"GET", "DELETE", "HEAD", "OPTIONS", "PUT"} do
  accept("9110 §9.3.1", method .. " with a body",
    method .. " /b HTTP/1.1\r\n" .. HOST .. "Content-Length: 5\r\n\r\nhello" .. NEXT, {method, "/b", "hello"},
      FOLLOWS)
end
for _, length in ipairs {
  "", " ", " +5", " -5", " -0", " 5.0", " 5e0", " 0x5", " 5h", " a", " 5 5", " 5,5", " 5, 5", " 5,6", " 5;",
  ' "5"', " ,5",
  " 5,", " 18446744073709551616", " 18446744073709551621", " 9223372036854775808", " 99999999999999999999999999",
  " 5\v", " \v5", " 5_0", " \194\185", " (5)", " 5\0", " =5", " 0 5", " none",
} do
  refuse("9112 §6.3", "a length that is none:" .. quoted(length), sized(length))
end
refuse("9112 §6.3", "two lengths", post("Content-Length: 5\r\nContent-Length: 6", "hello!"))
refuse("9112 §6.3", "two lengths, the first 0", post("Content-Length: 0\r\nContent-Length: 5", "hello"))
refuse("9112 §6.3", "the same length twice", post("Content-Length: 5\r\nContent-Length: 5", "hello"))
refuse("9112 §6.3", "an empty length and another", post("Content-Length:\r\nContent-Length: 5", "hello"))
refuse("9112 §5.1", "a blank behind Content-Length", post("Content-Length : 5", "hello"))
refuse("9112 §5.1", "a NUL behind Content-Length", post("Content-Length\0: 5", "hello"))


-- Transfer-Encoding

for _, coding in ipairs {"chunked", " chunked", "\tchunked\t ", " Chunked", " CHUNKED"} do
  accept("9112 §7", "Transfer-Encoding:" .. coding, coded(coding) .. NEXT, HELLO, FOLLOWS)
end
accept("9112 §7.4", "TE is no framing", post("TE: chunked", "") .. NEXT, posted "", FOLLOWS)
accept("9110 §8.4", "Content-Encoding is no framing", post("Content-Encoding: chunked", "") .. NEXT, posted "",
  FOLLOWS)
for _, coding in ipairs {
  "", " xchunked", " chunkedx", " chunked, chunked", " gzip, chunked", " chunked, gzip", " identity",
  " identity, chunked",
  " chunked, identity", " chunked,", " ,chunked", " chunked;q=1", ' "chunked"', " 'chunked'",
  " chunked chunked", " gzip",
  " \vchunked", " chunked\v", " chunk", " chunked\0", " x", " deflate, gzip", " chunke\100\r", " [chunked]", " cow",
} do
  refuse("9112 §6.3", "a coding that is none:" .. quoted(coding), coded(coding))
end
for name, pair in pairs {
  ["chunked twice"] = {"chunked", "chunked"}, ["identity, then chunked"] = {"identity", "chunked"},
  ["chunked, then identity"] = {"chunked", "identity"}, ["gzip, then chunked"] = {"gzip", "chunked"},
  ["chunked, then x"] = {"chunked", "x"}, ["nothing, then chunked"] = {"", "chunked"},
} do
  refuse("9112 §6.3", "two codings: " .. name,
    coded(" " .. pair[1] .. "\r\nTransfer-Encoding: " .. pair[2]))
end
refuse("9112 §6.1", "a coding in HTTP/1.0", "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
refuse("9112 §6.1", "a coding in HTTP/1.0, kept alive",
  "POST /p HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
refuse("9112 §6.3", "CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"))
refuse("9112 §6.3", "TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\nGPOST"))
refuse("9112 §6.3", "TE and a length of 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n"))
refuse("9112 §6.3", "TE that is none, and a length", post("Transfer-Encoding: identity\r\nContent-Length: 5",
  "hello"))
refuse("9112 §6.3", "TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "0\r\n\r\n"))
refuse("9112 §5.1", "a blank behind Transfer-Encoding", post("Transfer-Encoding : chunked", "0\r\n\r\n"))
refuse("9112 §5.1", "a tab behind Transfer-Encoding", post("Transfer-Encoding\t: chunked", "0\r\n\r\n"))
refuse("9112 §5.2", "a blank before Transfer-Encoding", post("A: b\r\n Transfer-Encoding: chunked", "0\r\n\r\n"))
refuse("9112 §2.2", "Transfer-Encoding behind LF alone", post("A: b\nTransfer-Encoding: chunked", "0\r\n\r\n"))
refuse("9112 §5.1", "a NUL in Transfer-Encoding", post("Transfer-\0Encoding: chunked", "0\r\n\r\n"))
refuse("9112 §5", "Transfer-Encoding with another colon", post("Transfer-Encoding:: chunked", "0\r\n\r\n"))
refuse("9112 §6.3", "Transfer_Encoding is none", post("Transfer_Encoding: chunked", "0\r\n\r\n" .. NEXT), 400,
  {posted ""})


-- Chunks

local CHUNKS = "9112 §7.1"
for name, body in pairs {
  ["one"] = "5\r\nhello\r\n0\r\n\r\n", ["leading zeros"] = "00005\r\nhello\r\n0\r\n\r\n",
  ["two"] = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
  ["five"] = "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
  ["zeros at last"] = "5\r\nhello\r\n000\r\n\r\n",
} do
  accept(CHUNKS, "chunks: " .. name, chunked(body) .. NEXT, HELLO, FOLLOWS)
end
accept(CHUNKS, "no chunk", chunked "0\r\n\r\n" .. NEXT, posted "", FOLLOWS)
accept(CHUNKS, "a size in small letters", chunked("a\r\n0123456789\r\n0\r\n\r\n") .. NEXT, posted "0123456789",
  FOLLOWS)
accept(CHUNKS, "a size in capitals", chunked("A\r\n0123456789\r\n0\r\n\r\n") .. NEXT, posted "0123456789", FOLLOWS)
accept(CHUNKS, "a size of two digits", chunked("1F\r\n" .. ("x"):rep(31) .. "\r\n0\r\n\r\n"), posted(("x"):rep(31)))
accept(CHUNKS, "CR LF in a chunk", chunked "4\r\n\r\n\r\n\r\n0\r\n\r\n" .. NEXT, posted "\r\n\r\n", FOLLOWS)
accept(CHUNKS, "what looks as the end in a chunk", chunked "5\r\n0\r\n\r\n\r\n0\r\n\r\n" .. NEXT,
  posted "0\r\n\r\n", FOLLOWS)
for _, extension in ipairs {";a", ";a=b", ';a="b"', ";a;b=c", ';a=";"'} do
  accept("9112 §7.1.1", "an extension " .. extension, chunked("5" .. extension .. "\r\nhello\r\n0\r\n\r\n") .. NEXT,
    HELLO, FOLLOWS)
end
accept("9112 §7.1.1", "an extension of the last one", chunked "5\r\nhello\r\n0;a=b\r\n\r\n" .. NEXT, HELLO, FOLLOWS)
for _, size in ipairs {
  "", "0x5", "+5", "-5", "5h", "h", "5 ", " 5", "\t5", "5\t", "5,", "5 ;a", "5\v", "5\0", "5.0", "5:", "5 5", "5=",
  "10000000000000005", "fffffffffffffffff", "ffffffffffffffff", "8000000000000005", "\\5", '"5"', "5\r",
  "\0005", "_5",
  "5;a\0", "5;a\1b", "5;\rb", "5;a\127", "5;\nb",
} do
  refuse(CHUNKS, "a size that is none: " .. quoted(size), chunked(size .. "\r\nhello\r\n0\r\n\r\n"))
end
for name, body in pairs {
  ["LF behind the size"] = "5\nhello\r\n0\r\n\r\n", ["CR behind the size"] = "5\rhello\r\n0\r\n\r\n",
  ["LF behind the data"] = "5\r\nhello\n0\r\n\r\n", ["CR behind the data"] = "5\r\nhello\r0\r\n\r\n",
  ["nothing behind the data"] = "5\r\nhello0\r\n\r\n", ["more than the size"] = "4\r\nhello\r\n0\r\n\r\n",
  ["less than the size"] = "6\r\nhello\r\n0\r\n\r\n", ["LF behind the last size"] = "5\r\nhello\r\n0\n\r\n",
  ["LF at the end"] = "5\r\nhello\r\n0\r\n\n", ["an empty line between"] = "5\r\nhello\r\n\r\n0\r\n\r\n",
  ["no size at all"] = "\r\n\r\n", ["LF behind an extension"] = "5;a\nhello\r\n0\r\n\r\n",
  ["LF LF at the end"] = "5\r\nhello\r\n0\n\n", ["a blank behind the data"] = "5\r\nhello \r\n0\r\n\r\n",
} do
  refuse(CHUNKS, "chunks: " .. name, chunked(body))
end
refuse("9112 §7.1.1", "an extension of 2,000 bytes", chunked("5;" .. ("a"):rep(2000) .. "\r\nhello\r\n0\r\n\r\n"))
refuse("9112 §7.1.1", "20,000 bytes of extensions",
  chunked((("1;" .. ("a"):rep(998) .. "\r\nx\r\n"):rep(20)) .. "0\r\n\r\n"))


-- Trailers

local function trailed(lines)
  return chunked("5\r\nhello\r\n0\r\n" .. lines .. "\r\n") .. NEXT
end

for name, lines in pairs {one = "A: b\r\n", two = "A: b\r\nC: d\r\n", repeated = "A: b\r\nA: c\r\n",
  empty = "A:\r\n"} do
  accept("9112 §7.1.2", "trailers: " .. name, trailed(lines), HELLO, FOLLOWS)
end
for _, name in ipairs {"Content-Length: 5", "Transfer-Encoding: chunked", "Host: h"} do
  refuse("9110 §6.5.1", "a trailer " .. name, trailed(name .. "\r\n"))
end
for name, lines in pairs {
  ["no colon"] = "A\r\n", ["no name"] = ": b\r\n", ["a blank before the colon"] = "A : b\r\n", ["LF"] = "A: b\n",
  ["folded"] = "A: b\r\n c\r\n", ["folded at once"] = " A: b\r\n", ["NUL"] = "A: \0\r\n", ["CR"] = "A: b\rC: d\r\n",
  ["a delimiter"] = "A(: b\r\n", ["a request"] = "GET / HTTP/1.1\r\n",
} do
  refuse("9112 §7.1.2", "trailers: " .. name, trailed(lines))
end


-- One behind the other

accept("9112 §9.3.2", "three requests", PLAIN .. NEXT .. PLAIN, ROOT, FOLLOWS, ROOT)
accept("9112 §9.3.2", "bodies of each kind", sized(" 5") .. chunked "5\r\nhello\r\n0\r\n\r\n" .. sized(" 0",
  "") .. NEXT,
  HELLO, HELLO, posted "", FOLLOWS)
accept("9112 §6", "a request in a body", sized(" " .. #NEXT, NEXT) .. PLAIN, posted(NEXT), ROOT)
accept("9112 §7.1", "a request in a chunk", chunked(("%x\r\n"):format(#NEXT) .. NEXT .. "\r\n0\r\n\r\n") .. PLAIN,
  posted(NEXT), ROOT)
accept("9112 §2.2", "CR LF behind a body", sized(" 5") .. "\r\n" .. NEXT, HELLO, FOLLOWS)
accept("9112 §9.6", "close", get "Connection: close" .. NEXT, ROOT)
accept("9112 §9.6", "close, in a list", get "Connection: x, close" .. NEXT, ROOT)
accept("9110 §7.6.1", "CLOSE", get "Connection: CLOSE" .. NEXT, ROOT)
accept("9112 §9.3", "HTTP/1.0 is closed", "GET / HTTP/1.0\r\n\r\n" .. NEXT, ROOT)
accept("9112 §9.3", "HTTP/1.0 that is kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" .. NEXT, ROOT,
  FOLLOWS)
accept("9110 §7.8", "an upgrade that is not taken", get "Connection: upgrade\r\nUpgrade: x/1" .. NEXT, ROOT,
  FOLLOWS)
accept("9110 §7.8", "an upgrade with a body", post("Connection: upgrade\r\nUpgrade: x/1\r\nContent-Length: 5",
  "hello") .. NEXT,
  HELLO, FOLLOWS)
refuse("9112 §9.3.2", "one, and then none", PLAIN .. "x\r\n\r\n", 400, {ROOT})
refuse("9112 §6.3", "a body that is longer than its length", sized(" 5", "hello!") .. "\r\n\r\n", 400, {HELLO})
refuse("9112 §9.3.2", "one, and then LF", PLAIN .. "\n" .. NEXT, 400, {ROOT})
refuse("9112 §9.3.2", "one, and then two lengths",
  PLAIN .. post("Content-Length: 5\r\nContent-Length: 6", "hello!"), 400, {ROOT})


-- Expectations

accept("9110 §10.1.1", "100-continue", post("Expect: 100-continue\r\nContent-Length: 5", "hello") .. NEXT,
  HELLO, FOLLOWS)
accept("9110 §10.1.1", "100-CONTINUE", post("Expect: 100-CONTINUE\r\nContent-Length: 5", "hello"), HELLO)
accept("9110 §10.1.1", "any expectation in HTTP/1.0", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", ROOT)
refuse("9110 §10.1.1", "another expectation", get "Expect: x", 417)


-- Limits

local LONG = "GET /" .. ("a"):rep(8192 - #"GET / HTTP/1.1\r\n") .. " HTTP/1.1"
accept("9112 §3", "a line of 8 KiB", line(LONG), {"GET", LONG:match " (%S+) ", ""})
refuse("9110 §15.5.15", "a line of 8 KiB and a byte", line((LONG:gsub("/a", "/aa", 1))), 414)
refuse("9110 §15.5.15", "a line without an end", ("G"):rep(9000), 414)
accept("9110 §5.4", "a field of 8 KiB", get("A: " .. ("b"):rep(8192 - 5)), ROOT)
refuse("9110 §5.4", "a field of 8 KiB and a byte", get("A: " .. ("b"):rep(8192 - 4)), 431)
accept("9110 §5.4", "100 fields", get(("A: b\r\n"):rep(98) .. "A: b"), ROOT)
refuse("9110 §5.4", "101 fields", get(("A: b\r\n"):rep(99) .. "A: b"), 431)
refuse("9110 §5.4", "70 KiB of fields", get((("A: " .. ("b"):rep(7000) .. "\r\n"):rep(10)) .. "A: b"), 431)
add("9110 §15.5.14", "a length that is too much", sized " 9223372036854775807", {}, {status = 413, served = true})


-- What is cut

for i, part in ipairs {"G", "GET", "GET /", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
  "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r"} do
  cut("9112 §8", "a head, " .. i, part)
  cut("9112 §8", "a head behind a request, " .. i, PLAIN .. part, {ROOT})
end
cut("9112 §8", "a body by its length", sized(" 5", "hell"))
cut("9112 §8", "a body by its length, without a byte", sized(" 5", ""))
for i, part in ipairs {"", "5", "5\r", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r", "5\r\nhello\r\n",
  "5\r\nhello\r\n0", "5\r\nhello\r\n0\r", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\n\r", "5\r\nhello\r\n0\r\nA: b",
  "5\r\nhello\r\n0\r\nA: b\r\n"} do
  cut("9112 §8", "chunks, " .. i, chunked(part))
end
accept("9112 §9.6", "nothing at all", "")

return vectors

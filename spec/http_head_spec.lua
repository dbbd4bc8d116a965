-- Messages of HTTP/1.1 as neap.http.core takes them from a stream: what is accepted, and
-- how it is framed; what is refused, and how a server answers that. Each is fed whole, byte
-- by byte, and cut at each byte, with the same result.

local core = require "neap.http.core"
local linear = require "spec.support.linear"
local message = require "neap.http.message"
local net = require "neap.net"
local task = require "neap.task"

local HOST = "Host: here\r\n"

local function request(...)
  return "GET / HTTP/1.1\r\n" .. HOST .. table.concat({...}, "\r\n") .. (... and "\r\n" or "") .. "\r\n"
end

local function post(fields, body)
  return "POST /p HTTP/1.1\r\n" .. HOST .. fields .. "\r\n\r\n" .. (body or "")
end

local function chunked(body)
  return post("Transfer-Encoding: chunked", body)
end

--- What comes of the messages of a stream: one text a message, and how it ended.
local function read_all(stream, kind, limits, max)
  local parser, found = core.parser(kind, limits), {}
  while true do
    local head, status, words = parser:head(stream)
    if not head then
      found[#found + 1] = words and tostring(status) or status and status.code or "end"
      return found
    end
    local line = head.method and head.method .. " " .. head.target or head.status .. " " .. head.reason
    local parts = {}
    local piece
    repeat
      piece, status, words = parser:piece(stream, max)
      parts[#parts + 1] = piece
    until not piece
    line = line .. " [" .. table.concat(parts) .. "]"
    if type(status) == "userdata" then
      line = line .. " " .. table.concat(status:all(), ":")
    elseif status then
      found[#found + 1] = line
      found[#found + 1] = words and tostring(status) or status.code
      return found
    end
    found[#found + 1] = line
    if head.framing == "close" then
      return found
    end
  end
end

--- Feed it, in pieces of so many bytes.
local function feed(text, size, kind, limits, max)
  local a, b = net.socketpair()
  local writer = task.spawn(function()
    for i = 1, #text, size do
      if not a:write(text:sub(i, i + size - 1)) then
        return
      end
      task.yield()
    end
    a:shutdown()
  end)
  local found = read_all(b, kind or "request", limits, max)
  b:close()
  writer:cancel()
  writer:join()
  return found
end

--- Byte by byte, but for what is long.
local function few(text)
  return math.max(1, #text // 500)
end

local function gives(text, expected, kind, limits)
  for _, size in ipairs {#text, few(text), 7 * few(text)} do
    assert.same(expected, feed(text, math.max(size, 1), kind, limits), ("%q by %d"):format(text:sub(1, 300), size))
  end
end

local function refuses(status, text, limits)
  for _, size in ipairs {#text, few(text)} do
    local found = feed(text, size, "request", limits)
    assert.equal(tostring(status), found[#found], ("%q by %d: %s"):format(text:sub(1, 300), size,
      table.concat(found, ", ")))
  end
end

describe("requests", function()
  it("are taken one behind the other (P7)", function()
    local one = request() .. post("Content-Length: 3", "abc") .. chunked "3\r\nabc\r\n0\r\n\r\n"
    gives(one .. one .. one, {
      "GET / []", "POST /p [abc]", "POST /p [abc]", "GET / []", "POST /p [abc]", "POST /p [abc]",
      "GET / []", "POST /p [abc]", "POST /p [abc]", "end",
    })
    local many, expected = request():rep(100), {}
    for i = 1, 100 do
      expected[i] = "GET / []"
    end
    expected[101] = "end"
    gives(many, expected)
  end)

  it("have what was said in their heads", function()
    local a, b = net.socketpair()
    a:write("GET /a?b HTTP/1.0\r\nX-One:  1 \t\r\nx-two:\r\nX-ONE: 3\r\nConnection: keep-alive\r\n\r\n")
    local head = core.parser("request"):head(b)
    assert.same({"GET", "/a?b", "1.0", true, "none"},
      {head.method, head.target, head.version, head.keepalive, head.framing})
    assert.same({"1", "", "1", nil}, {head:get "x-one", head:get "X-Two", head:get "X-ONE", (head:get "x")})
    assert.same({"X-One", "1", "x-two", "", "X-ONE", "3", "Connection", "keep-alive"}, head:all())
    assert.is_nil(head.length)
    assert.is_nil(head.nonsense)
    assert.has_error(function()
      head.get({}, "x")
    end)
  end)

  it("that are good are taken", function()
    for text, expected in pairs {
      [request "X: \xe9"] = "GET / []",
      ["\r\n" .. request()] = "GET / []",
      ["GET http://here/x HTTP/1.1\r\n" .. HOST .. "\r\n"] = "GET http://here/x []",
      ["OPTIONS * HTTP/1.1\r\n" .. HOST .. "\r\n"] = "OPTIONS * []",
      ["CONNECT here:443 HTTP/1.1\r\n" .. HOST .. "\r\n"] = "CONNECT here:443 []",
      ["GET / HTTP/1.0\r\n\r\n"] = "GET / []",
      ["GET //a/%00/..%2f HTTP/1.1\r\n" .. HOST .. "\r\n"] = "GET //a/%00/..%2f []",
      [request "Content-Length: 0"] = "GET / []",
      [post("content-length:\t2 ", "ab")] = "POST /p [ab]",
      [post("CONTENT-LENGTH:0002", "ab")] = "POST /p [ab]",
      [post("transfer-encoding: Chunked", "1\r\na\r\n0\r\n\r\n")] = "POST /p [a]",
      [chunked "0\r\n\r\n"] = "POST /p []",
      [chunked "00000000000001\r\na\r\n0\r\n\r\n"] = "POST /p [a]",
      [chunked "A;x=\"y\"\r\n0123456789\r\n1\r\nz\r\n000;last\r\n\r\n"] = "POST /p [0123456789z]",
      [chunked "1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"] = "POST /p [a] X-Sum:1:Y:2",
      [request("Expect: 100-continue")] = "GET / []",
    } do
      gives(text, {expected, "end"})
    end
  end)

  it("framed in two ways, or in none, are refused (P1)", function()
    for _, fields in ipairs {
      "Content-Length: 3\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3",
      "Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3\r\nContent-Length: 4",
      "Content-Length: +5", "Content-Length: 5 5", "Content-Length: 0x5", "Content-Length: 5,5",
      "Content-Length: -0",
      "Content-Length: 18446744073709551616", "Content-Length: 9223372036854775808", "Content-Length:",
      "Content-Length: 1e3", "Content-Length: 5.0", "Content-Length: five",
      "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
      "Transfer-Encoding: chunked\v", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:",
      "Transfer-Encoding: \"chunked\"",
      "Transfer-Encoding: chunked;q=1",
    } do
      refuses(400, post(fields, "abc"))
    end
    refuses(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
  end)

  it("with fields that can be read in two ways are refused (P2)", function()
    for _, field in ipairs {
      "Content-Length : 5", " Content-Length: 5", "X: a\r\n b", "X: a\r\n\tb", "X\0: a", "X\r: a", "X\xe9: a",
      "X: a\0b",
      "X: a\rb", ": a", "X", "X Y: a", "X\t: a", "X: a\127", "X: \1", "(X): a", "X@: a",
    } do
      refuses(400, request(field))
    end
    refuses(400, "GET / HTTP/1.1\n" .. HOST .. "\r\n")
    refuses(400, "GET / HTTP/1.1\r\nHost: here\n\r\n")
    refuses(400, "GET / HTTP/1.1\r\nHost: here\r\n\n")
    refuses(400, "GET / HTTP/1.1\r\nHost: here\r\nX: a\n\r\n")
    refuses(400, "\r\n\r\n" .. request())
    refuses(400, "\n" .. request())
  end)

  it("without exactly one Host are refused", function()
    refuses(400, "GET / HTTP/1.1\r\n\r\n")
    refuses(400, request "Host: there")
    for _, host in ipairs {"a b", "a,b", "a/b", "u@a", "a\tb", "h\xe9"} do
      refuses(400, "GET / HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n")
    end
  end)

  it("with chunks that are none are refused (P3)", function()
    for _, body in ipairs {
      "0x5\r\nabcde\r\n0\r\n\r\n", " 5\r\nabcde\r\n0\r\n\r\n", "5 ;\r\nabcde\r\n0\r\n\r\n", "5 \r\nabcde\r\n0\r\n\r\n",
      "00000000000000005\r\nabcde\r\n0\r\n\r\n", "ffffffffffffffff\r\nabc", "5\r\nabcdeX\r\n0\r\n\r\n",
      "5\r\nabcde\n0\r\n\r\n", "5\nabcde\r\n0\r\n\r\n", "\r\n5\r\nabcde\r\n0\r\n\r\n", "-5\r\nabcde\r\n0\r\n\r\n",
      "g\r\n", ";\r\n", "5;a\0\r\nabcde\r\n0\r\n\r\n", "5;a\rb\r\nabcde\r\n0\r\n\r\n", "5\r\nabcde\r\r\n0\r\n\r\n",
      "5;" .. ("x"):rep(2000) .. "\r\nabcde\r\n0\r\n\r\n",
      ("1;" .. ("x"):rep(900) .. "\r\na\r\n"):rep(20) .. "0\r\n\r\n",
      "0\r\nContent-Length: 3\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: a\r\n\r\n",
      "0\r\n X: a\r\n\r\n",
      "0\r\nX: a\n\r\n", "0\r\n\n", "0\r\nX\r\n\r\n",
    } do
      refuses(400, chunked(body))
    end
    refuses(431, chunked("0\r\n" .. ("X: a\r\n"):rep(101) .. "\r\n"))
    refuses(431, chunked("0\r\nX: " .. ("a"):rep(9000) .. "\r\n\r\n"))
  end)

  it("with a first line that is none are refused (P4)", function()
    for line, status in pairs {
      ["GET /"] = 400, ["GET"] = 400, ["GET / HTTP/1.1 "] = 400, ["GET  / HTTP/1.1"] = 400, [" GET / HTTP/1.1"] = 400,
      ["GET / HTTP/1.1x"] = 400, ["GET / http/1.1"] = 400, ["GET / HTTP/11"] = 400, ["GET / HTTP/1.10"] = 400,
      ["GET / HTTP/1"] = 400, ["GET\t/\tHTTP/1.1"] = 400, ["GET /a b HTTP/1.1"] = 400, ["GET /\xc3\xa9 HTTP/1.1"] = 400,
      ["GET /\0 HTTP/1.1"] = 400, ["GET /#a HTTP/1.1"] = 400, ["GET * HTTP/1.1"] = 400, ["GET here:80 HTTP/1.1"] = 400,
      ["GET ftp://here/ HTTP/1.1"] = 400, ["CONNECT /x HTTP/1.1"] = 400, ["CONNECT here HTTP/1.1"] = 400,
      ["G(T / HTTP/1.1"] = 400, ["GET x HTTP/1.1"] = 400, ["HTTP/1.1 200 OK"] = 400,
      ["GET / HTTP/1.2"] = 505, ["GET / HTTP/2.0"] = 505, ["GET / HTTP/0.9"] = 505, ["PRI * HTTP/2.0"] = 505,
      ["FOO / HTTP/1.1"] = 501, ["get / HTTP/1.1"] = 501, ["GETT / HTTP/1.1"] = 501,
    } do
      refuses(status, line .. "\r\n" .. HOST .. "\r\n")
    end
  end)

  it("beyond the limits are refused before they have all come (P5)", function()
    refuses(414, "GET /" .. ("a"):rep(70000))
    refuses(414, "GET /" .. ("a"):rep(8192) .. " HTTP/1.1\r\n" .. HOST .. "\r\n")
    refuses(431, "GET / HTTP/1.1\r\nX: " .. ("a"):rep(8190) .. "\r\n" .. HOST .. "\r\n")
    refuses(431, "GET / HTTP/1.1\r\n" .. HOST .. ("X: a\r\n"):rep(100) .. "\r\n")
    refuses(431, "GET / HTTP/1.1\r\n" .. HOST .. ("X: " .. ("a"):rep(8000) .. "\r\n"):rep(9))
    refuses(414, "GET /" .. ("a"):rep(100) .. " HTTP/1.1\r\n" .. HOST .. "\r\n", {line = 64})
    refuses(431, request "X: a", {fields = 1})
    gives("GET / HTTP/1.1\r\n" .. HOST .. ("X: a\r\n"):rep(99) .. "\r\n", {"GET / []", "end"})
  end)

  it("with unknown expectations are refused (P10)", function()
    refuses(417, request "Expect: 200-ok")
    gives("GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", {"GET / []", "end"})
  end)

  it("that are cut are errors, at each byte", function()
    local text = post("Content-Length: 3", "abc") .. chunked "3\r\nabc\r\n0\r\nX: y\r\n\r\n"
    local first = #post("Content-Length: 3", "abc")
    for n = 1, #text - 1 do
      local found = feed(text:sub(1, n), n)
      assert.equal(n == first and "end" or "ENODATA", found[#found], n)
    end
  end)

  it("give what is asked of their bodies, and wait for no more", function()
    local a, b = net.socketpair()
    local text = post("Content-Length: 10", "abc")
    a:write(text)
    b:peek(#text)
    local parser = core.parser("request", {body = 5})
    assert(parser:head(b))
    assert.same({false, "length", 10}, {parser.whole, parser.framing, parser.remaining})
    assert.equal("ab", parser:piece(b, 2))
    assert.equal("c", parser:piece(b))
    local value, err = task.timeout(0.01, parser.piece, parser, b)
    assert.same({nil, "ETIMEDOUT"}, {value, err.code})
    a:write "defghijGET"
    b:peek(10)
    assert.equal("defghij", parser:piece(b))
    assert.is_true(parser.whole)
    assert.is_nil((parser:piece(b)))
    assert.equal("GET", b:recv())
  end)

  it("that are late end at their deadlines", function()
    local a, b = net.socketpair()
    local parser = core.parser("request", {first = 0.02, header = 0.05, body = 0.05})
    assert.equal("ETIMEDOUT", select(2, parser:head(b)).code)
    local writer = task.spawn(function()
      for byte in request():rep(100):gmatch "." do
        a:write(byte)
        task.sleep(0.02)
      end
    end)
    assert.equal("ETIMEDOUT", select(2, parser:head(b)).code)
    writer:cancel()
  end)

  it("of tiny chunks are given together", function()
    local found = feed(chunked(("1\r\na\r\n"):rep(5000) .. "0\r\n\r\n"), 4096)
    assert.same({"POST /p [" .. ("a"):rep(5000) .. "]", "end"}, found)
    found = feed(chunked(("1\r\na\r\n"):rep(50) .. "0\r\n\r\n"), 4096, "request", nil, 7)
    assert.same({"POST /p [" .. ("a"):rep(50) .. "]", "end"}, found)
    local large = ("x"):rep(50000)
    found = feed(chunked(("%x\r\n%s\r\n"):format(#large, large):rep(2) .. "1\r\na\r\n0\r\n\r\n"), 60000)
    assert.same({"POST /p [" .. large .. large .. "a]", "end"}, found)
  end)
end)

describe("responses", function()
  it("are framed by their status, their fields, or the end (P12)", function()
    for text, expected in pairs {
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"] = {"200 OK [ab]", "end"},
      ["HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab"] = {"200  [ab]", "end"},
      ["HTTP/1.1 200 OK\r\n\r\nab"] = {"200 OK [ab]"},
      ["HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\n\r\n"] = {"400"},
      ["HTTP/1.1 204 N\r\nContent-Length: 2\r\n\r\n"] = {"204 N []", "end"},
      ["HTTP/1.1 304 N\r\nContent-Length: 2\r\n\r\n"] = {"304 N []", "end"},
      ["HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"] =
        {"100 C []", "200 OK [a]", "end"},
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"] = {"400"},
      ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"] = {"400"},
      ["HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab"] = {"400"},
      ["HTTP/1.1 20 OK\r\n\r\n"] = {"400"}, ["HTTP/1.1 999 OK\r\n\r\n"] = {"400"}, ["HTTP/2 200 OK\r\n\r\n"] = {"400"},
      ["ICY 200 OK\r\n\r\n"] = {"400"}, ["HTTP/1.1 200 \0\r\n\r\n"] = {"400"},
      ["\r\nHTTP/1.1 200 OK\r\n\r\n"] = {"400"},
      ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"] = {"200 OK [ab]", "ENODATA"},
    } do
      gives(text, expected, "response")
    end
  end)
end)

it("a value with many blanks is trimmed in a time that grows as they do", function()
  assert.equal("a \t b", message.trim " \t a \t b\t ")
  assert.equal("", message.trim " \t")
  linear(function(n)
    for _, text in ipairs {"a" .. (" "):rep(n) .. "b", (" "):rep(n), (" "):rep(n) .. "a"} do
      message.trim(text)
    end
  end, 4096)
end)

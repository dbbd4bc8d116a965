-- neap.websocket: both ends over streams, and each against a peer that is played by hand.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"
local websocket = require "neap.websocket"
local websockets = require "neap.websocket.connection"

local code_of = require "spec.support.code_of"

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="
local ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

local ends = {}

local function closed_later(object)
  ends[#ends + 1] = object
  return object
end

after_each(function()
  for i = #ends, 1, -1 do
    ends[i](true)
  end
  ends = {}
end)

local names = 0

--- A server whose handler gets each request, and how to connect to it.
local function serve(handler, opts)
  names = names + 1
  local name = "mem:websocket_" .. names
  local listener = assert(net.listen(name))
  local server = task.spawn(http.serve, listener, handler, opts)
  closed_later(function()
    listener:close()
    server:cancel()
    server:join()
  end)
  return function(options)
    options = options or {}
    options.stream = assert(net.connect(name))
    return websocket.connect("ws://here/chat?x=1", options)
  end, name
end

local function echo(opts)
  return function(request)
    local ws = assert(request:websocket(opts))
    for data, kind in ws:messages() do
      ws:send(data, kind)
    end
  end
end

--- Both ends, without a handshake.
local function pair(client_options, server_options)
  local a, b = net.socketpair()
  local client, server = websockets.new(a, true, client_options or {}), websockets.new(b, false, server_options or {})
  closed_later(function()
    a:close()
    b:close()
  end)
  return client, server
end

--- A server's end, and the bare stream of its client; or the other way round.
local function half(opts, client)
  local a, b = net.socketpair()
  closed_later(function()
    a:close()
    b:close()
  end)
  return websockets.new(a, client or false, opts or {}), b
end

--- A frame with a mask of zeros.
local function frame(first, data)
  return string.char(first, 0x80 | #data) .. "\0\0\0\0" .. data
end

describe("websocket · the handshake", function()
  local function ask(fields, opts, first)
    local answered
    local _, name = serve(function(request)
      local ws, err = request:websocket(opts)
      answered = ws and "ws" or err.code
    end)
    local client <close> = assert(net.connect(name))
    client:write((first or "GET /chat HTTP/1.1") .. "\r\nHost: here.example\r\n" .. fields .. "\r\n\r\n")
    local head = client:readuntil "\r\n\r\n"
    return head, answered, client
  end

  local UPGRADE = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
  local USUAL = UPGRADE .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " .. KEY

  it("is answered by 101, with the proof", function()
    local head = ask(USUAL)
    assert.matches("^HTTP/1.1 101 ", head)
    assert.matches("sec%-websocket%-accept: " .. ACCEPT:gsub("%p", "%%%0"), head)
    assert.not_matches("protocol:", head)
  end)

  it("that is none, or of another version, is answered by 426", function()
    for _, fields in ipairs {
      "Accept: */*", "Upgrade: websocket", "Connection: upgrade", "Upgrade: other\r\nConnection: upgrade",
    } do
      local head, answered = ask(fields)
      assert.matches("^HTTP/1.1 426 ", head)
      assert.matches("upgrade: websocket", head)
      assert.equal("EPROTO", answered)
    end
    for _, version in ipairs {"12", "8", "", "13, 8"} do
      local head = ask(UPGRADE .. "Sec-WebSocket-Key: " .. KEY .. "\r\nSec-WebSocket-Version: " .. version)
      assert.matches("^HTTP/1.1 426 ", head)
      assert.matches("sec%-websocket%-version: 13", head)
    end
    assert.matches("^HTTP/1.1 426 ", (ask(USUAL .. "\r\nContent-Length: 0", nil, "POST / HTTP/1.1")))
  end)

  it("without a good key is answered by 400", function()
    for _, key in ipairs {"", "x", KEY .. "x", KEY:gsub("=", "A"), KEY .. ", " .. KEY, KEY:gsub("d", "*", 1)} do
      local head = ask(UPGRADE .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " .. key)
      assert.matches("^HTTP/1.1 400 ", head)
    end
    assert.matches("^HTTP/1.1 400 ", (ask(USUAL .. "\r\nSec-WebSocket-Protocol: a b")))
  end)

  it("of another site's page is answered by 403", function()
    local function status(origin, opts)
      return (ask(USUAL .. "\r\nOrigin: " .. origin, opts):match "^HTTP/1.1 (%d+)")
    end
    assert.equal("101", status "http://here.example")
    assert.equal("101", status "https://HERE.example")
    assert.equal("101", status "https://here.example:443")
    assert.equal("403", status "https://here.example.evil")
    assert.equal("403", status "http://here.example:8080")
    assert.equal("403", status "null")
    assert.equal("101", status("https://there.example", {origin = {"https://there.example"}}))
    assert.equal("403", status("https://here.example", {origin = {"https://there.example"}}))
    assert.equal("101", status("null", {origin = {"*"}}))
    assert.equal("403", status("http://here.example", {origin = function() return false end}))
    assert.equal("101", status("http://a.b", {origin = function(origin, request)
      return origin == "http://a.b" and request.path == "/chat"
    end}))
    assert.matches("^HTTP/1.1 403 ", (ask(USUAL, {origin = {"http://here.example"}})))
  end)

  it("agrees on a subprotocol", function()
    local chosen = {}
    local connect = serve(function(request)
      local ws = assert(request:websocket {protocols = {"b", "a"}})
      chosen[#chosen + 1] = ws.protocol or "none"
    end)
    for _, offered in ipairs {{"a", "b"}, {"a"}, {"c"}} do
      local ws = assert(connect {protocols = offered})
      chosen[#chosen + 1] = ws.protocol or "none"
      assert.is_nil(ws:recv())
    end
    assert.is_nil(assert(connect()):recv())
    assert.same("b a none none", table.concat({chosen[1], chosen[3], chosen[5], chosen[7]}, " "))
    assert.equal(7, #chosen)
    local choosing = serve(function(request)
      request:websocket {protocols = function(offered)
        return offered[2]
      end}
    end)
    assert.equal("y", assert(choosing {protocols = {"x", "y"}}).protocol)
  end)

  it("is a GET with what was asked for", function()
    local seen
    local connect = serve(function(request)
      seen = request
      request:websocket {origin = {"*"}}
    end)
    assert(connect {headers = {cookie = "a=1"}, origin = "http://x", protocols = {"p", "q"}})
    assert.equal("/chat?x=1", seen.target)
    assert.equal("here", seen.headers.host)
    assert.equal("a=1", seen.headers.cookie)
    assert.equal("http://x", seen.headers.origin)
    assert.equal("p, q", seen.headers["sec-websocket-protocol"])
    assert.equal(24, #seen.headers["sec-websocket-key"])
  end)

  it("fails where the server says no, with its status", function()
    local connect = serve(function() return http.response(503, {}, "later") end)
    local ws, err = connect()
    assert.is_nil(ws)
    assert.equal("EPROTO", err.code)
    assert.equal(503, err.status)
    assert.matches("503 Service Unavailable", err.message)
  end)

  --- What a client says of such an answer, `KEY` in which is the right one.
  local function answered(text, opts)
    local a, b = net.socketpair()
    closed_later(function()
      b:close()
    end)
    local server = task.spawn(function()
      local request = b:readuntil "\r\n\r\n"
      local key = request:match "sec%-websocket%-key: (%S+)"
      b:write((text:gsub("ACCEPT", (require "neap.websocket.handshake".accept(key):gsub("%%", "%%%%")))))
    end)
    opts = opts or {}
    opts.stream = a
    local ws, err = websocket.connect("ws://here", opts)
    server:join()
    if not ws then
      assert.equal("EBADF", code_of(a:recv()), "the stream is closed")
    end
    return ws, err and err.code
  end

  local GOOD = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"

  it("fails where the answer is wrong (Q12)", function()
    for _, text in ipairs {
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      GOOD .. "\r\n",
      GOOD .. "Sec-WebSocket-Accept: " .. ACCEPT .. "\r\n\r\n",
      GOOD .. "Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: p\r\n\r\n",
      GOOD .. "Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Extensions: x-unknown\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ACCEPT\r\nUpgrade: websocket\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ACCEPT\r\nConnection: upgrade\r\n\r\n",
      "SSH-2.0-x\r\n\r\n",
    } do
      local ws, code = answered(text)
      assert.is_nil(ws)
      assert.equal("EPROTO", code, text)
    end
    local two = GOOD .. "Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: p, q\r\n\r\n"
    assert.equal("EPROTO", select(2, answered(two, {protocols = {"p", "q"}})))
  end)

  it("finds the first message in the segment of the answer (Q12)", function()
    local ws = assert(answered("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" .. GOOD ..
      "Sec-WebSocket-Accept: ACCEPT\r\n\r\n\x81\x05Hello"))
    assert.equal("Hello", ws:recv())
  end)

  it("takes as long as it may", function()
    local a, b = net.socketpair()
    local ws, err = websocket.connect("ws://here", {stream = a, timeout = 0.01})
    assert.is_nil(ws)
    assert.equal("ETIMEDOUT", err.code)
    b:close()
  end)

  it("goes to what a URL says", function()
    for _, text in ipairs {
      "x", "http://a/", "ws:", "ws://", "ws://u:p@h/", "ws://h/#f", "ws+unix:/x:y z", "ws://h/\n",
    } do
      assert.equal("EBADMSG", select(2, websocket.connect(text)).code, text)
    end
    local path = os.tmpname()
    os.remove(path)
    for _, at in ipairs {"tcp://127.0.0.1:0", "unix:" .. path} do
      local listener <close> = assert(net.listen(at))
      local server = task.spawn(http.serve, listener, function(request)
        assert(request:websocket()):send(request.headers.host .. " " .. request.target)
      end)
      local address = listener.port and "ws://localhost:" .. listener.port .. "?q" or "ws+unix:" .. path .. ":/x?q"
      local expected = listener.port and "localhost:" .. listener.port .. " /?q" or "localhost /x?q"
      assert.equal(expected, assert(websocket.connect(address)):recv())
      server:cancel()
      server:join()
    end
    os.remove(path)
  end)

  it("goes over TLS", function()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {cert = cert, key = key}))
    local server = task.spawn(http.serve, listener, echo())
    local ws = assert(websocket.connect("wss://localhost:" .. listener.port, {tls = {ca = cert}}))
    ws:send(("x"):rep(100000))
    assert.equal(100000, #ws:recv())
    assert.is_true(ws:close())
    server:cancel()
    server:join()
  end)

  it("has options, and knows them", function()
    for _, opts in ipairs {
      {protocols = {}}, {protocols = {"a", "a"}}, {protocols = {"a b"}}, {max = 0}, {ping = 0}, {close_timeout = "x"},
      {headers = 1}, {timeout = -1}, {stream = 5}, {unknown = true}, {origin = 5}, {headers = {host = "x"}},
      {headers = {["Sec-WebSocket-Key"] = "x"}}, {headers = {["x y"] = "x"}},
    } do
      local ok, err = pcall(websocket.connect, "ws://127.0.0.1:1", opts)
      assert.is_false(ok)
      assert.equal("string", type(err))
    end
    local _, err = pcall(function()
      local ws = websocket.connect("ws://127.0.0.1:1", {pin = 1})
      return ws
    end)
    assert.matches("websocket_spec.lua:%d+: websocket.connect: unknown option 'pin'", err)
  end)
end)

describe("websocket · messages", function()
  it("go both ways, whole, over as many reads as it takes", function()
    local connect = serve(echo())
    local ws = assert(connect())
    for _, n in ipairs {0, 1, 125, 126, 5000, 65536, 1000000} do
      local data = ("abcdefg\n"):rep(n // 8 + 1):sub(1, n)
      local sender = task.spawn(ws.send, ws, data, n % 2 == 0 and "binary" or "text")
      local got, kind = ws:recv()
      assert.is_true(got == data, n)
      assert.equal(n % 2 == 0 and "binary" or "text", kind)
      sender:join()
    end
    assert.is_true(ws:close())
  end)

  it("of many tasks do not mix", function()
    local client, server = pair()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        for j = 1, 5 do
          assert(client:send(("%02d"):format(i):rep(j * 4000)))
        end
      end)
    end
    local count = 0
    for _ = 1, 100 do
      local data = server:recv()
      assert.equal(data:sub(1, 2):rep(#data // 2), data)
      count = count + 1
    end
    assert.equal(100, count)
    for _, one in ipairs(tasks) do
      one:join()
    end
  end)

  it("that are no text are not sent as one", function()
    local client, server = pair()
    assert.equal("EILSEQ", code_of(client:send "\xff"))
    assert(client:send("\xff", "binary"))
    assert.equal("\xff", server:recv())
    for _, wrong in ipairs {{5}, {nil}, {{}}, {"x", "other"}, {"x", 1}} do
      assert.is_false(pcall(client.send, client, wrong[1], wrong[2]))
    end
  end)

  it("are not lost by a task that is cancelled, or late (Q15)", function()
    local client, server = pair()
    local reader = task.spawn(server.recv, server)
    task.yield()
    reader:cancel()
    assert.equal("ECANCELED", code_of(reader:join()))
    server:settimeout(0.001)
    assert.equal("ETIMEDOUT", code_of(server:recv()))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.001, server.recv, server)))
    client:send "one"
    assert.equal("one", server:recv())
    assert.is_nil(server.code)
  end)

  it("are waited for by one task", function()
    local client, server = pair()
    local reader = task.spawn(server.recv, server)
    task.yield()
    local ok, err = pcall(server.recv, server)
    assert.is_false(ok)
    assert.matches("EBUSY", err)
    client:send "x"
    assert.equal("x", (reader:join()))
  end)

  it("are slowed down by who does not read", function()
    local client, server = pair()
    local sent = 0
    local sender = task.spawn(function()
      for _ = 1, 100 do
        client:send(("x"):rep(10000), "binary")
        sent = sent + 1
      end
    end)
    for _ = 1, 50 do
      task.yield()
    end
    assert.is_true(sent < 50, sent)
    for _ = 1, 100 do
      assert.equal(10000, #server:recv())
    end
    sender:join()
  end)
end)

describe("websocket · pings", function()
  it("are answered while somebody reads", function()
    local server, peer = half()
    local reader = task.spawn(server.recv, server)
    peer:write(frame(0x89, "a"), frame(0x89, "b"), frame(0x8a, "unasked"))
    assert.equal("\x8a\1a\x8a\1b", peer:readexactly(6))
    peer:write(frame(0x81, "x"))
    assert.equal("x", (reader:join()))
  end)

  it("are answered once where the peer does not read (Q15)", function()
    local server, peer = half()
    local sender = task.spawn(server.send, server, ("x"):rep(300000), "binary")
    local reader = task.spawn(server.recv, server)
    task.yield()
    for i = 1, 200 do
      peer:write(frame(0x89, ("%04d"):format(i)))
    end
    peer:write(frame(0x81, "done"))
    assert.equal("done", (reader:join()))
    peer:readexactly(300010)
    assert.equal("\x8a\4" .. "0200", peer:readexactly(6))
    sender:join()
  end)

  it("are sent by hand, and their answers passed over", function()
    local client, server = pair()
    local reader = task.spawn(server.recv, server)
    assert(client:ping "p")
    client:send "x"
    reader:join()
    server:send "y"
    assert.equal("y", client:recv())
    assert.is_false(pcall(client.ping, client, ("x"):rep(126)))
    assert.is_false(pcall(client.ping, client, 5))
  end)

  it("ask a peer that says nothing, and give it up (Q10)", function()
    local server, peer = half {ping = 0.02}
    local reader = task.spawn(server.recv, server)
    assert.equal("\x89\0", peer:readexactly(2))
    peer:write(frame(0x8a, ""))
    assert.equal("\x89\0", peer:readexactly(2))
    local data, err = reader:join()
    assert.is_nil(data)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(1006, server.code)
    assert.equal("ETIMEDOUT", code_of(server:recv()))
    assert.equal("EPIPE", code_of(server:send "x"))
  end)

  it("do not come in the way of a timeout of the stream's own", function()
    local server = half {ping = 100}
    server:settimeout(0.001)
    assert.equal("ETIMEDOUT", code_of(server:recv()))
    assert.is_nil(server.code)
  end)
end)

describe("websocket · close", function()
  it("is said, and answered, from either end (Q6)", function()
    for _, code in ipairs {1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999} do
      local client, server = pair()
      local one, other = client, server
      if code % 2 == 0 then
        one, other = server, client
      end
      local reader = task.spawn(other.recv, other)
      assert.is_true(one:close(code, "why"))
      assert.equal(code, one.code)
      assert.is_nil(select(2, reader:join()))
      assert.equal(code, other.code)
      assert.equal("why", other.reason)
      assert.is_true(one:close())
      assert.is_true(other:close())
      assert.is_nil(other:recv() or select(2, other:recv()))
    end
  end)

  it("has a code that may be sent", function()
    local client = pair()
    for _, code in ipairs {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "x", 1000.5} do
      assert.is_false(pcall(client.close, client, code))
    end
    assert.is_false(pcall(client.close, client, 1000, ("x"):rep(124)))
    assert.is_false(pcall(client.close, client, 1000, "\xff"))
    assert.is_nil(client.code)
  end)

  it("from another task ends a recv (Q15)", function()
    local client, server = pair()
    local reader = task.spawn(client.recv, client)
    local peer = task.spawn(server.recv, server)
    task.yield()
    assert.is_true(client:close(1000))
    assert.is_nil(select(2, reader:join()))
    peer:join()
    assert.equal(1000, client.code)
  end)

  it("right behind the cancelling of a recv is not held up", function()
    local client, server = pair()
    local reader = task.spawn(client.recv, client)
    task.yield()
    local peer = task.spawn(server.recv, server)
    reader:cancel()
    assert.is_true(client:close())
    peer:join()
    reader:join()
  end)

  it("by both at once is one (Q10)", function()
    local client, server = pair()
    local other = task.spawn(server.close, server, 4001)
    assert.is_true(client:close(4000))
    other:join()
    assert.equal(4001, client.code)
    assert.equal(4000, server.code)
  end)

  it("is waited for only so long, whatever the peer sends meanwhile", function()
    local server, peer = half {close_timeout = 0.05}
    local flood = task.spawn(function()
      while peer:write(frame(0x81, "x")) do end
    end)
    local began = time.now()
    assert.equal("ETIMEDOUT", code_of(server:close()))
    assert.is_true(time.now() - began < 20)
    assert.equal(1006, server.code)
    flood:cancel() -- what the peer sends is read for a while still
    pcall(flood.join, flood)
  end)

  it("lets go of what was read of a message", function()
    local server, peer = half()
    local codec, forgot = server.codec, 0
    server.codec = setmetatable({}, {__index = function(_, name)
      return function(_, ...)
        forgot = forgot + (name == "forget" and 1 or 0)
        return codec[name](codec, ...)
      end
    end})
    peer:write "\x81\xff\0\0\0\0\0\x10\0\0\0\0\0\0half of it"
    peer:close()
    assert.equal("ENODATA", code_of(server:recv()))
    assert.equal(1, forgot)
  end)

  it("by two tasks is one", function()
    local client, server = pair()
    local peer = task.spawn(server.recv, server)
    local other = task.spawn(client.close, client, 4001)
    assert.is_true(client:close(4000))
    assert.is_true(other:join())
    peer:join()
    assert.equal(4000, client.code)
  end)

  it("is answered with no code where there was none", function()
    local server, peer = half()
    peer:write(frame(0x88, ""))
    assert.is_nil(server:recv())
    assert.equal(1005, server.code)
    assert.equal("\x88\0", peer:read "a")
  end)

  it("drops what comes before its answer (Q10)", function()
    local server, peer = half()
    local closing = task.spawn(server.close, server)
    assert.equal("\x88\2\x03\xe8", peer:readexactly(4))
    peer:write(frame(0x81, "late"), frame(0x89, "ping"), frame(0x88, "\x03\xe8"))
    assert.is_true(closing:join())
    assert.equal("", peer:read "a")
    assert.equal(1000, server.code)
  end)

  it("waits for its answer for so long only (Q10)", function()
    local server = half {close_timeout = 0.02}
    local before = time.now()
    assert.equal("ETIMEDOUT", code_of(server:close()))
    assert.is_true(time.now() - before >= 0.02)
    assert.equal(1006, server.code)
    assert.equal("EPIPE", code_of(server:send "x"))
  end)

  it("waits for so long only for a peer that does not read (Q10)", function()
    local server = half {close_timeout = 0.02}
    local sender = task.spawn(server.send, server, ("x"):rep(1000000), "binary")
    task.yield()
    local reader = task.spawn(server.recv, server)
    task.yield()
    assert.equal("ETIMEDOUT", code_of(server:close()))
    sender:join()
    assert.equal("ETIMEDOUT", code_of(reader:join()))
  end)

  it("that is cancelled is over (Q10)", function()
    local server = half()
    local closing = task.spawn(server.close, server)
    task.yield()
    local reader = task.spawn(server.recv, server)
    task.yield()
    closing:cancel()
    closing:join()
    reader:join()
    assert.equal(1006, server.code)
  end)

  it("that never comes is ENODATA, and 1006 (Q10)", function()
    local server, peer = half()
    peer:write(frame(0x81, "x"), frame(0x81, "cut"):sub(1, -2))
    peer:close()
    assert.equal("x", server:recv())
    assert.equal("ENODATA", code_of(server:recv()))
    assert.equal(1006, server.code)
    local client = half({}, true)
    client.stream:close()
    assert.equal("EBADF", code_of(client:recv()))
    assert.equal(1006, client.code)
  end)

  it("says what was wrong (Q3, Q5, Q7)", function()
    for _, case in ipairs {
      {"\x81\x01x", 1002, "EPROTO"}, {frame(0x81, "\xff"), 1007, "EILSEQ"},
      {frame(0x82, ("x"):rep(11)), 1009, "EMSGSIZE"}, {frame(0x88, "\0\0"), 1002, "EPROTO"},
    } do
      local server, peer = half {max = 10}
      peer:write(case[1])
      assert.equal(case[3], code_of(server:recv()))
      assert.equal(case[2], server.code)
      assert.equal(case[3], code_of(server:recv()))
      assert.equal(case[3], code_of(server:close()))
      local first, size, code = peer:unpack ">BBI2"
      assert.same({0x88, case[2]}, {first, code})
      assert.is_true(size > 2)
      peer:read "a"
    end
  end)

  it("is what `<close>` does", function()
    local client, server = pair()
    local reader = task.spawn(server.recv, server)
    do
      local _ <close> = client
    end
    reader:join()
    assert.equal(1000, server.code)
    client, server = pair()
    pcall(function()
      local _ <close> = client
      error "x"
    end)
    assert.is_nil(server:recv())
    assert.equal(1011, server.code)
    client, server = pair()
    local cancelled = task.spawn(function()
      local ws <close> = client
      ws:recv()
    end)
    task.yield()
    cancelled:cancel()
    cancelled:join()
    assert.is_nil(server:recv())
    assert.equal(1001, server.code)
  end)
end)

describe("websocket · a handler", function()
  it("that returns closes with 1000, one that fails with 1011", function()
    local told = {}
    local connect = serve(function(request)
      local ws = assert(request:websocket())
      if ws:recv() == "fail" then
        error "on purpose"
      end
    end, {onerror = function(err)
      told[#told + 1] = tostring(err)
    end})
    for text, code in pairs {go = 1000, fail = 1011} do
      local ws = assert(connect())
      ws:send(text)
      assert.is_nil(ws:recv())
      assert.equal(code, ws.code)
    end
    assert.equal(1, #told)
    assert.matches("on purpose", told[1])
  end)

  it("does not fail by a handshake that was none, but by a client that is gone", function()
    local told, served = {}, 0
    local _, name = serve(function(request)
      served = served + 1
      echo()(request)
    end, {onerror = function(err)
      told[#told + 1] = tostring(err)
    end})
    local client = assert(net.connect(name))
    client:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.matches("^HTTP/1.1 426", client:read "a")
    client:close()
    local stream = assert(net.connect(name))
    local ws = assert(websocket.connect("ws://here", {stream = stream}))
    ws.stream:write "\x81"
    ws.stream:close()
    repeat
      task.yield()
    until told[1]
    assert.equal(2, served)
    assert.matches("ENODATA", told[1])
  end)

  it("cannot take a request twice, or one that is answered", function()
    local errors = {}
    local connect = serve(function(request)
      assert(request:websocket())
      errors[1] = select(2, pcall(request.websocket, request))
      errors[2] = select(2, pcall(request.websocket, request, {max = "x"}))
    end)
    assert(connect()):recv()
    assert.matches("answered already", errors[1])
    assert.matches("option 'max'", errors[2])
  end)
end)

--- What memory_faults.c runs again and again, each time with another allocation
--- failing or a finalizer running: some things that a program does. `arm` is called
--- when they begin.

local which, arm, wrong, how = ...

local signal = require "neap.signal"
local time = require "neap.time"

--- What the feature has in hand, for a finalizer to close.
local held = {}

local function hold(...)
  for i = 1, select("#", ...) do
    held[#held + 1] = select(i, ...) or nil
  end
  return ...
end

--- A module whose functions' results are held.
local function holding(module)
  return setmetatable({}, {__index = function(_, name)
    local f = module[name]
    return type(f) ~= "function" and f or function(...)
      return hold(f(...))
    end
  end})
end

local net = holding(require "neap.net")
local process = holding(require "neap.process")
local task = holding(require "neap.task")

--- The first of these methods that an object has.
local function method_of(object, ...)
  for _, name in ipairs {...} do
    local ok, method = pcall(function() return object[name] end)
    if ok and method then
      return method
    end
  end
end

--- Close, or reset where that can be, all that is held, the newest last.
local function close_held()
  for _, object in ipairs(held) do
    local close = how == "reset" and method_of(object, "reset", "cancel", "stop")
      or method_of(object, "close")
    if close then
      pcall(close, object)
    end
  end
  if how == "reset" then
    task.spawn(task.yield)
  end
end

local function closing(f)
  return setmetatable({}, {__close = f})
end

local function echo(stream)
  hold(stream)
  for line in stream:lines "L" do
    assert(stream:write(line))
  end
end

--- A server and a client of it.
local function talk(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  if listener.port then
    endpoint = "tcp://127.0.0.1:" .. listener.port
  end
  local server = task.spawn(listener.serve, listener, echo)
  local stream <close> = assert(net.connect(endpoint))
  assert(stream:write("one\ntwo 2\nthree\n"))
  local line, word, number = stream:read("l", 3, "n")
  assert(line == "one" and word == "two" and number == 2)
  assert(stream:readuntil "three" == "\n")
  assert(stream:recv() == "\n")
  assert(tostring(stream) and tostring(stream.localaddr) and tostring(stream.remoteaddr))
  stream:shutdown()
  assert(stream:read "a" == "")
  listener:close()
  server:join()
end

--- The features that end the program.
local ends = {}

local function ending(f)
  ends[f] = true
  return f
end

--- What a feature needs before it begins.
local needs = {}

local function needing(need, f)
  needs[f] = need
  return f
end

local ours, theirs

local function make_contexts()
  local tls = require "neap.tls"
  require "neap.tls.sockets"
  local cert, key = tls.selfsigned {names = {"localhost"}}
  ours = assert(tls.context {cert = cert, key = key, names = function() end})
  theirs = assert(tls.context {ca = cert})
end

local function load_http()
  for _, name in ipairs {"client", "coding", "response", "request", "server", "plan", "exchange", "connections"} do
    require("neap.http." .. name)
  end
  require "neap.json"
  require "neap.zlib"
end

-- To load them is what `require` does, many times.
local function load_websocket()
  for _, name in ipairs {"client", "server", "deflate"} do
    require("neap.websocket." .. name)
  end
  require "neap.http.server"
  require "neap.zlib"
end

local features = {
  function() -- tasks
    local t = task.spawn(function(...)
      task.yield()
      return ...
    end, 1, 2, 3)
    t.name = "named"
    assert(select("#", t:join()) == 3 and t.name and tostring(t))
  end,
  function() -- scopes
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          local _ <close> = closing(function() task.shield(task.sleep, 0) end)
          task.sleep(0.0001 * i)
        end)
      end
      s:wait(1)
    end)
  end,
  function() -- failures
    local ok, err = pcall(task.scope, function(s)
      for i = 1, 2 do
        s:spawn(function()
          local _ <close> = closing(function() error("closing " .. i) end)
          task.sleep(10)
        end)
      end
      task.yield()
      task.timeout(1, task.shield, error, "body")
    end)
    assert(not ok and err)
  end,
  ending(function() -- a failure of the program
    task.spawn(error, {"lost"})
    task.sleep(10)
  end),
  function() -- timeouts, cancelling
    local _, err = task.timeout(0.0001, task.sleep, 10)
    assert(tostring(err))
    local t = task.spawn(task.sleep, 10)
    task.yield()
    t:cancel "enough"
    assert(tostring(select(2, t:join())))
  end,
  function() -- channels and locks
    local c, m, s, e = task.channel(2), task.mutex(), task.semaphore(1), task.event()
    task.all {
      function()
        for i = 1, 5 do
          c:send(i)
        end
        c:close()
        e:set()
      end,
      function()
        for _ in c:each() do
          local _ <close> = m:lock()
          local _ <close> = s:acquire()
        end
        e:wait()
      end,
    }
    task.race {
      function() task.sleep(10) end,
      function() return 1 end,
    }
  end,
  function() -- coroutines
    local generator = coroutine.wrap(function()
      coroutine.wrap(function()
        task.yield()
      end)()
      for i = 1, 3 do
        task.sleep(0)
        coroutine.yield(i)
      end
    end)
    for _ in generator do
      collectgarbage "step"
    end
    local co = coroutine.create(function()
      local _ <close> = closing(function() end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  function() talk "tcp://127.0.0.1:0" end,
  function() talk("unix:@neap." .. process.pid) end,
  function() talk "mem:faults" end,
  function() -- much data
    local a, b <close> = net.socketpair()
    local _ <close> = a
    task.all {
      function()
        assert(a:write(("x"):rep(300000), ("y"):rep(300000)))
        a:close()
      end,
      function()
        assert(#b:read "a" == 600000)
        b:close()
      end,
    }
  end,
  function() -- failures of sockets
    assert(not net.connect "tcp://127.0.0.1:1")
    assert(not net.listen "unix:/dev/null/x")
    pcall(net.connect, "nonsense:")
    local a, b = net.socketpair()
    b:reset()
    a:write "x"
    a:read "l"
    a:close()
    assert(not a:read "l")
  end,
  function() -- messages
    local one <close> = assert(net.bind "udp://127.0.0.1:0")
    local two <close> = assert(net.bind "udp://127.0.0.1:0")
    assert(one:send("hello", two.localaddr))
    local data, from = two:recv()
    assert(data == "hello" and tostring(from) == tostring(one.localaddr))
    two:set {broadcast = true}
    local a, b <close> = net.socketpair "unixgram"
    local _ <close> = a
    assert(a:send "x" and a:flush())
    assert(b:recv() == "x")
  end,
  function() -- relays
    local a, b <close> = net.socketpair()
    local c, d <close> = net.socketpair()
    local _ <close> = a
    local _ <close> = c
    task.all {
      function() assert(net.relay(b, c)) end,
      function()
        assert(a:write "through")
        a:shutdown()
        assert(d:read "a" == "through")
        d:close()
        a:close()
      end,
    }
  end,
  function() -- names and addresses
    assert(net.resolve "localhost")
    assert(tostring(net.address "[::1]:80"))
    assert(net.service("http", "tcp"))
    assert(net.interfaces()[1].addresses)
  end,
  function() -- descriptors
    for _, kind in ipairs {"unix", "seqpacket"} do
      local a, b <close> = net.socketpair(kind)
      local _ <close> = a
      if kind == "unix" then
        b:recvfd(0)
      end
      assert(a:sendfd("two", {a, b}))
      local data, fds = b:recvfd()
      assert(data == "two" and #fds == 2)
      local open, endpoint = net[kind == "unix" and "connect" or "bind"], "fd:" .. fds[1]:take()
      local copy <close> = open(endpoint) or assert(open(endpoint)) -- which is the script's until then
      assert(copy.fd and tostring(fds[2]))
      assert(a:sendfd("left", {a}))
      if kind == "unix" then
        b:read(4)
      end
    end
  end,
  function() -- letting go
    local a, b <close> = net.socketpair()
    b:write "unread"
    b:flush()
    assert(a:peek(6) == "unread" and a:write "written")
    local fd, unread = a:detach()
    assert(unread == "unread")
    local again <close> = net.connect("fd:" .. fd) or assert(net.connect("fd:" .. fd))
    assert(b:read(7) == "written" and again)
  end,
  function() -- options
    local l <close> = assert(net.listen("tcp://127.0.0.1:0", {rcvbuf = 10000, backlog = 5}))
    l:set {nodelay = true}
    assert(l:get "rcvbuf")
  end,
  function() -- children
    local result = assert(process.run {
      "echo", "run", env = {A = "1"}, stderr = "stdout", fds = {[3] = io.stdout}, rlimits = {core = 0},
    })
    assert(result.stdout == "run\n")
    assert(not process.spawn {"/dev/null/program"})
  end,
  function() -- signals
    local t = task.spawn(signal.wait, "SIGUSR1")
    task.yield()
    assert(signal.raise "SIGUSR1")
    assert(t:join() == "SIGUSR1")
  end,
  function() -- beats
    for tick in time.every(0.0001) do
      if tick > 2 then
        break
      end
    end
  end,
  function() -- modules
    package.preload.faults = function(name)
      task.yield()
      return {name}
    end
    package.loaded.faults = nil
    local t = task.spawn(pcall, require, "faults")
    task.yield()
    require "faults"
    t:join()
    assert(not pcall(require, "no.such.module"))
  end,
  function() -- options and fields
    local l <close> = assert(net.listen "mem:options")
    local c <close> = assert(net.connect "mem:options")
    local a <close> = hold(l:accept())
    local b <close> = assert(net.listen "tcp://127.0.0.1:0")
    local s <close> = assert(net.connect(b.endpoint))
    local d <close> = assert(net.bind "udp://127.0.0.1:0")
    for _, socket in ipairs {l, c, a, b, s, d} do
      socket:set {rcvbuf = 10000, linger = false}
      socket:set {["keepalive"] = {idle = 10}}
      socket:get "rcvbuf"
      pcall(socket.get, socket, "rcvbug")
      pcall(socket.set, socket, {rcvbug = 1})
      for _, field in ipairs {"localaddr", "remoteaddr", "fd", "peercred", "endpoint", "family"} do
        assert(tostring(socket))
        pcall(function() return tostring(socket[field]) end) -- one that only others have raises
      end
      pcall(function() socket:settimeout "0.001" end)
    end
    d:join("224.0.0.251", {interface = "lo"})
    d:leave("224.0.0.251", {interface = "lo"})
    c:write(("x"):rep(200000))
    a:reset()
    c:close()
    s:reset()
  end,
  function() -- lists of messages
    local one, two <close> = net.socketpair "unixgram"
    local _ <close> = one
    local list = setmetatable({}, {__len = function()
      close_held()
      return 3
    end})
    for i = 1, 10 do
      list[i] = "message " .. i
    end
    one:sendmany(list)
    one:flush()
    two:settimeout(0.01)
    two:recvmany()
    two:recv()
    one:sendfd("x", {two, 0})
    two:recvfd()
    one:connect()
  end,
  function() -- what sockets are there
    local host = require "neap.host"
    local l <close> = assert(net.listen "mem:stats")
    local a, b <close> = net.socketpair()
    local _ <close> = a
    local d <close> = assert(net.bind "udp://127.0.0.1:0")
    local t = task.spawn(a.recv, a)
    task.yield()
    assert(#host.sockets() >= 4)
    host.socket(l)
    host.socket(b)
    host.socket(d)
    host.awaited()
    t:cancel()
  end,
  needing(function() -- which takes a thousand allocations
    require "neap.metrics"
  end, function() -- metrics
    local metrics = holding(require "neap.metrics")
    metrics.counter("a_total", "x", {"a", "b"}):labels("y", 1):inc()
    metrics.histogram("b", "x", {buckets = {1}}):time(task.yield)
    metrics.gauge("c", "x"):follow(function()
      return 1.5
    end)
    local _ <close> = assert(net.listen "mem:metrics")
    local _ <close> = assert(net.bind "udp://127.0.0.1:0")
    assert(metrics.text())
  end),
  needing(function()
    require "neap.log"
  end, function() -- a log
    local log = holding(require "neap.log")
    local core = require "neap.log.core"
    for _, format in ipairs {"logfmt", "json", "journal"} do
      log.setup {to = function() end, format = format, fields = {a = "x y"}, first = 1}
      log.with({b = {1, 2}}):warn("message", {c = "\xff"})
    end
    log.setup {level = "off"}
    local null = hold(core.stderr())
    core.write(null, "", 0)
    null:close()
  end),
  function() -- traces
    local trace = holding(require "neap.trace")
    for _, format in ipairs {"events", "text", "pcapng"} do
      local tracer = assert(trace.events {format = format ~= "events" and format or nil})
      local a, b = net.socketpair "mem"
      a:write "traced"
      a:flush()
      b:read(6)
      a:close()
      b:close()
      task.spawn(tracer.stop, tracer)
      for what in tracer do
        assert(what and tostring(tracer) and tracer.count)
      end
    end
  end,
  function() -- cryptography
    local crypto = holding(require "neap.crypto")
    local core = require "neap.crypto.core"
    local hasher <close> = crypto.hasher("sha256", "key")
    assert(hasher:update("a", 1):digest() and tostring(hasher))
    assert(crypto.digest("md5", "a") and crypto.hmac("sha1", "key", "a"))
    assert(crypto.hkdf {key = "secret", salt = "salt", info = "info", size = 1000})
    assert(crypto.pbkdf2 {password = "secret", salt = "salt", iterations = 1})
    pcall(crypto.hkdf, {kye = "secret"})
    local key = assert(crypto.generate "ec")
    local signature = assert(key:sign("message", {raw = true}))
    assert(key:public():verify("message", signature, {raw = true}))
    assert(crypto.key(key:pem()))
    assert(not crypto.key "junk" and not crypto.frombase64 "=")
    assert(crypto.frombase64(crypto.tobase64(crypto.random(100))) and crypto.fromhex(crypto.tohex "x"))
    assert(core.certificate((assert(core.selfsigned {names = {"localhost", "::1"}, key = key}))).pem)
  end,
  function() -- JSON
    local json = require "neap.json"
    local text = json.encode({a = {1.5, "é\n", json.null, {}, {b = ("x"):rep(2000)}}, c = {[2] = 2, [1] = 1}},
      {sort = true, indent = "\t", depth = 200})
    assert(json.decode(text, {depth = 200, unique = true}).c[2] == 2)
    assert(not json.decode '["a\\u00e9", x]' and not json.decode("1", {max = 0}))
    pcall(json.encode, {a = {print}})
    local source = {read = function() return nil end}
    assert(json.lines(source, {max = 10})() == nil)
  end,
  function() -- texts made smaller, and whole
    local zlib = holding(require "neap.zlib")
    local text = ("some text, "):rep(400)
    assert(zlib.decompress(zlib.compress(text, {format = "deflate", level = 9}), {max = 5000}) == text)
    assert(not zlib.decompress("junk", {format = "gzip"}))
    local c <close> = zlib.compressor {windowbits = 9}
    local d <close> = zlib.decompressor()
    local parts = {}
    local function take(bytes)
      local piece = assert(d:update(bytes, 1000))
      parts[#parts + 1] = piece
      return d.more and take ""
    end
    take(c:update(text) .. c:flush())
    take(c:update(text) .. c:finish() .. "more")
    assert(table.concat(parts) == text .. text and d.done and d.rest == "more")
    assert(not d:finish() and tostring(c) and tostring(d))
    assert(c:reset():finish() and d:reset():update "" == "")
  end,
  needing(load_http, function() -- HTTP
    local core = require "neap.http.core"
    local a, b = net.socketpair()
    a:write("POST /x?y HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n")
    a:shutdown()
    local parser = core.parser("request", {first = 1, body = 1})
    local head = assert(parser:head(b))
    assert(head:get "host" == "h" and #head:all() == 4 and head.target == "/x?y")
    assert(parser:piece(b) == "abc")
    assert(parser.whole or select(2, parser:piece(b)):get "x" == "y")
    a:close()
    b:close()
    local listener = assert(net.listen "mem:faults")
    local server = task.spawn(function()
      local http = require "neap.http"
      http.serve(listener, function(request)
        return http.json {request.path, request.headers.host, ("x"):rep(100)} -- which is sent in gzip
      end, {compress = {least = 1}})
    end)
    local client <close> = require "neap.http".client {endpoint = "mem:faults"}
    assert(assert(client:get "http://h/x"):json()[2] == "h")
    local pieces = {"a", "b"}
    assert(assert(client:post("http://h/y", {body = function()
      return table.remove(pieces)
    end})):read "a")
    listener:close()
    server:cancel()
    server:join()
  end),
  needing(load_websocket, function() -- WebSocket
    local websocket = require "neap.websocket"
    local listener = assert(net.listen "mem:faults_ws")
    local server = task.spawn(function()
      require "neap.http".serve(listener, function(request)
        local ws = assert(request:websocket {protocols = {"b"}, ping = 10, deflate = true})
        for data, kind in ws:messages() do
          ws:send(data, kind)
        end
      end)
    end)
    local ws = assert(websocket.connect("ws://h/", {
      stream = net.connect "mem:faults_ws", protocols = {"a", "b"}, deflate = {client_no_context_takeover = true},
    }))
    assert(ws.protocol == "b" and ws:ping "p" and ws:send "one")
    assert(ws:recv() == "one")
    local long = ("é"):rep(10000)
    ws:send(long)
    assert(ws:recv() == long)
    assert(ws:close(3000, "enough"))
    assert(ws.code == 3000)
    listener:close()
    server:cancel()
    server:join()
  end),
  function() -- computations in threads
    local crypto = holding(require "neap.crypto")
    local function compute()
      return assert(crypto.pbkdf2 {password = "secret", salt = "salt", iterations = 5001})
    end
    local t = task.spawn(compute)
    task.yield()
    t:cancel()
    assert(#compute() == 32)
  end,
  function() -- files
    local fs = holding(require "neap.fs")
    local made, name = os.tmpname(), "file"
    local folder = made .. ".d"
    local path = folder .. "/" .. name
    local _ <close> = setmetatable({}, {__close = function()
      os.remove(path)
      os.remove(folder)
      os.remove(made)
    end})
    assert(fs.mkdir(folder))
    local root <close> = assert(fs.root(folder))
    assert(root:write(name, "bytes", {sync = false}))
    assert(fs.append(path, "more"))
    assert(root:read(name) == "bytesmore")
    assert(fs.stat(path).size == 9 and not fs.read "/nowhere")
    assert(root:list "." and fs.walk(folder, {depth = 1}))
    local watch <close> = assert(fs.watch(path))
    local lock <close> = assert(root:lock(name, {wait = false}))
    local file <close> = assert(fs.open(path, "r+"))
    local a, b = net.socketpair()
    assert(file:seek "end" == 9 and file:write "!" and file:flush())
    assert(a:sendfile(file, 1) == 9 and watch:next() and lock)
    a:close()
    assert(b:read "a" == "ytesmore!")
    b:close()
    pcall(fs.read, path, {size = 1})
  end,
  function() -- many tasks, and those of a finalizer
    for _ = 1, 70 do
      task.spawn(task.yield)
    end
  end,
  function() -- many pieces, of which all go or none
    local a, b <close> = net.socketpair()
    local _ <close> = a
    local piece, pieces, size = ("x"):rep(8192), {}, 0
    for i = 1, 60 do
      pieces[i] = piece
    end
    local writer = task.spawn(function()
      pcall(a.write, a, table.unpack(pieces))
      a:close()
    end)
    for chunk in b:chunks() do
      size = size + #chunk
    end
    if size ~= 0 and size ~= 60 * 8192 and how ~= "reset" then
      wrong(("a write of which %d bytes went"):format(size))
    end
    writer:join()
  end,
  function() -- futures and choices
    local worker = holding(require "neap.worker")
    local c, between = task.channel(), worker.channel(nil, 1)
    local e, f = task.event(), task.future()
    local t = task.spawn(function()
      c:send(1)
      task.select(between:sending {2}, c:sending(2))
      task.yield()
      f:set("result", c:try_send(3))
      task.timeout(0.001, task.select, e:waiting(), between:sending {4}, between:sending {5})
      between:close "broken"
    end)
    for _ = 1, 3 do
      task.select(e:waiting(), c:receiving(), between:receiving(), f:waiting())
    end
    local pending = task.spawn(task.select, e:waiting(), task.future():waiting())
    task.yield()
    pending:cancel()
    t:join()
    assert(between:try_recv() or between.closed)
  end,
  function() -- channels of workers
    local worker = holding(require "neap.worker")
    local c = worker.channel()
    local t = task.spawn(function()
      for i = 1, 3 do
        c:send {i, ("x"):rep(i)}
      end
      c:close()
    end)
    for value in c:each() do
      assert(#value == 2)
    end
    t:join()
  end,
  ending(function() -- a deadlock
    local t = task.spawn(function() task.channel():recv() end)
    t.name = "stuck"
    t:join()
  end),
  needing(make_contexts, function() -- TLS
    local a, b = net.socketpair "mem"
    local server = task.spawn(function()
      assert(b:starttls {context = ours, server = true})
      assert(b:read() == "one" and b:write "two\n")
      b:shutdown()
    end)
    assert(a:starttls {context = theirs, server_name = "localhost"})
    assert(a.tls.peer.names[1] == "localhost" and tostring(a))
    assert(ours:about().cert.names[1] == "localhost")
    assert(a:write "one\n" and a:read "a" == "two\n")
    server:join()
    a:close()
    b:close()
  end),
}

if which > #features then
  return arm(nil)
end
if how then
  setmetatable({}, {__gc = close_held})
end
if needs[features[which]] then
  needs[features[which]]()
end
arm(which, ends[features[which]])
features[which]()

--- What faults.c runs besides memory_faults.lua, each time with another system call that
--- fails: what asks the kernel for more than one allocation after another is tried with.
--- `arm` is called when a feature begins.

local which, arm = ...

local dns = require "neap.dns"
local fs = require "neap.fs"
local http = require "neap.http"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"
local websocket = require "neap.websocket"
local worker = require "neap.worker"

--- No feature that has lost something waits for it for ever: it fails.
local PATIENCE = 4

local KILO = ("0123456789abcdef"):rep(64)

local function closing(f)
  return setmetatable({}, {__close = f})
end

--- A folder that is gone afterwards, and its path.
local function temporary()
  local path = os.tmpname()
  os.remove(path)
  assert(fs.mkdir(path))
  return path, closing(function()
    pcall(task.shield, fs.remove, path, {recursive = true})
  end)
end

--- What runs beside, and is over afterwards.
local function beside(f, ...)
  local t = task.spawn(f, ...)
  return closing(function()
    t:cancel()
    t:join()
  end)
end

local function echo(stream)
  for line in stream:lines "L" do
    if not stream:write(line) then
      break
    end
  end
end

local function assert_echoes(stream, n)
  for i = 1, n do
    assert(stream:write(i, " ", KILO, "\n"))
    assert(stream:read "l" == i .. " " .. KILO)
  end
  stream:shutdown()
  assert(stream:read "a" == "")
end

local function talk(endpoint, opts, theirs)
  local listener <close> = assert(net.listen(endpoint, opts))
  local _ <close> = beside(listener.serve, listener, echo)
  if listener.port then
    endpoint = endpoint:gsub(":0$", ":" .. listener.port)
  end
  for _ = 1, 2 do
    local stream <close> = assert(net.connect(endpoint, theirs))
    assert_echoes(stream, 2)
  end
end

--- Both ends of a connection of TCP.
local function connection()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local a = assert(net.connect(listener.endpoint))
  return a, assert(listener:accept())
end

local cert, key = tls.selfsigned {names = {"localhost"}}

local features = {
  function() -- IPv6
    talk "tcp://[::1]:0"
  end,
  function() -- a name, of which the first address refuses
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local _ <close> = beside(listener.serve, listener, echo)
    local stream <close> = assert(net.connect("tcp://localhost:" .. listener.port))
    assert_echoes(stream, 1)
  end,
  function() -- a path
    local folder, _ <close> = temporary()
    talk("unix:" .. folder .. "/socket")
  end,
  function() -- connections that keep their messages apart
    local folder, _ <close> = temporary()
    local endpoint = "seqpacket:" .. folder .. "/socket"
    local listener <close> = assert(net.listen(endpoint))
    local a <close> = assert(net.connect(endpoint))
    local b <close> = assert(listener:accept())
    assert(a:send "message")
    assert(b:recv() == "message")
  end,
  function() -- TLS
    talk("tls://localhost:0", {tls = {cert = cert, key = key}}, {tls = {ca = cert}})
  end,
  function() -- HTTP, its files, and connections that are kept
    local folder, _ <close> = temporary()
    assert(fs.write(folder .. "/file", KILO:rep(200)))
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local router = http.router()
    router:get("/files/*path", http.files(folder))
    router:post("/echo", function(request)
      return http.response(200, nil, assert(request.body:read "a"))
    end)
    local _ <close> = beside(http.serve, listener, router)
    local where = ("http://127.0.0.1:%d/"):format(listener.port)
    local client <close> = http.client()
    for _ = 1, 2 do
      local response = assert(client:get(where .. "files/file"))
      assert(response.status ~= 200 or assert(response:read "a") == KILO:rep(200))
    end
    local response = assert(client:post(where .. "echo", {body = KILO}))
    assert(response.status ~= 200 or assert(response:read "a") == KILO)
  end,
  function() -- HTTP over TLS
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {tls = {cert = cert, key = key}}))
    local _ <close> = beside(http.serve, listener, function()
      return http.json {KILO}
    end)
    local client <close> = http.client {tls = {ca = cert}}
    local response = assert(client:get(("https://localhost:%d/"):format(listener.port)))
    assert(assert(response:json())[1] == KILO)
  end,
  function() -- WebSocket
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local _ <close> = beside(http.serve, listener, function(request)
      local ws = assert(request:websocket())
      for data, kind in ws:messages() do
        ws:send(data, kind)
      end
    end)
    local ws = assert(websocket.connect(("ws://127.0.0.1:%d/"):format(listener.port)))
    for _, text in ipairs {"one", KILO:rep(100)} do
      assert(ws:send(text))
      assert(ws:recv() == text)
    end
    ws:close()
  end,
  function() -- names
    local server <close> = name_server.new(function(name, type, over)
      return over == "udp" and name:find "long" and {tc = true}
        or {answer = {{name = name, type = type, ttl = 1, address = "127.0.0.2"}}}
    end)
    for _, name in ipairs {"short.test", "long.test"} do
      assert(dns.query(name, "A", {server = "127.0.0.1:" .. server.port, timeout = 0.2}))
    end
    assert(net.resolve "localhost")
  end,
  function() -- messages, one by one and many
    local a <close> = assert(net.bind "udp://127.0.0.1:0")
    local b <close> = assert(net.bind "udp://127.0.0.1:0")
    assert(a:connect(b.localaddr))
    local list = {}
    for i = 1, 40 do
      list[i] = i .. KILO
    end
    assert(a:send "one")
    assert(b:recv())
    a:sendmany(list)
    a:flush()
    local n = 0
    while n < #list do
      local got = task.timeout(0.1, b.recvmany, b)
      if not got then
        break -- which may be lost
      end
      n = n + #got
    end
  end,
  function() -- messages of paths
    local folder, _ <close> = temporary()
    local a <close> = assert(net.bind("unixgram:" .. folder .. "/a"))
    local b <close> = assert(net.bind("unixgram:" .. folder .. "/b"))
    assert(a:send("message", b.localaddr))
    assert(b:recv() == "message")
  end,
  function() -- a group
    local a <close> = assert(net.bind("udp://0.0.0.0:0", {reuseaddr = true}))
    assert(a:join("224.0.0.251", {interface = "lo"}))
    assert(a:leave("224.0.0.251", {interface = "lo"}))
  end,
  function() -- relays from descriptor to descriptor, and files that are sent
    local folder, _ <close> = temporary()
    assert(fs.write(folder .. "/file", KILO:rep(500)))
    local a, b = connection()
    local c, d = connection()
    local file <close> = assert(fs.open(folder .. "/file"))
    local _ <close> = beside(net.relay, b, c)
    local _ <close> = beside(function()
      a:sendfile(file)
      a:shutdown()
    end)
    local data, err = d:read "a"
    assert(err or data == KILO:rep(500) or #data < #KILO * 500)
    for _, s in ipairs {a, b, c, d} do
      s:close()
    end
  end,
  function() -- files as streams
    local folder, _ <close> = temporary()
    local path = folder .. "/file"
    local out <close> = assert(fs.open(path, "w"))
    assert(out:write(KILO, KILO))
    assert(out:flush())
    assert(fs.rename(path, path .. "2"))
    local file <close> = assert(fs.open(path .. "2"))
    assert(file:read(#KILO) == KILO)
    assert(file:seek("set", 10) == 10)
    assert(#file:read "a" == 2 * #KILO - 10)
  end,
  function() -- whole files, and folders
    local folder, _ <close> = temporary()
    assert(fs.mkdir(folder .. "/a/b", {parents = true}))
    assert(fs.write(folder .. "/a/b/file", KILO))
    assert(fs.append(folder .. "/a/b/file", "more"))
    assert(fs.read(folder .. "/a/b/file") == KILO .. "more")
    local n = 0
    for _ in assert(fs.walk(folder)) do
      n = n + 1
    end
    assert(#assert(fs.list(folder .. "/a")) == 1)
    assert(fs.remove(folder .. "/a", {recursive = true}))
    assert(n == 3 and not fs.stat(folder .. "/a"))
  end,
  function() -- roots and locks
    local folder, _ <close> = temporary()
    local root <close> = assert(fs.root(folder))
    assert(root:write("file", KILO))
    local lock <close> = assert(root:lock "file")
    assert(root:read "file" == KILO and lock)
    assert(root:rename("file", "other"))
    assert(root:remove "other")
  end,
  function() -- what changes in a folder
    local folder, _ <close> = temporary()
    local watch <close> = assert(fs.watch(folder))
    assert(fs.write(folder .. "/file", "x"))
    assert(task.timeout(1, watch.next, watch))
  end,
  function() -- children, by pipes
    local p <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    assert(p.stdin:write(KILO))
    p.stdin:close()
    assert(p.stdout:read "a" == KILO)
    assert(p:wait())
  end,
  function() -- a child at a terminal, which is told to end
    local p <close> = assert(process.spawn {"sh", "-c", "echo up; exec sleep 100", pty = {rows = 10}, grace = 0.1})
    assert(p.pty:read "l")
    p.pty:resize(20, 40)
    assert(p:kill "SIGTERM")
    p:wait()
  end,
  function() -- a child with rights and descriptors of its own
    local a, b = net.socketpair()
    local result = assert(process.run {
      "sh", "-c", "echo to 3 >&3; pwd; umask", fds = {[3] = b}, cwd = "/", umask = "077", group = true,
      env = process.env(), rlimits = {nofile = 100}, detached = true,
    })
    b:close()
    assert(result.code ~= 0 or result.stdout == "/\n0077\n")
    assert(result.code ~= 0 or a:read "a" == "to 3\n")
    a:close()
  end,
  function() -- commands of the shell
    local ok = os.execute "exit 3"
    local p <close> = assert(io.popen "echo popen")
    local said = p:read "a"
    assert(not ok and (said == "popen\n" or said == ""))
  end,
  function() -- workers
    assert(worker.run(function()
      return require "neap.net".listen "tcp://127.0.0.1:0" ~= nil
    end) ~= false)
    local to, from = worker.channel("to", 1), worker.channel("from", 1)
    local t = task.spawn(worker.run, function()
      local channel = require "neap.worker".channel
      local given, taken = channel "to", channel "from"
      for value in given:each() do
        taken:send {value}
      end
      taken:close()
    end)
    local s = task.spawn(function()
      to:send(KILO)
      to:close()
    end)
    assert(task.timeout(1, from.recv, from))
    s:cancel()
    t:cancel()
    t:join()
  end,
  function() -- signals
    local heard = task.spawn(signal.wait, "SIGUSR1")
    task.yield()
    assert(signal.raise "SIGUSR1")
    assert(task.timeout(1, heard.join, heard))
  end,
  function() -- what is passed on
    local a, b = net.socketpair()
    local c, d = connection()
    assert(a:sendfd("x", {c}))
    c:close()
    local _, fds = b:recvfd()
    local endpoint = "fd:" .. assert(fds and fds[1], "no descriptor"):take()
    local e <close> = net.connect(endpoint) or assert(net.connect(endpoint))
    assert(e:write "through\n" and d:read "l" == "through")
    for _, s in ipairs {a, b, d} do
      s:close()
    end
  end,
  function() -- a descriptor of others
    local a, b = net.socketpair()
    assert(b:write "x")
    b:flush()
    local fd = a:detach()
    local ready, err = net.wait(fd, "r", 1)
    local c <close> = net.connect("fd:" .. fd) or assert(net.connect("fd:" .. fd))
    assert(ready, err)
    b:close()
    assert(c:read(1) == "x")
  end,
  function() -- Lua's own files
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    assert(file:write(KILO))
    file:close()
    for line in io.lines(name) do
      assert(line == KILO or #line < #KILO)
    end
    local anonymous = assert(io.tmpfile())
    anonymous:close()
    os.rename(name, name .. ".2")
    os.remove(name .. ".2")
    os.remove(name)
  end,
  function() -- deadlines and beats
    assert(not task.timeout(0.001, task.sleep, 10))
    for tick in time.every(0.0005) do
      if tick > 2 then
        break
      end
    end
  end,
  function() -- a server that is told to end
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local t = task.spawn(listener.serve, listener, echo)
    local stream <close> = assert(net.connect(listener.endpoint))
    assert(stream:write "x\n" and stream:read "l" == "x")
    assert(signal.raise "SIGTERM")
    stream:close()
    t:join()
  end,
  function() -- a prompt
    require "neap.repl.main".interactive()
  end,
}

if which > #features then
  return arm(nil)
end
arm(which)
local _, err = task.timeout(PATIENCE, features[which])
if err then
  error(tostring(err), 0)
end

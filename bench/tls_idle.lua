-- usage: neap bench/tls_idle.lua [-n connections] [-e echoes] [KIND...]    connections that never finish a handshake
--
-- What each takes of the server's resident memory, and how long an echo of a client that
-- behaves takes meanwhile, also while they arrive: as its median, and the 99th of 100.
-- Kinds: silent (sends nothing), half (the first half of a hello), stalled (a whole hello,
-- and no answer to what the server says to it).

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"

if arg[1] == "server" then
  local listener = assert(net.listen("tls://127.0.0.1:0", {
    backlog = 4096, cert = arg[2], key = arg[3], handshake_timeout = 3600,
  }))
  print(listener.port)
  io.stdout:flush()
  listener:serve(dofile("bench/handlers.lua").echo)
  return
end

local options, kinds = {n = 1000, e = 2000}, {}
for i, word in ipairs(arg) do
  local option = (arg[i - 1] or ""):match "^%-([ne])$"
  if option then
    options[option] = assert(tonumber(word), "a number expected")
  elseif not word:find "^%-" then
    kinds[#kinds + 1] = word
  end
end
if #kinds == 0 then
  kinds = {"silent", "half", "stalled"}
end

local cert, key = tls.selfsigned {names = {"127.0.0.1"}}
local context = assert(tls.context {ca = cert})

--- The bytes of a hello.
local function hello()
  local a, b = net.socketpair "mem"
  local client = task.spawn(pcall, a.starttls, a, {context = context, server_name = "127.0.0.1"})
  local bytes = b:recv()
  b:close()
  client:join()
  return bytes
end

local whole = hello()
local sends = {silent = "", half = whole:sub(1, #whole // 2), stalled = whole}

local function resident(pid)
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local kib = line:match "^VmRSS:%s+(%d+) kB"
    if kib then
      return tonumber(kib) * 1024
    end
  end
end

--- Milliseconds: the median, and what 99 of 100 stay below.
local function echoes(stream, count)
  local times = {}
  for i = 1, count do
    local began = time.now()
    stream:write "hello, neap"
    assert(stream:read(11) == "hello, neap")
    times[i] = (time.now() - began) * 1000
  end
  table.sort(times)
  return times[(count + 1) // 2], times[(count * 99 + 99) // 100]
end

--- So many connections; those of before are gone.
local function open(port, kind, count)
  local streams = {}
  for i = 1, count do
    local stream = assert(net.connect("tcp://127.0.0.1:" .. port))
    stream:write(sends[kind])
    if kind == "stalled" then
      stream:recv()
    end
    streams[i] = stream
  end
  return streams
end

local function close(streams)
  for _, stream in ipairs(streams) do
    stream:close()
  end
end

local function measure(kind)
  local server <close> = assert(process.spawn {
    arg[-1], arg[0], "server", cert, key, stdout = "pipe",
  })
  local port = server.stdout:read "l"
  local stream <close> = assert(net.connect("tls://127.0.0.1:" .. port, {context = context}))
  local alone = {echoes(stream, options.e)}
  close(open(port, kind, 50)) -- what the first ones need once
  local before = resident(server.pid)

  local arriving = task.spawn(open, port, kind, options.n)
  local meanwhile = {echoes(stream, options.e)}
  local streams = arriving:join()
  task.sleep(0.2)
  local bytes = (resident(server.pid) - before) / options.n
  local behind = {echoes(stream, options.e)}
  print(("%-8s %6.0f bytes a connection of %d; ms of an echo, median and p99: alone %.2f %.2f, "
    .. "while they arrive %.2f %.2f, when they are there %.2f %.2f"):format(
    kind, bytes, options.n, alone[1], alone[2], meanwhile[1], meanwhile[2], behind[1], behind[2]))
  close(streams)
  server:kill "SIGKILL"
end

for _, kind in ipairs(kinds) do
  assert(sends[kind], "silent, half or stalled expected")
  measure(kind)
end

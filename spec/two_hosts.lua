--- What each of two_hosts.c's hosts runs, at the same time as the other one: its
--- name, and its part.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local name, part = ...

local function echo(stream)
  for line in stream:lines() do
    assert(stream:write(line, "\n"))
  end
end

local function talk(endpoint, n)
  local stream <close> = assert(net.connect(endpoint))
  for i = 1, 100 do
    local line = ("%s %d %d"):format(name, n, i)
    assert(stream:write(line, "\n"))
    assert(stream:read "l" == line)
  end
end

local function serve(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  local server = task.spawn(listener.serve, listener, echo)
  if listener.port then
    endpoint = "tcp://127.0.0.1:" .. listener.port
  end
  task.scope(function(s)
    for n = 1, 10 do
      s:spawn(talk, endpoint, n)
    end
  end)
  listener:close()
  server:join()
end

--- Where the hosts that one thread drives meet.
local meeting = "unix:@neap." .. process.pid .. ".meeting"

--- Much in both directions at once, more than sockets hold; a datagram; and at last
--- more than the peer reads before this host has ended, which goes out nevertheless.
local big, last = ("x"):rep(1 << 20), ("y"):rep(1 << 19)

--- Send it, and get as much, beside what else there is to do.
local function swap(stream, beside)
  task.all {
    function()
      assert(stream:write(big))
    end,
    function()
      assert(stream:read(#big) == big)
    end,
    beside,
  }
end

local parts = {}

function parts.serve()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local socket <close> = assert(net.bind "udp://127.0.0.1:0")
  local meeting_point <close> = assert(net.listen(meeting))
  local visitor <close> = assert(meeting_point:accept())
  assert(visitor:write(listener.port, " ", socket.localaddr.port, "\n"))
  local stream = assert(listener:accept())
  swap(stream, function()
    local message, from = assert(socket:recv())
    assert(socket:send(message:upper(), from))
  end)
  assert(stream:write(last))
end

function parts.ask()
  local guide
  repeat
    guide = net.connect(meeting)
    task.sleep(0.001)
  until guide
  local port, datagrams = guide:read("n", "n")
  guide:close()
  local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
  local socket <close> = assert(net.connect("udp://127.0.0.1:" .. datagrams))
  assert(socket:send "shout")
  assert(socket:recv() == "SHOUT")
  swap(stream)
  task.sleep(0.05)
  assert(stream:read "a" == last)
end

function parts.block()
  require "neap.signal".raise "SIGTERM"
  io.popen("exec sleep 9 2>&1"):read()
end

--- It waits for what only it could say.
function parts.deadlock()
  task.channel():recv()
end

function parts.alone()
  task.all {
    function()
      serve "tcp://127.0.0.1:0"
    end,
    function()
      serve("unix:@neap." .. process.pid .. "." .. name)
    end,
    function()
      serve "mem:either"
    end,
    function()
      assert(net.resolve "localhost")
    end,
    function()
      assert(process.run({"echo", name}).stdout == name .. "\n")
    end,
    function()
      for _ = 1, 20 do
        task.sleep(0.001)
        collectgarbage()
      end
    end,
  }
end

parts[part]()

-- usage: neap bench/idle.lua [connections]    memory of an idle connection after one echo

-- The clients are a process of their own, so that only the server is measured.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local count = tonumber(arg[1] ~= "client" and arg[1] or 10000)

local function resident()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmRSS:%s+(%d+) kB"
    if kib then
      return tonumber(kib) * 1024
    end
  end
end

if arg[1] == "client" then
  local endpoint, n = arg[2], tonumber(arg[3])
  local streams = {}
  for i = 1, n do
    local stream = assert(net.connect(endpoint))
    stream:write("hello, neap\n")
    assert(stream:read "l" == "hello, neap")
    streams[i] = stream
  end
  print "ready"
  io.stdout:flush()
  require("neap.stdio").stdin:read "l"
  os.exit(#streams == n)
end

local listener = assert(net.listen("tcp://127.0.0.1:0", { backlog = 4096 }))
task.spawn(function()
  listener:serve(dofile("bench/handlers.lua").echo)
end)

-- What the first connections need once, needs no counting.
local function clients(n)
  return assert(process.spawn {
    arg[-1], arg[0], "client", "tcp://127.0.0.1:" .. listener.port, tostring(n),
    stdin = "pipe", stdout = "pipe",
  })
end

local warm = clients(200)
assert(warm.stdout:read "l" == "ready")
collectgarbage()
local before = resident()
local child = clients(count)
assert(child.stdout:read "l" == "ready")
local grown = resident() - before
print(("%d connections, each a task in recv: %.0f bytes of resident memory a connection"):format(
  count, grown / count))
collectgarbage()
print(("after a full collection: %.0f"):format((resident() - before) / count))
child.stdin:close()
warm.stdin:close()
listener:close()

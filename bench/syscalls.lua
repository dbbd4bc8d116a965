-- usage: neap bench/syscalls.lua [connections] [messages]    system calls of an echo, by strace

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local connections = tonumber(arg[1] or 50)
local messages = tonumber(arg[2] or 200)

local counts = os.tmpname()
local server = assert(process.spawn {
  "strace", "-f", "-c", "-o", counts, arg[-1], "bench/echo_server.lua", stdout = "pipe",
})
local endpoint = assert(server.stdout:read "l")

local payload = ("x"):rep(64)
task.scope(function(scope)
  for _ = 1, connections do
    scope:spawn(function()
      local stream = assert(net.connect(endpoint))
      for _ = 1, messages do
        stream:write(payload)
        assert(stream:read(#payload) == payload)
      end
      stream:close()
    end)
  end
end)

-- strace passes the signal on to the server, and writes its counts at its end.
local pid = io.open(("/proc/%d/task/%d/children"):format(server.pid, server.pid)):read "n"
os.execute("kill -TERM " .. pid)
server:wait()

local total = connections * messages
print(("%d connections, %d messages each; calls a message:"):format(connections, messages))
for line in io.lines(counts) do
  local calls, name = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s*%d*%s+([%w_]+)$"
  if calls and tonumber(calls) >= connections and name ~= "total" then
    print(("  %-14s %8s  %.3f"):format(name, calls, tonumber(calls) / total))
  end
end
os.remove(counts)

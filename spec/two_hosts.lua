--- What each of two_hosts.c's hosts runs, at the same time as the other one.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local name = ...

if name == "blocked" then
  require "neap.signal".raise "SIGTERM"
  io.popen("exec sleep 9 2>&1"):read()
  return
end

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

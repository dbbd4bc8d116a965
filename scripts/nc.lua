-- usage: neap nc.lua [-l] ENDPOINT
--
-- netcat: standard input goes to the endpoint, what comes from there to standard
-- output. With -l it listens for one connection instead, and says where on
-- standard error. The end of the input is passed on as a half close. It ends
-- when both directions have ended, or one fails; at a terminal, when the
-- connection has.
--
--   neap nc.lua -l tcp://127.0.0.1:7000 >copy    # in one shell,
--   neap nc.lua tcp://127.0.0.1:7000 <original   # in another

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local stdio = require "neap.stdio"
local task = require "neap.task"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- The listener is closed as soon as there is a connection.
local function accept_one(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  io.stderr:write("listening at ", listener.endpoint, "\n")
  return assert(listener:accept())
end

-- All of it has gone out when `flush` returns; a full disk is an error then.
local function copy(from, to)
  for chunk in from:chunks() do
    assert(to:write(chunk))
  end
  assert(to:flush())
end

local listens = arg[1] == "-l"
local endpoint = arg[listens and 2 or 1]
if not endpoint or arg[listens and 3 or 2] then
  usage "one endpoint, please"
end
local good, problem = pcall(endpoints.parse, endpoint)
if not good then
  usage(problem)
end
local stream <close> = listens and accept_one(endpoint) or assert(net.connect(endpoint))

-- Both directions at the same time. The first failure cancels the other one,
-- and is raised here.
task.scope(function(scope)
  local sending = scope:spawn(function()
    copy(stdio.stdin, stream)
    assert(stream:shutdown())
  end)
  copy(stream, stdio.stdout)
  if stdio.stdin.protocol == "tty" then
    sending:cancel() -- nobody would end the input of a connection that is gone
  end
end)

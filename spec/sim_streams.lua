-- What the nodes of spec/sim_streams.c do, by the names of their parts.  `tell` notes a
-- word; times are told in whole ms of the node's clock since it began.

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local part, tell = ...
local began = time.now()

local function elapsed()
  return math.tointeger(((time.now() - began) * 1000 + 0.5) // 1)
end

local function code(value, err)
  return value and "none" or err.code
end

--- Connect to the first node.
local function dial(options)
  return net.connect("tcp://10.0.0.1:80", options)
end

local parts = {}

--- Answers each line with itself, in capitals.
function parts.echo()
  local listener <close> = assert(net.listen "tcp://*:80")
  listener:serve(function(stream)
    for line in stream:lines() do
      stream:write(line:upper(), "\n")
    end
  end)
end

--- Reads nothing.
function parts.deaf()
  local listener <close> = assert(net.listen "tcp://*:80")
  local stream = assert(listener:accept())
  task.sleep(1e6)
  return stream
end

--- Reads what comes, and tells how it ended.
function parts.read()
  local listener <close> = assert(net.listen "tcp://*:80")
  local stream <close> = assert(listener:accept())
  local bytes, err = stream:read "a"
  tell(bytes and #bytes or err.code)
end

--- Listens, and has no room.
function parts.full()
  local listener <close> = assert(net.listen("tcp://*:80", {backlog = 0}))
  task.sleep(1e6)
  return listener
end

function parts.nothing()
  task.sleep(1e6)
end

function parts.ask()
  local stream <close> = assert(dial())
  tell(elapsed())
  stream:write "hello\n"
  tell(stream:read())
  tell(elapsed())
  tell(stream.localaddr.ip, stream.remoteaddr.ip)
end

function parts.dial()
  tell(code(dial()))
  tell(elapsed())
end

function parts.dial_elsewhere()
  tell(code(net.connect "tcp://10.0.0.77:80"))
  tell(elapsed())
  tell(code(net.connect "tcp://192.0.2.1:80"))
  tell(elapsed())
end

function parts.dial_impatiently()
  tell(code(dial {user_timeout = 5}))
  tell(elapsed())
end

--- Sends much, and tells how that ended.
function parts.send()
  local stream <close> = assert(dial())
  local ok, err = stream:write(("x"):rep(3000000))
  if ok then
    ok, err = stream:flush()
  end
  tell(code(ok, err))
end

--- The same, and the program ends with all of it on the way.
function parts.send_and_end()
  local stream = assert(dial())
  stream:write(("x"):rep(200000))
end

--- Says something each second, until that fails.
function parts.talk()
  local stream <close> = assert(dial())
  for i = 1, 10000 do
    local ok, err = stream:write(i, "\n")
    if ok then
      ok, err = stream:flush()
    end
    if not ok then
      tell(err.code)
      tell(elapsed())
      return
    end
    task.sleep(1)
  end
end

function parts.talk_impatiently()
  local stream <close> = assert(dial {user_timeout = 5})
  for i = 1, 10000 do
    local ok, err = stream:write(i, "\n")
    if not ok then
      tell(err.code)
      tell(elapsed())
      return
    end
    task.sleep(0.5)
  end
end

--- Waits for what never comes.
function parts.listen_on()
  local stream <close> = assert(dial())
  tell(code(stream:read()))
  tell(elapsed())
end

function parts.keep_alive()
  local stream <close> = assert(dial {keepalive = {idle = 10, interval = 2, count = 3}})
  tell(code(stream:read()))
  tell(elapsed())
end

--- Files of unix sockets outlive a crash.
function parts.file()
  local listener = net.listen "unix:/run/it"
  if listener then
    tell "fresh"
    task.sleep(1e6)
  end
  tell(code(net.connect "unix:/run/it"))
  tell(code(net.listen "unix:/run/it"))
  local again <close> = assert(net.listen("unix:/run/it", {unlink_stale = true}))
  local client <close> = assert(net.connect(again.endpoint))
  tell(client.protocol)
end

parts[part]()

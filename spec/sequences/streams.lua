--- Sequences on a stream: at each end somebody writes and somebody reads, and perhaps one
--- meddles: cancels, closes, resets.

local flows = require "sequences.flow"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local random = math.random

local streams = {}

local opening = task.mutex() -- the next to come is the one who has dialled
local contexts

local function contexts_of()
  if not contexts then
    local cert, key = tls.selfsigned {names = {"localhost"}}
    contexts = {assert(tls.context {cert = cert, key = key}), assert(tls.context {ca = cert})}
  end
  return contexts[1], contexts[2]
end

local function dialled(listen, dial)
  return function()
    local _ <close> = opening:lock()
    local listener <close> = assert(net.listen(listen))
    local a = assert(net.connect(dial or listener.endpoint))
    return a, assert(listener:accept())
  end
end

local function over_tls(open)
  return function()
    local server, client = contexts_of()
    local a, b = open()
    task.all { -- each waits for the other
      function() assert(a:starttls {context = client, server_name = "localhost"}) end,
      function() assert(b:starttls {context = server, server = true}) end,
    }
    return a, b
  end
end

local function pair(kind)
  return function()
    return assert(net.socketpair(kind))
  end
end

local OPEN = {
  pair "mem", pair(), dialled("tcp://127.0.0.1:0"), dialled("mem:sequence"),
  dialled("tcp://*:7001", "tcp://relay:7000"), over_tls(pair "mem"), over_tls(dialled("tcp://127.0.0.1:0")),
}

--- A relay within this host between two streams more.
local function relayed(open)
  local a, b = open()
  local c, d = assert(net.socketpair "mem")
  local relay = task.spawn(function()
    local good = net.relay(b, c)
    for _, stream in ipairs {b, c} do
      if good then
        stream:close()
      else
        stream:reset()
      end
    end
  end)
  return a, d, relay
end

local function pause()
  local how = random(4)
  if how == 1 then
    task.yield()
  elseif how == 2 then
    task.sleep(random() * 0.02)
  end
end

--- Perhaps with little time.
local function perhaps_timed(f, ...)
  if random(5) > 1 then
    return f(...)
  end
  return task.timeout(random(3) == 1 and 0 or random() * 0.01, f, ...)
end

local SIZES = {40, 40, 40, 5000, 5000, 300000}

local function is_late(err)
  return type(err) == "table" and err.code == "ETIMEDOUT"
end

local function write_all(stream, flow)
  for _ = 1, random(0, 8) do
    local text, number = flow:record(random(0, SIZES[random(#SIZES)]))
    local cut = random(#text)
    local ok, err = perhaps_timed(stream.write, stream, text:sub(1, cut), text:sub(cut + 1))
    flow:wrote(number, ok, err)
    if not ok and not is_late(err) then
      return
    end
    if random(8) == 1 then
      perhaps_timed(stream.flush, stream)
    end
    pause()
  end
  if random(4) > 1 then
    stream:shutdown()
  end
end

--- Each gives what it has taken, or nil and why not.
local READS = {
  function(stream) return stream:recv(random(70000)) end,
  function(stream) return stream:recv() end,
  function(stream) return stream:read(random(2000)) end,
  function(stream) return stream:read "L" end,
  function(stream) return stream:readexactly(random(3000)) end,
  function(stream)
    local line, err = stream:readuntil("\n", nil, {strict = true})
    return line and line .. "\n", err
  end,
  function(stream)
    local a, b = stream:unpack ">I2I1"
    if a then
      return (">I2I1"):pack(a, b)
    end
    return nil, b
  end,
  function(stream)
    if random(6) == 1 then
      return stream:read "a"
    end
    return stream:recv(100000)
  end,
}

local TAKES_LESS = {ENODATA = true, EMSGSIZE = true}

local function read_all(stream, flow)
  while true do
    if random(8) == 1 then
      local bytes = perhaps_timed(stream.peek, stream, random(500))
      if bytes then
        flow:peeked(bytes)
      end
    end
    local bytes, err = perhaps_timed(READS[random(#READS)], stream)
    if not bytes and err and TAKES_LESS[err.code] then
      bytes, err = stream:recv()
    end
    if bytes then
      flow:read(bytes)
    elseif not err then
      flow.ended = true
      return
    elseif not is_late(err) then
      return
    end
    pause()
  end
end

local MEDDLING = {
  function(both) both[random(2)]:close() end,
  function(both, _, flows_of)
    local which = random(2)
    -- A unix socket's peer is told of a reset as of an end.
    flows_of[which].cut = both[which].localaddr and both[which].localaddr.family == "unix"
    both[which]:reset()
  end,
  function(_, tasks) tasks[random(#tasks)]:cancel() end,
  function(both) both[random(2)]:shutdown() end,
}

--- Read and write at an end until both are done, and close it.
local function use(stream, out, back, tasks)
  local _ <close> = stream
  local writing = task.spawn(write_all, stream, out)
  local reading = task.spawn(read_all, stream, back)
  tasks[#tasks + 1] = writing
  tasks[#tasks + 1] = reading
  writing:join()
  if random(6) == 1 then
    reading:cancel()
  else
    stream:shutdown()
  end
  reading:join()
end

function streams.play()
  local kind = random(#OPEN)
  local a, b, relay
  if random(5) == 1 then
    a, b, relay = relayed(OPEN[kind])
  else
    a, b = OPEN[kind]()
  end
  local there, back = flows.new(kind .. " there"), flows.new(kind .. " back")
  local tasks = {}
  local ends = {
    task.spawn(function() use(a, there, back, tasks) end),
    task.spawn(function() use(b, back, there, tasks) end),
  }
  if random(2) == 1 then
    task.sleep(random() * 0.05)
    if #tasks > 0 then
      MEDDLING[random(#MEDDLING)]({a, b}, tasks, {there, back})
    end
  end
  for _, one in ipairs(ends) do
    one:join()
  end
  if relay then
    relay:join()
  end
  there:check()
  back:check()
end

streams.contexts = contexts_of

return streams

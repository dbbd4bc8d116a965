-- usage: neap portscan.lua HOST [FIRST-LAST] [CONCURRENCY]
--
-- Which TCP ports of a host take connections? By default 1-1024 are tried, 500
-- at a time. Only scan what is yours, or with leave.

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local task = require "neap.task"

local PATIENCE = 1 -- seconds to wait for an answer

-- What is not the port's doing: the others would fare no better.
local OURS = {
  EMFILE = true, ENFILE = true, ENOBUFS = true, EADDRNOTAVAIL = true, ENETUNREACH = true,
}

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function fail(err)
  io.stderr:write("portscan: ", tostring(err), "\n")
  os.exit(1)
end

-- The arguments, as host, first, last, concurrency.
local function arguments(host, range, concurrency)
  local first, last = (range or "1-1024"):match "^(%d+)%-?(%d*)$"
  first, last = tonumber(first), tonumber(last) or tonumber(first)
  concurrency = math.tointeger(tonumber(concurrency or 500))
  if not host or host:find "^%-" or #arg > 3 then
    usage "a host, please"
  elseif not first or first < 1 or last < first or last > 65535 then
    usage "ports are numbers from 1 to 65535: 80, or 1-1024"
  elseif not concurrency or concurrency < 1 then
    usage "concurrency is a count of 1 or more"
  end
  return host, first, last, concurrency
end

-- Is a port "open", "closed" or "silent"?
local function probe(ip, port)
  local endpoint = endpoints.print {scheme = "tcp", host = ip, port = port}
  local stream <close>, err = net.connect(endpoint, {timeout = PATIENCE})
  if stream then
    -- A client of this very host may be given the port that it asks for as its
    -- own, and then it talks to itself: nobody listens.
    return stream.localaddr ~= stream.remoteaddr and "open" or "closed"
  elseif OURS[err.code] then
    fail(err)
  end
  local answers = {ECONNREFUSED = "closed", ECONNRESET = "open"} -- and closed at once
  return answers[err.code] or "silent"
end

-- Probe all ports, at most `concurrency` at a time: a permit is taken before a
-- task is made, and given back at that task's end.
local function scan(ip, first, last, concurrency, done)
  local permits = task.semaphore(concurrency)
  task.scope(function(scope)
    for port = first, last do
      local permit = permits:acquire()
      scope:spawn(function()
        local _ <close> = permit
        done(port, probe(ip, port))
      end)
    end
  end)
end

local host, first, last, concurrency = arguments(table.unpack(arg))
local addresses, failure = net.resolve(host)
local ip = tostring((addresses or fail(failure))[1]) -- once, not for each port
local total, tried = last - first + 1, 0
local ports = {open = {}, closed = {}, silent = {}}

scan(ip, first, last, concurrency, function(port, state)
  table.insert(ports[state], port)
  tried = tried + 1
  if total >= 4000 and tried < total and tried * 4 % total < 4 then -- a quarter
    io.stderr:write(("%d of %d ports tried, %d open\n"):format(tried, total, #ports.open))
  end
end)
table.sort(ports.open)
for _, port in ipairs(ports.open) do
  print(("%5d  %s"):format(port, net.service(port, "tcp") or ""))
end
io.stderr:write(("%s: %d of %d ports open, %d gave no answer\n"):format(
  ip, #ports.open, total, #ports.silent))

-- What a service tells its manager (sd_notify(3)), gets from it (sd_listen_fds(3)), and
-- leaves to its successor.

local core = require "neap.service.core"
local daemon = require "neap.prompt.core".daemon
local error_object = require "neap.error"
local harmless = require "neap.host".harmless
local net = require "neap.net"
local sched = require "neap.task.core"
local signal = require "neap.signal"
local workers = require "neap.worker.core"

local error, tonumber, type, tostring, stderr = error, tonumber, type, tostring, io.stderr
local find, format, match, gmatch = string.find, string.format, string.match, string.gmatch
local getenv, tointeger = os.getenv, math.tointeger

local service = {}

--- What workers have told goes through it.
service.CHANNEL = "neap.notify"

--- Seconds that the manager may take to have room.
local PATIENCE = 1

local FIRST = 3 -- the manager's first descriptor

local id, count = workers.self()
local pid = require "neap.process.core".pid

--
-- Telling
--

local function endpoint_of(socket)
  return "unixgram:" .. socket
end

--- true; false: there is nobody to be told; nil and an error.
local function send(text)
  local socket = getenv "NOTIFY_SOCKET"
  if not socket or socket == "" then
    return false
  end
  local prefix = match(socket, "^[/@]")
  if not prefix then
    return nil, error_object.new {
      code = "EAFNOSUPPORT", op = "notify", endpoint = socket,
      message = "NOTIFY_SOCKET is no path, and no @name",
    }
  end
  local stream <close>, err = net.connect(endpoint_of(socket))
  if not stream then
    return nil, err
  end
  local sent
  sent, err = sched.timeout(PATIENCE, stream.send, stream, text)
  if not sent then
    return nil, err
  end
  return true
end

local function try(text)
  local sent, err = send(text)
  if sent == nil then
    stderr:write("neap: ", harmless(tostring(err)), "\n")
  end
end

--- Seconds between beats: half of what the manager waits for; nil: it waits for none.
local function beat_of()
  local microseconds = tonumber(getenv "WATCHDOG_USEC" or "")
  local whose = tointeger(tonumber(getenv "WATCHDOG_PID" or pid))
  return microseconds and microseconds > 0 and whose == pid and microseconds / 2e6 or nil
end

--- Do the loops of the program go on? The supervisor of workers knows better.
function service.answers()
  return true
end

local function has_drained()
  sched.drained()
  return true
end

--- Beat, and tell of the end.
local function attend()
  local beat = beat_of()
  local ends
  repeat
    if beat and service.answers() then
      try "WATCHDOG=1"
    end
    if beat and ends == nil then
      ends = sched.timeout(beat, has_drained)
    elseif ends == nil then
      ends = has_drained()
    elseif beat then
      sched.sleep(beat)
    end
    if ends and not service.told_end and not service.restarted then
      service.told_end = true
      try "STOPPING=1"
    end
  until ends and not beat
end

local function check(state)
  if type(state) ~= "string" then
    error(format("bad argument #1 to 'notify' (string expected, got %s)", type(state)), 3)
  end
  for line in gmatch(state .. "\n", "(.-)\n") do
    if not find(line, "^[%w_]+=") then
      error("bad argument #1 to 'notify' (lines such as \"READY=1\" expected)", 3)
    end
  end
end

local function is_ready(state)
  return find("\n" .. state .. "\n", "\nREADY=1\n", 1, true) ~= nil
end

--- process.notify
function service.notify(state)
  check(state)
  if is_ready(state) then
    core.settle()
  end
  if count > 0 then
    return require "neap.worker".channel(service.CHANNEL):send {id = id, state = state}
  end
  if is_ready(state) and not service.attends and getenv "NOTIFY_SOCKET" then
    service.attends = true
    daemon(attend).name = "service"
  end
  return send(state)
end

--- The supervisor of workers replaces them, and has done so; for Type=notify-reload.
function service.reloading()
  if service.attends then
    try(format("RELOADING=1\nMONOTONIC_USEC=%d", require "neap.time".now() * 1e6 // 1))
  end
end

function service.reloaded()
  if service.attends then
    try "READY=1"
  end
end

--
-- Sockets of the manager's
--

--- How many descriptors it has handed to this process.
local function handed()
  local whose = tointeger(tonumber(getenv "LISTEN_PID" or ""))
  local n = tointeger(tonumber(getenv "LISTEN_FDS" or ""))
  return whose == pid and n and n > 0 and n or 0
end

local function names_of(n)
  local names = {}
  for name in gmatch((getenv "LISTEN_FDNAMES" or "") .. ":", "(.-):") do
    names[#names + 1] = name
  end
  return #names >= n and names or {}
end

--- A listener, a message socket or a stream: whatever it is.
local function adopt(fd)
  local copy, err = core.copy(fd)
  if not copy then
    return nil, err
  end
  local endpoint = format("fd:%d", copy)
  local socket
  for _, verb in ipairs {"listen", "bind", "connect"} do
    socket, err = net[verb](endpoint)
    if socket then
      return socket
    end
  end
  core.discard(copy)
  return nil, err
end

--- net.activated
function service.activated()
  local n = handed()
  local names = names_of(n)
  local sockets = {}
  for i = 1, n do
    local socket, err = adopt(FIRST + i - 1)
    if not socket then
      for j = 1, i - 1 do
        sockets[j]:close()
      end
      return nil, err
    end
    sockets[i] = socket
    local name = names[i]
    if name and name ~= "" and not sockets[name] then
      sockets[name] = socket
    end
  end
  return sockets
end

--
-- Successors
--

--- process.restart
function service.restart()
  if pid == 1 then
    return nil, error_object.new {
      code = "EPERM", op = "restart", message = "with process 1 its whole container ends: let workers be replaced",
    }
  end
  local fd, successor = core.restart()
  if not fd then
    return nil, successor
  end
  local well = false
  local _ <close> = setmetatable({}, {__close = function()
    core.restarted(successor, well)
  end})
  local ready <close> = assert(net.connect(format("fd:%d", fd)))
  if not ready:read(1) then
    return nil, error_object.new {
      code = "ECHILD", op = "restart", message = "the new process ended before it served",
    }
  end
  well = true
  service.restarted = true
  try(format("MAINPID=%d", successor))
  core.restarted(successor, true)
  return signal.raise "SIGTERM"
end

return service

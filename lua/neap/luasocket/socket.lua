--- What `require "socket"` gives: LuaSocket's module, whose core and helpers are one.

local datagram = require "neap.luasocket.datagram"
local dns = require "neap.luasocket.dns"
local object = require "neap.luasocket.object"
local selecting = require "neap.luasocket.select"
local stream = require "neap.luasocket.stream"
local task = require "neap.task"
local time = require "neap.time"

local error, getmetatable, ipairs, pcall, select = error, getmetatable, ipairs, pcall, select
local setmetatable, tostring, type = setmetatable, tostring, type
local format, max, min = string.format, math.max, math.min

local socket = {
  _VERSION = "LuaSocket 3.1.0",
  _SETSIZE = selecting.MOST,
  _SOCKETINVALID = -1,
  _DATAGRAMSIZE = datagram.SIZE,
  BLOCKSIZE = 2048,
  dns = dns,
  select = selecting.select,
  gettime = time.wall,
}

function socket.sleep(seconds)
  task.sleep(max(0, seconds))
end

function socket.tcp()
  return stream.tcp()
end

function socket.tcp4()
  return stream.tcp "inet"
end

function socket.tcp6()
  return stream.tcp "inet6"
end

function socket.udp()
  return datagram.udp()
end

function socket.udp4()
  return datagram.udp "inet"
end

function socket.udp6()
  return datagram.udp "inet6"
end

local families = {unspec = false, inet = "inet", inet6 = "inet6"}

function socket.connect(host, port, from_host, from_port, family)
  local wanted = families[family or "unspec"]
  if wanted == nil then
    object.bad(5, "connect", format("invalid option '%s'", tostring(family)))
  end
  local one = stream.tcp(wanted or nil)
  local ok, text = 1, nil
  if from_host ~= nil then
    ok, text = one:bind(from_host, from_port or "0")
  end
  if ok then
    ok, text = one:connect(host, port)
  end
  if not ok then
    one:close()
    return nil, text
  end
  return one
end

function socket.connect4(host, port, from_host, from_port)
  return socket.connect(host, port, from_host, from_port, "inet")
end

function socket.connect6(host, port, from_host, from_port)
  return socket.connect(host, port, from_host, from_port, "inet6")
end

function socket.bind(host, port, backlog)
  local found, text = dns.getaddrinfo(host == "*" and "0.0.0.0" or host)
  for _, address in ipairs(found or {}) do
    local server = stream.tcp(address.family)
    server:setoption("reuseaddr", true)
    local ok
    ok, text = server:bind(address.addr, port)
    if ok then
      server:listen(backlog)
      return server
    end
    server:close()
  end
  return nil, text or "no info on address"
end

--- A failure on its way from try to protect.
local Failure = {__tostring = function(self) return tostring(self[1]) end}

function socket.newtry(finalizer)
  return function(ok, ...)
    if ok then
      return ok, ...
    end
    if finalizer then
      finalizer()
    end
    error(setmetatable({(...)}, Failure), 0)
  end
end

socket.try = socket.newtry()

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  local err = ...
  if type(err) == "table" and getmetatable(err) == Failure then
    return nil, err[1]
  end
  error(err, 0)
end

function socket.protect(f)
  return function(...)
    return unwrap(pcall(f, ...))
  end
end

function socket.skip(count, ...)
  return select(count + 1, ...)
end

function socket.choose(list)
  return function(name, a, b)
    if type(name) ~= "string" then
      name, a, b = "default", name, a
    end
    local make = list[name]
    if not make then
      error(format("unknown key (%s)", name), 2)
    end
    return make(a, b)
  end
end

--- A function that select can wait for, as for its socket.
local function as_socket(one, call)
  return setmetatable({
    getfd = function() return one:getfd() end,
    dirty = function() return one:dirty() end,
  }, {__call = function(_, ...) return call(...) end})
end

socket.sinkt, socket.sourcet = {}, {}

socket.sinkt["close-when-done"] = function(one)
  return as_socket(one, function(chunk)
    if chunk then
      return one:send(chunk)
    end
    return one:close()
  end)
end

socket.sinkt["keep-open"] = function(one)
  return as_socket(one, function(chunk)
    if chunk then
      return one:send(chunk)
    end
    return 1
  end)
end

socket.sourcet["by-length"] = function(one, left)
  return as_socket(one, function()
    if left <= 0 then
      return nil
    end
    local chunk, text = one:receive(min(socket.BLOCKSIZE, left))
    if not chunk then
      return nil, text
    end
    left = left - #chunk
    return chunk
  end)
end

socket.sourcet["until-closed"] = function(one)
  local done = false
  return as_socket(one, function()
    if done then
      return nil
    end
    local chunk, text, part = one:receive(socket.BLOCKSIZE)
    if text == "closed" then
      one:close()
      done = true
      return part
    end
    return chunk, text
  end)
end

socket.sinkt.default, socket.sourcet.default = socket.sinkt["keep-open"], socket.sourcet["until-closed"]
socket.sink, socket.source = socket.choose(socket.sinkt), socket.choose(socket.sourcet)

--- `require "socket.unix"`: as a function, too, as it was once.
socket.unix = setmetatable({
  stream = stream.unix, tcp = stream.unix, dgram = datagram.unix, udp = datagram.unix,
}, {__call = function() return stream.unix() end})

return socket

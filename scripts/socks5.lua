-- usage: neap socks5.lua [-u USER:PASSWORD] [ENDPOINT]
--
-- A SOCKS5 proxy (RFC 1928) at tcp://127.0.0.1:1080 or another endpoint: it connects its
-- clients to any address, IPv4 or IPv6, or name, which it looks up itself. With -u only
-- those who know the password may use it (RFC 1929). One line tells of each connection.
--
--   curl --socks5-hostname 127.0.0.1:1080 https://example.org/

local args = require "neap.args"
local crypto = require "neap.crypto"
local endpoints = require "neap.endpoint"
local errors = require "neap.error"
local net = require "neap.net"
local task = require "neap.task"

local PATIENCE = 10 -- seconds for a client to say what it wants, and again to get there
local OPEN, PASSWORD, NONE = 0, 2, 0xff -- ways to log in
local IPV4, NAME, IPV6 = 1, 3, 4
local GRANTED, FAILED, NO_COMMAND, NO_ADDRESS = 0, 1, 7, 8
local WHY = {ENETUNREACH = 3, EHOSTUNREACH = 4, ETIMEDOUT = 4, EAI_NONAME = 4, EAI_NODATA = 4, ECONNREFUSED = 5}

local given = args.parse(arg, {
  name = "neap socks5.lua",
  {"-u USER:PASSWORD", "who may come; default: everybody", key = "user", type = function(text)
    return text:find "^[^:]+:." and text, "a name, a colon and a password expected"
  end},
  {"[ENDPOINT]", "where to listen", default = "tcp://127.0.0.1:1080", type = endpoints.print},
})

local function refuse(message)
  error(errors.new {op = "socks5", code = "EPROTO", message = message})
end

local function take(stream, format)
  local values = {stream:unpack(format)}
  return table.unpack(values[1] and values or refuse "no whole request")
end

-- A version is looked at before anything else: who speaks another one is not waited for.
local function expect(stream, version)
  return take(stream, "B") == version or refuse "another protocol"
end

local function log_in(stream)
  expect(stream, 5)
  local methods = take(stream, "s1")
  local method = given.user and PASSWORD or OPEN
  local common = methods:find(string.char(method), 1, true)
  stream:pack("BB", 5, common and method or NONE)
  if not common then
    refuse(given.user and "who has no password" or "who wants to log in")
  elseif method == PASSWORD then
    expect(stream, 1)
    local user, password = take(stream, "s1s1")
    local right = crypto.equal(user .. ":" .. password, given.user)
    stream:pack("BB", 1, right and GRANTED or FAILED)
    return right or refuse "a wrong password"
  end
end

local function read_host(stream)
  local kind = take(stream, "B")
  if kind == IPV4 then
    return ("%d.%d.%d.%d"):format(take(stream, "BBBB"))
  elseif kind == NAME then
    return take(stream, "s1")
  elseif kind == IPV6 then
    return ("[%x:%x:%x:%x:%x:%x:%x:%x]"):format(take(stream, ">I2I2I2I2I2I2I2I2"))
  end
end

-- No client needs to know whom we speak from, so that is left out.
local function answer(stream, code)
  return stream:pack(">BBBBI4I2", 5, code, 0, IPV4, 0, 0)
end

-- The endpoint that the client wants to get to.
local function request(stream)
  log_in(stream)
  expect(stream, 5)
  local command, host = take(stream, "Bx"), read_host(stream)
  local place = host and ("tcp://%s:%d"):format(host, take(stream, ">I2"))
  if command ~= 1 or not place then
    answer(stream, command ~= 1 and NO_COMMAND or NO_ADDRESS)
    refuse "another command, or kind of address"
  elseif not pcall(endpoints.parse, place) or host:find "^%*?$" then
    answer(stream, FAILED)
    refuse "a malformed name"
  end
  return place
end

local listener = assert(net.listen(given.endpoint))
print("listening at " .. listener.endpoint)
listener:serve(function(client)
  local place = assert(task.timeout(PATIENCE, request, client))
  local target <close>, err = net.connect(place, {timeout = PATIENCE})
  answer(client, target and GRANTED or WHY[err.code] or FAILED)
  print(client.remoteaddr or "-", place, net.relay(client, assert(target, err)))
end, {max = 1000})

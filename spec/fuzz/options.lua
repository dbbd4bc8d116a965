--- Socket options: what a table of them comes to is told alike when it is asked for, and
--- given again; a table that is none is refused in words.
---
--- An input's first byte is the kind of the socket; behind it are options: a name, and
--- what kind of value it has.

local reader_of = require "spec.support.taken"

local IPV4 <const>, IPV6 <const> = 2, 10
local KINDS <const> = { -- family, type and protocol
  {IPV4, 1, 6}, {IPV6, 1, 6}, {IPV4, 2, 17}, {IPV6, 2, 17}, {IPV4, 3, 1}, {IPV6, 3, 58}, {IPV4, 1, 132}, {0, 1, 0},
}

local NAMES <const> = {
  "reuseaddr", "reuseport", "v6only", "freebind", "transparent", "device", "mark", "priority", "sndbuf", "rcvbuf",
  "broadcast", "dontroute", "oobinline", "linger", "tos", "ttl", "nodelay", "cork", "quickack", "maxseg",
  "user_timeout", "notsent_lowat", "congestion", "fastopen", "fastopen_connect", "defer_accept", "keepalive",
  "keepalive_idle", "keepalive_interval", "keepalive_count", "multicast_interface", "multicast_ttl",
  "multicast_loop", "multicast_all", "pktinfo", "recvttl", "recvtos", "recverr", "gro", "timestamp", "passcred",
  "mtu_discover", "hdrincl", "checksum", "icmp_types", "mptcp", "drops", "error", "acceptconn",
}

--- What is not told as it was given: IPv4 tells an address.
local ONE_WAY <const> = {multicast_interface = true}

local WORDS <const> = {"lo", "eth9", "cubic", "dont", "want", "do", "probe", ""}
local PARTS <const> = {"idle", "interval", "count", "other"}

local function text(take)
  return take(take(1):byte() % 20)
end

local makers
makers = {
  function() return true end,
  function() return false end,
  function(take) return take(1):byte() end,
  function(take) return (("<i4"):unpack(take(4))) end,
  function(take) return (("<d"):unpack(take(8))) end,
  function(take) return take(1):byte() / 8 end,
  function(take) return WORDS[1 + take(1):byte() % #WORDS] end,
  text,
  function(take)
    local list = {}
    for i = 1, take(1):byte() % 8 do
      list[i] = take(1):byte()
    end
    return list
  end,
  function(take)
    local parts = {}
    for _ = 1, take(1):byte() % 4 do
      parts[PARTS[1 + take(1):byte() % #PARTS]] = makers[1 + take(1):byte() % 6](take)
    end
    return parts
  end,
}

local function table_of(take, ended)
  local given = {}
  while not ended() do
    local which = take(1):byte()
    local key = NAMES[1 + which % (#NAMES + 4)]
    if not key then
      key = which % 2 == 0 and text(take) or makers[1 + take(1):byte() % #makers](take)
    end
    if key ~= nil and key == key then
      given[key] = makers[1 + take(1):byte() % #makers](take)
    end
  end
  return given
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in next, a do
    if not same(value, b[key]) then
      return false
    end
  end
  return #a == #b
end

--- As it was given, as far as the kernel's units go?
local function is_near(given, told)
  if type(given) == "number" and type(told) == "number" then
    return told >= given and told < given + 1
  end
  return type(given) ~= type(told) or type(given) == "table" or given == told
end

local function check(bytes, _, options)
  local take, ended = reader_of(bytes)
  local kind = KINDS[1 + take(1):byte() % #KINDS]
  local given = table_of(take, ended)
  local function told_of(wanted)
    return options(wanted, table.unpack(kind))
  end
  local good, told = pcall(told_of, given)
  if not good then
    assert(told:find "bad argument #1 to 'options'", told)
    assert(not told:find "[%z\1-\31\127]", "an odd byte in what is told")
    return
  end
  for name in next, given do
    assert(told[name] ~= nil, "an option that is lost")
    assert(ONE_WAY[name] or is_near(given[name], told[name]), name)
    if ONE_WAY[name] then
      told[name] = nil
    end
  end
  local again = told_of(told)
  for name, value in next, told do
    assert(same(value, again[name]), name)
  end
end

local seeds = {}
for kind = 0, #KINDS - 1 do
  for which = 0, #NAMES + 3 do
    local name = string.char(kind, which)
    for maker = 0, #makers - 1, 1 + kind do
      seeds[#seeds + 1] = name .. string.char(maker, 2, 3, 4, 5, 6)
    end
  end
  local all = {}
  for which = 0, #NAMES - 1 do
    all[1 + which] = string.char(which, 0)
  end
  seeds[#seeds + 1] = string.char(kind) .. table.concat(all)
end

return {check = check, seeds = seeds, lines = true}

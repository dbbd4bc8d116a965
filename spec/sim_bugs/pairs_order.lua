-- What depends on the order of pairs.
--
-- Two replicas with the same members say who of them has a key: the members are numbered as
-- they come out of a table. Mended, they are sorted.

local net = require "neap.net"
local sim = require "neap.sim"

local members = {}
for i = 1, 3 do
  members[i] = ("m%d"):format(sim.random(1000000))
end

local replicas = {"one", "two"}
for _, name in ipairs(replicas) do
  sim.host(name, function(way, ...)
    local net = require "neap.net"
    local members = {}
    for _, member in ipairs {...} do
      members[member] = true
    end
    local list = {}
    for member in pairs(members) do
      list[#list + 1] = member
    end
    if way == "mended" then
      table.sort(list)
    end
    assert(net.listen "tcp://*:7000"):serve(function(stream)
      for key in stream:lines() do
        stream:write(list[math.tointeger(key) % #list + 1], "\n")
      end
    end)
  end, {args = {... or "planted", table.unpack(members)}})
end

local function owner(replica, key)
  local stream <close> = assert(net.connect(("tcp://%s:7000"):format(replica)))
  stream:write(key, "\n")
  return assert(stream:read())
end

sim.client("client", function()
  for key = 1, #members do
    local one, other = owner(replicas[1], key), owner(replicas[2], key)
    assert(one == other, ("key %d is of %s, and of %s"):format(key, one, other))
  end
end)

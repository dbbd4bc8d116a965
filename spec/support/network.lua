--- Machines in a row, each a network namespace, with a cable between neighbours:
---
---     1 ----- 2 ----- 3        10.0.1.1 -- 10.0.1.2, 10.0.2.1 -- 10.0.2.2
---                              fd00:0:0:1::1 -- fd00:0:0:1::2, ...
---
--- All forward, and all know the ways. They live as long as their shells, which
--- end with this process or with `close`. Linux sends a neighbour about six ICMP
--- errors at once, then one a second.

local process = require "neap.process"

local network = {}
network.__index = network

local SETUP = [[
for all in default all; do echo 0 >/proc/sys/net/ipv6/conf/$all/accept_dad; done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip link set lo up
echo ready
exec cat
]]

--- Run a command on a machine.
---@param i integer
---@param command table  as of process.run
function network:run(i, command)
  local whole = {"nsenter", "-t", tostring(self[i].pid), "-n", table.unpack(command)}
  whole.stdin, whole.stderr, whole.input = command.stdin, command.stderr, command.input
  return assert(process.run(whole))
end

--- Start one there.
function network:spawn(i, command)
  local whole = {"nsenter", "-t", tostring(self[i].pid), "-n", table.unpack(command)}
  whole.stdin, whole.stdout, whole.stderr = command.stdin, command.stdout, command.stderr
  return assert(process.spawn(whole))
end

function network:ip(i, words)
  local command = {"ip"}
  for word in words:gmatch "%S+" do
    command[#command + 1] = word
  end
  local result = self:run(i, command)
  assert(result.code == 0, words .. ": " .. result.stderr)
end

local function cable(self, i)
  self:ip(i, ("link add name right type veth peer name left netns %d"):format(self[i + 1].pid))
  for at, side in ipairs {"right", "left"} do
    local here = i + at - 1
    self:ip(here, ("addr add 10.0.%d.%d/24 dev %s"):format(i, at, side))
    self:ip(here, ("addr add fd00:0:0:%d::%d/64 dev %s nodad"):format(i, at, side))
    self:ip(here, ("link set %s up"):format(side))
  end
end

local function routes(self, i, n)
  for net = 1, n - 1 do
    local gateway = net < i - 1 and "10.0.%d.1" or net > i and "10.0.%d.2"
    if gateway then
      local via = net < i and i - 1 or i
      self:ip(i, ("route add 10.0.%d.0/24 via " .. gateway):format(net, via))
      gateway = gateway:gsub("^10%.0%.%%d%.", "fd00:0:0:%%d::")
      self:ip(i, ("-6 route add fd00:0:0:%d::/64 via " .. gateway):format(net, via))
    end
  end
end

--- A row of so many machines; nil where there can be none.
---@param n integer
---@return table? network
---@return string? reason
function network.row(n)
  local self = setmetatable({}, network)
  for i = 1, n do
    self[i] = assert(process.spawn {"unshare", "-n", "sh", "-ec", SETUP,
      stdin = "pipe", stdout = "pipe", stderr = "null"})
    if self[i].stdout:read "l" ~= "ready" then
      self:close()
      return nil, "no network namespaces here"
    end
  end
  for i = 1, n - 1 do
    cable(self, i)
  end
  for i = 1, n do
    routes(self, i, n)
  end
  return self
end

function network:close()
  for _, machine in ipairs(self) do
    machine.stdin:close()
    machine.stdout:close()
    machine:wait()
    machine:close()
  end
end

return network

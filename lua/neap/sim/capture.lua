-- What passes in a simulated network, in a capture: one interface, and the world's own time.

local packets = require "neap.sim.packets"
local pcap = require "neap.pcap"

local assert, ipairs, setmetatable = assert, ipairs, setmetatable

local capture = {}

--- 2000-01-01, when worlds begin, in ns.
local EPOCH = 946684800 * 1000000000

local Capture = {}
Capture.__index = Capture

--- A capture in a file: nil and an error where there can be none.
function capture.open(path)
  local writer, err = pcap.writer(path, {linktype = "raw", name = "network"})
  if not writer then
    return nil, err
  end
  return setmetatable({writer = writer}, Capture)
end

function Capture:add(messages)
  for _, message in ipairs(messages) do
    assert(self.writer:write(packets.bytes(message), {ns = EPOCH + message.at}))
  end
end

function Capture:close()
  assert(self.writer:close())
end

return capture

--- EtherTypes (IANA, IEEE 802 numbers): what Ethernet carries, and all that numbers it so.

local check = require "neap.packet.check"

local ethertype = check.enum {
  [0x0800] = "ip",
  [0x0806] = "arp",
  [0x6558] = "eth",
  [0x8100] = "vlan",
  [0x88a8] = "svlan",
  [0x86dd] = "ipv6",
  [0x880b] = "ppp",
  [0x8847] = "mpls",
  [0x8848] = "mpls-multicast",
  [0x8863] = "pppoe-discovery",
  [0x8864] = "pppoe",
  [0x888e] = "eapol",
  [0x88cc] = "lldp",
  [0x88f7] = "ptp",
}

--- For bytes of no known type: Local Experimental EtherType 1 (RFC 9542, 3).
local EXPERIMENTAL = 0x88b5

--- Types whose layer has another name.
local layers_of = {
  ["svlan"] = "vlan",
  ["mpls-multicast"] = "mpls",
  ["pppoe-discovery"] = "pppoe",
}

--- The layer that a type announces.
function ethertype.inside(number)
  local name = ethertype.name(number)
  return layers_of[name] or name
end

--- The type field: as given, or what the next layer says.
function ethertype.fill(layer, field, layers, i)
  if layer[field] == nil then
    local follower = layers[i + 1]
    local name = follower and follower.name
    if name == "pppoe" and follower.code ~= "session" and follower.code ~= 0 then
      name = "pppoe-discovery"
    end
    layer[field] = ethertype.numbers[name] and name or EXPERIMENTAL
  end
  return ethertype.number(layer, field, 16)
end

return ethertype

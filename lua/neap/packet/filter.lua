--- Filters of packets: a line of text, compiled to classic BPF, which the kernel runs
--- for a socket, and `match` here.

local bpf = require "neap.packet.bpf"
local check_self = require "neap.class.core".check_self
local core = require "neap.net.core"
local expression = require "neap.packet.expression"

---@class neap.packet
local filter = {}

--- A filter: a list of the program's instructions, {code, jt, jf, k}; to be read, not
--- changed. `tostring` gives its text.
---@class neap.Filter
---@field [integer] integer[]
---@field private text string
---@field private code string  the program as `core.match` has it
local Filter = {}
Filter.__index = Filter
Filter.__name = "neap.Filter"

--- Does it let these bytes through?
---
--- ```lua
--- local packet = require "neap.packet"
--- local pcap = require "neap.pcap"
---
--- local path = os.tmpname()
--- local capture = assert(pcap.writer(path, {linktype = "raw"}))
--- for port = 1, 4 do
---   assert(capture:write(packet.ip {dst = "10.0.0.1"} / packet.udp {dst_port = port} / "hi"))
--- end
--- capture:close()
---
--- local wanted
--- for bytes, info in assert(pcap.reader(path)) do
---   wanted = wanted or packet.filter("dst portrange 2-3 and len = 30", info.linktype)
---   if wanted:match(bytes, info.original) then
---     print(packet.dissect(bytes, info.linktype).udp.dst_port)
---   end
--- end
--- --> 2
--- --> 3
--- os.remove(path)
--- ```
---@param bytes string  what is not in them does not pass
---@param length? integer  of the packet, where not all of it was kept; default `#bytes`
---@return boolean
function Filter:match(bytes, length)
  check_self(self, Filter, "match")
  if type(bytes) ~= "string" then
    error(string.format("match: a string of bytes expected, got %s", type(bytes)), 2)
  elseif length ~= nil and (math.type(length) ~= "integer" or length < 0) then
    error(string.format("match: a length expected, got '%s'", tostring(length)), 2)
  end
  return core.match(self.code, bytes, length)
end

function Filter:__tostring()
  return self.text
end

--- A filter: the kernel passes on only what is wanted where a `packet://` socket has it
--- (option `filter`), and `match` tells of any bytes. The language is that of tcpdump,
--- pcap-filter(7):
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local wanted = packet.filter "udp port 53 or tcp[tcpflags] & tcp-syn != 0"
--- local p = packet.eth {dst = "02:00:00:00:00:02"} / packet.ip {dst = "10.0.0.1"}
--- print(wanted:match((p / packet.tcp {flags = "SYN"}):bytes()))  --> true
--- print(wanted:match((p / packet.tcp {flags = "ACK"}):bytes()))  --> false
--- print(pcall(packet.filter, "udp port x-y"))
--- --> false filter 'udp port x-y': at 10: a port, 0 to 65535, expected, got 'x-y'
--- ```
---
--- | words | what passes |
--- | --- | --- |
--- | `ip` `ip6` `arp` `rarp` `tcp` `udp` `sctp` `icmp` `icmp6` `igmp` `ah` `esp` ... | packets of the protocol |
--- | `proto N`, `ip proto N`, `ip6 proto N` | what IP carries, by number or name |
--- | `host ADDRESS`, `net PREFIX` | IPv4, IPv6 and ARP from there or to there |
--- | `ip host`, `arp net`, ... | one of these alone |
--- | `port PORT`, `portrange PORT-PORT` | by number or service |
--- | `tcp port`, `udp portrange`, ... | one of `tcp`, `udp` and `sctp` alone |
--- | `ether host ADDRESS`, `ether proto N` | by Ethernet's header |
--- | `src`, `dst`, `src or dst`, `src and dst` | in front of `host`, `net`, `port`, `portrange`: these sides |
--- | `broadcast`, `multicast`, `ip multicast`, `ip6 multicast` | to many |
--- | `vlan`, `vlan N` | with a tag; all words behind it are about what is behind the tag |
--- | `less N`, `greater N` | by length: at most, at least |
--- | `ip[0] & 0xf > 5`, `tcp[2:2] = 80`, `len <= 100` | 1, 2 or 4 bytes at an offset, calculated with as in C |
--- | `not`, `and`, `or`, `!`, `&&`, `\|\|`, parentheses | `and` and `or` bind equally, from the left |
---
--- - A net is `10.0.0.0/8`, `192.168`, `10.0.0.0 mask 255.0.0.0`, `2001:db8::/32`.
--- - What is about one thing need not be said again: `port 80 or 443`,
---   `src host 10.0.0.1 or 10.0.0.2`.
--- - A host's name is looked up once, here, and stands for all of its addresses.
--- - The kernel takes a frame's first tag out: there, words in front of `vlan` see the frame
---   without it, and in bytes they see the tag.
--- - As with tcpdump: ports are those of IPv4's first fragments, and of IPv6 without
---   extension headers; `udp[...]` and the like are of IPv4 alone; bytes that are not
---   there end the whole filter, and the packet does not pass.
--- - Not there are `gateway`, `protochain`, and the words of other links (MPLS, PPPoE,
---   802.11, ATM).
---@async
---@param text string  raises for what is no filter, with where it is not
---@param first? "eth"|"raw"|integer  what packets begin with: Ethernet's header (default), or
--- IP's, as those of a tun device do; or the link type of a capture (see `neap.pcap`)
---@return neap.Filter? filter
---@return neap.Error? err  of a host's name that is not found
function filter.filter(text, first)
  if type(text) ~= "string" then
    error(string.format("filter: a text expected, got %s", type(text)), 2)
  end
  local link = bpf.links[first or "eth"]
  if not link or first and first ~= "eth" and first ~= "raw" and math.type(first) ~= "integer" then
    error(string.format("filter: 'eth', 'raw' or a known link type expected, got '%s'", tostring(first)), 2)
  end
  local ok, program = pcall(function()
    return bpf.program(expression.parse(text, link.ethernet), link)
  end)
  if not ok then
    if getmetatable(program) == expression.Unfound then
      return nil, program[1]
    end
    error(program, type(program) == "string" and 2 or 0)
  end
  local code = {}
  for i, one in ipairs(program) do
    code[i] = string.pack("=I2BBI4", one[1], one[2], one[3], one[4])
  end
  program.text, program.code = text, table.concat(code)
  return setmetatable(program, Filter)
end

return filter

--- UDP (RFC 768) and TCP (RFC 9293) with its options.

local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local core = require "neap.packet.core"
local records = require "neap.packet.records"
local tlv = require "neap.packet.tlv"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local transport = {}

local function ports(layer)
  return string.format("%s > %s", layer.src_port, layer.dst_port)
end


-- UDP.

--- Ports to which tunnels send.
local tunnels = {[4789] = "vxlan", [6081] = "geneve"}

--- Ports whose datagrams are DNS: also multicast DNS (RFC 6762) and LLMNR
--- (RFC 4795).
local dns_ports = {[53] = true, [5353] = true, [5355] = true}

---@class neap.packet.Udp: neap.Layer
---@field src_port integer  16 bits; default 0: none
---@field dst_port integer  16 bits; default 0
---@field length integer  16 bits, bytes of header and body; automatic
---@field checksum integer  16 bits, 0 for none; automatic, 0 where no IP layer is around

local udp = core.kind {
  name = "udp",
  fields = "src_port dst_port length checksum",
  defaults = {src_port = 0, dst_port = 0},
  automatic = "length checksum",
  sum = "pseudo",
  hex = {checksum = 4},
  encode = function(layer, body, layers, i)
    if layer.length == nil then
      local jumbo = 8 + #body > 0xffff and sums.in_ipv6(layers, i) -- RFC 2675, 4
      layer.length = jumbo and 0 or 8 + #body
    end
    local first = pack(">I2I2I2", int(layer, "src_port", 16), int(layer, "dst_port", 16),
      int(layer, "length", 16))
    if layer.checksum == nil then
      -- A computed 0 goes out as all ones: 0 says that there is none.
      local pseudo = sums.pseudo(layers, i, 17, 8 + #body)
      local sum = pseudo and sums.fold(sums.add(body, sums.add(first .. "\0\0", pseudo)))
      layer.checksum = sum == 0 and 0xffff or sum or 0
    end
    return first .. pack(">I2", int(layer, "checksum", 16))
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("udp", from, to, 8)
    end
    local src_port, dst_port, length, sum = unpack(">I2I2I2I2", bytes, from)
    local last, note
    if length == 0 and to - from >= 0xffff then
      last = to -- a jumbogram's
    elseif length < 8 then
      last, note = to, string.format("udp: length %d, less than the header's", length)
    else
      last, note = check.ends_at("udp", from, to, length)
    end
    return {
      src_port = src_port,
      dst_port = dst_port,
      length = length,
      checksum = sum,
      note = note,
    }, from + 8, last, (dns_ports[src_port] or dns_ports[dst_port]) and "dns" or tunnels[dst_port]
  end,
  summary = ports,
  optional = function(field, value, layers, i)
    local follower = layers[i + 1] and layers[i + 1].name -- tunnels may leave it out (RFC 6935)
    return field == "checksum" and value == 0
      and (follower == "vxlan" or follower == "geneve" or not sums.in_ipv6(layers, i))
  end,
  endless = function(layer)
    return not layer.length or layer.length < 8
  end,
}

--- A UDP header (RFC 768).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / packet.udp {dst_port = 7} / "hi"
--- print(packet.dissect(p:bytes(), "ip").udp.length)  --> 10
--- ```
---@param fields? neap.packet.Udp|table
---@return neap.Packet
function transport.udp(fields)
  return udp(fields)
end


-- TCP.

local flags = check.flags {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

--- Option kinds (IANA).
local kinds = check.enum {
  [0] = "eol",
  [1] = "nop",
  [2] = "mss",
  [3] = "window-scale",
  [4] = "sack-permitted",
  [5] = "sack",
  [8] = "timestamps",
  [19] = "md5",
  [29] = "ao",
  [30] = "mptcp",
  [34] = "fast-open",
}

--- The bytes behind kind and length, of the kinds that have fields.
local encoders = {
  ["mss"] = function(view)
    return view.mss and pack(">I2", int(view, "mss", 16))
  end,
  ["window-scale"] = function(view)
    return view.shift and pack("B", int(view, "shift", 8))
  end,
  ["timestamps"] = function(view)
    view.tsecr = view.tsecr or 0
    return view.tsval and pack(">I4I4", int(view, "tsval", 32), int(view, "tsecr", 32))
  end,
  ["sack"] = function(view)
    local out = {}
    for i, block in ipairs(view.blocks or {}) do
      local edges = {name = "tcp option sack", left = block[1], right = block[2]}
      out[i] = pack(">I4I4", int(edges, "left", 32), int(edges, "right", 32))
    end
    return view.blocks and table.concat(out)
  end,
}

local function encode_option(option, kind)
  return not option.data and encoders[kind] and encoders[kind](option)
    or check.bytes(option, "data")
end

--- One option between its first byte and its last.
local function decode_option(bytes, from, last)
  local option = {kind = kinds.name(string.byte(bytes, from))}
  local kind, size = option.kind, last - from + 1
  if kind == "mss" and size == 4 then
    option.mss = unpack(">I2", bytes, from + 2)
  elseif kind == "window-scale" and size == 3 then
    option.shift = string.byte(bytes, last)
  elseif kind == "timestamps" and size == 10 then
    option.tsval, option.tsecr = unpack(">I4I4", bytes, from + 2)
  elseif kind == "sack" and size > 2 and (size - 2) % 8 == 0 then
    option.blocks = {}
    for at = from + 2, last, 8 do
      local left, right = unpack(">I4I4", bytes, at)
      option.blocks[#option.blocks + 1] = {left, right}
    end
  elseif size > 2 then
    option.data = string.sub(bytes, from + 2, last)
  end
  return option
end

local options = {key = "kind", types = kinds, size = "data_offset", encode = encode_option,
  decode = decode_option}

---@class neap.packet.Tcp: neap.Layer
---@field src_port integer  16 bits; default 0
---@field dst_port integer  16 bits; default 0
---@field seq integer  32 bits, sequence number; default 0
---@field ack integer  32 bits, acknowledgment number; default 0
---@field data_offset integer  4 bits, the header's length in words of 4 bytes; automatic
---@field reserved integer  4 bits; default 0
---@field flags string|integer  8 bits: `"SYN"`, `"SYN ACK"`, ..., of FIN, SYN, RST, PSH, ACK,
--- URG, ECE, CWR; they read in this order, with a space between; default none
---@field window integer  16 bits; default 65535
---@field checksum integer  16 bits; automatic, 0 where no IP layer is around
---@field urgent_pointer integer  16 bits; default 0
---@field options (string|neap.packet.TcpOption)[]  40 bytes at most; filled up with zeros
---@field present integer?  bytes of a header that was cut off: 8, which have `src_port`, `dst_port` and
--- `seq`, and the others are nil

---@class neap.packet.TcpOption
---@field kind string|integer  `"nop"`, `"eol"`, `"mss"`, `"window-scale"`, `"sack-permitted"`,
--- `"sack"`, `"timestamps"`, ...
---@field mss integer?  16 bits, bytes
---@field shift integer?  8 bits, of window-scale (RFC 7323)
---@field tsval integer?  32 bits, of timestamps (RFC 7323)
---@field tsecr integer?  32 bits
---@field blocks integer[][]?  of sack (RFC 2018): left and right edge, 32 bits each
---@field data string?  the bytes behind kind and length, of the others
---@field length integer?  automatic
---@field raw string?  bytes that are no option, instead of all that

local tcp = core.kind {
  name = "tcp",
  fields = "src_port dst_port seq ack data_offset reserved flags window checksum urgent_pointer"
    .. " present options",
  defaults = {src_port = 0, dst_port = 0, seq = 0, ack = 0, reserved = 0, flags = "",
    window = 0xffff, urgent_pointer = 0},
  automatic = "data_offset checksum",
  sum = "pseudo",
  lists = "options",
  hex = {checksum = 4},
  encode = function(layer, body, layers, i)
    local opts = tlv.encode(layer, options)
    layer.data_offset = layer.data_offset or 5 + #opts // 4
    local first = pack(">I2I2I4I4BBI2", int(layer, "src_port", 16), int(layer, "dst_port", 16),
      int(layer, "seq", 32), int(layer, "ack", 32),
      int(layer, "data_offset", 4) << 4 | int(layer, "reserved", 4), flags.bits(layer, "flags"),
      int(layer, "window", 16))
    local rest = pack(">I2", int(layer, "urgent_pointer", 16)) .. opts
    layer.checksum = layer.checksum
      or sums.finish(layer, sums.over(layers, i, 6, first .. "\0\0" .. rest, body))
    return first .. pack(">I2", int(layer, "checksum", 16)) .. rest
  end,
  decode = function(bytes, from, to)
    if to - from < 7 then
      return nil, check.short("tcp", from, to, 20)
    elseif to - from < 19 then -- as much as errors quote, at least (RFC 792)
      local src_port, dst_port, seq = unpack(">I2I2I4", bytes, from)
      return {src_port = src_port, dst_port = dst_port, seq = seq, present = 8,
        note = check.short("tcp", from, to, 20)}, from + 8, to, nil
    end
    local src_port, dst_port, seq, ack, offset, bits, window, sum, urgent =
      unpack(">I2I2I4I4BBI2I2I2", bytes, from)
    local size = (offset >> 4) * 4
    if size < 20 then
      return nil, string.format("tcp: a header of %d bytes", size)
    elseif to - from + 1 < size then
      return nil, check.short("tcp", from, to, size)
    end
    return {
      src_port = src_port,
      dst_port = dst_port,
      seq = seq,
      ack = ack,
      data_offset = offset >> 4,
      reserved = offset & 15,
      flags = flags.text(bits),
      window = window,
      checksum = sum,
      urgent_pointer = urgent,
      options = tlv.decode(bytes, from + 20, from + size - 1, options),
    }, from + size, to,
      (src_port == 53 or dst_port == 53) and records.begins(bytes, from + size, to) and "dns" or nil
  end,
  summary = function(layer)
    local text = ports(layer)
    return (layer.flags or "") == "" and text or string.format("%s %s", text, layer.flags)
  end,
}

--- A TCP header (RFC 9293, 3.1).
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {src = "10.0.0.1", dst = "10.0.0.2"} / packet.tcp {
---   src_port = 40000, dst_port = 80, flags = "SYN", options = {{kind = "mss", mss = 1460}},
--- }
--- print(#p:bytes(), packet.dissect(p:bytes(), "ip").tcp.options[1].mss)  --> 44 1460
--- ```
---@param fields? neap.packet.Tcp|table
---@return neap.Packet
function transport.tcp(fields)
  return tcp(fields)
end

return transport

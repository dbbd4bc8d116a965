--- What all layers share: kinds of layers, packets made of them, and the walk in
--- both directions.
---
--- A kind is a table: its name, the names of its fields in their order, what
--- they default to, and two functions.
---
--- - `encode(layer, body, layers, i)` returns the bytes of the header of
---   `layers[i]` in front of `body`. It may write into `layer`, which is a copy:
---   what is automatic and not given is filled in there.
--- - `decode(bytes, from, to, layers)` reads a header at `bytes[from]`, looks no
---   further than `bytes[to]`, and returns its fields, where its body begins and
---   ends, and the name of the layer in there. When bytes are lacking it returns
---   nil and what was short. It raises for nothing.
---
--- What `decode` reads, `encode` gives back byte for byte.

local address = require "neap.packet.address"

local core = {}

--- More layers than this in one packet are left as bytes.
local MAX_LAYERS = 64

--- The kinds by name. What a kind may say, besides its name, `fields` (a string of
--- their names, in the order in which `show` prints them), `encode` and `decode`:
---
--- - `defaults`: a table; `lists`: the fields that are lists, empty when not given;
--- - `automatic`: fields that follow from the rest, lengths and checksums;
--- - `hex`: fields that print in hexadecimal, and their digits; `dump`: `show` dumps
---   its `data`; `hidden`: fields that `show` leaves out; `summary(layer)`: a text;
--- - `network`: padding behind it that names no layer is outside of it;
--- - `optional(field, value)`: the value is right without being computed;
--- - `partial(layer)`: what is inside is only a piece.
local kinds = {}
core.kinds = kinds

local function set_of(words)
  local set = {}
  for word in string.gmatch(words or "", "[%w_]+") do
    set[word] = true
  end
  return set
end

--- The text of any value, for an error's message.
local function quote(value)
  if type(value) == "string" then
    local text = #value > 40 and string.sub(value, 1, 40) .. "..." or value
    return "'" .. string.gsub(text, "[^\x20-\x7e]", function(c)
      return string.format("\\x%02x", string.byte(c))
    end) .. "'"
  end
  return tostring(value)
end

core.quote = quote

--- Raise for a field. The position is added where the script called.
local function bad(layer, field, expected)
  error(string.format("%s.%s: %s expected, got %s", layer.name, field, expected,
    quote(layer[field])), 0)
end
core.bad = bad

--- An integer field of so many bits.
function core.int(layer, field, bits)
  local value = layer[field]
  local n = type(value) == "number" and math.tointeger(value)
  if not n or n < 0 or n >> bits ~= 0 then
    bad(layer, field, string.format("0 to %d", (1 << bits) - 1))
  end
  return n
end

--- A field of one bit: false and true; 0 and 1 will do.
function core.bit(layer, field)
  local value = layer[field]
  if value == true or value == 1 then
    return 1
  elseif not value or value == 0 then
    return 0
  end
  return bad(layer, field, "true or false")
end

--- The text of an address field: a string, or an Address with its `ip`.
local function text_of(layer, field)
  local value = layer[field]
  if type(value) == "userdata" then
    value = value.ip
  end
  return type(value) == "string" and value or ""
end

--- The bytes of an IPv4 address field.
function core.ipv4(layer, field)
  return address.to_ipv4(text_of(layer, field)) or bad(layer, field, "an IPv4 address")
end

--- The bytes of an IPv6 address field.
function core.ipv6(layer, field)
  return address.to_ipv6(text_of(layer, field)) or bad(layer, field, "an IPv6 address")
end

--- The bytes of an Ethernet address field.
function core.mac(layer, field)
  return address.to_mac(text_of(layer, field)) or bad(layer, field, "an Ethernet address")
end

--- A field of bytes; nil counts as none.
function core.bytes(layer, field)
  local value = layer[field]
  if value == nil then
    return ""
  elseif type(value) ~= "string" then
    bad(layer, field, "a string of bytes")
  end
  return value
end

--- Numbers with names. `name(n)` is the name, or the number where there is none.
---@param names table<integer, string>
function core.enum(names)
  local numbers = {}
  for number, name in pairs(names) do
    numbers[name] = number
  end
  return {
    numbers = numbers,
    name = function(number)
      return names[number] or number
    end,
    number = function(layer, field, bits)
      local value = layer[field]
      if type(value) == "string" then
        return numbers[value] or bad(layer, field, "a name that is known, or a number,")
      end
      return core.int(layer, field, bits)
    end,
  }
end

--- Bits with names, from the lowest up: a string of the names of those set.
---@param names string[]
function core.flags(names)
  local texts, values = {}, {}
  for i, name in ipairs(names) do
    values[name] = 1 << (i - 1)
  end
  return {
    text = function(bits)
      local text = texts[bits]
      if not text then
        local words = {}
        for i, name in ipairs(names) do
          if bits & (1 << (i - 1)) ~= 0 then
            words[#words + 1] = name
          end
        end
        text = table.concat(words, " ")
        texts[bits] = text
      end
      return text
    end,
    bits = function(layer, field)
      local value = layer[field]
      if type(value) ~= "string" then
        return core.int(layer, field, #names)
      end
      local bits = 0
      for word in string.gmatch(value, "[^%s,|+]+") do
        local bit = values[string.upper(word)]
        if not bit then
          bad(layer, field, table.concat(names, ", "))
        end
        bits = bits | bit
      end
      return bits
    end,
  }
end

--- What was short, for a note.
function core.short(name, from, to, needed)
  return string.format("%s: %d bytes of %d", name, to - from + 1, needed)
end

--- Zeros up to a multiple of n bytes.
function core.pad(bytes, n)
  return bytes .. string.rep("\0", -#bytes % n)
end


-- Checksums.

--- The sum of the 16-bit words of some bytes, an odd one padded by a zero. Not
--- folded: 2^16 is 1 modulo 65535, so words of 32 bits do (RFC 1071, 2).
local function sum(bytes, total)
  local unpack = string.unpack
  local i, n = 1, #bytes
  while i + 31 <= n do
    local a, b, c, d, e, f, g, h = unpack(">I4I4I4I4I4I4I4I4", bytes, i)
    total = total + a + b + c + d + e + f + g + h
    i = i + 32
  end
  while i + 1 <= n do
    total = total + unpack(">I2", bytes, i)
    i = i + 2
  end
  if i == n then
    total = total + (string.byte(bytes, i) << 8)
  end
  return total
end
core.sum = sum

--- The checksum of a sum: folded to 16 bits, and complemented.
local function fold(total)
  while total > 0xffff do
    total = (total & 0xffff) + (total >> 16)
  end
  return ~total & 0xffff
end
core.fold = fold

--- Where a packet of IPv6 goes in the end: the last address of a routing header
--- that has not been used up (RFC 8200, 8.1; RFC 8754, 2).
local function final_destination(layers, at, i)
  for j = at + 1, i - 1 do
    local layer = layers[j]
    if layer.name == "routing" and layer.segments_left ~= 0 then
      local data = layer.data or ""
      if layer.type == 4 and #data >= 20 then
        return string.sub(data, 5, 20)
      elseif (layer.type == 0 or layer.type == 2) and #data >= 20 then
        return string.sub(data, -16)
      end
    end
  end
  return core.ipv6(layers[at], "dst")
end

local extensions = set_of "hopopts routing fragment dstopts"
core.extensions = extensions

--- The sum of the pseudo-header of layers[i] (RFC 9293, 3.1; RFC 8200, 8.1); nil
--- when no IP layer is around it.
function core.pseudo(layers, i, protocol, length)
  local at = i - 1
  while at > 0 and extensions[layers[at].name] do
    at = at - 1
  end
  local ip = layers[at]
  if not ip then
    return nil
  elseif ip.name == "ip" then
    return sum(core.ipv4(ip, "src") .. core.ipv4(ip, "dst"), protocol + length)
  elseif ip.name == "ipv6" then
    return sum(core.ipv6(ip, "src") .. final_destination(layers, at, i), protocol + length)
  end
end


-- Layers and packets.

---@class neap.Layer
---@field name string  of its kind: `"ip"`, `"tcp"`, `"raw"`, ...
---@field note string?  what was wrong with it when it was dissected

---@class neap.Packet
---@field [integer] neap.Layer  from the outermost on; `#p` is how many there are
---@field eth neap.packet.Eth?
---@field vlan neap.packet.Vlan?
---@field arp neap.packet.Arp?
---@field ip neap.packet.Ip?
---@field ipv6 neap.packet.Ipv6?
---@field hopopts neap.packet.Options?
---@field dstopts neap.packet.Options?
---@field routing neap.packet.Routing?
---@field fragment neap.packet.Fragment?
---@field icmp neap.packet.Icmp?
---@field icmpv6 neap.packet.Icmpv6?
---@field udp neap.packet.Udp?
---@field tcp neap.packet.Tcp?
---@field dns neap.packet.Dns?
---@field raw neap.packet.Raw?
---@field padding neap.packet.Padding?
---@operator div(neap.Packet|string): neap.Packet
local Packet = {}

--- The metatable of packets. Methods come first; other names are layers.
local packets = {__name = "neap.Packet"}

local function copy_value(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, inner in pairs(value) do
    copy[key] = copy_value(inner)
  end
  return copy
end

local function copy_layer(layer)
  local copy = {}
  for key, value in next, layer do
    copy[key] = copy_value(value)
  end
  return setmetatable(copy, getmetatable(layer))
end

--- Register a kind, and return what makes layers of it.
---@return fun(fields: table?): neap.Packet
function core.kind(kind)
  local name = kind.name
  local known = {note = true}
  local fields = {}
  for field in string.gmatch(kind.fields, "[%w_]+") do
    fields[#fields + 1] = field
    known[field] = true
  end
  kind.fields = fields
  kind.automatic = set_of(kind.automatic)
  kind.lists = set_of(kind.lists)
  kind.hex = kind.hex or {}
  kind.defaults = kind.defaults or {}
  kind.defaults.name = name
  kinds[name] = kind

  local layers = {__name = "neap.Layer", __index = kind.defaults}
  kind.metatable = layers

  function layers.__newindex(layer, field, value)
    if not known[field] then
      error(string.format("%s: no field '%s'", name, tostring(field)), 2)
    end
    rawset(layer, field, value)
  end

  return function(given)
    local layer = {}
    if given ~= nil and type(given) ~= "table" then
      error(string.format("%s: a table of fields expected, got %s", name, type(given)), 2)
    end
    for field, value in pairs(given or {}) do
      if not known[field] then
        error(string.format("%s: no field '%s'", name, tostring(field)), 2)
      end
      layer[field] = copy_value(value)
    end
    for field in pairs(kind.lists) do
      layer[field] = layer[field] or {}
    end
    return setmetatable({setmetatable(layer, layers)}, packets)
  end
end

--- The layers of a packet, copied, with all that is automatic filled in; and the
--- bytes. What is automatic in the layer `fresh` counts as not given.
local function resolve(packet, fresh)
  local layers = {}
  for i = 1, #packet do
    local copy = {}
    local automatic = i == fresh and kinds[packet[i].name].automatic
    for key, value in next, packet[i] do
      if not (automatic and automatic[key]) then
        copy[key] = value
      end
    end
    layers[i] = setmetatable(copy, getmetatable(packet[i]))
  end
  local body = ""
  local outside = {} -- paddings, which wait for the layer that they are behind
  for i = #layers, 1, -1 do
    local layer = layers[i]
    local kind = kinds[layer.name]
    if layer.name == "padding" then
      outside[#outside + 1] = layer
    else
      body = kind.encode(layer, body, layers, i) .. body
      local last = outside[#outside]
      if last and (last.of == layer.name or not last.of and kind.network) then
        body = body .. core.bytes(last, "data")
        outside[#outside] = nil
      end
    end
  end
  for i = #outside, 1, -1 do
    body = body .. core.bytes(outside[i], "data")
  end
  return body, layers
end

--- The wire form. What is automatic and was not given, is computed: lengths,
--- checksums, the type of the layer inside. Raises for a field whose value does
--- not fit, naming it.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.udp {src_port = 7, dst_port = 9} / "hi"
--- print(#p:bytes())  --> 10
--- ```
---@return string bytes
function Packet:bytes()
  local ok, bytes = pcall(resolve, self)
  if not ok then
    error(bytes, 2)
  end
  return bytes
end

--- A copy in which all that is automatic has its value.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.udp {src_port = 7, dst_port = 9} / "hi"
--- print(p.udp.length, p:complete().udp.length)  --> nil 10
--- ```
---@return neap.Packet packet
function Packet:complete()
  local ok, bytes, layers = pcall(resolve, self)
  if not ok then
    error(bytes, 2)
  end
  for i = 1, #layers do
    layers[i] = copy_layer(layers[i])
  end
  return setmetatable(layers, packets)
end

--- A copy that shares nothing with this one.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"}
--- local q = p:copy()
--- q.ip.ttl = 1
--- print(p.ip.ttl, q.ip.ttl)  --> 64 1
--- ```
---@return neap.Packet packet
function Packet:copy()
  local copy = {}
  for i = 1, #self do
    copy[i] = copy_layer(self[i])
  end
  return setmetatable(copy, packets)
end

--- Forget the lengths and checksums of all layers, or of those of one name:
--- `bytes` computes them. For a packet that was dissected and changed.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.dissect((packet.ip {dst = "10.0.0.1"} / "hi"):bytes(), "ip")
--- p.ip.ttl = 1
--- print((p:verify()))  --> false
--- print(p:recompute():verify())  --> true
--- ```
---@param name? string  of a layer
---@return neap.Packet packet  itself
function Packet:recompute(name)
  for i = 1, #self do
    local layer = self[i]
    if not name or layer.name == name then
      for field in pairs(kinds[layer.name].automatic) do
        layer[field] = nil
      end
    end
  end
  return self
end

--- The nth layer of a name; `p.ip` is `p:get("ip", 1)`. For tunnels, and for the
--- packet inside an ICMP error.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local p = packet.ip {dst = "10.0.0.1"} / packet.ip {dst = "192.0.2.1"}
--- print(p.ip.dst, p:get("ip", 2).dst)  --> 10.0.0.1 192.0.2.1
--- ```
---@param name string
---@param n? integer  default 1
---@return neap.Layer? layer
---@return integer? position  its index in the packet
function Packet:get(name, n)
  n = n or 1
  for i = 1, #self do
    if self[i].name == name then
      n = n - 1
      if n == 0 then
        return self[i], i
      end
    end
  end
  return nil
end

--- Numbers of a field as `show` and `verify` print them.
local function plain(kind, field, value)
  local digits = kind.hex[field]
  if digits and math.type(value) == "integer" then
    return string.format("0x%0" .. digits .. "x", value)
  end
  return tostring(value)
end

--- Fields whose values are not what they would be if they were computed, by
--- layer. Nothing can be said of a layer whose bytes are not all there, nor of
--- what is inside one.
local function mismatches(packet)
  local found = {}
  for i = 1, #packet do
    local layer = packet[i]
    local kind = kinds[layer.name]
    if layer.note then
      break
    end
    local ok, _, layers = pcall(resolve, packet, i)
    if not ok then
      break
    end
    for field in pairs(kind.automatic) do
      local value, expected = rawget(layer, field), layers[i][field]
      local fits = value == nil or value == expected
        or kind.optional and kind.optional(field, value)
      if not fits then
        found[layer] = found[layer] or {}
        found[layer][field] = expected
      end
    end
    if kind.partial and kind.partial(layer) then
      break
    end
  end
  return found
end

--- Are the lengths and checksums what they would be if they were computed? A UDP
--- checksum of 0 is none, and right (RFC 768). Nothing is said of what is in a
--- layer that was cut off, or in a fragment.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local ok, wrong = (packet.ip {dst = "10.0.0.1", ihl = 6} / "hi"):verify()
--- print(ok, wrong[1])  --> false ip.ihl: 6, 5 expected
--- ```
---@return boolean ok
---@return string[]? wrong  a line a field
function Packet:verify()
  local found = mismatches(self)
  local wrong = {}
  for i = 1, #self do
    local layer = self[i]
    local kind = kinds[layer.name]
    for _, field in ipairs(kind.fields) do
      local expected = found[layer] and found[layer][field]
      if expected ~= nil then
        wrong[#wrong + 1] = string.format("%s.%s: %s, %s expected", layer.name, field,
          plain(kind, field, layer[field]), plain(kind, field, expected))
      end
    end
  end
  if #wrong > 0 then
    return false, wrong
  end
  return true
end


-- Text.

--- Bytes on one line: as they are when printable, hexadecimal when not.
local function bytes_text(bytes)
  if #bytes > 32 then
    return bytes_text(string.sub(bytes, 1, 24)) .. string.format("... (%d bytes)", #bytes)
  elseif string.find(bytes, "^[\x20-\x7e]*$") then
    return '"' .. bytes .. '"'
  end
  return (string.gsub(bytes, ".", function(c)
    return string.format("%02x", string.byte(c))
  end))
end

--- What a record in a list begins with; the rest follows by name.
local heads = {"kind", "name", "type", "code"}

local item_text

--- `kind key=value ...` for an option or a record.
local function record_text(record)
  local words, seen, keys = {}, {}, {}
  for _, key in ipairs(heads) do
    if record[key] ~= nil then
      words[#words + 1] = tostring(record[key])
      seen[key] = true
    end
  end
  for i, value in ipairs(record) do
    words[#words + 1] = item_text(value)
    seen[i] = true
  end
  for key in pairs(record) do
    if not seen[key] then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, key in ipairs(keys) do
    words[#words + 1] = string.format("%s=%s", key, item_text(record[key]))
  end
  return table.concat(words, " ")
end

function item_text(value)
  if type(value) == "table" then
    return "{" .. record_text(value) .. "}"
  elseif type(value) == "string" then
    return string.find(value, "^[%w_:.%-/@]+$") and #value <= 80 and value or bytes_text(value)
  end
  return tostring(value)
end

function core.hexdump(bytes)
  local lines = {}
  for at = 1, #bytes, 16 do
    local row = string.sub(bytes, at, at + 15)
    local hex = {}
    for i = 1, 16 do
      local b = string.byte(row, i)
      hex[i] = (b and string.format("%02x", b) or "  ") .. (i == 8 and " " or "")
    end
    lines[#lines + 1] = string.format("%08x  %s  |%s|", at - 1, table.concat(hex, " "),
      (string.gsub(row, "[^\x20-\x7e]", ".")))
  end
  return table.concat(lines, "\n")
end

local function show_field(lines, kind, field, value, expected)
  local text
  if type(value) == "table" then
    for i, item in ipairs(value) do
      item = type(item) == "table" and record_text(item) or item_text(item)
      lines[#lines + 1] = string.format("  %-16s %s", i == 1 and field or "", item)
    end
    return
  elseif type(value) == "string" then
    text = value == "" and '""' or string.find(value, "^[\x20-\x7e]+$") and value or bytes_text(value)
  else
    text = plain(kind, field, value)
  end
  if expected ~= nil then
    text = string.format("%s  (%s expected)", text, plain(kind, field, expected))
  end
  lines[#lines + 1] = string.format("  %-16s %s", field, text)
end

--- A readable tree: each layer with its fields, what is automatic computed.
--- Fields that are not what they should be are marked.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- print((packet.udp {src_port = 7, dst_port = 9} / "hi"):show())
--- --> udp
--- -->   src_port         7
--- -->   dst_port         9
--- -->   length           10
--- -->   checksum         0x0000
--- --> raw  2 bytes
--- -->   00000000  68 69                                             |hi|
--- ```
---@return string text  no newline at its end
function Packet:show()
  local found = mismatches(self)
  local ok, _, layers = pcall(resolve, self)
  if not ok then
    layers = self
  end
  local lines = {}
  for i = 1, #layers do
    local layer = layers[i]
    local kind = kinds[layer.name]
    local note = layer.note and string.format("  (%s)", layer.note) or ""
    if kind.dump then
      local data = core.bytes(layer, "data")
      lines[#lines + 1] = string.format("%s  %d bytes%s", layer.name, #data, note)
      for line in string.gmatch(core.hexdump(data), "[^\n]+") do
        lines[#lines + 1] = "  " .. line
      end
    else
      lines[#lines + 1] = layer.name .. note
      local wrong = found[self[i]] or {}
      for _, field in ipairs(kind.fields) do
        local value = layer[field]
        if value ~= nil and not (kind.hidden and kind.hidden[field]) then
          show_field(lines, kind, field, value, wrong[field])
        end
      end
    end
  end
  return table.concat(lines, "\n")
end

function packets.__index(packet, key)
  local method = Packet[key]
  if method ~= nil then
    return method
  end
  return type(key) == "string" and (Packet.get(packet, key)) or nil
end

function packets.__newindex(_, key)
  error(string.format("packet: '%s' cannot be set; fields belong to layers, as in p.ip.ttl = 1", tostring(key)), 2)
end

--- One line: `ip 10.0.0.2 > 10.0.0.1 / udp 7 > 9 / raw 2 bytes`.
function packets.__tostring(packet)
  local words = {}
  for i = 1, #packet do
    local layer = packet[i]
    local summary = kinds[layer.name].summary
    words[i] = layer.name .. (summary and " " .. summary(layer) or "")
  end
  return table.concat(words, " / ")
end

local function layers_of(value, into)
  if type(value) == "string" then
    value = core.raw(value)
  elseif getmetatable(value) ~= packets then
    error(string.format("packet: a packet or a string expected, got %s", type(value)), 3)
  end
  for i = 1, #value do
    into[#into + 1] = copy_layer(value[i])
  end
end

--- A packet with the layers of both, copied; a string is a layer of bytes.
function packets.__div(outer, inner)
  local layers = {}
  layers_of(outer, layers)
  layers_of(inner, layers)
  return setmetatable(layers, packets)
end

function core.is(value)
  return getmetatable(value) == packets
end


-- Bytes that are no layer of their own.

---@class neap.packet.Raw: neap.Layer
---@field data string

---@class neap.packet.Padding: neap.Layer
---@field data string
---@field of string?  the name of the layer behind whose end it is

local function count_bytes(layer)
  return string.format("%d bytes", #core.bytes(layer, "data"))
end

local function encode_data(layer)
  return core.bytes(layer, "data")
end

local raw = core.kind {
  name = "raw",
  fields = "data",
  defaults = {data = ""},
  dump = true,
  summary = count_bytes,
  encode = encode_data,
}

local padding = core.kind {
  name = "padding",
  fields = "data of",
  defaults = {data = ""},
  dump = true,
  summary = count_bytes,
  encode = encode_data,
}

local function data_of(value)
  return type(value) == "string" and {data = value} or value
end

function core.raw(data)
  return raw(data_of(data))
end

function core.padding(data)
  return padding(data_of(data))
end

--- Walk through the layers, from the outermost in. Each step takes bytes, and
--- there are MAX_LAYERS at most, so it ends.
---@param bytes string
---@param name string  of the first layer
---@return neap.Packet
function core.dissect(bytes, name)
  local layers, n = {}, 0
  local tails = {}
  local from, to = 1, #bytes
  local note
  while true do
    local kind = kinds[name]
    if not kind or not kind.decode then
      break
    elseif n >= MAX_LAYERS then
      note = string.format("more than %d layers", MAX_LAYERS)
      break
    end
    local layer, first, last, inside = kind.decode(bytes, from, to, layers)
    if not layer then
      note = first
      break
    end
    n = n + 1
    layers[n] = setmetatable(layer, kind.metatable)
    if last < to then
      tails[#tails + 1] = {data = string.sub(bytes, last + 1, to), of = name}
    end
    from, to, name = first, last, inside
    if from > to then
      break
    end
  end
  if from <= to or n == 0 then
    n = n + 1
    layers[n] = setmetatable({data = string.sub(bytes, from, to), note = note}, kinds.raw.metatable)
  end
  for i = #tails, 1, -1 do
    n = n + 1
    layers[n] = setmetatable(tails[i], kinds.padding.metatable)
  end
  return setmetatable(layers, packets)
end

return core

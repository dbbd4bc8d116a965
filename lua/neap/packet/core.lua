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

local check_self = require "neap.class.core".check_self
local check = require "neap.packet.check"
local sums = require "neap.packet.checksum"
local show = require "neap.packet.show"

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
--- - `sum`: it has the Internet's checksum; `"own"` over itself, `"pseudo"` also over the
---   addresses of the IP layer around, without which it is not known;
--- - `optional(field, value, layers, i)`: the value is right without being computed;
--- - `partial(layer)`: what is inside is a piece of a packet, or another packet's beginning;
--- - `header`: what is automatic and follows from the header alone, be its body cut off;
--- - `endless(layer)`: it has a note, as its length is less than the header's: all that is
---   there is its body, and nothing is cut off.
local kinds = {}
core.kinds = kinds

local function set_of(words)
  local set = {}
  for word in string.gmatch(words or "", "[%w_]+") do
    set[word] = true
  end
  return set
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
---@field sctp neap.packet.Sctp?
---@field dns neap.packet.Dns?
---@field loopback neap.packet.Loopback?
---@field sll neap.packet.Sll?
---@field sll2 neap.packet.Sll2?
---@field ah neap.packet.Ah?
---@field gre neap.packet.Gre?
---@field mpls neap.packet.Mpls?
---@field pppoe neap.packet.Pppoe?
---@field ppp neap.packet.Ppp?
---@field vxlan neap.packet.Vxlan?
---@field geneve neap.packet.Geneve?
---@field raw neap.packet.Raw?
---@field padding neap.packet.Padding?
---@operator div(neap.Packet|string): neap.Packet
local Packet = {}

--- The metatable of packets. Methods come first; other names are layers.
local packets = {__name = "neap.Packet"}

--- No field goes deeper, but one that has itself in it: below that nothing is copied.
local DEEPEST = 6

local function copy_value(value, depth)
  depth = depth or 1
  if type(value) ~= "table" or depth > DEEPEST then
    return value
  end
  local copy = {}
  for key, inner in pairs(value) do
    copy[key] = copy_value(inner, depth + 1)
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

--- What copies a layer of a kind, but for its lists: a table that is written down whole has
--- its size at once, which takes a third of the time.
local function copier(kind)
  local words = {"note = layer.note, [ones] = layer[ones]"}
  for i, field in ipairs(kind.fields) do
    words[i + 1] = string.format("[%q] = layer[%q]", field, field)
  end
  local text = "local ones, setmetatable, getmetatable = ... "
    .. "return function(layer) return setmetatable({%s}, getmetatable(layer)) end"
  return load(string.format(text, table.concat(words, ", ")), "=neap.packet.copy", "t")(
    sums.ONES, setmetatable, getmetatable)
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
  kind.header = set_of(kind.header)
  kind.lists = set_of(kind.lists)
  kind.hex = kind.hex or {}
  kind.defaults = kind.defaults or {}
  kind.defaults.name = name
  kinds[name] = kind

  local layers = {__name = "neap.Layer", __index = kind.defaults}
  kind.metatable = layers
  kind.cut_metatable = {__name = "neap.Layer", __index = {name = name}}

  function layers.__newindex(layer, field, value)
    if not known[field] then
      error(string.format("%s: no field '%s'", name, tostring(field)), 2)
    end
    rawset(layer, field, value)
  end
  kind.cut_metatable.__newindex = layers.__newindex

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

--- The bytes behind the end of each layer, by its index; of 0: behind all of them.
local function tails_of(packet)
  local tails = {}
  for i = 1, #packet do
    local layer = packet[i]
    if layer.name == "padding" then
      local n = layer.of and check.int(layer, "n", 8) or 1
      local at = 0
      for outer = 1, i - 1 do
        local name = packet[outer].name
        if name == layer.of or not layer.of and kinds[name].network then
          n = n - 1
          if n == 0 then
            at = outer
            break
          end
        end
      end
      tails[at] = (tails[at] or "") .. check.bytes(layer, "data")
    end
  end
  return tails
end

--- The header of layers[i] in front of a body; the beginning of one that was cut off,
--- whose other fields are not known.
local function encode(layer, body, layers, i)
  local kind = kinds[layer.name]
  if getmetatable(layer) ~= kind.cut_metatable then
    return kind.encode(layer, body, layers, i)
  end
  local whole = setmetatable({}, kind.metatable)
  for field in pairs(kind.automatic) do
    whole[field] = 0
  end
  for field in pairs(kind.lists) do
    whole[field] = {}
  end
  for field, value in next, layer do
    whole[field] = value
  end
  return string.sub(kind.encode(whole, "", layers, i), 1, check.int(layer, "present", 8))
end

--- The header of layers[i], with the fields that were computed and are not what was
--- given; nil when all are. It is made with those given.
local function compare(layer, fields, body, layers, i)
  local kind = kinds[layer.name]
  local given = {}
  for field in pairs(fields) do
    given[field] = rawget(layer, field)
    layer[field] = nil
  end
  local head = encode(layer, body, layers, i)
  local found
  for field, value in pairs(given) do
    local expected = rawget(layer, field)
    if value ~= expected then
      local fits = kind.optional and kind.optional(field, value, layers, i)
        or kind.sum and field == "checksum" and value == 0xffff and expected == 0
      if not fits then
        found = found or {}
        found[field] = expected
      end
      head = nil
    end
  end
  if not head then
    for field, value in pairs(given) do
      layer[field] = value
    end
    head = encode(layer, body, layers, i)
  end
  return head, found
end

--- The layers of a packet, copied, with all that is automatic filled in; and the
--- bytes. `checked` has, by the index of a layer, the fields that are compared with what
--- they would be if they were computed; `found` those that are not. With `first` no more is
--- done than from that layer on.
local function resolve(packet, checked, first)
  first = first or 1
  local layers = {}
  local padded = false
  for i = 1, #packet do
    local layer = packet[i]
    padded = padded or layer.name == "padding"
    if i >= first then
      local kind = kinds[layer.name]
      kind.copy = kind.copy or copier(kind)
      layer = kind.copy(layer)
    end
    layers[i] = layer
  end
  local tails = padded and tails_of(packet)
  local found = {}
  local body = ""
  for i = #layers, first, -1 do
    local layer = layers[i]
    if layer.name ~= "padding" then
      local head
      if checked and checked[i] and next(checked[i]) then
        head, found[i] = compare(layer, checked[i], body, layers, i)
      else
        head = encode(layer, body, layers, i)
      end
      local tail = tails and tails[i]
      body = tail and head .. body .. tail or head .. body
    end
  end
  return tails and tails[0] and body .. tails[0] or body, layers, found
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
  check_self(self, packets, "bytes")
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
  check_self(self, packets, "complete")
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
  check_self(self, packets, "copy")
  local copy = {}
  for i = 1, #self do
    copy[i] = copy_layer(self[i])
  end
  return setmetatable(copy, packets)
end

local NONE = {}

--- The fields of layers[i] that are automatic and can be known.
local function known_fields(packet, i)
  local layer = packet[i]
  local kind = kinds[layer.name]
  local fields = kind.automatic
  if layer.note and not (kind.endless and kind.endless(layer)) then
    fields = kind.header
  end
  if kind.sum == "pseudo" and fields.checksum and not sums.known(packet, i) then
    local others = {}
    for field in pairs(fields) do
      others[field] = field ~= "checksum" or nil
    end
    fields = others
  end
  return next(fields) and fields or NONE
end

--- What can be known of a packet: by the index of a layer, the fields that are automatic;
--- and a note, if it ends at what is cut off or makes no sense. What is inside a fragment, or
--- quoted by an error, is another packet's.
local function known(packet)
  local checked = {}
  for i = 1, #packet do
    local layer = packet[i]
    local kind = kinds[layer.name]
    checked[i] = known_fields(packet, i)
    if layer.note and not (kind.endless and kind.endless(layer)) then
      return checked, layer.note
    elseif kind.partial and kind.partial(layer) then
      return checked
    end
  end
  return checked
end

--- Forget the lengths and checksums of all layers, or of those of one name:
--- `bytes` computes them. For a packet that was dissected and changed.
---
--- What is not the packet's own stays: what is inside a fragment, or quoted by an ICMP
--- error; and so does what cannot be known of a layer that was cut off. A UDP checksum of
--- 0 is none, and stays; nil makes it automatic.
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
  check_self(self, packets, "recompute")
  local checked = known(self)
  local found
  for i = 1, #checked do
    local layer = self[i]
    local kind = kinds[layer.name]
    if not name or layer.name == name then
      for field in pairs(checked[i]) do
        local value = rawget(layer, field)
        if value == 0xffff and kind.sum and field == "checksum" then
          if not found then
            local ok, _, _, wrong = pcall(resolve, self, checked)
            found = ok and wrong or NONE
          end
          rawset(layer, sums.ONES, not (found[i] and found[i].checksum) or nil)
        end
        if not (kind.optional and kind.optional(field, value, self, i)) then
          layer[field] = nil
        end
      end
    end
  end
  return self
end

--- The nth layer of a name, and where it is.
local function find_layer(packet, name, n)
  for i = 1, #packet do
    if packet[i].name == name then
      n = n - 1
      if n == 0 then
        return packet[i], i
      end
    end
  end
  return nil
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
  check_self(self, packets, "get")
  return find_layer(self, name, n or 1)
end

--- Are the lengths and checksums what they would be if they were computed? A UDP
--- checksum of 0 over IPv4 is none, and right (RFC 768); 0xffff is as right as 0. Nothing
--- is said of what is in a fragment, or in the quote of an ICMP error. A packet that is cut
--- off, or makes no sense, is not right.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local ok, wrong = (packet.ip {dst = "10.0.0.1", ihl = 6} / "hi"):verify()
--- print(ok, wrong[1])  --> false ip.ihl: 6, 5 expected
---
--- local cut = packet.dissect((packet.ip {dst = "10.0.0.1"} / "hi"):bytes():sub(1, 21), "ip")
--- print(select(2, cut:verify())[1])  --> ip: 21 bytes of 22
--- ```
---@return boolean ok
---@return string[]? wrong  a line a field, and one for what is cut off
function Packet:verify()
  check_self(self, packets, "verify")
  local checked, note = known(self)
  local first = 1
  while first < #checked and not next(checked[first]) do
    first = first + 1
  end
  local ok, bytes, _, found = pcall(resolve, self, checked, first)
  if not ok then
    error(bytes, 2)
  elseif not note and not next(found) then
    return true
  end
  local wrong = {}
  for i = 1, #self do
    local layer = self[i]
    local kind = kinds[layer.name]
    for _, field in ipairs(found[i] and kind.fields or NONE) do
      local expected = found[i][field]
      if expected ~= nil then
        wrong[#wrong + 1] = string.format("%s.%s: %s, %s expected", layer.name, field,
          show.plain(kind, field, layer[field]), show.plain(kind, field, expected))
      end
    end
  end
  wrong[#wrong + 1] = note
  return false, wrong
end


-- Text.

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
  check_self(self, packets, "show")
  local ok, _, layers, found = pcall(resolve, self, known(self))
  if not ok then
    layers, found = self, NONE
  end
  return show.layers(layers, kinds, found)
end

function packets.__index(packet, key)
  local method = Packet[key]
  if method ~= nil then
    return method
  end
  return type(key) == "string" and (find_layer(packet, key, 1)) or nil
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

local function count_of(layers, name, to)
  local n = 0
  for i = 1, to do
    n = layers[i].name == name and n + 1 or n
  end
  return n
end

--- Padding stays where it is when what it is in is put into other layers, the first
--- `outer` ones.
local function settle(layers, outer)
  for i = outer + 1, #layers do
    local padding = layers[i]
    if padding.name == "padding" then
      if padding.of then
        padding.n = check.int(padding, "n", 8) + count_of(layers, padding.of, outer)
      else
        for at = outer + 1, i - 1 do
          if kinds[layers[at].name].network then
            padding.of = layers[at].name
            padding.n = 1 + count_of(layers, padding.of, outer)
            break
          end
        end
      end
    end
  end
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
  local n = #layers
  layers_of(inner, layers)
  settle(layers, n)
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
---@field n integer  the nth of that name, from the outermost on; default 1

local function count_bytes(layer)
  return string.format("%d bytes", #check.bytes(layer, "data"))
end

local function encode_data(layer)
  return check.bytes(layer, "data")
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
  fields = "data of n",
  defaults = {data = "", n = 1},
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
    layers[n] = setmetatable(layer, layer.present and kind.cut_metatable or kind.metatable)
    if last < to then
      tails[#tails + 1] = {data = string.sub(bytes, last + 1, to), of = name,
        n = count_of(layers, name, n)}
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

--- DNS messages (RFC 1035), with EDNS (RFC 6891).
---
--- A name is text without the last dot, `"www.example.com"`; the root is `"."`. A
--- dot or backslash inside a label has a backslash in front, and a byte that is
--- not printable is `\DDD`, as in zone files (RFC 1035, 5.1).
---
--- Reading takes any bytes. A pointer of a compressed name must point before all
--- that was read of the name so far, to a name that ends there, and there are 127
--- at most: so names end. Of a message that is cut off or malformed there is what
--- comes before that, with a note; record data that is not what its type says is
--- kept as bytes.

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local core = require "neap.packet.core"
local records = require "neap.packet.records"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local dns = {}

--- Bytes of a name on the wire, at most, and of a label (RFC 1035, 2.3.4); and
--- so the most labels, and pointers between them.
local MAX_NAME, MAX_LABEL, MAX_POINTERS = 255, 63, 127

local types, classes = records.types, records.classes
local opcodes, rcodes = records.opcodes, records.rcodes
local option_codes, parameter_keys = records.option_codes, records.parameter_keys
local layouts = records.layouts


-- Names.

local function escape(c)
  if c == "." or c == "\\" then
    return "\\" .. c
  end
  return string.format("\\%03d", string.byte(c))
end

--- The name at a place in a message. Where a pointer has led, no more is read
--- than what is before the part of the name that it came from.
---@return string? name  nil for what is none
---@return integer|string after  where it ends; or what is wrong
local function read_name(message, at)
  local labels, size = {}, 1
  local first, last, pointers = at, #message, 0
  local after
  while at <= last do
    local length = string.byte(message, at)
    if length == 0 then
      local text = #labels > 0 and table.concat(labels, ".") or "."
      return text, after or at + 1
    elseif length <= MAX_LABEL then
      size = size + 1 + length
      if size > MAX_NAME then
        return nil, "a name of more than 255 bytes"
      elseif at + length > last then
        break
      end
      local label = string.sub(message, at + 1, at + length)
      labels[#labels + 1] = string.gsub(label, "[\0-\x20.\\\x7f-\xff]", escape)
      at = at + length + 1
    elseif length >= 0xc0 then
      if at == last then
        break
      end
      after = after or at + 2
      at = ((length & 0x3f) << 8 | string.byte(message, at + 1)) + 1
      pointers = pointers + 1
      if at >= first or pointers > MAX_POINTERS then
        return nil, "a name that points into itself"
      end
      first, last = at, first - 1
    else
      return nil, string.format("a label of type %d", length >> 6)
    end
  end
  return nil, after and "a name that points into itself" or "a name that is cut off"
end

local function unescape(digits)
  local number = tonumber(digits)
  return number <= 255 and string.char(number) or nil
end

--- The labels of a name's text, each behind its length. `where` names the field.
local function labels_of(text, where)
  local function need(ok, expected)
    if not ok then
      error(string.format("%s: %s expected, got %s", where, expected, check.quote(text)), 0)
    end
  end
  need(type(text) == "string" and text ~= "", "a domain name")
  local labels, size = {}, 1
  local label = ""
  local function finish()
    need(label ~= "" and #label <= MAX_LABEL, "a domain name with labels of 1 to 63 bytes")
    size = size + 1 + #label
    need(size <= MAX_NAME, "a domain name of 255 bytes at most")
    labels[#labels + 1] = pack("s1", label)
    label = ""
  end
  local at = text == "." and 2 or 1
  while at <= #text do
    local plain = string.match(text, "^[^.\\]+", at)
    if plain then
      label = label .. plain
      at = at + #plain
    elseif string.byte(text, at) == 0x2e then
      finish()
      at = at + 1
    else
      local digits = string.match(text, "^\\(%d%d%d)", at)
      local byte = digits and unescape(digits) or string.match(text, "^\\(%D)", at)
      need(byte, "a domain name with sound escapes")
      label = label .. byte
      at = at + (digits and 4 or 2)
    end
  end
  if label ~= "" then
    finish()
  end
  return labels
end


-- Writing. `out` gathers pieces, their size, and where each name begins.

local function put(out, bytes)
  out[#out + 1] = bytes
  out.size = out.size + #bytes
end

local function put_name(out, text, where, compress)
  local labels = labels_of(text, where)
  for i = 1, #labels do
    local rest = table.concat(labels, "", i)
    local at = out.names[rest]
    if at and compress then
      put(out, pack(">I2", 0xc000 | at))
      return
    elseif not at and out.size < 0x4000 then
      out.names[rest] = out.size
    end
    put(out, labels[i])
  end
  put(out, "\0")
end

local function put_strings(out, record, field)
  local strings = record[field]
  if type(strings) == "string" then
    strings = {strings}
  elseif type(strings) ~= "table" or #strings == 0 then
    check.bad(record, field, "a list of strings")
  end
  for _, text in ipairs(strings) do
    if type(text) ~= "string" or #text > 255 then
      check.bad({name = record.name, [field] = text}, field, "strings of 255 bytes at most")
    end
    put(out, pack("s1", text))
  end
end

local function put_string(out, record, field)
  local text = check.bytes(record, field)
  if #text > 255 then
    check.bad(record, field, "a string of 255 bytes at most")
  end
  put(out, pack("s1", text))
end

--- In the order of their keys, of which each is there once (RFC 9460, 2.2).
local function put_parameters(out, record, field)
  local last = -1
  for i, parameter in ipairs(record[field] or {}) do
    local view = setmetatable({name = record.name .. "." .. field}, {__index = parameter})
    local key = parameter_keys.number(view, "key", 16)
    if key <= last then
      error(string.format("%s.%s: %d: keys in their order expected, each once", record.name,
        field, i), 0)
    end
    last = key
    put(out, pack(">I2s2", key, check.bytes(view, "value")))
  end
end

local function put_field(out, record, field, kind)
  if kind == "name" or kind == "target" then
    put_name(out, record[field], record.name .. "." .. field, kind == "name")
  elseif kind == "strings" then
    put_strings(out, record, field)
  elseif kind == "string" then
    put_string(out, record, field)
  elseif kind == "rest" then
    put(out, check.bytes(record, field))
  elseif kind == "parameters" then
    put_parameters(out, record, field)
  elseif kind == "ipv4" or kind == "ipv6" then
    put(out, check[kind](record, field))
  else
    put(out, pack(">I" .. kind // 8, int(record, field, kind)))
  end
end

local function put_options(out, record)
  for _, option in ipairs(record.options or {}) do
    local view = setmetatable({name = "dns option"}, {__index = option})
    put(out, pack(">I2s2", option_codes.number(view, "code", 16), check.bytes(view, "data")))
  end
end

--- An update names records without their data, by such a class (RFC 2136, 2.4 and 2.5).
local function may_be_empty(class)
  class = classes.numbers[class] or class
  return class == 254 or class == 255
end

local function has_data(record, layout)
  for _, row in ipairs(layout or {}) do
    if record[row[1]] ~= nil then
      return true
    end
  end
  return false
end

--- A record's data behind its length, which is known only then: names in it
--- count from the message's beginning.
local function put_data(out, record, type)
  local place = #out + 1
  put(out, "\0\0")
  local before = out.size
  local layout = layouts[type]
  if record.rdata then
    put(out, check.bytes(record, "rdata"))
  elseif type == "OPT" then
    put_options(out, record)
  elseif not may_be_empty(record.class) or has_data(record, layout) then
    for _, row in ipairs(layout or {}) do
      put_field(out, record, row[1], row[2])
    end
  end
  local length = out.size - before
  if length > 0xffff then
    error(string.format("%s: %d bytes of data are too many", record.name, length), 0)
  end
  out[place] = pack(">I2", record.rdlength or length)
end

local function default(value, otherwise)
  if value == nil then
    return otherwise
  end
  return value
end

--- A table as errors name it: the record's own `name` is a field.
local function view_of(record, section)
  if type(record) ~= "table" then
    error(string.format("dns.%s: a list of tables expected", section), 0)
  end
  local view = {
    name = "dns." .. section,
    owner = default(record.name, "."),
    type = default(record.type, "A"),
    class = default(record.class, "IN"),
    ttl = record.ttl or 0,
  }
  return setmetatable(view, {__index = record})
end

--- A class, and the bit of multicast DNS on top of it (RFC 6762, 5.4 and 10.2).
local function put_class(view, field)
  local class = classes.number(view, "class", 16)
  return class | check.bit(view, field) << 15
end

local function read_class(into, class, field)
  local name = classes.name(class & 0x7fff)
  if class >= 0x8000 and type(name) == "string" then
    into.class = name
    into[field] = true
  else
    into.class = classes.name(class)
  end
end

local function put_question(out, question)
  local view = view_of(question, "question")
  put_name(out, view.owner, view.name .. ".name", true)
  put(out, pack(">I2I2", types.number(view, "type", 16), put_class(view, "unicast_response")))
end

local function put_record(out, record, section)
  local view = view_of(record, section)
  local number = types.number(view, "type", 16)
  local type = types.name(number)
  put_name(out, view.owner, view.name .. ".name", true)
  if type == "OPT" and record.ttl == nil then
    view.udp_payload_size = record.udp_payload_size or 1232
    for _, field in ipairs {"extended_rcode", "version", "z"} do
      view[field] = record[field] or 0
    end
    put(out, pack(">I2I2BBI2", number, int(view, "udp_payload_size", 16),
      int(view, "extended_rcode", 8), int(view, "version", 8),
      check.bit(view, "dnssec_ok") << 15 | int(view, "z", 15)))
  else
    put(out, pack(">I2I2I4", number, put_class(view, "cache_flush"), int(view, "ttl", 32)))
  end
  put_data(out, view, type)
end


-- Reading. Each reader returns what it read and where that ended, or nil and
-- what is wrong.

local function read_strings(message, at, last)
  local strings = {}
  while at <= last do
    local length = string.byte(message, at)
    if at + length > last then
      return nil
    end
    strings[#strings + 1] = string.sub(message, at + 1, at + length)
    at = at + 1 + length
  end
  return #strings > 0 and strings or nil, at
end

local function read_string(message, at, last)
  local length = at <= last and string.byte(message, at)
  if not length or at + length > last then
    return nil
  end
  return string.sub(message, at + 1, at + length), at + 1 + length
end

local function read_parameters(message, at, last)
  local parameters = {}
  local before = -1
  while at <= last do
    if at + 3 > last then
      return nil
    end
    local key, length = unpack(">I2I2", message, at)
    if key <= before or at + 3 + length > last then
      return nil
    end
    parameters[#parameters + 1] = {
      key = parameter_keys.name(key),
      value = string.sub(message, at + 4, at + 3 + length),
    }
    before, at = key, at + 4 + length
  end
  return parameters, at
end

local function read_field(message, at, last, kind)
  if kind == "name" or kind == "target" then
    return read_name(message, at)
  elseif kind == "strings" then
    return read_strings(message, at, last)
  elseif kind == "string" then
    return read_string(message, at, last)
  elseif kind == "rest" then
    return string.sub(message, at, last), last + 1
  elseif kind == "parameters" then
    return read_parameters(message, at, last)
  end
  local size = kind == "ipv4" and 4 or kind == "ipv6" and 16 or kind // 8
  if at + size - 1 > last then
    return nil
  elseif kind == "ipv4" or kind == "ipv6" then
    return address[kind](message, at), at + size
  end
  return unpack(">I" .. size, message, at)
end

--- Read the data's fields into a record; false when they are not what they should
--- be, and the record is as it was.
local function read_layout(record, layout, message, at, last)
  local values = {}
  for i, row in ipairs(layout) do
    local value, after = read_field(message, at, last, row[2])
    if value == nil then
      return false
    end
    values[i], at = value, after
  end
  if at ~= last + 1 then
    return false
  end
  for i, row in ipairs(layout) do
    record[row[1]] = values[i]
  end
  return true
end

local function read_options(record, message, at, last)
  local options = {}
  while at <= last do
    if at + 3 > last then
      return false
    end
    local code, length = unpack(">I2I2", message, at)
    if at + 3 + length > last then
      return false
    end
    options[#options + 1] = {
      code = option_codes.name(code),
      data = string.sub(message, at + 4, at + 3 + length),
    }
    at = at + 4 + length
  end
  record.options = options
  return true
end

local function read_question(message, at)
  local name, after = read_name(message, at)
  if not name then
    return nil, after
  elseif after + 3 > #message then
    return nil, "a question that is cut off"
  end
  local number, class = unpack(">I2I2", message, after)
  local question = {name = name, type = types.name(number)}
  read_class(question, class, "unicast_response")
  return question, after + 4
end

local function read_record(message, at)
  local name, after = read_name(message, at)
  if not name then
    return nil, after
  elseif after + 9 > #message then
    return nil, "a record that is cut off"
  end
  local type, class, ttl, length = unpack(">I2I2I4I2", message, after)
  local first = after + 10
  local last = first + length - 1
  if last > #message then
    return nil, "a record that is cut off"
  end
  local record = {name = name, type = types.name(type)}
  local sound
  if record.type == "OPT" then
    record.udp_payload_size = class
    record.extended_rcode = ttl >> 24
    record.version = ttl >> 16 & 0xff
    record.dnssec_ok = ttl & 0x8000 ~= 0
    record.z = ttl & 0x7fff
    sound = read_options(record, message, first, last)
  else
    read_class(record, class, "cache_flush")
    record.ttl = ttl
    if length == 0 and may_be_empty(record.class) then
      record.rdata = ""
      return record, last + 1
    end
    local layout = layouts[record.type]
    sound = layout and read_layout(record, layout, message, first, last)
    if layout and not sound then
      record.note = "data that is not of this type"
    end
  end
  if not sound then
    record.rdata = string.sub(message, first, last)
  end
  return record, last + 1
end

local sections = {"question", "answer", "authority", "additional"}
local counts = {"qdcount", "ancount", "nscount", "arcount"}

--- A message's fields, and the position behind it; and a note, where it is cut off or
--- malformed: then there is what comes before that.
local function read_message(message)
  if #message < 12 then
    return nil, check.short("dns", 1, #message, 12)
  end
  local id, bits, qd, an, ns, ar = unpack(">I2I2I2I2I2I2", message)
  local layer = {
    id = id,
    qr = bits & 0x8000 ~= 0,
    opcode = opcodes.name(bits >> 11 & 15),
    aa = bits & 0x0400 ~= 0,
    tc = bits & 0x0200 ~= 0,
    rd = bits & 0x0100 ~= 0,
    ra = bits & 0x0080 ~= 0,
    z = bits & 0x0040 ~= 0,
    ad = bits & 0x0020 ~= 0,
    cd = bits & 0x0010 ~= 0,
    rcode = rcodes.name(bits & 15),
    qdcount = qd,
    ancount = an,
    nscount = ns,
    arcount = ar,
  }
  local at, note = 13, nil
  for i, section in ipairs(sections) do
    local list = {}
    local read = i == 1 and read_question or read_record
    for n = 1, note and 0 or layer[counts[i]] do
      local item, after = read(message, at)
      if not item then
        note = string.format("dns: %s %d: %s", section, n, after)
        break
      end
      list[n], at = item, after
    end
    layer[section] = list
  end
  return layer, at, note
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in next, a do
    if not same(value, rawget(b, key)) then
      return false
    end
  end
  for key in next, b do
    if rawget(a, key) == nil then
      return false
    end
  end
  return true
end

--- Does the layer still say what these bytes do?
local function unchanged(layer, wire)
  local copy = {}
  for key, value in next, layer do
    copy[key] = value
  end
  copy.wire, copy.note, copy.length = nil, nil, nil
  for i, field in ipairs(counts) do
    copy[field] = copy[field] or #copy[sections[i]]
  end
  return same(copy, (read_message(wire)))
end

--- Is layers[i] in a stream of TCP, where a message has its length in front?
local function in_stream(layers, i)
  while i > 1 and layers[i - 1].name == "dns" do
    i = i - 1
  end
  return i > 1 and layers[i - 1].name == "tcp"
end

local function encode_message(layer)
  if layer.wire and unchanged(layer, layer.wire) then
    return layer.wire
  end
  local bits = check.bit(layer, "qr") << 15 | opcodes.number(layer, "opcode", 4) << 11
    | check.bit(layer, "aa") << 10 | check.bit(layer, "tc") << 9 | check.bit(layer, "rd") << 8
    | check.bit(layer, "ra") << 7 | check.bit(layer, "z") << 6 | check.bit(layer, "ad") << 5
    | check.bit(layer, "cd") << 4 | rcodes.number(layer, "rcode", 4)
  local out = {size = 0, names = {}}
  put(out, pack(">I2I2", int(layer, "id", 16), bits))
  for i, field in ipairs(counts) do
    layer[field] = layer[field] or #layer[sections[i]]
    put(out, pack(">I2", int(layer, field, 16)))
  end
  for _, question in ipairs(layer.question) do
    put_question(out, question)
  end
  for i = 2, 4 do
    for _, record in ipairs(layer[sections[i]]) do
      put_record(out, record, sections[i])
    end
  end
  return table.concat(out)
end

---@class neap.packet.Dns: neap.Layer
---@field length integer?  16 bits, of the message, in front of it in TCP; automatic there
---@field id integer  16 bits; default 0
---@field qr boolean  a response; default false, as of the flags below
---@field opcode string|integer  4 bits: `"query"` (default), `"notify"`, `"update"`, ...
---@field aa boolean  authoritative answer
---@field tc boolean  truncated
---@field rd boolean  recursion desired
---@field ra boolean  recursion available
---@field z boolean  reserved
---@field ad boolean  authentic data (RFC 4035)
---@field cd boolean  checking disabled (RFC 4035)
---@field rcode string|integer  4 bits: `"noerror"` (default), `"formerr"`, `"servfail"`,
--- `"nxdomain"`, `"notimp"`, `"refused"`, ...
---@field qdcount integer  16 bits, as the next three; automatic
---@field ancount integer
---@field nscount integer
---@field arcount integer
---@field question neap.packet.DnsQuestion[]
---@field answer neap.packet.DnsRecord[]
---@field authority neap.packet.DnsRecord[]
---@field additional neap.packet.DnsRecord[]
---@field wire string?  of a message that was dissected: its bytes. As long as nothing else
--- is changed, `bytes` gives them again, however they were compressed

---@class neap.packet.DnsQuestion
---@field name string  default `"."`
---@field type string|integer  16 bits: `"A"` (default), `"AAAA"`, `"MX"`, `"ANY"`, ...; a number
--- where it has no name
---@field class string|integer  16 bits: `"IN"` (default), `"CH"`, `"ANY"`, ...
---@field unicast_response boolean?  of questions of multicast DNS (RFC 6762, 5.4)

---@class neap.packet.DnsRecord: neap.packet.DnsQuestion
---@field ttl integer  32 bits, seconds; default 0
---@field cache_flush boolean?  of multicast DNS: the record replaces others (RFC 6762, 10.2)
---@field rdata string?  the data as bytes: of any other type, or instead of the fields
---@field address string?  of A, AAAA (RFC 3596)
---@field nsdname string?  of NS
---@field cname string?  of CNAME
---@field ptrdname string?  of PTR
---@field preference integer?  16 bits, of MX, NAPTR, RT, KX and PX
---@field exchange string?  of MX
---@field txt string[]?  of TXT: 255 bytes each at most; a string will do
---@field madname string?  of MB, MD, MF
---@field mgmname string?  of MG
---@field newname string?  of MR
---@field rmailbx string?  of MINFO
---@field emailbx string?  of MINFO
---@field mbox string?  of RP (RFC 1183)
---@field txtdname string?  of RP
---@field subtype integer?  16 bits, of AFSDB
---@field hostname string?  of AFSDB
---@field intermediate string?  of RT
---@field exchanger string?  of KX
---@field map822 string?  of PX
---@field mapx400 string?  of PX
---@field cpu string?  of HINFO
---@field os string?  of HINFO
---@field mname string?  of SOA, as those up to minimum
---@field rname string?
---@field serial integer?  32 bits
---@field refresh integer?  32 bits, seconds
---@field retry integer?  32 bits, seconds
---@field expire integer?  32 bits, seconds
---@field minimum integer?  32 bits, seconds
---@field priority integer?  16 bits, of SRV (RFC 2782), as those up to target; of SVCB, HTTPS
---@field weight integer?  16 bits
---@field port integer?  16 bits
---@field target string?  of DNAME (RFC 6672), SVCB and HTTPS, too
---@field parameters { key: string|integer, value: string }[]?  of SVCB and HTTPS (RFC 9460):
--- `"alpn"`, `"port"`, ...; in the order of the keys
---@field order integer?  16 bits, of NAPTR (RFC 3403)
---@field flags string|integer?  of NAPTR; of CAA 8 bits, of DNSKEY 16
---@field services string?  of NAPTR
---@field regexp string?  of NAPTR
---@field replacement string?  of NAPTR
---@field tag string?  of CAA (RFC 8659): `"issue"`, ...
---@field value string?  of CAA
---@field type_covered integer?  16 bits, of RRSIG (RFC 4034) and SIG, as those up to signature
---@field algorithm integer?  8 bits; of DS and DNSKEY, too
---@field labels integer?  8 bits
---@field original_ttl integer?  32 bits
---@field expiration integer?  32 bits
---@field inception integer?  32 bits
---@field key_tag integer?  16 bits; of DS, too
---@field signer string?
---@field signature string?
---@field next_domain string?  of NSEC and NXT
---@field bitmap string?  of NSEC and NXT: the types that there are, as bytes
---@field digest_type integer?  8 bits, of DS
---@field digest string?  of DS
---@field protocol integer?  8 bits, of DNSKEY
---@field public_key string?  of DNSKEY
---@field usage integer?  8 bits, of TLSA (RFC 6698)
---@field selector integer?  8 bits, of TLSA
---@field matching integer?  8 bits, of TLSA: the type of the association
---@field association string?  of TLSA
---@field udp_payload_size integer?  16 bits, of OPT (RFC 6891), as the rest; default 1232
---@field extended_rcode integer?  8 bits: the upper ones of the rcode; default 0
---@field version integer?  8 bits; default 0
---@field dnssec_ok boolean?  DO (RFC 3225); default false
---@field z integer?  15 bits; default 0
---@field options { code: string|integer, data: string }[]?  of OPT: `"cookie"`, ...
---@field rdlength integer?  automatic
---@field note string?  what is wrong with it

local message = core.kind {
  name = "dns",
  fields = "length id qr opcode aa tc rd ra z ad cd rcode qdcount ancount nscount arcount"
    .. " question answer authority additional wire",
  defaults = {id = 0, qr = false, opcode = "query", aa = false, tc = false, rd = false,
    ra = false, z = false, ad = false, cd = false, rcode = "noerror"},
  automatic = "length qdcount ancount nscount arcount",
  lists = "question answer authority additional",
  hex = {id = 4},
  hidden = {wire = true},
  encode = function(layer, _, layers, i)
    local bytes = encode_message(layer)
    for n, field in ipairs(counts) do
      layer[field] = layer[field] or #layer[sections[n]]
    end
    if in_stream(layers, i) then
      layer.length = layer.length or #bytes
      return pack(">I2", int(layer, "length", 16)) .. bytes
    end
    return bytes
  end,
  decode = function(bytes, from, to, layers)
    local stream = in_stream(layers, #layers + 1)
    local length, last = nil, to
    if stream then
      if not records.begins(bytes, from, to) then
        return nil
      end
      length = unpack(">I2", bytes, from)
      from, last = from + 2, from + 1 + length
    end
    local wire = string.sub(bytes, from, last)
    local layer, after, note = read_message(wire)
    if not layer then
      return nil, after
    end
    if not note and not stream then
      wire, last = string.sub(wire, 1, after - 1), from + after - 2
    end
    layer.wire, layer.note, layer.length = wire, note, length
    return layer, last + 1, stream and to or last, stream and records.begins(bytes, last + 1, to) and "dns" or nil
  end,
  summary = function(layer)
    local first = layer.question[1]
    local what = layer.qr and tostring(layer.rcode) or tostring(layer.opcode)
    return first and string.format("%s %s %s", what, first.name or ".", first.type or "A") or what
  end,
}

--- A DNS message (RFC 1035, 4.1); behind `tcp` it has its length in front, and another
--- may follow. Names are compressed where that is allowed.
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local query = packet.dns {id = 7, rd = true, question = {{name = "example.com", type = "MX"}}}
--- local message = packet.dissect(query:bytes(), "dns").dns
--- print(message.rd, message.question[1].name)  --> true example.com
--- ```
---@param fields? neap.packet.Dns|table
---@return neap.Packet
function dns.dns(fields)
  return message(fields)
end

return dns

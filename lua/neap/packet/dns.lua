--- DNS messages (RFC 1035), with EDNS (RFC 6891).
---
--- A name is text without the last dot, `"www.example.com"`; the root is `"."`. A
--- dot or backslash inside a label has a backslash in front, and a byte that is
--- not printable is `\DDD`, as in zone files (RFC 1035, 5.1).
---
--- Reading takes any bytes. A pointer of a compressed name must point before all
--- that was read of the name so far, to a name that ends there, and there are 127
--- at most: so names end. A message that is cut off or malformed is no message;
--- record data that is not what its type says is kept as bytes, in a message that
--- is otherwise sound.

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local core = require "neap.packet.core"

local pack, unpack = string.pack, string.unpack
local int = check.int

---@class neap.packet
local dns = {}

--- Bytes of a name on the wire, at most, and of a label (RFC 1035, 2.3.4); and
--- so the most labels, and pointers between them.
local MAX_NAME, MAX_LABEL, MAX_POINTERS = 255, 63, 127

local types = check.enum {
  [1] = "A",
  [2] = "NS",
  [5] = "CNAME",
  [6] = "SOA",
  [12] = "PTR",
  [13] = "HINFO",
  [15] = "MX",
  [16] = "TXT",
  [28] = "AAAA",
  [33] = "SRV",
  [35] = "NAPTR",
  [39] = "DNAME",
  [41] = "OPT",
  [43] = "DS",
  [46] = "RRSIG",
  [47] = "NSEC",
  [48] = "DNSKEY",
  [50] = "NSEC3",
  [52] = "TLSA",
  [64] = "SVCB",
  [65] = "HTTPS",
  [251] = "IXFR",
  [252] = "AXFR",
  [255] = "ANY",
  [257] = "CAA",
}

local classes = check.enum {
  [1] = "IN",
  [3] = "CH",
  [4] = "HS",
  [254] = "NONE",
  [255] = "ANY",
}

local opcodes = check.enum {
  [0] = "query",
  [1] = "iquery",
  [2] = "status",
  [4] = "notify",
  [5] = "update",
}

local rcodes = check.enum {
  [0] = "noerror",
  [1] = "formerr",
  [2] = "servfail",
  [3] = "nxdomain",
  [4] = "notimp",
  [5] = "refused",
  [6] = "yxdomain",
  [7] = "yxrrset",
  [8] = "nxrrset",
  [9] = "notauth",
  [10] = "notzone",
}

--- Codes of EDNS options (IANA).
local option_codes = check.enum {
  [3] = "nsid",
  [8] = "client-subnet",
  [10] = "cookie",
  [11] = "tcp-keepalive",
  [12] = "padding",
  [15] = "extended-error",
}

--- Keys of parameters of a service (RFC 9460, 14.3.2).
local parameter_keys = check.enum {
  [0] = "mandatory",
  [1] = "alpn",
  [2] = "no-default-alpn",
  [3] = "port",
  [4] = "ipv4hint",
  [5] = "ech",
  [6] = "ipv6hint",
}

local service = {{"priority", 16}, {"target", "target"}, {"parameters", "parameters"}}

--- The data of a type: its fields in their order. "name" may be compressed, which
--- only RFC 1035's own may (RFC 3597, 4), "target" may not. "string" has its length in
--- front, "rest" is all that follows.
local layouts = {
  A = {{"address", "ipv4"}},
  AAAA = {{"address", "ipv6"}},
  NS = {{"nsdname", "name"}},
  CNAME = {{"cname", "name"}},
  PTR = {{"ptrdname", "name"}},
  DNAME = {{"target", "target"}},
  MX = {{"preference", 16}, {"exchange", "name"}},
  TXT = {{"txt", "strings"}},
  SRV = {{"priority", 16}, {"weight", 16}, {"port", 16}, {"target", "target"}},
  SOA = {{"mname", "name"}, {"rname", "name"}, {"serial", 32}, {"refresh", 32}, {"retry", 32},
    {"expire", 32}, {"minimum", 32}},
  NAPTR = {{"order", 16}, {"preference", 16}, {"flags", "string"}, {"services", "string"},
    {"regexp", "string"}, {"replacement", "target"}},
  CAA = {{"flags", 8}, {"tag", "string"}, {"value", "rest"}},
  TLSA = {{"usage", 8}, {"selector", 8}, {"matching", 8}, {"association", "rest"}},
  SVCB = service,
  HTTPS = service,
}


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
  else
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

local function put_question(out, question)
  local view = view_of(question, "question")
  put_name(out, view.owner, view.name .. ".name", true)
  put(out, pack(">I2I2", types.number(view, "type", 16), classes.number(view, "class", 16)))
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
    put(out, pack(">I2I2I4", number, classes.number(view, "class", 16), int(view, "ttl", 32)))
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
  local type, class = unpack(">I2I2", message, after)
  return {name = name, type = types.name(type), class = classes.name(class)}, after + 4
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
    record.class = classes.name(class)
    record.ttl = ttl
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

--- A message's fields, and the position behind it.
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
  local at = 13
  for i, section in ipairs(sections) do
    local list = {}
    local read = i == 1 and read_question or read_record
    for n = 1, layer[counts[i]] do
      local item, after = read(message, at)
      if not item then
        return nil, string.format("dns: %s %d: %s", section, n, after)
      end
      list[n], at = item, after
    end
    layer[section] = list
  end
  return layer, at
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
  copy.wire, copy.note = nil, nil
  return same(copy, (read_message(wire)))
end

---@class neap.packet.Dns: neap.Layer
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

---@class neap.packet.DnsRecord: neap.packet.DnsQuestion
---@field ttl integer  32 bits, seconds; default 0
---@field rdata string?  the data as bytes: of any other type, or instead of the fields
---@field address string?  of A, AAAA (RFC 3596)
---@field nsdname string?  of NS
---@field cname string?  of CNAME
---@field ptrdname string?  of PTR
---@field preference integer?  16 bits, of MX and NAPTR
---@field exchange string?  of MX
---@field txt string[]?  of TXT: 255 bytes each at most; a string will do
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
---@field flags string|integer?  of NAPTR; of CAA 8 bits
---@field services string?  of NAPTR
---@field regexp string?  of NAPTR
---@field replacement string?  of NAPTR
---@field tag string?  of CAA (RFC 8659): `"issue"`, ...
---@field value string?  of CAA
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
  fields = "id qr opcode aa tc rd ra z ad cd rcode qdcount ancount nscount arcount"
    .. " question answer authority additional wire",
  defaults = {id = 0, qr = false, opcode = "query", aa = false, tc = false, rd = false,
    ra = false, z = false, ad = false, cd = false, rcode = "noerror"},
  automatic = "qdcount ancount nscount arcount",
  lists = "question answer authority additional",
  hex = {id = 4},
  hidden = {wire = true},
  encode = function(layer)
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
  end,
  decode = function(bytes, from, to)
    local wire = string.sub(bytes, from, to)
    local layer, after = read_message(wire)
    if not layer then
      return nil, after
    end
    layer.wire = string.sub(wire, 1, after - 1)
    return layer, from + after - 1, from + after - 2, nil
  end,
  summary = function(layer)
    local first = layer.question[1]
    local what = layer.qr and tostring(layer.rcode) or tostring(layer.opcode)
    return first and string.format("%s %s %s", what, first.name or ".", first.type or "A") or what
  end,
}

--- A DNS message (RFC 1035, 4.1), without the length that TCP puts in front.
--- Names are compressed where that is allowed.
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

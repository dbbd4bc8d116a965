--- What a filter says: a text of pcap-filter(7), read into a tree.
---
--- The tree knows the language's words, and nothing of bytes. Its nodes are
--- {"and", a, b}, {"or", a, b}, {"not", a} and {"test", name = value, ...}, whose
--- `kind` says what is looked at. A `vlan` moves all that is behind it in the text,
--- so a node has the number of those before it (`tags`).

local address = require "neap.packet.address"
local check = require "neap.packet.check"
local ip = require "neap.packet.ip"
local net = require "neap.net"

---@class neap.packet.expression
local expression = {}

local MAX_TEXT = 65536
local MAX_DEPTH = 100 -- of what is inside of what
local MAX_ADDRESS = 45 -- bytes of one that has colons

local ETHERTYPES = {ip = 0x0800, ip6 = 0x86dd, arp = 0x0806, rarp = 0x8035}

--- Protocols above IP: the number, and which IP alone carries it.
local TRANSPORTS = {
  tcp = {6}, udp = {17}, sctp = {132}, icmp = {1, "ip"}, icmp6 = {58, "ip6"}, igmp = {2, "ip"},
  igrp = {9, "ip"}, pim = {103}, vrrp = {112, "ip"}, carp = {112, "ip"}, ah = {51}, esp = {50},
}
local WITH_PORTS = {tcp = 6, udp = 17, sctp = 132}

local PROTOCOLS = {ether = true}
for _, names in ipairs {ETHERTYPES, TRANSPORTS} do
  for name in pairs(names) do
    PROTOCOLS[name] = true
  end
end

--- Those whose bytes there is no way to.
local WITHOUT_BYTES = {ah = true, esp = true}

local CONSTANTS = {
  icmptype = 0, icmpcode = 1, icmp6type = 0, icmp6code = 1, tcpflags = 13,
  ["tcp-fin"] = 1, ["tcp-syn"] = 2, ["tcp-rst"] = 4, ["tcp-push"] = 8, ["tcp-ack"] = 16,
  ["tcp-urg"] = 32, ["tcp-ece"] = 64, ["tcp-cwr"] = 128,
  ["icmp-echoreply"] = 0, ["icmp-unreach"] = 3, ["icmp-sourcequench"] = 4, ["icmp-redirect"] = 5,
  ["icmp-echo"] = 8, ["icmp-routeradvert"] = 9, ["icmp-routersolicit"] = 10, ["icmp-timxceed"] = 11,
  ["icmp-paramprob"] = 12, ["icmp-tstamp"] = 13, ["icmp-tstampreply"] = 14, ["icmp-ireq"] = 15,
  ["icmp-ireqreply"] = 16, ["icmp-maskreq"] = 17, ["icmp-maskreply"] = 18,
  ["icmp6-destinationunreach"] = 1, ["icmp6-packettoobig"] = 2, ["icmp6-timeexceeded"] = 3,
  ["icmp6-parameterproblem"] = 4, ["icmp6-echo"] = 128, ["icmp6-echoreply"] = 129,
  ["icmp6-multicastlistenerquery"] = 130, ["icmp6-multicastlistenerreportv1"] = 131,
  ["icmp6-multicastlistenerdone"] = 132, ["icmp6-routersolicit"] = 133, ["icmp6-routeradvert"] = 134,
  ["icmp6-neighborsolicit"] = 135, ["icmp6-neighboradvert"] = 136, ["icmp6-redirect"] = 137,
  ["icmp6-routerrenum"] = 138, ["icmp6-multicastlistenerreportv2"] = 143,
}

--- Words that are no names, unless `\` is in front of them.
local KEYWORDS = {}
for _, names in ipairs {PROTOCOLS, CONSTANTS, {host = 1, net = 1, port = 1, portrange = 1, proto = 1,
  src = 1, dst = 1, mask = 1, broadcast = 1, multicast = 1, vlan = 1, less = 1, greater = 1, len = 1,
  ["and"] = 1, ["or"] = 1, ["not"] = 1}} do
  for name in pairs(names) do
    KEYWORDS[name] = true
  end
end

--- What is raised for a host's name that is not found; the error is in it.
local Unfound = {}
expression.Unfound = Unfound

local RELATIONS = {["="] = true, ["!="] = true, ["<"] = true, [">"] = true, ["<="] = true, [">="] = true}

--- How tightly operators bind: as in C.
local LEVELS = {
  ["|"] = 1, ["^"] = 2, ["&"] = 3, ["<<"] = 4, [">>"] = 4, ["+"] = 5, ["-"] = 5,
  ["*"] = 6, ["/"] = 6, ["%"] = 6,
}

--- Other spellings of a word.
local SPELLINGS = {["&&"] = "and", ["||"] = "or", ["!"] = "not", ["=="] = "=", link = "ether"}

local Parser = {}
Parser.__index = Parser


-- Errors. A position counts bytes, from 1.

function Parser:raise(message)
  local at = self.starts[self.at] or #self.text + 1
  error(string.format("filter %s: at %d: %s", check.quote(self.text), at, message), 0)
end

function Parser:fail(expected)
  local at = self.starts[self.at]
  self:raise(string.format("%s expected, got %s", expected,
    at and check.quote(string.sub(self.text, at, self.ends[self.at])) or "the end"))
end


-- Words.

--- The end of the word that begins here.
local function word_end(text, at)
  local word = string.match(string.sub(text, at, at + MAX_ADDRESS), "^%x*:[%x:]*:[%x:.]*")
  if word then
    local to = at + #word - 1
    if string.find(word, "^%x%x?:%x%x?:%x%x?:%x%x?:%x%x?:%x%x?$") or address.to_ipv6(word) then
      return to
    end
  end
  local _, to = string.find(text, "^%w[%w_.%-]*", at)
  while to and string.find(text, "^[_%-]", to) do
    to = to - 1
  end
  return to or select(2, string.find(text, "^[!=<>]=", at)) or select(2, string.find(text, "^<<", at))
    or select(2, string.find(text, "^>>", at)) or select(2, string.find(text, "^&&", at))
    or select(2, string.find(text, "^||", at)) or select(2, string.find(text, "^[][!=<>&|+*/%%^():%-]", at))
end

--- Cut the text into words; `\` in front of one makes it a name.
function Parser:cut()
  local text, at = self.text, 1
  local open = {}
  while true do
    at = string.find(text, "%S", at)
    if not at then
      return
    end
    local is_name = string.sub(text, at, at) == "\\"
    local start = is_name and at + 1 or at
    local to = word_end(text, start)
    local i = #self.words + 1
    self.starts[i], self.ends[i] = at, to or at
    if not to then
      self.at = i
      self:fail "a word or an operator"
    end
    local word = string.sub(text, start, to)
    self.words[i], self.names[i] = SPELLINGS[word] or word, is_name or nil
    if word == "(" and not is_name then
      open[#open + 1] = i
    elseif word == ")" and open[1] and not is_name then
      self.pairs[table.remove(open)] = i
    end
    at = to + 1
  end
end

function Parser:go(at)
  self.at = at
  self.word = not self.names[at] and self.words[at] or nil
  self.name = self.words[at]
end

--- Go on to the next word; returns the one that was there.
function Parser:next()
  local word = self.name
  self:go(self.at + 1)
  return word
end

function Parser:accept(...)
  for _, word in ipairs {...} do
    if self.word == word then
      return self:next()
    end
  end
end

function Parser:expect(word)
  if not self:accept(word) then
    self:fail("'" .. word .. "'")
  end
end

--- Something inside of something.
function Parser:inside(read, ...)
  if self.depth == MAX_DEPTH then
    self:raise "too deep"
  end
  self.depth = self.depth + 1
  local found = read(self, ...)
  self.depth = self.depth - 1
  return found
end

--- The value of a word that is a number: decimal, 0x..., or octal with a 0 in front.
local function number_of(word)
  if not word or #word > 12 then
    return nil
  elseif string.find(word, "^0[0-7]+$") then
    return tonumber(word, 8)
  elseif string.find(word, "^[1-9]%d*$") or word == "0" or string.find(word, "^0[xX]%x+$") then
    return math.tointeger(tonumber(word))
  end
end

function Parser:number(what, max)
  local n = number_of(self.word)
  if not n or n > max then
    self:fail(string.format("%s, 0 to %d,", what, max))
  end
  self:next()
  return n
end

function Parser:test(fields)
  fields[1], fields.tags = "test", self.tags
  return fields
end


-- Values: {"number", n}, {"length"}, {"load", protocol, index, size}, {operator, a, b}.

local function folded(op, a, b)
  if op == "+" then
    return a + b
  elseif op == "-" then
    return a - b
  elseif op == "*" then
    return a * b
  elseif op == "/" then
    return a // b
  elseif op == "%" then
    return a % b
  elseif op == "&" then
    return a & b
  elseif op == "|" then
    return a | b
  elseif op == "^" then
    return a ~ b
  end
  return op == "<<" and a << b or a >> b
end

function Parser:operation(op, at, a, b)
  local n = b[1] == "number" and b[2]
  if n and (n == 0 and (op == "/" or op == "%") or n > 31 and (op == "<<" or op == ">>")) then
    self.at = at
    self:raise(n == 0 and "division by zero" or "a shift by more than 31 bits")
  elseif n and a[1] == "number" then
    return {"number", folded(op, a[2], n) & 0xffffffff}
  end
  return {op, a, b}
end

function Parser:bytes()
  local protocol = self:next()
  local tags = self.tags
  self:expect "["
  local index = self:inside(self.value, 1)
  if index[1] == "number" and index[2] > 65535 then
    self.at = self.at - 1
    self:fail "an offset of 65535 at most"
  end
  local size = 1
  if self:accept ":" then
    size = number_of(self.word)
    if size ~= 1 and size ~= 2 and size ~= 4 then
      self:fail "a size of 1, 2 or 4"
    end
    self:next()
  end
  self:expect "]"
  return {"load", protocol, index, size, tags = tags}
end

function Parser:operand()
  if self:accept "(" then
    local value = self:inside(self.value, 1)
    self:expect ")"
    return value
  elseif self:accept "-" then
    return self:operation("-", self.at, {"number", 0}, self:inside(self.operand))
  elseif self:accept "len" then
    return {"length"}
  elseif CONSTANTS[self.word] then
    return {"number", CONSTANTS[self:next()]}
  elseif PROTOCOLS[self.word] then
    if WITHOUT_BYTES[self.word] then
      self:fail "a protocol whose bytes can be had"
    end
    return self:bytes()
  end
  local n = number_of(self.word)
  if not n or n > 0xffffffff then
    self:fail "a number, 'len', or bytes such as ip[0]"
  end
  self:next()
  return {"number", n}
end

--- Operators that bind at least so tightly.
function Parser:value(level)
  local left = self:operand()
  while LEVELS[self.word] and LEVELS[self.word] >= level do
    local at, op = self.at, self:next()
    left = self:operation(op, at, left, self:inside(self.value, LEVELS[op] + 1))
  end
  return left
end

--- Does a value begin here? What stands behind tells a number, and a parenthesis.
function Parser:is_value()
  local word, at = self.word, self.at
  if word == "len" or word == "-" or CONSTANTS[word] or PROTOCOLS[word] and self.words[at + 1] == "[" then
    return true
  elseif word == "(" and self.pairs[at] then
    at = self.pairs[at]
  elseif not number_of(word) then
    return false
  end
  local behind = self.words[at + 1]
  if behind == "/" and self.head and self.head.kind == "net" then
    return false
  end
  return not self.names[at + 1] and (LEVELS[behind] or RELATIONS[behind]) ~= nil
end

function Parser:relation()
  local left = self:value(1)
  if not RELATIONS[self.word] then
    self:fail "an operator"
  end
  local relation = self:next()
  return self:test {kind = "relation", relation = relation, left = left, right = self:value(1)}
end


-- What has a name, a number or an address behind it: the head, [protocol] [src | dst]
-- [host | net | port | portrange | proto], holds until there is another one.

local function any_of(list)
  local tree = list[1]
  for i = 2, #list do
    tree = {"or", tree, list[i]}
  end
  return tree
end

--- IPv4's prefix of 1 to 4 numbers with dots, and how many bits these are.
local function dotted(word)
  local value, bits = 0, 0
  for digits in string.gmatch(word .. ".", "([^.]*)%.") do
    local n = string.find(digits, "^%d%d?%d?$") and number_of(tostring(tonumber(digits)))
    if not n or n > 255 or bits == 32 then
      return nil
    end
    value, bits = value << 8 | n, bits + 8
  end
  return value << (32 - bits), bits
end

--- A prefix as words of 32 bits, each with the mask of what counts in it.
local function prefix_of(packed, length)
  local parts = {}
  for at = 0, #packed - 1, 4 do
    local bits = math.max(0, math.min(32, length - at * 8))
    local mask = 0xffffffff << (32 - bits) & 0xffffffff
    parts[#parts + 1] = {value = string.unpack(">I4", packed, at + 1), mask = mask}
  end
  return parts
end

--- `/ LENGTH` behind a net, of `most` bits.
function Parser:length(most, bits)
  if self.head.kind == "net" and self:accept "/" then
    return self:number("a length", most)
  end
  return bits
end

--- Of such addresses, is this a prefix? Bits that do not count are to be 0.
function Parser:place(at, family, parts)
  for _, part in ipairs(parts) do
    if part.value & ~part.mask ~= 0 then
      self.at = at
      self:raise "bits are set that do not count"
    end
  end
  local head = self.head
  if head.protocol and (family == "ip6") ~= (head.protocol == "ip6") then
    self.at = at
    self:fail(string.format("an address of %s", head.protocol))
  end
  return self:test {kind = "prefix", family = family, parts = parts, side = head.side, protocol = head.protocol}
end

function Parser:four(at, value, bits)
  local mask = 0xffffffff << (32 - bits) & 0xffffffff
  local length = self:length(32)
  if length then
    mask = 0xffffffff << (32 - length) & 0xffffffff
  elseif self.head.kind == "net" and self:accept "mask" then
    mask = dotted(self.word or "") or self:fail "a mask such as 255.255.0.0"
    self:next()
  end
  return self:place(at, "ip", {{value = value, mask = mask}})
end

--- All addresses of a host's name.
function Parser:named(at, name)
  local family = self.head.protocol and (self.head.protocol == "ip6" and "inet6" or "inet")
  local addresses, err = net.resolve(name, {family = family})
  if not addresses then
    error(setmetatable({err}, Unfound), 0)
  end
  local list = {}
  for _, one in ipairs(addresses) do
    local six = one.family == "inet6"
    local packed = six and address.to_ipv6(one.ip) or address.to_ipv4(one.ip)
    list[#list + 1] = self:place(at, six and "ip6" or "ip", prefix_of(packed, 128))
  end
  return any_of(list)
end

local function mac_of(word)
  if string.find(word, "^%x%x?:") then
    word = string.gsub(word, "%f[%x]%x%f[^%x]", "0%0")
  end
  return address.to_mac(word)
end

function Parser:host()
  local head, at, word = self.head, self.at, self.word or ""
  local is_net = head.kind == "net"
  local mac = mac_of(word)
  if head.protocol == "ether" then
    if not mac then
      self:fail "an Ethernet address"
    end
    self:next()
    return self:test {kind = "mac", mac = mac, side = head.side}
  end
  local number, six = number_of(word), address.to_ipv6(word)
  local value, bits = dotted(word)
  local expected = is_net and "a prefix, such as 10.0.0.0/8," or "an address or a name"
  if number and number <= 0xffffffff and not is_net then -- an address as one number
    self:next()
    return self:four(at, number, 32)
  elseif value then
    self:next()
    return self:four(at, value, bits)
  elseif six then
    self:next()
    return self:place(at, "ip6", prefix_of(six, self:length(128, 128)))
  elseif is_net or mac or KEYWORDS[self.word] or not string.find(self.name or "", "^%w")
    or tonumber(self.name) or string.find(self.name, "^[%d.]+$") then
    self:fail(expected)
  end
  return self:named(at, self:next())
end

--- A port by number or name, and the protocol that alone knows the name.
function Parser:one_port(word, protocol)
  local number = number_of(word)
  if number and number <= 65535 then
    return number
  elseif word and string.find(word, "%a") and not number then
    local tcp = protocol ~= "udp" and net.service(word, "tcp") or nil
    local udp = protocol ~= "tcp" and net.service(word, "udp") or nil
    if tcp or udp then
      return tcp or udp, not protocol and tcp ~= udp and (tcp and "tcp" or "udp") or nil
    end
  end
  return self:fail "a port, 0 to 65535,"
end

function Parser:ports()
  local head = self.head
  local word = self.name or ""
  local low, high, only, also
  if head.kind == "portrange" then
    local from, to = string.match(word, "^(%w+)%-(%w+)$")
    if not from then -- names have such signs, too
      from, to = string.match(word, "^(.+)%-(.+)$")
    end
    low, only = self:one_port(from or word, head.protocol)
    high, also = self:one_port(to or word, head.protocol)
    if low > high then
      low, high = high, low
    end
    only = only == also and only or nil
  else
    low, only = self:one_port(word, head.protocol)
    high = low
  end
  self:next()
  local protocol = head.protocol or only
  return self:test {kind = "ports", low = low, high = high, side = head.side,
    transports = protocol and {WITH_PORTS[protocol]} or {132, 6, 17}}
end

function Parser:protocol_number()
  local protocol = self.head.protocol
  local by_link = protocol == "ether"
  local name = self.name or ""
  local number = number_of(self.word)
  if not number and by_link then
    number = ETHERTYPES[name]
  elseif not number then
    number = TRANSPORTS[name] and TRANSPORTS[name][1] or ip.protocols.numbers[name]
  end
  if not number or number > (by_link and 65535 or 255) then
    self:fail(string.format("a protocol, 0 to %d or a name,", by_link and 65535 or 255))
  end
  self:next()
  if by_link then
    return self:test {kind = "type", type = number}
  end
  return self:test {kind = "transport", number = number, family = protocol}
end

local READERS = {
  host = Parser.host, net = Parser.host, port = Parser.ports, portrange = Parser.ports,
  proto = Parser.protocol_number,
}

--- What the head is about: one, `not` one, or several in parentheses.
function Parser:id()
  if self:accept "not" then
    return {"not", self:inside(self.id)}
  elseif self:accept "(" then
    local tree = self:inside(self.id)
    local word = self:accept("and", "or")
    while word do
      tree = {word, tree, self:inside(self.id)}
      word = self:accept("and", "or")
    end
    self:expect ")"
    return tree
  end
  return READERS[self.head.kind](self)
end

local HEADS = {
  host = {ether = true, ip = true, ip6 = true, arp = true, rarp = true},
  net = {ip = true, ip6 = true, arp = true, rarp = true},
  port = WITH_PORTS, portrange = WITH_PORTS,
  proto = {ether = true, ip = true, ip6 = true},
}

--- `src`, `dst`, or both of them with `or` or `and` between.
function Parser:side()
  local one = self:accept("src", "dst")
  local other = one == "src" and "dst" or "src"
  local word = self.word
  if one and (word == "and" or word == "or") and self.words[self.at + 1] == other then
    self:go(self.at + 2)
    return word
  end
  return one
end

function Parser:needs_ethernet(at)
  if not self.ethernet then
    self.at = at
    self:raise "packets of this link have no header of Ethernet"
  end
end

--- `broadcast` and `multicast`, with what began in front.
function Parser:many(protocol, first)
  local at = self.at
  local word = self:next()
  if not protocol or protocol == "ether" then
    self:needs_ethernet(first)
  elseif protocol ~= "ip" and (protocol ~= "ip6" or word == "broadcast") then
    self.at = at
    self:raise(string.format("there is no '%s %s'", protocol, word))
  end
  return self:test {kind = word, protocol = protocol or "ether"}
end

function Parser:headed()
  local at = self.at
  self.head = nil
  local protocol = PROTOCOLS[self.word] and self:next() or nil
  if self.word == "broadcast" or self.word == "multicast" then
    return self:many(protocol, at)
  end
  local side = self:side()
  local kind = self:accept("host", "net", "port", "portrange") or not side and self:accept "proto"
  if side and not kind then
    kind = "host"
  end
  if not kind then
    if protocol == "ether" then
      self:fail "'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast'"
    elseif TRANSPORTS[protocol] then
      local number, family = table.unpack(TRANSPORTS[protocol])
      return self:test {kind = "transport", number = number, family = family}
    end
    return protocol and self:test {kind = "network", network = protocol}
      or self:fail "a protocol, 'host', 'net', 'port', 'src', 'dst' or a value"
  end
  if protocol and not HEADS[kind][protocol] then
    self.at = self.at - 1
    self:raise(string.format("'%s' does not go with '%s'", kind, protocol))
  elseif protocol == "ether" and kind ~= "proto" then
    self:needs_ethernet(at)
  end
  self.head = {kind = kind, protocol = protocol, side = side}
  return self:id()
end

function Parser:vlan()
  self:needs_ethernet(self.at)
  self:next()
  local number = number_of(self.word) and self:number("a number of a VLAN", 4095)
  local test = self:test {kind = "vlan", number = number}
  self.tags = self.tags + 1
  return test
end

--- Does what the last head was about go on here?
function Parser:goes_on()
  return self.head and self.name
    and (self.names[self.at] or string.find(self.word, "^[%w:]") and not KEYWORDS[self.word])
end

function Parser:grouped()
  local head = self.head
  self:next()
  local tree = self:inside(self.tests)
  self:expect ")"
  self.head = head
  return tree
end

--- `less` and `greater`.
function Parser:size()
  local relation = self:next() == "less" and "<=" or ">="
  return self:test {kind = "relation", relation = relation, left = {"length"},
    right = {"number", self:number("a length", 0xffffffff)}}
end

function Parser:headless()
  local word = self.word
  local read = self:is_value() and self.relation or word == "vlan" and self.vlan
    or (word == "less" or word == "greater") and self.size
  if not read then
    return nil
  end
  self.head = nil
  return read(self)
end

function Parser:term()
  if self:accept "not" then
    return {"not", self:inside(self.term)}
  end
  local tree = self:headless()
  if tree then
    return tree
  elseif self.word == "(" then
    return self:grouped()
  end
  return self:goes_on() and self:id() or self:headed()
end

--- `and` and `or` bind equally, from the left.
function Parser:tests()
  local tree = self:term()
  local word = self:accept("and", "or")
  while word do
    tree = {word, tree, self:term()}
    word = self:accept("and", "or")
  end
  return tree
end

--- The tree of a filter. Raises a text where it is none, and `Unfound` for a name that is
--- not found.
---@param text string
---@param ethernet boolean  packets have such a header
---@return table
function expression.parse(text, ethernet)
  if #text > MAX_TEXT then
    error(string.format("filter: %d bytes, %d at most expected", #text, MAX_TEXT), 0)
  end
  local parser = setmetatable({
    text = text, ethernet = ethernet, words = {}, names = {}, starts = {}, ends = {}, pairs = {},
    tags = 0, depth = 0,
  }, Parser)
  parser:cut()
  parser:go(1)
  local tree = parser:tests()
  if parser.name then
    parser:fail "'and', 'or' or the end"
  end
  return tree
end

return expression

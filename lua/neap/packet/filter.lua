--- Filters of packets: a line of text, compiled to classic BPF.
---
--- A filter is read into a tree, and the tree is written from its end to its
--- beginning: a jump then goes to what is there already, and a condition knows
--- where to go on when it holds and when it does not. `and`, `or` and `not` need
--- no instructions; they only choose these two places.
---
--- The program finds the addresses behind a fixed header of the link, and ports
--- behind IPv4's header of any length or IPv6's without extension headers.

local address = require "neap.packet.address"
local net = require "neap.net"
local prefixes = require "neap.prefix"

---@class neap.packet
local filter = {}

-- Instructions (linux/bpf_common.h).
local LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
local LOAD_HALF_AT_X, HEADER_TO_X = 0x48, 0xb1 -- [x + k]; x = 4 * ([k] & 15)
local AND, JUMP, IF_EQUAL, IF_SET, RETURN = 0x54, 0x05, 0x15, 0x45, 0x06

local WHOLE = 262144 -- bytes of a packet that are given on: more than any has
local FAR = 250 -- a condition jumps over 255 instructions at most
local MAX_INSTRUCTIONS = 4096 -- BPF_MAXINSNS

local ETHERTYPES = {ip = 0x0800, ip6 = 0x86dd, arp = 0x0806}
local TRANSPORTS = {tcp = 6, udp = 17, sctp = 132}
local WITH_PORTS = {"tcp", "udp", "sctp"}


-- The tree: {"and", a, b}, {"or", a, b}, {"not", a}, {"test", what = {...}}.

local Parser = {}
Parser.__index = Parser

function Parser:fail(expected)
  error(string.format("filter '%s': %s expected, got %s", self.text, expected,
    self.word and "'" .. self.word .. "'" or "the end"), 0)
end

--- Go on to the next word; returns the one that was there.
function Parser:next()
  local word = self.word
  self.at = self.at + 1
  self.word = self.words[self.at]
  return word
end

function Parser:accept(...)
  for _, word in ipairs {...} do
    if self.word == word then
      return self:next()
    end
  end
end

function Parser:number(what, max)
  local n = math.tointeger(tonumber(self.word))
  if not n or not string.find(self.word, "^%d+$") or n > max then
    self:fail(string.format("%s, 0 to %d,", what, max))
  end
  self:next()
  return n
end

function Parser:port()
  if self.word and string.find(self.word, "^%a") then
    local port = net.service(self.word, "tcp") or net.service(self.word, "udp")
    if not port then
      self:fail "a port"
    end
    self:next()
    return port
  end
  return self:number("a port", 65535)
end

--- A prefix as words of 32 bits, each with the mask of what counts in it.
function Parser:prefix(whole)
  local ok, prefix = pcall(prefixes.parse, self.word or "")
  if not ok or whole and string.find(self.word, "/") then
    self:fail(whole and "an IP address" or "a prefix, such as 10.0.0.0/8,")
  end
  self:next()
  local six = prefix.family == "inet6"
  local packed = six and address.to_ipv6(prefix.ip) or address.to_ipv4(prefix.ip)
  local parts = {six = six}
  for at = 0, #packed - 1, 4 do
    local bits = math.max(0, math.min(32, prefix.length - at * 8))
    local mask = 0xffffffff << (32 - bits) & 0xffffffff
    parts[#parts + 1] = {value = string.unpack(">I4", packed, at + 1), mask = mask}
  end
  return parts
end

--- What stands behind a protocol or alone: [src | dst] (host | net | port).
function Parser:place(protocol)
  local side = self:accept("src", "dst")
  if self:accept "port" then
    return {"test", port = self:port(), side = side, protocol = protocol}
  elseif not protocol and self:accept "host" then
    return {"test", prefix = self:prefix(true), side = side}
  elseif not protocol and self:accept "net" then
    return {"test", prefix = self:prefix(), side = side}
  elseif side and not protocol and self.word then -- src 10.0.0.1
    return {"test", prefix = self:prefix(true), side = side}
  elseif side then
    self:fail(protocol and "'port'" or "'host', 'net' or 'port'")
  end
end

function Parser:primary()
  if self:accept("not", "!") then
    return {"not", self:primary()}
  elseif self:accept "(" then
    local tree = self:tests()
    if not self:accept ")" then
      self:fail "')'"
    end
    return tree
  end
  local protocol = self:accept("tcp", "udp", "sctp")
  if protocol then
    return self:place(protocol) or {"test", transport = protocol}
  end
  local network = self:accept("ip", "ip6", "arp", "icmp", "icmp6")
  return network and {"test", network = network} or self:place()
    or self:fail "a protocol, 'host', 'net', 'port', 'src' or 'dst'"
end

--- `and` and `or` bind equally, from the left, as pcap-filter(7) has it.
function Parser:tests()
  local tree = self:primary()
  local both = self:accept("and", "&&")
  while both or self:accept("or", "||") do
    tree = {both and "and" or "or", tree, self:primary()}
    both = self:accept("and", "&&")
  end
  return tree
end

local function parse(text)
  local words = {}
  for word in string.gmatch(string.gsub(text, "[()!]", " %0 "), "%S+") do
    words[#words + 1] = word
  end
  local parser = setmetatable({text = text, words = words, at = 1, word = words[1]}, Parser)
  local tree = parser:tests()
  if parser.word then
    parser:fail "'and', 'or' or the end"
  end
  return tree
end


-- The program, from its end. A place in it is counted from the end, too.

local Writer = {}
Writer.__index = Writer

--- Write an instruction in front of what is there; returns its place.
function Writer:put(code, k, yes, no)
  local list = self.list
  list[#list + 1] = {code, yes and #list - yes or 0, no and #list - no or 0, k}
  if #list > MAX_INSTRUCTIONS then
    error("filter: too long", 0)
  end
  return #list
end

--- A place from which a condition can jump to `place`.
function Writer:near(place)
  if #self.list - place < FAR then
    return place
  end
  self.list[#self.list + 1] = {JUMP, 0, 0, #self.list - place}
  return #self.list
end

function Writer:branch(code, k, yes, no)
  yes, no = self:near(yes), self:near(no)
  return self:put(code, k, self:near(yes), no)
end

--- Is what `load` loads at an offset (masked) this value?
function Writer:equal(load, offset, value, yes, no, mask)
  self:branch(IF_EQUAL, value, yes, no)
  if mask then
    self:put(AND, mask)
  end
  return self:put(load, offset)
end

--- Is it of this network protocol? Without a link header, the version tells.
function Writer:is(network, yes, no)
  if self.link > 0 then
    return self:equal(LOAD_HALF, self.link - 2, ETHERTYPES[network], yes, no)
  elseif network == "arp" then
    return no
  end
  return self:equal(LOAD_BYTE, 0, network == "ip6" and 0x60 or 0x40, yes, no, 0xf0)
end

function Writer:carries(network, protocol, yes, no)
  local offset = self.link + (network == "ip" and 9 or 6)
  return self:is(network, self:equal(LOAD_BYTE, offset, protocol, yes, no), no)
end

--- Both sides' fields, or one's: the destination is `step` bytes behind the source.
local function sides(side, step, write, yes, no)
  if side ~= "src" then
    no = write(step, yes, no)
  end
  return side ~= "dst" and write(0, yes, no) or no
end

--- A prefix of either side; words whose mask is empty need no look.
function Writer:prefix(test, yes, no)
  local first = self.link + (test.prefix.six and 8 or 12)
  local size = #test.prefix * 4
  local here = sides(test.side, size, function(step, yes_, no_)
    for i = #test.prefix, 1, -1 do
      local part = test.prefix[i]
      if part.mask ~= 0 then
        local mask = part.mask ~= 0xffffffff and part.mask or nil
        yes_ = self:equal(LOAD_WORD, first + step + (i - 1) * 4, part.value, yes_, no_, mask)
      end
    end
    return yes_
  end, yes, no)
  return self:is(test.prefix.six and "ip6" or "ip", here, no)
end

--- Ports, of the first fragment: later ones have none.
function Writer:port(test, protocol, yes, no)
  local six = sides(test.side, 2, function(step, yes_, no_)
    return self:equal(LOAD_HALF, self.link + 40 + step, test.port, yes_, no_)
  end, yes, no)
  local not_four = self:carries("ip6", protocol, six, no)
  sides(test.side, 2, function(step, yes_, no_)
    return self:equal(LOAD_HALF_AT_X, self.link + step, test.port, yes_, no_)
  end, yes, no)
  self:put(HEADER_TO_X, self.link)
  self:branch(IF_SET, 0x1fff, no, #self.list)
  local four = self:put(LOAD_HALF, self.link + 6)
  return self:carries("ip", protocol, four, not_four)
end

function Writer:test(test, yes, no)
  if test.prefix then
    return self:prefix(test, yes, no)
  elseif test.port then
    for _, name in ipairs(test.protocol and {test.protocol} or WITH_PORTS) do
      no = self:port(test, TRANSPORTS[name], yes, no)
    end
    return no
  elseif test.transport then
    local number = TRANSPORTS[test.transport]
    return self:carries("ip", number, yes, self:carries("ip6", number, yes, no))
  elseif test.network == "icmp" then
    return self:carries("ip", 1, yes, no)
  elseif test.network == "icmp6" then
    return self:carries("ip6", 58, yes, no)
  end
  return self:is(test.network, yes, no)
end

function Writer:tree(tree, yes, no)
  local kind, a, b = tree[1], tree[2], tree[3]
  if kind == "and" then
    return self:tree(a, self:tree(b, yes, no), no)
  elseif kind == "or" then
    return self:tree(a, yes, self:tree(b, yes, no))
  elseif kind == "not" then
    return self:tree(a, no, yes)
  end
  return self:test(tree, yes, no)
end

--- Link types and the bytes in front of the network's header.
local LINKS = {eth = 14, raw = 0}

--- The program of a filter, for packets that begin as `first` says.
local function compile(text, first)
  local writer = setmetatable({list = {}, link = LINKS[first]}, Writer)
  local no = writer:put(RETURN, 0)
  local yes = writer:put(RETURN, WHOLE)
  local start = writer:tree(parse(text), yes, no)
  local list = writer.list
  if start < #list then -- the beginning is where the first test is
    start = writer:put(JUMP, #list - start)
  end
  local program = {}
  for i = start, 1, -1 do
    program[#program + 1] = list[i]
  end
  return program
end

--- A filter for a `packet://` socket (option `filter`): the kernel then passes on
--- only what is wanted. The language is a part of pcap-filter(7):
---
--- ```lua
--- local packet = require "neap.packet"
---
--- local program = packet.filter "udp port 53 or icmp"
--- print(#program, #program[1])  --> 25 4
--- print(pcall(packet.filter, "udp port x-y"))
--- --> false filter 'udp port x-y': a port expected, got 'x-y'
--- ```
---
--- | words | what passes |
--- | --- | --- |
--- | `ip` `ip6` `arp` `icmp` `icmp6` `tcp` `udp` `sctp` | packets of the protocol |
--- | `host ADDRESS`, `net PREFIX` | IPv4 and IPv6 from there or to there |
--- | `port PORT`, `tcp port PORT`, `udp ...`, `sctp ...` | by number or service |
--- | `src` or `dst` in front of `host`, `net`, `port` | one of the two only |
--- | `not`, `and`, `or`, parentheses | `and` and `or` bind equally, from the left |
---@param text string  raises for what is no filter
---@param first? "eth"|"raw"  what packets begin with: Ethernet's header (default), or IP's, as
--- those of a tun device do
---@return integer[][] program
function filter.filter(text, first)
  if type(text) ~= "string" then
    error(string.format("filter: a text expected, got %s", type(text)), 2)
  elseif not LINKS[first or "eth"] then
    error(string.format("filter: 'eth' or 'raw' expected, got '%s'", tostring(first)), 2)
  end
  local ok, program = pcall(compile, text, first or "eth")
  if not ok then
    error(program, 2)
  end
  return program
end

return filter

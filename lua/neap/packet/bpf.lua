--- Filters as programs: the tree of neap.packet.expression, written in classic BPF.
---
--- First each test becomes conditions: what is loaded, and what it is compared with.
--- Then these are written from the end to the beginning: a jump goes to what is there
--- already, and a condition knows where to go on when it holds and when it does not.
--- `and`, `or` and `not` need no instructions; they only choose these two places.

---@class neap.packet.bpf
local bpf = {}

-- Instructions (linux/bpf_common.h).
local LOADS = {[1] = 0x30, [2] = 0x28, [4] = 0x20} -- a = [k], by size
local LOADS_AT_X = {[1] = 0x50, [2] = 0x48, [4] = 0x40} -- a = [x + k]
local LOAD_NUMBER, LOAD_LENGTH, LOAD_MEMORY, HEADER_TO_X = 0x00, 0x80, 0x60, 0xb1 -- x = 4 * ([k] & 15)
local STORE, TO_X, AND, ADD_X, JUMP, RETURN = 0x02, 0x07, 0x54, 0x0c, 0x05, 0x06
local IF_EQUAL, IF_GREATER, IF_GREATER_OR_EQUAL, IF_SET = 0x15, 0x25, 0x35, 0x45
local WITH_X = 0x08 -- of an instruction with k, what makes it one with x

local OPERATORS = {
  ["+"] = 0x04, ["-"] = 0x14, ["*"] = 0x24, ["/"] = 0x34, ["|"] = 0x44, ["&"] = 0x54,
  ["<<"] = 0x64, [">>"] = 0x74, ["%"] = 0x94, ["^"] = 0xa4,
}

--- What the kernel keeps beside a frame (linux/filter.h, SKF_AD_OFF): the tag that it took out.
local TAG, HAS_TAG = 0xfffff000 + 44, 0xfffff000 + 48

local WHOLE = 262144 -- bytes of a packet that are given on: more than any has
local FAR = 250 -- a condition jumps over 255 instructions at most
local MAX_INSTRUCTIONS = 4096 -- BPF_MAXINSNS
local SCRATCH = 16 -- BPF_MEMWORDS

local ETHERTYPES = {ip = 0x0800, ip6 = 0x86dd, arp = 0x0806, rarp = 0x8035}
local NAMES = {[0x0800] = "ip", [0x86dd] = "ip6"} -- what is told apart without a type
local LONGEST = 1500 -- what stands where a type does is a length, up to this
local FRAGMENT = 44 -- IPv6's header of one

--- Links: where a packet's type is, and where the network's header. Families are AF_
--- numbers in four bytes, little-endian or of the network; IPv6 has those of the BSDs.
local links = {
  eth = {type = 12, header = 14, ethernet = true},
  raw = {header = 0},
  ipv4 = {header = 0, only = "ip"},
  ipv6 = {header = 0, only = "ip6"},
  null = {header = 4, families = {ip = {2 << 24}, ip6 = {24 << 24, 28 << 24, 30 << 24}}},
  loop = {header = 4, families = {ip = {2}, ip6 = {24, 28, 30}}},
  linux_sll = {type = 14, header = 16, llc = 4},
  linux_sll2 = {type = 0, header = 20, llc = 4},
}
links[0], links[1], links[101], links[108] = links.null, links.eth, links.raw, links.loop
links[113], links[228], links[229], links[276] = links.linux_sll, links.ipv4, links.ipv6, links.linux_sll2
bpf.links = links


-- Conditions: {"if", code, test, values}: any of the values will do. `code` is a list of
-- {instruction, k}, in order; without values it is x that is compared with.

local ALWAYS, NEVER = {"always"}, {"never"}

local function when(code, test, ...)
  return {"if", code, test, {...}}
end

local function joined(kind, ...)
  local tree
  for _, one in ipairs {...} do
    tree = tree and {kind, tree, one} or one
  end
  return tree
end

local function all(...)
  return joined("and", ...)
end

local function any(...)
  return joined("or", ...)
end

local function equal(size, offset, ...)
  return when({{LOADS[size], offset}}, IF_EQUAL, ...)
end

--- A test as conditions. `outside` says that the kernel keeps the first tag beside the frame.
local Reader = {}
Reader.__index = Reader

--- Where something is, behind so many tags.
function Reader:shift(tags)
  return 4 * (self.outside and math.max(tags - 1, 0) or tags)
end

function Reader:header(test)
  return self.link.header + self:shift(test.tags)
end

--- Is it of this type? Without a type, the version tells.
function Reader:type(test, number)
  local link, name = self.link, NAMES[number]
  if link.type and number <= LONGEST then
    local at = link.type + self:shift(test.tags)
    local is_length = link.llc and equal(2, at, link.llc) or {"not", when({{LOADS[2], at}}, IF_GREATER, LONGEST)}
    return all(is_length, equal(1, self:header(test), number))
  elseif link.type then
    return equal(2, link.type + self:shift(test.tags), number)
  elseif not name or link.only then
    return name and name == link.only and ALWAYS or NEVER
  elseif link.families then
    return equal(4, 0, table.unpack(link.families[name]))
  end
  return when({{LOADS[1], 0}, {AND, 0xf0}}, IF_EQUAL, name == "ip6" and 0x60 or 0x40)
end

function Reader:network(test, name)
  return self:type(test, ETHERTYPES[name or test.network])
end

--- One of these protocols above IPv4, or above IPv6.
function Reader:carried(test, family, ...)
  return all(self:network(test, family), equal(1, self:header(test) + (family == "ip" and 9 or 6), ...))
end

function Reader:transport(test)
  local header, number, family = self:header(test), test.number, test.family
  local four = self:carried(test, "ip", number)
  local six = all(self:network(test, "ip6"), any(equal(1, header + 6, number),
    all(equal(1, header + 6, FRAGMENT), equal(1, header + 40, number))))
  return family == "ip" and four or family == "ip6" and six or any(four, six)
end

--- A field of the source, of the destination, of either or both.
local function sides(side, field)
  if side == "src" or side == "dst" then
    return field(side)
  end
  return {side == "and" and "and" or "or", field "src", field "dst"}
end

--- Where the addresses are, behind the network's header.
local ADDRESSES = {
  ip = {src = 12, dst = 16}, arp = {src = 14, dst = 24}, rarp = {src = 14, dst = 24},
  ip6 = {src = 8, dst = 24},
}

function Reader:prefix_of(test, network)
  return all(self:network(test, network), sides(test.side, function(side)
    local tree = ALWAYS
    for i, part in ipairs(test.parts) do
      local load = {LOADS[4], self:header(test) + ADDRESSES[network][side] + (i - 1) * 4}
      if part.mask == 0xffffffff then
        tree = all(tree, when({load}, IF_EQUAL, part.value))
      elseif part.mask ~= 0 then
        tree = all(tree, when({load, {AND, part.mask}}, IF_EQUAL, part.value))
      end
    end
    return tree
  end))
end

function Reader:prefix(test)
  if test.family == "ip6" or test.protocol then
    return self:prefix_of(test, test.protocol or "ip6")
  end
  return any(self:prefix_of(test, "ip"), self:prefix_of(test, "arp"), self:prefix_of(test, "rarp"))
end

local function mac(address, side)
  local offset = side == "src" and 6 or 0
  local high, low = string.unpack(">I2I4", address)
  return all(equal(4, offset + 2, low), equal(2, offset, high))
end

function Reader.mac(_, test)
  return sides(test.side, function(side)
    return mac(test.mac, side)
  end)
end

function Reader:type_test(test)
  return self:type(test, test.type)
end

--- Between two ports; `load` is the code that loads one.
local function within(test, load)
  if test.low == test.high then
    return when(load, IF_EQUAL, test.low)
  end
  return all(when(load, IF_GREATER_OR_EQUAL, test.low), {"not", when(load, IF_GREATER, test.high)})
end

--- Of IPv4, this is the first fragment, or the only one: later ones have no ports.
function Reader:first(test)
  return {"not", when({{LOADS[2], self:header(test) + 6}}, IF_SET, 0x1fff)}
end

function Reader:ports(test)
  local header = self:header(test)
  local four = sides(test.side, function(side)
    return within(test, {{HEADER_TO_X, header}, {LOADS_AT_X[2], header + (side == "src" and 0 or 2)}})
  end)
  local six = sides(test.side, function(side)
    return within(test, {{LOADS[2], header + 40 + (side == "src" and 0 or 2)}})
  end)
  return any(all(self:carried(test, "ip6", table.unpack(test.transports)), six),
    all(self:carried(test, "ip", table.unpack(test.transports)), self:first(test), four))
end

function Reader:broadcast(test)
  if test.protocol == "ether" then
    return mac("\xff\xff\xff\xff\xff\xff", "dst")
  end
  return all(self:network(test, "ip"), equal(4, self:header(test) + 16, 0, 0xffffffff))
end

function Reader:multicast(test)
  local header = self:header(test)
  if test.protocol == "ether" then
    return when({{LOADS[1], 0}}, IF_SET, 1)
  elseif test.protocol == "ip" then
    return all(self:network(test, "ip"), when({{LOADS[1], header + 16}}, IF_GREATER_OR_EQUAL, 224))
  end
  return all(self:network(test, "ip6"), equal(1, header + 24, 0xff))
end

--- The tag is where a type would be, with what it says behind; or beside the frame.
function Reader:vlan(test)
  local is_outside = self.outside and test.tags == 0
  local at = self.link.type + self:shift(test.tags)
  local tree = is_outside and ALWAYS or equal(2, at, 0x8100, 0x88a8, 0x9100)
  if not test.number then
    return tree
  end
  return all(tree, when({is_outside and {LOADS[2], TAG} or {LOADS[2], at + 2}, {AND, 0x0fff}}, IF_EQUAL, test.number))
end

local ABOVE_IP = {tcp = 6, udp = 17, sctp = 132, icmp = 1, igmp = 2, igrp = 9, pim = 103, vrrp = 112, carp = 112}

--- What must hold for the bytes of a protocol to be there.
function Reader:guard(load)
  local protocol = load[2]
  if protocol == "ether" then
    return ALWAYS
  elseif protocol == "icmp6" then
    return self:carried(load, "ip6", 58)
  elseif ABOVE_IP[protocol] then
    return all(self:carried(load, "ip", ABOVE_IP[protocol]), self:first(load))
  end
  return self:network(load, protocol)
end

--- The code that brings a value into a, with the scratch words from `free` on, and what must
--- hold for it.
function Reader:value(value, code, guard, free)
  local kind = value[1]
  local function put(instruction, k)
    code[#code + 1] = {instruction, k or 0}
  end
  if kind == "number" then
    put(LOAD_NUMBER, value[2])
    return guard
  elseif kind == "length" then
    put(LOAD_LENGTH)
    return guard
  elseif kind == "load" then
    local protocol, index, size = value[2], value[3], value[4]
    local offset = protocol == "ether" and 0 or self:header(value) + (protocol == "icmp6" and 40 or 0)
    local is_above = ABOVE_IP[protocol] ~= nil
    local is_number = index[1] == "number"
    if not is_number then
      guard = self:value(index, code, guard, free)
    end
    if is_above then
      put(HEADER_TO_X, self:header(value))
    end
    if not is_number then
      if is_above then
        put(ADD_X)
      end
      put(TO_X)
    end
    put(((is_above or not is_number) and LOADS_AT_X or LOADS)[size], offset + (is_number and index[2] or 0))
    return all(guard, self:guard(value))
  end
  return self:operation(OPERATORS[kind], value[2], value[3], code, guard, free)
end

--- a = left, and what `instruction` makes of it and right.
function Reader:operation(instruction, left, right, code, guard, free)
  guard = self:value(left, code, guard, free)
  if right[1] == "number" then
    code[#code + 1] = {instruction, right[2]}
    return guard
  elseif free == SCRATCH then
    error("filter: too deep", 0)
  end
  code[#code + 1] = {STORE, free}
  guard = self:value(right, code, guard, free + 1)
  code[#code + 1] = {TO_X, 0}
  code[#code + 1] = {LOAD_MEMORY, free}
  code[#code + 1] = {instruction | WITH_X, 0}
  return guard
end

--- The relations, as a condition and whether it is not to hold.
local RELATIONS = {
  ["="] = {IF_EQUAL}, ["!="] = {IF_EQUAL, true}, [">"] = {IF_GREATER}, ["<="] = {IF_GREATER, true},
  [">="] = {IF_GREATER_OR_EQUAL}, ["<"] = {IF_GREATER_OR_EQUAL, true},
}

function Reader:relation(test)
  local condition, is_not = table.unpack(RELATIONS[test.relation])
  local code = {}
  local guard = self:operation(condition, test.left, test.right, code, ALWAYS, 0)
  local last = table.remove(code) -- the condition itself
  local tree = last[1] == condition and when(code, condition, last[2]) or when(code, last[1])
  return all(guard, is_not and {"not", tree} or tree)
end

local KINDS = {
  network = Reader.network, transport = Reader.transport, prefix = Reader.prefix, mac = Reader.mac,
  type = Reader.type_test, ports = Reader.ports, broadcast = Reader.broadcast,
  multicast = Reader.multicast, vlan = Reader.vlan, relation = Reader.relation,
}


-- The program, from its end. A place in it is counted from the end, too.

local Writer = {}
Writer.__index = Writer

--- Write an instruction in front of what is there; returns its place.
function Writer:put(code, k, yes, no)
  local list = self.list
  list[#list + 1] = {code, yes and #list - yes or 0, no and #list - no or 0, k}
  if #list > MAX_INSTRUCTIONS then
    error(string.format("filter: more than %d instructions", MAX_INSTRUCTIONS), 0)
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

function Writer:condition(code, test, values, yes, no)
  if #values == 0 then
    no = self:branch(test, 0, yes, no)
  end
  for i = #values, 1, -1 do
    no = self:branch(test, values[i], yes, no)
  end
  for i = #code, 1, -1 do
    no = self:put(code[i][1], code[i][2])
  end
  return no
end

function Writer:tree(tree, yes, no)
  local kind, a, b = tree[1], tree[2], tree[3]
  if kind == "and" then
    return self:tree(a, self:tree(b, yes, no), no)
  elseif kind == "or" then
    return self:tree(a, yes, self:tree(b, yes, no))
  elseif kind == "not" then
    return self:tree(a, no, yes)
  elseif kind == "if" then
    return self:condition(a, b, tree[4], yes, no)
  elseif kind == "test" then
    return self:tree(KINDS[tree.kind](self.reader, tree), yes, no)
  end
  return kind == "always" and yes or no
end

local function has_tags(tree)
  return tree.kind == "vlan" or tree[1] ~= "test" and (has_tags(tree[2]) or tree[3] and has_tags(tree[3]))
end

--- The program of a tree: a list of {code, jt, jf, k}.
---
--- The kernel takes a frame's first tag out, and keeps it beside; bytes in a file have it.
--- Where a filter asks for tags, both are foreseen.
---@param tree table  of neap.packet.expression
---@param link table  one of `links`
---@return integer[][]
function bpf.program(tree, link)
  local reader = setmetatable({link = link}, Reader)
  local writer = setmetatable({list = {}, reader = reader}, Writer)
  local no = writer:put(RETURN, 0)
  local yes = writer:put(RETURN, WHOLE)
  local start = writer:tree(tree, yes, no)
  if has_tags(tree) then
    reader.outside = true
    local outside = writer:tree(tree, yes, no)
    start = writer:condition({{LOADS[1], HAS_TAG}}, IF_EQUAL, {1}, outside, start)
  end
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

return bpf

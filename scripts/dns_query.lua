-- usage: neap dns_query.lua NAME [TYPE] [@SERVER[:PORT]]
--
-- Asks a name server, by default the system's, over UDP and, where the answer is
-- cut, over TCP (RFC 1035). TYPE is A, AAAA, CNAME, MX, NS, PTR, SOA or TXT.

local net = require "neap.net"
local task = require "neap.task"

local types = {A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28}
local failures = {"FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
local TIMEOUT, TRIES = 2, 3

local function server_of_system()
  local file <close> = assert(io.open "/etc/resolv.conf")
  return ("\n" .. file:read "a"):match "\nnameserver%s+(%S+)" or "127.0.0.1"
end

local function question(id, name, kind)
  local labels = name:gsub("%.$", ""):gsub("[^.]+%.?", function(label)
    return string.pack("s1", (label:gsub("%.$", "")))
  end)
  return string.pack(">I2I2I2I2I2I2", id, 0x0100, 1, 0, 0, 0) .. labels
    .. string.pack(">BI2I2", 0, types[kind], 1)
end

-- A name may end by a pointer to an earlier place; a chain of them is bounded.
local function read_name(message, at, depth)
  local labels = {}
  while true do
    local n = message:byte(at)
    if n >= 192 then
      assert((depth or 0) < 20, "a loop of pointers")
      local to = string.unpack(">I2", message, at) & 0x3fff
      labels[#labels + 1] = read_name(message, to + 1, (depth or 0) + 1)
      return table.concat(labels, "."), at + 2
    elseif n == 0 then
      return table.concat(labels, "."), at + 1
    end
    labels[#labels + 1], at = string.unpack("s1", message, at)
  end
end

local function text_of(message, kind, at)
  if kind == types.A then
    return ("%d.%d.%d.%d"):format(message:byte(at, at + 3))
  elseif kind == types.AAAA then
    local groups = ("%x:"):rep(8):sub(1, -2)
    return net.address(groups:format(string.unpack((">" .. ("I2"):rep(8)), message, at))).ip
  elseif kind == types.TXT then
    return ("%q"):format((string.unpack("s1", message, at)))
  end
  return (read_name(message, kind == types.MX and at + 2 or at))
end

local function over_tcp(server, query)
  local stream <close> = assert(net.connect("tcp://" .. server, {timeout = TIMEOUT}))
  stream:pack(">s2", query)
  return assert(stream:unpack ">s2")
end

-- The kernel lets only the server's datagrams through, for it is connected.
local function ask(server, query)
  local socket <close> = assert(net.connect("udp://" .. server))
  for _ = 1, TRIES do
    assert(socket:send(query))
    local answer, err = task.timeout(TIMEOUT, function()
      for data in socket:messages() do
        if #data >= 12 and data:sub(1, 2) == query:sub(1, 2) then
          return data
        end
      end
    end)
    if answer then
      return answer:byte(3) & 2 ~= 0 and over_tcp(server, query) or answer
    end
    io.stderr:write(tostring(err), "\n")
  end
  error("no answer from " .. server, 0)
end
local words = table.concat(arg, " ")
local name, kind = (words .. " A"):match "^([^@%s]+).- (%u+)"
local server = words:match "@(%S+)" or server_of_system()
if not name or #name > 253 or not types[kind] then
  io.stderr:write(io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end
server = server:find ":" and server or server .. ":53"
local message = ask(server, question(math.random(0xffff), name, kind))
local code, answers = message:byte(4) & 15, string.unpack(">I2", message, 7)
if code ~= 0 then
  error(("%s: %s"):format(name, failures[code] or code), 0)
end
local at = select(2, read_name(message, 13)) + 4
for _ = 1, answers do
  local owner, class, which, ttl, size
  owner, at = read_name(message, at)
  which, class, ttl, size, at = string.unpack(">I2I2I4I2", message, at)
  print(owner, ttl, class == 1 and text_of(message, which, at) or "?")
  at = at + size
end

-- usage: neap dns_query.lua NAME [TYPE] [@SERVER[:PORT]]
--
-- Asks a name server, by default the system's, for records of a TYPE in FIELDS below
-- (default A): over UDP and, where the answer is cut, over TCP (RFC 1035).

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"

local TIMEOUT, TRIES = 2, 3

-- The fields of a record's data, in the order in which dig prints them.
local FIELDS = {
  A = {"address"}, AAAA = {"address"}, CNAME = {"cname"}, NS = {"nsdname"}, PTR = {"ptrdname"},
  MX = {"preference", "exchange"}, SRV = {"priority", "weight", "port", "target"},
  SOA = {"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"}, TXT = {"txt"},
}

local function fail(status, message)
  io.stderr:write("dns_query: ", tostring(message), "\n",
    status == 2 and io.lines(arg[0])():sub(4) .. "\n" or "")
  os.exit(status)
end

local function server_of_system()
  local file <close> = io.open "/etc/resolv.conf"
  return ("\n" .. (file and file:read "a" or "")):match "\nnameserver%s+(%S+)" or "127.0.0.1"
end

-- Text of a TXT record may be any bytes; they are not to play tricks on a terminal.
local function text_of(record)
  local words = {}
  for i, field in ipairs(FIELDS[record.type] or {}) do
    local value = record[field]
    if type(value) == "table" then
      value = ('"%s"'):format(table.concat(value, '" "'):gsub("[^\x20-\x7e]", "?"))
    end
    words[i] = tostring(value)
  end
  return #words > 0 and table.concat(words, " ") or ("%d bytes"):format(#(record.rdata or ""))
end

local function over_tcp(place, query)
  place.scheme = "tcp"
  local stream <close> = assert(net.connect(endpoints.print(place), {timeout = TIMEOUT}))
  stream:settimeout(TIMEOUT):pack(">s2", query)
  return packet.dissect(assert(stream:unpack ">s2"), "dns")
end

-- The kernel lets only the server's datagrams through, for it is connected; of
-- those, the answer is the one to our question.
local function receive(socket, asked)
  for data in socket:messages() do
    local p = packet.dissect(data, "dns")
    if p.dns and p.dns.qr and p.dns.id == asked.id then
      return p
    end
  end
end

local function ask(place, name, kind)
  local question = packet.dns {id = math.random(0, 0xffff), rd = true,
    question = {{name = name, type = kind}}}
  local socket <close> = assert(net.connect(endpoints.print(place)))
  for _ = 1, TRIES do
    assert(socket:send(question:bytes()))
    local answer, err = task.timeout(TIMEOUT, receive, socket, question.dns)
    if answer then
      return answer.dns.tc and over_tcp(place, question:bytes()) or answer
    end
    io.stderr:write(tostring(err), "\n")
  end
  error("no answer from " .. endpoints.print(place), 0)
end

local name, kind, server
for _, word in ipairs(arg) do
  if word:find "^@" then
    server = word:sub(2)
  elseif name then
    kind = not kind and FIELDS[word:upper()] and word:upper() or fail(2, word .. ": no TYPE")
  else
    name = not word:find "^%-" and word or fail(2, word .. ": no options, please")
  end
end
server = server or server_of_system()
local host, port = server:match "^%[(.+)%]:?(%d*)$"
if not host then
  host, port = server:match "^([^:]+):(%d+)$"
end
local place = {scheme = "udp", host = host or server, port = tonumber(port) or 53}
local good, answer = pcall(ask, place, name or fail(2, "a name, please"), kind or "A")
if not good or answer.dns.rcode ~= "noerror" then
  fail(1, good and ("%s: %s"):format(name, tostring(answer.dns.rcode):upper())
    or tostring(answer):gsub("^%S+:%d+: ", ""))
end
for _, record in ipairs(answer.dns.answer) do
  print(record.name, record.ttl, record.type, text_of(record))
end

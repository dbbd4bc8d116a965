-- usage: neap dnsd.lua [HOST:PORT [SERVER[:PORT]...]]
--
-- A name server that asks others, by default those of resolv.conf, over UDP and TCP, and keeps
-- what they say for as long as it holds. It listens at HOST:PORT, by default 127.0.0.1:5300.

local dns = require "neap.dns"
local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"
local time = require "neap.time"

local MOST, AT_ONCE, PAYLOAD, IDLE = 10000, 200, 1232, 10

local servers, port = {}, nil
for i = 2, #arg do
  local host, number = arg[i]:match "^([^:]+):(%d+)$"
  servers[i - 1], port = host or arg[i], tonumber(number) or port
end

-- Seconds that an answer holds: the least of its records; of nothing, as its SOA record says.
local function ttl_of(answer)
  local ttl, first = 86400, answer.answer[1] or answer.authority[1]
  for _, record in ipairs(answer.answer[1] and answer.answer or answer.authority) do
    ttl = math.min(ttl, record.ttl, record.minimum or record.ttl)
  end
  return first and (answer.answer[1] or first.minimum) and ttl or 0
end

-- Answers by question, each with the time until which it holds.
local known, count = {}, 0
local function ask(question, dnssec)
  local key, now = ("%s %s %s"):format(question.name:lower(), question.type, dnssec), time.now()
  local entry = known[key]
  if not entry or entry.till <= now then
    local records, found = dns.query(question.name, question.type, {server = #servers > 0 and servers
      or nil, port = port, timeout = 2, tries = 2, dnssec = dnssec})
    found = records and found or found.answer
    if not found or found.rcode ~= "noerror" and found.rcode ~= "nxdomain" then
      return {rcode = "servfail"}
    end
    entry = {rcode = found.rcode, till = now + ttl_of(found), found.answer, found.authority}
    known, count = count < MOST and known or {}, count < MOST and count + 1 or 1
    known[key] = entry
  end
  for _, records in ipairs(entry) do
    for _, record in ipairs(records) do
      record.ttl = (entry.till - now) // 1 | 0
    end
  end
  return {rcode = entry.rcode, answer = entry[1], authority = entry[2]}
end

-- The answer to these bytes, or "" where they are no question; cut where it is too long.
local function answer(bytes, over_udp)
  local query = packet.dissect(bytes, "dns").dns
  if not query or query.note or query.qr then
    return ""
  end
  local question, opt, reply = query.question[1], query.additional[1], {rcode = "formerr"}
  opt = opt and opt.type == "OPT" and opt or nil
  if opt and opt.version > 0 then
    reply.rcode = nil -- BADVERS is 16: its upper bits are in the OPT record
  elseif query.opcode ~= "query" or question and question.class ~= "IN" then
    reply.rcode = "notimp"
  elseif #query.question == 1 then
    reply = ask(question, opt and opt.dnssec_ok or false)
  end
  reply.id, reply.opcode, reply.question = query.id, query.opcode, query.question
  reply.qr, reply.rd, reply.ra = true, query.rd, true
  reply.additional = opt and {{name = ".", type = "OPT", extended_rcode = reply.rcode and 0 or 1,
    udp_payload_size = PAYLOAD, dnssec_ok = opt.dnssec_ok}}
  local out = packet.dns(reply):bytes()
  if over_udp and #out > (opt and math.max(512, opt.udp_payload_size) or 512) then
    reply.tc, reply.answer, reply.authority = true, nil, nil
    out = packet.dns(reply):bytes()
  end
  return out
end

local sound, listener, err = pcall(net.listen, "tcp://" .. (arg[1] or "127.0.0.1:5300"))
if not sound then
  io.stderr:write("dnsd: ", listener, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end
local socket = assert(net.bind((assert(listener, err).endpoint:gsub("^tcp", "udp"))))
local turns = task.semaphore(AT_ONCE)
print("listening at " .. listener.endpoint)
task.spawn(listener.serve, listener, function(stream)
  stream:settimeout(IDLE)
  for bytes in function() return (stream:unpack ">s2") end do
    stream:pack(">s2", answer(bytes))
  end
end, {max = AT_ONCE})
for bytes, from in socket:messages() do
  local turn = turns:acquire()
  task.spawn(function()
    local _ <close> = turn
    socket:send(answer(bytes, true), from)
  end)
end

--- DNS: any record of a name, from servers of one's choice.
---
--- For the addresses of a host `net.resolve` is the simpler way, which knows /etc/hosts, the
--- search list, and what was answered before. Here every query goes to a server, by a
--- socket, and so a port, of its own, with an id that nobody can guess; what is not the
--- answer to it is ignored.
---
--- A record is a table as `packet.dns` has it (see `neap.packet.DnsRecord`): name, type, ttl,
--- and the fields of its type; of types without any, the data is in `rdata`.

local core = require "neap.net.core"
local endpoints = require "neap.endpoint"
local error_object = require "neap.error"
local net = require "neap.net"
local packet = require "neap.packet"
local random = require "neap.crypto".random
local sched = require "neap.task.core"

-- `type` is what a query is for.
local type_of = type

---@class neap.dns
local dns = {}

local TRIES, TIMEOUT, PORT = 2, 5, 53

--- Bytes of an answer by UDP, at most: what every path takes.
local PAYLOAD = 1232

--- Names behind a name, CNAME by CNAME, at most.
local ALIASES = 16

--- What servers say that is no answer, and what it is called here.
local FAILURES = {
  formerr = {"EFORMERR", "the server does not understand the question"},
  servfail = {"ESERVFAIL", "the server has failed"},
  nxdomain = {"EAI_NONAME", "no such name"},
  notimp = {"ENOTIMP", "the server does not do this"},
  refused = {"EREFUSED", "the server refuses"},
}

local function fail(code, message, name, answer)
  return nil, error_object.new {
    code = code, message = message, op = "query", endpoint = name, answer = answer,
  }
end


-- Names and types.

--- A question's bytes behind the header, if it is one that can be asked.
local function question_of(name, kind)
  if string.find(name, "[^\x21-\x7e]") then
    return nil
  end
  local ok, bytes = pcall(function()
    return packet.dns {question = {{name = name, type = kind}}}:bytes()
  end)
  return ok and packet.dissect(bytes, "dns").dns.question[1] or nil
end

--- The type as packets name it, or raise.
local function check_type(kind)
  if kind == nil then
    return "A"
  end
  if type_of(kind) == "string" then
    kind = string.upper(kind)
  end
  local question = (type_of(kind) == "string" or math.type(kind) == "integer")
    and question_of(".", kind)
  if not question then
    error(string.format("bad argument #2 to 'query' (a record's type expected, got %s)",
      tostring(kind)), 3)
  end
  return question.type
end

local function is_same(a, b)
  return string.lower(a) == string.lower(b)
end


-- Servers.

--- What resolv.conf(5) names.
local function servers_of_system()
  local path = os.getenv "NEAP_RESOLV_CONF"
  local file <close> = io.open(path and path ~= "" and path or "/etc/resolv.conf")
  local found = {}
  for line in file and file:lines() or function() end do
    local word = string.match(line, "^%s*nameserver%s+([^%s#;]+)")
    if word and #found < 3 then
      local ip, port = string.match(word, "^%[(.-)%]:?(%d*)$")
      found[#found + 1] = {host = ip or word, port = tonumber(port) or PORT}
    end
  end
  return #found > 0 and found or {{host = "127.0.0.1", port = PORT}}
end

--- Who a script names: a port of its own goes before the option.
local function server_of(server, port)
  local ok, place = pcall(core.address, server)
  if not ok or not place.ip then
    return {host = server, port = port}
  end
  return {
    host = place.ip .. (place.scope and "%" .. place.scope or ""),
    port = place.port ~= 0 and place.port or port,
  }
end

local function servers_of(options)
  local server = options.server
  if server == nil then
    return servers_of_system()
  end
  local found = {}
  for i, host in ipairs(type_of(server) == "table" and server or {server}) do
    found[i] = server_of(host, options.port)
  end
  return found
end

local function endpoint_of(server, scheme)
  return endpoints.print {scheme = scheme, host = server.host, port = server.port}
end

--- nil and the error, which names the server whose it is.
local function blame(server, _, err)
  err.server = string.gsub(endpoint_of(server, "udp"), "^udp://", "")
  err.message = string.format("%s, server %s", err.message, err.server)
  return nil, err
end


-- Questions and answers.

--- The answer in these bytes, if it is one to this question. With `partly`, what says
--- that it is cut is one, wherever its bytes end: of that nothing is taken but that it is.
local function answer_in(bytes, query, partly)
  local answer = packet.dissect(bytes, "dns").dns
  local asked = query.question
  if not answer or not answer.qr or answer.id ~= query.id or answer.opcode ~= "query"
    or answer.note and not (partly and answer.tc) then
    return nil
  end
  local question = answer.question and answer.question[1]
  if answer.note and not question then
    return answer
  end
  if #answer.question == 1 and is_same(question.name, asked.name)
    and question.type == asked.type and question.class == asked.class
    or not question and answer.rcode == "formerr" then
    return answer
  end
end

--- The question as bytes, with an id of its own.
local function new_query(question, options, edns)
  local id = string.unpack(">I2", random(2))
  local additional = edns and {{name = ".", type = "OPT", udp_payload_size = PAYLOAD,
    dnssec_ok = options.dnssec}} or {}
  return {
    id = id,
    question = question,
    bytes = packet.dns {id = id, rd = options.recursion, cd = options.cd, question = {question},
      additional = additional}:bytes(),
  }
end

local function receive(socket, query)
  while true do
    local bytes, err = socket:recv()
    if not bytes then
      return nil, err
    end
    local answer = answer_in(bytes, query, true)
    if answer then
      return answer
    end
  end
end

local function over_tcp(server, query)
  local stream, err = net.connect(endpoint_of(server, "tcp"))
  if not stream then
    return nil, err
  end
  local open <close> = stream
  local bytes
  open:write(string.pack(">s2", query.bytes))
  bytes, err = core.Stream.unpack(open, ">s2")
  if not bytes then
    return nil, err
  end
  local answer = answer_in(bytes, query)
  if not answer then
    return fail("EBADMSG", "what the server says is no answer", query.question.name)
  end
  return answer
end

local function over_udp(server, query)
  local socket, err = net.connect(endpoint_of(server, "udp"))
  if not socket then
    return nil, err
  end
  local open <close> = socket
  local ok
  ok, err = open:send(query.bytes)
  if not ok then
    return nil, err
  end
  return receive(open, query)
end

--- One try: over TCP what was cut, and without EDNS where that is not understood.
local function try(server, question, options)
  local query = new_query(question, options, true)
  local answer, err
  if not options.tcp then
    answer, err = over_udp(server, query)
    if answer and (answer.rcode == "formerr" or answer.rcode == "notimp") then
      query = new_query(question, options, false)
      answer, err = over_udp(server, query)
    end
  end
  if options.tcp or answer and answer.tc then
    answer, err = over_tcp(server, query)
  end
  return answer, err
end

--- May another server know better?
local function is_failure(answer)
  return answer.rcode ~= "noerror" and answer.rcode ~= "nxdomain"
end

--- The first answer of a server that is none of a failure; or the last failure; and whose.
local function exchange(question, options)
  local servers = servers_of(options)
  local last, last_server, why, why_server
  for _ = 1, options.tries do
    for _, server in ipairs(servers) do
      local answer, err = sched.timeout(options.timeout, try, server, question, options)
      if answer and not is_failure(answer) then
        return answer, server
      elseif answer then
        last, last_server = answer, server
      else
        why, why_server = err, server
      end
    end
    if last then
      return last, last_server
    end
  end
  return nil, why_server, why
end

--- The fields by which records of a type are preferred, the least first.
local PREFERRED = {
  MX = {"preference"}, SRV = {"priority"}, NAPTR = {"order", "preference"},
  SVCB = {"priority"}, HTTPS = {"priority"},
}

--- Bring the preferred ones to the front; those that are alike stay as they were.
local function by_preference(records, kind)
  local fields, place = PREFERRED[kind], {}
  if not fields then
    return
  end
  for i, record in ipairs(records) do
    place[record] = i
  end
  table.sort(records, function(a, b)
    for _, field in ipairs(fields) do
      local x, y = a[field] or 0, b[field] or 0
      if x ~= y then
        return x < y
      end
    end
    return place[a] < place[b]
  end)
end

--- The records of the type, of the name or of what it stands for.
local function records_of(answer, question)
  local name, found = question.name, {}
  for _ = 1, ALIASES do
    local alias
    for _, record in ipairs(answer.answer) do
      if is_same(record.name, name) and record.class == question.class then
        if record.type == question.type or question.type == "ANY" then
          found[#found + 1] = record
        elseif record.type == "CNAME" and record.cname then
          alias = record.cname
        end
      end
    end
    if #found > 0 or not alias then
      break
    end
    name = alias
  end
  return found
end


-- Options.

local KNOWN = {
  server = function(value)
    for _, server in ipairs(servers_of {server = value, port = PORT}) do
      local ok, place = pcall(endpoint_of, server, "udp")
      if not ok or not pcall(endpoints.parse, place) then
        return false
      end
    end
    return type_of(value) ~= "table" or #value > 0
  end,
  port = function(value)
    return math.type(value) == "integer" and value > 0 and value < 65536
  end,
  timeout = function(value)
    return type_of(value) == "number" and value > 0
  end,
  tries = function(value)
    return math.type(value) == "integer" and value > 0
  end,
  tcp = function(value)
    return type_of(value) == "boolean"
  end,
}
KNOWN.dnssec, KNOWN.cd, KNOWN.recursion = KNOWN.tcp, KNOWN.tcp, KNOWN.tcp

local EXPECTED = {
  server = "an address or a list of them", port = "1 to 65535", timeout = "seconds above 0",
  tries = "a count of 1 or more",
}

local function check_options(opts, verb, level)
  local options = {port = PORT, timeout = TIMEOUT, tries = TRIES, recursion = true}
  if opts ~= nil and type_of(opts) ~= "table" then
    error(string.format("%s: a table of options expected, got %s", verb, type_of(opts)), level)
  end
  for name, value in next, opts or {} do
    if not KNOWN[name] then
      error(string.format("%s: unknown option '%s'", verb, tostring(name)), level)
    elseif not KNOWN[name](value) then
      error(string.format("%s: option '%s': %s expected", verb, name,
        EXPECTED[name] or "true or false"), level)
    end
    options[name] = value
  end
  return options
end

local function query(name, kind, options)
  local question = question_of(name, kind)
  if not question then
    return fail("EAI_NONAME", "this is no domain name", name)
  end
  local answer, server, err = exchange(question, options)
  if not answer then
    err.op, err.endpoint = "query", name
    return blame(server, nil, err)
  elseif answer.rcode ~= "noerror" then
    local failure = FAILURES[answer.rcode] or {"EAI_FAIL", "the server says " .. answer.rcode}
    return blame(server, fail(failure[1], failure[2], name, answer))
  end
  local records = records_of(answer, question)
  if #records == 0 then
    return blame(server, fail("EAI_NODATA", "the name has no such record", name, answer))
  end
  by_preference(records, question.type)
  return records, answer
end

--- Ask for records of a name. Where the name is an alias (CNAME), those of what it stands
--- for; an answer that was cut is asked for again over TCP; a server that is silent or fails
--- is followed by the next, and then asked again.
---
--- What is no domain name (labels of 1 to 63 bytes, 253 in all, printable ASCII) is not
--- asked for: EAI_NONAME.
---
--- ```lua
--- local dns = require "neap.dns"
--- local net = require "neap.net"
--- local packet = require "neap.packet"
--- local task = require "neap.task"
---
--- local server <close> = assert(net.bind "udp://127.0.0.1:0")
--- task.spawn(function()
---   local data, from = server:recv()
---   local asked = packet.dissect(data, "dns").dns
---   server:send(packet.dns({id = asked.id, qr = true, question = asked.question, answer = {
---     {name = "example.com", type = "MX", ttl = 60, preference = 10, exchange = "mx.example.com"},
---   }}):bytes(), from)
--- end)
---
--- local records = assert(dns.query("example.com", "MX",
---   {server = "127.0.0.1", port = server.localaddr.port}))
--- for _, record in ipairs(records) do
---   print(record.preference, record.exchange, record.ttl)  --> 10 mx.example.com 60
--- end
--- print(select(2, dns.query "a..b").code)  --> EAI_NONAME
--- ```
---@async
---@param name string  in ASCII, as packets have it: `"www.example.com"`, the root `"."`
---@param type? string|integer  default `"A"`: any that `neap.packet` names, in upper or lower
--- case, as `"AAAA"`, `"CNAME"`, `"MX"`, `"TXT"`, `"SRV"`, `"PTR"`, `"NS"`, `"SOA"`, `"CAA"`,
--- `"NAPTR"`, `"SVCB"`, `"HTTPS"`, `"TLSA"`; `"ANY"`; or a number
---@param opts? neap.dns.Options
---@return neap.packet.DnsRecord[]? records  at least one, in the answer's order; of MX, SRV,
--- NAPTR, SVCB and HTTPS the preferred ones first
---@return neap.packet.Dns|neap.Error answer  the whole message; or the error: EAI_NONAME (no
--- such name), EAI_NODATA (it has no such record), ESERVFAIL, EREFUSED, EFORMERR, ENOTIMP,
--- ETIMEDOUT, EBADMSG, ECONNREFUSED, ...; `err.server` is whose it is, the last that was
--- asked; of what it said, `err.answer` has the message
function dns.query(name, type, opts)
  if type_of(name) ~= "string" then
    error(string.format("bad argument #1 to 'query' (string expected, got %s)", type_of(name)), 2)
  end
  local kind = check_type(type)
  return query(name, kind, check_options(opts, "query", 3))
end

--- The name that has the PTR records of an address.
local function reverse_name(address)
  local parts = {}
  if address.family == "inet" then
    for byte in string.gmatch(address.ip, "%d+") do
      table.insert(parts, 1, byte)
    end
    return table.concat(parts, ".") .. ".in-addr.arpa"
  end
  local bytes = packet.dns({answer = {{name = ".", type = "AAAA", address = address.ip}}}):bytes()
  for byte in string.gmatch(string.sub(bytes, -16), ".") do
    local n = string.byte(byte)
    table.insert(parts, 1, string.format("%x.%x", n & 15, n >> 4))
  end
  return table.concat(parts, ".") .. ".ip6.arpa"
end

--- The names of an address.
---
--- ```lua
--- local dns = require "neap.dns"
---
--- local names, err = dns.reverse("192.0.2.1", {server = "127.0.0.1", port = 1, tries = 1})
--- print(names, err.endpoint)  --> nil 1.2.0.192.in-addr.arpa
--- ```
---@async
---@param address string|neap.Address  its port does not matter
---@param opts? neap.dns.Options
---@return string[]? names  at least one
---@return neap.packet.Dns|neap.Error answer  as of `query`
function dns.reverse(address, opts)
  local ok, ip = pcall(core.address, address)
  if not ok or ip.family ~= "inet" and ip.family ~= "inet6" then
    error("bad argument #1 to 'reverse' (an IP address expected)", 2)
  end
  local records, answer = query(reverse_name(ip), "PTR", check_options(opts, "reverse", 3))
  if not records then
    return nil, answer
  end
  local names = {}
  for i, record in ipairs(records) do
    names[i] = record.ptrdname
  end
  return names, answer
end

--- Options of `query` and `reverse`.
---@class neap.dns.Options
---@field server (string|neap.Address|(string|neap.Address)[])?  whom to ask, one after the
--- other, by addresses, with a port (`"127.0.0.1:5353"`) or without; default: those of
--- resolv.conf(5)
---@field port integer?  of servers that have none there, default 53
---@field timeout number?  seconds for each try of a server, default 5
---@field tries integer?  how often each server is asked, default 2
---@field tcp boolean?  ask over TCP from the beginning
---@field recursion boolean?  the server is to ask others, default true
---@field dnssec boolean?  ask for signatures (DO, RFC 3225)
---@field cd boolean?  let the server not check them (RFC 4035)

return dns

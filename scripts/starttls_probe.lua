-- usage: neap starttls_probe.lua PROTOCOL HOST[:PORT]
--
-- Asks a server that begins in the clear for TLS, and shows what it offers. PROTOCOL is
-- smtp, imap, pop3, ftp, xmpp or postgres. The exit status is 0 where its certificate is
-- in order, else 1.

local endpoints = require "neap.endpoint"
local net = require "neap.net"

local PATIENCE = 10

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local function stop(message)
  io.stderr:write("starttls_probe: ", tostring(message), "\n")
  os.exit(1)
end

-- Lines until one that ends the answer; they are shown.
local function answer(stream, last)
  for line in stream:lines() do
    line = line:gsub("\r$", "")
    print("< " .. line:gsub("%c", "?"))
    if line:find(last) then
      return line
    end
  end
  stop "the server has ended"
end

local function ask(stream, line, last)
  print("> " .. line)
  assert(stream:write(line, "\r\n"))
  return answer(stream, last)
end

-- Each asks up to the point at which TLS begins.
local protocols = {
  smtp = {25, function(stream)
    answer(stream, "^%d%d%d ")
    ask(stream, "EHLO localhost", "^%d%d%d ")
    return ask(stream, "STARTTLS", "^%d%d%d "):find "^220"
  end},
  imap = {143, function(stream)
    answer(stream, "^%* ")
    ask(stream, "a CAPABILITY", "^a ")
    return ask(stream, "b STARTTLS", "^b "):find "^b OK"
  end},
  pop3 = {110, function(stream)
    answer(stream, "^[+-]")
    ask(stream, "CAPA", "^%.$")
    return ask(stream, "STLS", "^[+-]"):find "^%+OK"
  end},
  ftp = {21, function(stream)
    answer(stream, "^%d%d%d ")
    return ask(stream, "AUTH TLS", "^%d%d%d "):find "^234"
  end},
  xmpp = {5222, function(stream, host)
    stream:write("<?xml version='1.0'?><stream:stream to='", host, "' version='1.0' ",
      "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
    print("< " .. assert(stream:readuntil "</stream:features>"))
    stream:write "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    return assert(stream:readuntil ">"):find "<proceed"
  end},
  postgres = {5432, function(stream)
    stream:pack(">I4 I4", 8, 80877103) -- SSLRequest
    return assert(stream:read(1)) == "S"
  end},
}

local protocol = protocols[arg[1] or ""] or usage "a protocol, please"
local text = arg[2] or usage "a host, please"
local endpoint = "tcp://" .. text .. (text:find "%]?:%w+$" and "" or ":" .. protocol[1])
if arg[3] or not pcall(endpoints.parse, endpoint) then
  usage "one HOST[:PORT], please"
end
local host = endpoints.parse(endpoint).host

local stream, err = net.connect(endpoint, {timeout = PATIENCE})
stream = (stream or stop(err)):settimeout(PATIENCE)
if not protocol[2](stream, host) then
  stop "the server offers no TLS"
end
local ok
ok, err = stream:starttls {server_name = host}
if not ok then
  stop(err)
end
local about = stream.tls
print(about.version .. "  " .. about.cipher)
print(about.peer.subject .. "  until " .. os.date("!%Y-%m-%d", about.peer.not_after))

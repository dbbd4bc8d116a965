-- usage: neap tls_echo.lua [-c CERT] [-k KEY] [-a CA] [ENDPOINT]
--
-- Sends back whatever comes over TLS, at tls://127.0.0.1:7443 or another endpoint. Without
-- a certificate, a file in PEM, it makes one that signs itself, and prints it: who trusts
-- it may come, such as by
--
--   openssl s_client -CAfile FILE -connect 127.0.0.1:7443
--
-- With -a, clients have to show a certificate of that authority. SIGHUP reads the files
-- again. What goes wrong in a handshake is told on stderr. Ends on Ctrl-C.

local args = require "neap.args"
local endpoints = require "neap.endpoint"
local net = require "neap.net"
local signal = require "neap.signal"
local task = require "neap.task"
local tls = require "neap.tls"

local given = args.parse(arg, {
  name = "neap tls_echo.lua",
  {"-c CERT", "a file with its certificate", key = "cert"},
  {"-k KEY", "and one with the key of that", key = "key"},
  {"-a CA", "clients show a certificate of this authority", key = "ca"},
  {"[ENDPOINT]", "where to listen", default = "tls://127.0.0.1:7443", type = function(text)
    return endpoints.parse(text) and text
  end},
  check = function(given)
    return given.key and not given.cert and "a key without its certificate"
  end,
})
local endpoint = given.endpoint
given.endpoint = nil
given.verify = given.ca and "required" or nil
local makes = not given.cert
if makes then
  given.cert, given.key = tls.selfsigned {names = {"localhost", "127.0.0.1", "::1"}}
end

local context = assert(tls.context(given))
local listener = assert(net.listen(endpoint, {tls = context}))
io.stdout:write(makes and given.cert or "", "listening at ", listener.endpoint, "\n")
io.stdout:flush()

task.spawn(function()
  for _ in signal.each "SIGHUP" do
    local _, why = context:reload()
    io.stderr:write(why and tostring(why) or "the files were read again", "\n")
  end
end)

-- The handshake is done when this is called.
local function echo(stream)
  local peer = stream.tls.peer
  io.stderr:write(tostring(stream), ": ", stream.tls.version, ", ", stream.tls.cipher,
    peer and ", " .. peer.subject or "", "\n")
  for chunk in stream:chunks() do
    assert(stream:write(chunk))
  end
end

listener:serve(echo, {onerror = function(why)
  io.stderr:write(tostring(why), "\n")
end})

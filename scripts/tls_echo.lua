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

local net = require "neap.net"
local signal = require "neap.signal"
local task = require "neap.task"
local tls = require "neap.tls"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local options = {["-c"] = "cert", ["-k"] = "key", ["-a"] = "ca"}
local given, endpoint = {}, nil
local i = 1
while arg[i] do
  local name = options[arg[i]]
  if name and arg[i + 1] then
    given[name] = arg[i + 1]
    i = i + 1
  elseif name or endpoint then
    usage(arg[i] .. ": not expected here")
  else
    endpoint = arg[i]
  end
  i = i + 1
end
if given.key and not given.cert then
  usage "a key without its certificate"
end

given.verify = given.ca and "required" or nil
local makes = not given.cert
if makes then
  given.cert, given.key = tls.selfsigned {names = {"localhost", "127.0.0.1", "::1"}}
end

local context = assert(tls.context(given))
local ok, listener, err = pcall(net.listen, endpoint or "tls://127.0.0.1:7443",
  {tls = context})
if not ok then
  usage(listener)
end
assert(listener, err)
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

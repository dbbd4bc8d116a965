-- usage: neap proxy.lua [--cert FILE] [--key FILE] [--ca FILE] [--insecure] LISTEN TARGET
--
-- Passes each connection on to the target, both ways, half closes too. Either may be TCP,
-- unix, or TLS: to listen at tls:// takes --cert, a file in PEM, and --key where the key is
-- in another one; a target's certificate is looked at, by the system's authorities or those
-- of --ca, unless --insecure is given. One line tells of each connection when it has ended.
--
--   neap proxy.lua tcp://*:8080 unix:/run/app.sock
--   neap proxy.lua --cert site.pem tls://*:443 tcp://127.0.0.1:8080

local net = require "neap.net"
local time = require "neap.time"

local CONNECT = 10 -- seconds to reach the target in

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local count = 0

-- A function that logs about one connection: its number, who it is from, how
-- long it took, and the text.
local function logger(client)
  count = count + 1
  local number, from, began = count, client.remoteaddr, time.now()
  return function(text)
    print(("%s #%d from %s, %.2f s: %s"):format(
      os.date "%H:%M:%S", number, from, time.now() - began, text))
  end
end

-- The relay moves bytes within the kernel, but for TLS; no Lua runs until it is over.
local function pass(client, target, opts)
  local log = logger(client)
  local server <close>, failure = net.connect(target, opts)
  if not server then
    client:reset() -- as the target would have said
    return log(tostring(failure))
  end
  local sent, received, to, from = net.relay(client, server)
  if sent then
    log(("%d bytes there, %d back"):format(sent, received))
  else
    log(("%s after %d bytes there, %d back"):format(received, to, from))
  end
end

local function is_tls(endpoint)
  return endpoint and endpoint:find "^tls" ~= nil
end

local files = {["--cert"] = "cert", ["--key"] = "key", ["--ca"] = "ca"}
local given, places = {}, {}
local i = 1
while arg[i] do
  if files[arg[i]] and arg[i + 1] then
    given[files[arg[i]]] = arg[i + 1]
    i = i + 1
  elseif arg[i] == "--insecure" then
    given.verify = false
  else
    places[#places + 1] = arg[i]
  end
  i = i + 1
end
local listen, target = places[1], places[2]
if #places ~= 2 then
  usage "two endpoints, please"
elseif (given.cert or given.key) and not is_tls(listen)
    or (given.ca or given.verify == false) and not is_tls(target) then
  usage "certificates are for tls:// endpoints"
end
local good, message = pcall(require "neap.endpoint".parse, target)
local ok, listener, err = pcall(net.listen, listen,
  is_tls(listen) and {cert = given.cert, key = given.key} or nil)
if not ok or not good then
  usage(ok and message or listener)
end
print(("listening at %s, for %s"):format(assert(listener, err).endpoint, target))
local opts = {timeout = CONNECT}
if is_tls(target) then
  opts.tls = assert(require "neap.tls".context {ca = given.ca, verify = given.verify})
end
listener:serve(function(client)
  pass(client, target, opts)
end)

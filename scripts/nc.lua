-- usage: neap nc.lua [-l] [--cert FILE] [--key FILE] [--ca FILE] [--insecure] ENDPOINT
--
-- netcat: standard input goes to the endpoint, what comes from there to standard
-- output. With -l it listens for one connection instead, and says where on
-- standard error. The end of the input is passed on as a half close. It ends
-- when both directions have ended, or one fails; at a terminal, when the
-- connection has.
--
-- At a tls:// endpoint it speaks TLS: to listen it needs --cert, a file in PEM, and --key
-- where the key is in another one. The server's certificate is looked at, by the system's
-- authorities or those of --ca, unless --insecure is given.
--
--   neap nc.lua -l tcp://127.0.0.1:7000 >copy    # in one shell,
--   neap nc.lua tcp://127.0.0.1:7000 <original   # in another

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local stdio = require "neap.stdio"
local task = require "neap.task"

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- The listener is closed as soon as there is a connection.
local function accept_one(endpoint, opts)
  local listener <close> = assert(net.listen(endpoint, opts))
  io.stderr:write("listening at ", listener.endpoint, "\n")
  return assert(listener:accept())
end

-- All of it has gone out when `flush` returns; a full disk is an error then.
local function copy(from, to)
  for chunk in from:chunks() do
    assert(to:write(chunk))
  end
  assert(to:flush())
end

local files = {["--cert"] = "cert", ["--key"] = "key", ["--ca"] = "ca"}
local opts, listens, endpoint = {}, false, nil
local i = 1
while arg[i] do
  if arg[i] == "-l" then
    listens = true
  elseif arg[i] == "--insecure" then
    opts.verify = false
  elseif files[arg[i]] and arg[i + 1] then
    opts[files[arg[i]]] = arg[i + 1]
    i = i + 1
  elseif endpoint or arg[i]:sub(1, 1) == "-" then
    usage("one endpoint, please, and not '" .. arg[i] .. "'")
  else
    endpoint = arg[i]
  end
  i = i + 1
end
local good, problem = pcall(endpoints.parse, endpoint or usage "one endpoint, please")
if not good then
  usage(problem)
elseif next(opts) and not endpoint:find "^tls" then
  usage "certificates are for tls:// endpoints"
elseif listens and endpoint:find "^tls" and not opts.cert then
  usage "to listen for TLS takes a certificate: --cert FILE"
end
local stream <close> = listens and accept_one(endpoint, opts) or assert(net.connect(endpoint, opts))

-- Both directions at the same time. The first failure cancels the other one,
-- and is raised here.
task.scope(function(scope)
  local sending = scope:spawn(function()
    copy(stdio.stdin, stream)
    assert(stream:shutdown())
  end)
  copy(stream, stdio.stdout)
  if stdio.stdin.protocol == "tty" then
    sending:cancel() -- nobody would end the input of a connection that is gone
  end
end)

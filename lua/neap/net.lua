--- Sockets by endpoint: connect, listen, and what both give.
---
--- An endpoint is a string that names where: `tcp://127.0.0.1:7000`,
--- `unix:/run/x.sock`, `mem:name` (see neap.endpoint). `connect` gives a Stream,
--- `listen` a Listener, which gives a Stream for each connection.
---
--- What a script does wrong raises: a malformed endpoint, an unknown option. What
--- the world does returns nil and an error object (see neap.error).

-- The mechanism is in C, neap.net.core. Here is the policy: names are resolved
-- and their addresses raced (neap.net.names), servers run a task for each connection.

local check_self = require "neap.class.core".check_self
local core = require "neap.net.core"
local error_object = require "neap.error"
local prefix = require "neap.prefix"
local sched = require "neap.task.core"

local error, next, pcall, rawget, require, type = error, next, pcall, rawget, require, type
local tostring, tointeger = tostring, math.tointeger
local find, format, gsub, pack = string.find, string.format, string.gsub, string.pack

---@class neap.Stream
local Stream = core.Stream

---@class neap.Listener
local Listener = core.Listener

--- Pass on what a core function returned. What it raised is the script's own
--- mistake: tell it at the script's line, by the public name. Not as a tail call, which
--- would leave out a level.
local function told(name, ok, ...)
  if ok then
    return ...
  end
  local err = ...
  if type(err) ~= "string" then
    error(err, 0)
  end
  error(gsub(err, "^(bad argument #%d+ to )'[^']*'", "%1'" .. name .. "'"), 3)
end

--- Is it an endpoint, or are these options, for TLS? Of those that core has left to Lua.
local function wants_tls(endpoint, opts)
  return find(endpoint, "^tls") ~= nil or opts ~= nil and rawget(opts, "tls") ~= nil
end

---@class neap.net
local net = {
  address = core.address,
  service = core.service,
  interfaces = core.interfaces,
  wait = core.wait,
  prefix = prefix,
}

--- Addresses of a name, in the order in which to try them (RFC 6724); each once. Short
--- forms of addresses, `127.1`, are no names, nor is what is not ASCII: write `xn--...`.
---
--- Addresses, `localhost` and the names in /etc/hosts are answered at once. For others the
--- servers of resolv.conf(5) are asked, by DNS, for IPv4 and IPv6 at once, and when one has
--- been answered a second more for the other. 256 lookups go on at a time, and none holds up
--- anything else. What they say, also that there is no such
--- name, is known to this host for as long as it holds (its TTL), or until resolv.conf
--- changes; `cache = false` asks anew. `NEAP_RESOLV_CONF` in the environment names another
--- file; there a server may be `[address]:port`, too.
---
--- Where nsswitch.conf(5) names other sources than `files` and `dns`, the system is asked
--- (getaddrinfo(3)), which takes a thread for each lookup: 64 at a time, not counting those
--- that were given up. `resolver = "system"` or `"dns"`, or `NEAP_RESOLVER` in the
--- environment, say which.
---
--- ```lua
--- local net = require "neap.net"
---
--- for _, address in ipairs(assert(net.resolve("localhost", {family = "inet"}))) do
---   print(address)  --> 127.0.0.1
--- end
--- print(select(2, net.resolve "no.such.name.invalid").op)  --> resolve
--- ```
---@async
---@param host string
---@param opts? { family?: "inet"|"inet6", resolver?: "system"|"dns", cache?: boolean }
---@return neap.Address[]? addresses  their port is 0
---@return neap.Error? err  EAI_NONAME: no such name; EAI_NODATA: it has no such address;
--- EAI_AGAIN: the servers failed, or refused; ETIMEDOUT: they are silent; EAI_FAIL: what they
--- say makes no sense; EAGAIN: no more threads
function net.resolve(host, opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(format("bad argument #2 to 'resolve' (table expected, got %s)", type(opts)), 2)
  end
  for name in next, opts or {} do
    if name ~= "family" and name ~= "resolver" and name ~= "cache" then
      error(format("bad argument #2 to 'resolve' (unknown option '%s')", tostring(name)), 2)
    end
  end
  opts = opts or {}
  local addresses, err = told("resolve", pcall(core.resolve, host, rawget(opts, "family"),
    rawget(opts, "resolver"), rawget(opts, "cache")))
  return addresses, err
end

--- What a port is for: by custom, and as IANA assigns it (RFC 6335, 6).
---
--- | port | class | range |
--- | --- | --- | --- |
--- | 0 | `"none"`: not to be used; when binding, any free one | `"system"` |
--- | 1 to 255 | `"well-known"` | `"system"` |
--- | 256 to 1023 | `"reserved"` | `"system"` |
--- | 1024 to 49151 | `"application"` | `"user"` |
--- | 49152 to 65535 | `"application"` | `"dynamic"` |
---
--- IANA's system ports are also called well-known, its user ports registered, its
--- dynamic ports private or ephemeral. Which ports this system takes for port 0 is
--- a setting of it (ip_local_port_range of ip(7)).
---
--- ```lua
--- local net = require "neap.net"
---
--- print(net.portclass(80))  --> well-known system
--- print(net.portclass(5432))  --> application user
--- print(net.portclass(net.service "https"))  --> reserved system
--- ```
---@param port integer  0 to 65535; raises for anything else
---@return "none"|"well-known"|"reserved"|"application" class
---@return "system"|"user"|"dynamic" range
function net.portclass(port)
  port = tointeger(port)
  if not port or port < 0 or port > 65535 then
    error("bad argument #1 to 'portclass' (a port, 0 to 65535, expected)", 2)
  elseif port >= 1024 then
    return "application", port < 49152 and "user" or "dynamic"
  end
  return port == 0 and "none" or port < 256 and "well-known" or "reserved", "system"
end

--- Connect. A name's addresses are tried side by side: the next one when one has
--- failed, or after 250 ms; the first that answers is taken (RFC 8305).
---
--- A TCP stream sends small writes at once (`nodelay`), unless `opts` say
--- otherwise.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- local stream <close> = assert(net.connect("tcp://localhost:" .. listener.port, {timeout = 5}))
--- print(stream.remoteaddr == listener.address)  --> true
---
--- local none, err = net.connect "unix:/no/such/socket"
--- print(none, err.code, err.endpoint)  --> nil ENOENT unix:/no/such/socket
--- ```
---@async
---@param endpoint string  `tcp://host:port`, `sctp://host:port`, `vsock://cid:port`,
--- `unix:/path`, `unix:@name`, `mem:name`, `fd:N`; a Datagram by `udp://host:port`,
--- `unixgram:/path`, `seqpacket:/path`, `icmp://host`, `raw://host/protocol`
---@param opts? neap.net.ConnectOptions
---@return neap.Stream|neap.Datagram|nil socket
---@return neap.Error? err  ECONNREFUSED, ETIMEDOUT, EPROTONOSUPPORT, EAI_NONAME, ...;
--- `err.attempts` lists each address's own when there were several
function net.connect(endpoint, opts)
  local stream, err = told("connect", pcall(core.dial, endpoint, opts))
  if stream ~= false then
    return stream, err
  end
  local timeout = opts and rawget(opts, "timeout")
  if not timeout and wants_tls(endpoint, opts) then
    local sockets = require "neap.tls.sockets"
    stream, err = told("connect", sockets.blamed(2, pcall(sockets.connect, endpoint, opts)))
    return stream, err
  elseif not timeout then
    return require "neap.net.names".connect(endpoint, opts)
  end
  local rest = {}
  for name, value in next, opts do
    rest[name] = value
  end
  rest.timeout = nil
  stream, err = sched.timeout(timeout, net.connect, endpoint, rest)
  if not stream and err.op == "timeout" then
    err = error_object.new {
      code = "ETIMEDOUT",
      message = "connection timed out",
      op = "connect",
      endpoint = endpoint,
    }
  end
  return stream, err
end

--- Listen for connections.
---
--- ```lua
--- local net = require "neap.net"
---
--- local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
--- print(listener.address)  --> 127.0.0.1:...
--- print(select(2, net.listen(listener.endpoint)).code)  --> EADDRINUSE
--- ```
---@async
---@param endpoint string  `tcp://host:port` (host `*`: every address, v4 and v6; none:
--- loopback; port 0: any free one), `sctp://host:port`, `vsock://cid:port`, `unix:/path`,
--- `unix:@name`, `mem:name`, `fd:N`
---@param opts? neap.net.ListenOptions
---@return neap.Listener? listener
---@return neap.Error? err  EADDRINUSE, EACCES, EADDRNOTAVAIL, ENAMETOOLONG, ...
function net.listen(endpoint, opts)
  local listener, err = told("listen", pcall(core.listen, endpoint, opts))
  if listener ~= false then
    return listener, err
  elseif wants_tls(endpoint, opts) then
    local sockets = require "neap.tls.sockets"
    listener, err = told("listen", sockets.blamed(2, pcall(sockets.listen, endpoint, opts)))
    return listener, err
  end
  local addresses
  addresses, err = require "neap.net.names".lookup(endpoint, "listen", opts)
  if not addresses then
    return nil, err
  end
  return core.listen(endpoint, opts, addresses[1])
end

--- A message socket: bound to an address, for messages from and to anyone.
---
--- ```lua
--- local net = require "neap.net"
---
--- local socket <close> = assert(net.bind "udp://127.0.0.1:0")
--- socket:send("hello", socket.localaddr)
--- local data, from = socket:recv()
--- print(data, from == socket.localaddr)  --> hello true
--- ```
---@param endpoint string  `udp://host:port` (hosts and ports as for `net.listen`),
--- `unixgram:/path`, `unixgram:@name`, `icmp://host`, `raw://host/protocol`,
--- `packet://interface`, `fd:N`
---@param opts? neap.net.BindOptions
---@return neap.Datagram? socket
---@return neap.Error? err  EADDRINUSE, EACCES, EPERM, ENODEV, ...
function net.bind(endpoint, opts)
  local socket, err = told("bind", pcall(core.bind, endpoint, opts))
  if socket ~= false then
    return socket, err
  end
  local addresses
  addresses, err = require "neap.net.names".lookup(endpoint, "bind", opts)
  if not addresses then
    return nil, err
  end
  return core.bind(endpoint, opts, addresses[1])
end

--- Two connected sockets: streams, or of `"unixgram"` and `"seqpacket"` message
--- sockets.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write "ping\n"
--- print(b:read())  --> ping
--- ```
---@param kind? "unix"|"mem"|"unixgram"|"seqpacket"  default `"unix"`: socketpair(2)
---@return neap.Stream|neap.Datagram|nil a
---@return neap.Stream|neap.Datagram|neap.Error b  or the error: EMFILE, ENFILE
function net.socketpair(kind)
  local a, b = told("socketpair", pcall(core.pair, kind))
  return a, b
end

--- Move bytes both ways between two streams until both directions have ended.
--- The end of one is passed on as a half close; neither is closed. Between
--- sockets, many bytes at once stay in the kernel (splice(2)).
---
--- What was read or written before goes first. Until it returns, nobody else may
--- read or write the two: that raises. When it is cancelled or fails, what it has
--- taken from one goes out to the other, as what `write` accepted does. When one
--- takes nothing more, what it still says arrives before that is told.
---
--- ```lua
--- local net = require "neap.net"
---
--- local client, a = net.socketpair()
--- local b, server = net.socketpair()
--- client:write "question"
--- client:shutdown()
--- server:write "the answer"
--- server:shutdown()
--- print(net.relay(a, b))  --> 8 10
--- print(client:read "a", server:read "a")  --> the answer question
--- ```
---@async
---@param a neap.Stream
---@param b neap.Stream
---@return integer? bytes_ab  from a to b; nil on failure
---@return integer|neap.Error bytes_ba  or the error, which ends both directions;
--- the two counts follow it
function net.relay(a, b)
  local ab, ba, n, m = told("relay", pcall(core.relay, a, b))
  if ab == nil then
    return nil, ba, n, m
  elseif type(ab) ~= "userdata" then
    return ab, ba
  end
  local relaying <close> = ab
  local ok, err = pcall(sched.scope, function(scope)
    scope:spawn(function()
      core.pump(relaying, 0)
    end)
    scope:spawn(function()
      core.pump(relaying, 1)
    end)
  end)
  ab, ba, n = core.moved(relaying)
  if ok and not n then
    return ab, ba
  elseif not ok and not error_object.is(err) then
    error(err, 0)
  end
  sched.check "relay"
  return nil, n or err, ab, ba
end

--- `string.pack(fmt, ...)`, written. Raises for values that do not fit the format.
---
--- ```lua
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:pack("<I4 z", 1, "name")
--- print(b:unpack "<I4 z")  --> 1 name
--- ```
---@async
---@param fmt string
---@param ... any
---@return neap.Stream? stream  itself
---@return neap.Error? err  as of `write`
function Stream:pack(fmt, ...)
  check_self(self, "neap.Stream", "pack")
  local ok, bytes = pcall(pack, fmt, ...)
  if not ok then
    error("pack: " .. bytes, 2)
  end
  return self:write(bytes)
end

--- Speak TLS from now on. What was written before goes out in the clear, and the stream
--- stays the same object. Both ends must agree on where it begins: whoever asks reads the
--- answer to the last byte before, and who is asked reads no further than the question.
--- What has come already in the clear may be anybody's, and is refused (`ETLSPLAIN`).
---
--- A failure leaves a stream that fails.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local tls = require "neap.tls"
---
--- local client, server = net.socketpair()
--- local cert, key = tls.selfsigned {names = {"mail.example"}}
--- task.spawn(function()
---   if server:read() == "STARTTLS" then
---     server:write "220 go ahead\n"
---     assert(server:starttls {server = true, cert = cert, key = key})
---     server:write("hello from ", server.tls.server_name)
---     server:close()
---   end
--- end)
---
--- client:write "STARTTLS\n"
--- print(client:read())  --> 220 go ahead
--- assert(client:starttls {server_name = "mail.example", ca = cert})
--- print(client:read "a")  --> hello from mail.example
--- ```
---@async
---@param opts? neap.tls.StartOptions  those of a context, or a context, too
---@return neap.Stream? stream  itself
---@return neap.Error? err  ETLSVERIFY, ETLSPLAIN, ... (see neap.tls)
function Stream:starttls(opts)
  check_self(self, "neap.Stream", "starttls")
  local sockets = require "neap.tls.sockets"
  local ok, err = told("starttls", sockets.blamed(1, pcall(sockets.begin, self, opts)))
  if not ok then
    return nil, err
  end
  return sockets.handshake(self)
end

--- Do the TLS handshake, if it is not done: to look at `stream.tls` before anything is
--- read. `net.connect` and `serve` have done it; otherwise the first read or write does,
--- and its failure is theirs. Of a stream without TLS there is nothing to be done.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
--- local tls = require "neap.tls"
---
--- local cert, key = tls.selfsigned {names = {"localhost"}}
--- local listener <close> = assert(net.listen("tls://127.0.0.1:0", {cert = cert, key = key}))
--- local client = task.spawn(net.connect, "tls://localhost:" .. listener.port, {ca = cert})
--- local stream <close> = assert(listener:accept())
--- print(stream.tls)  --> false
--- print(assert(stream:handshake()).tls.server_name)  --> localhost
--- client:join():close()
--- ```
---@async
---@return neap.Stream? stream  itself
---@return neap.Error? err  ETLSVERIFY, ETLSALERT, ETIMEDOUT, ... (see neap.tls)
function Stream:handshake()
  check_self(self, "neap.Stream", "handshake")
  local sockets = require "neap.tls.sockets"
  told("handshake", pcall(sockets.used, self))
  return sockets.handshake(self)
end

--- Iterate over connections, until the listener is closed. A lack of descriptors
--- or memory is reported on stderr, and waited out; any other failure raises.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener <close> = assert(net.listen "mem:echo")
--- task.spawn(function()
---   for stream in listener:accepts() do
---     task.spawn(function()
---       for line in stream:lines "L" do
---         stream:write(line)
---       end
---       stream:close()
---     end)
---   end
--- end)
---
--- local stream <close> = assert(net.connect "mem:echo")
--- stream:write "hello\n"
--- print(stream:read())  --> hello
--- ```
---@async
---@return fun(): neap.Stream?
function Listener:accepts()
  check_self(self, "neap.Listener", "accepts")
  local accept, goes_on = self.accept, require "neap.net.serving".goes_on
  return function()
    while true do
      local stream, err = accept(self)
      if stream then
        return stream
      elseif not goes_on(err) then
        return nil
      end
    end
  end
end

--- Serve: a task runs `handler(stream)` for each connection, which is closed when
--- the handler returns. Returns when the listener has been closed and its connections have
--- ended; when the task is cancelled, they are cancelled too. The first SIGTERM or SIGINT
--- closes the listener, when those who have connected already are accepted, and cancels the
--- rest of the program when all that is served has ended (see `task.idle`): what follows
--- `serve` then goes on until it waits, unless in a `task.shield`.
---
--- What a handler raises ends its connection only. An error object, such as that of a
--- client that went away, is told on stderr in one line, but the second of a code and all
--- others are counted, and told once a minute in one line together. Anything else is told
--- with its traceback, for it is a mistake of the script.
---
--- ```lua
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- task.spawn(function()
---   local stream <close> = assert(net.connect(listener.endpoint))
---   stream:write "hello\n"
---   print(stream:read())  --> HELLO
---   listener:close()
--- end)
---
--- listener:serve(function(stream)
---   for line in stream:lines() do
---     stream:write(line:upper(), "\n")
---   end
--- end, {max = 10000, per_peer = 100, drain = 5})
--- ```
---@async
---@param handler fun(stream: neap.Stream)  called in a task of its own for each connection
---@param opts? neap.net.ServeOptions
function Listener:serve(handler, opts)
  check_self(self, "neap.Listener", "serve")
  return require "neap.net.serving".serve(self, handler, opts)
end

--- The sockets that the service's manager (systemd's socket units, s6, ...) has opened for
--- this process, by LISTEN_FDS of sd_listen_fds(3): in their order, and each also by its
--- name (`FileDescriptorName=`), if it is the first of that. Listeners, message sockets and
--- streams; none where there is no such manager. May be called again, and in workers: each
--- gets objects of its own. They are handed on by `process.restart`.
---
--- ```lua
--- local net = require "neap.net"
---
--- local sockets = assert(net.activated())
--- local listener = sockets.web or assert(net.listen "tcp://127.0.0.1:0")
--- print(#sockets, listener.port ~= 0)  --> 0 true
--- listener:close()
--- ```
---@return table<integer|string, neap.Listener|neap.Datagram|neap.Stream>? sockets
---@return neap.Error? err  EBADF: there is no such descriptor; EMFILE
function net.activated()
  return require "neap.process.service".activated()
end

--- Send a part of a file, from its beginning or `from` on, without its position: to a
--- socket by sendfile(2), which copies nothing, in a thread; to what has none (TLS, `mem:`),
--- to others than sockets, and while a trace looks, by copying. Only this task waits, for
--- the disk as for the peer. What others write to the stream meanwhile goes between. A
--- file that is cut meanwhile is an ENODATA; how much of it went out before a cancellation
--- is not known.
---
--- ```lua
--- local fs = require "neap.fs"
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- local file <close> = assert(fs.open "/proc/self/comm")
--- a:write "name: "
--- print(a:sendfile(file, 0, 2))  --> 2
--- a:close()
--- print(b:read "a")  --> name: ne
--- ```
---@async
---@param file neap.Stream  of `fs.open`, or a file that is `fd:N`
---@param from? integer  default 0
---@param n? integer  bytes at most; default: to the end
---@return integer? sent  bytes; fewer than `n`: the file has no more
---@return neap.Error? err  of the stream or the file; `err.accepted` bytes went out
function Stream:sendfile(file, from, n)
  check_self(self, "neap.Stream", "sendfile")
  return require "neap.fs.send"(self, file, from, n)
end

return net

--- Sockets by endpoint: connect, listen, and what both give.
---
--- The mechanism is in C (`neap.net.core`); here is the policy: names are
--- resolved and their addresses raced, servers run a task for each connection.

local core = require "neap.net.core"
local endpoints = require "neap.endpoint"
local error_object = require "neap.error"
local sched = require "neap.task.core"
local task = require "neap.task"

local Stream, Listener = core.Stream, core.Listener

--- Seconds between the starts of two attempts at one name (RFC 8305, section 5).
local ATTEMPT_DELAY = 0.25

--- Why the race's queue was woken.
local FAILED, CONNECTED = 1, 2

---@class neap.net
local net = {
  address = core.address,
  service = core.service,
}

--- Addresses of a name, in the order in which to try them (RFC 6724).
---@param host string
---@param opts? { family?: "inet"|"inet6" }
---@return neap.Address[]? addresses  their port is 0
---@return neap.Error? err  EAI_NONAME, EAI_AGAIN, ...
function net.resolve(host, opts)
  return core.resolve(host, opts and opts.family)
end

--- The family of an endpoint's addresses: `udp6` takes those of IPv6.
local function family_of(scheme)
  local number = scheme:match "%d$"
  return number == "4" and "inet" or number == "6" and "inet6" or nil
end

--- Addresses of an endpoint whose host is a name.
local function lookup(endpoint, op)
  local parts = endpoints.parse(endpoint)
  local found, err = core.resolve(parts.host, family_of(parts.scheme))
  if not found then
    err.op, err.endpoint = op, endpoint
    return nil, err
  end
  return found
end

--- The families in turn, beginning with the first address's (RFC 8305, 4).
local function interleave(addresses)
  local first, second, out = {}, {}, {}
  for _, address in ipairs(addresses) do
    local list = address.family == addresses[1].family and first or second
    list[#list + 1] = address
  end
  for i = 1, math.max(#first, #second) do
    out[#out + 1] = first[i]
    out[#out + 1] = second[i]
  end
  return out
end

--- One error for all attempts: the first one's code, and every address.
local function all_failed(endpoint, errors)
  local texts = {}
  for i, err in ipairs(errors) do
    texts[i] = ("%s: %s"):format(err.endpoint or "?", err.message)
  end
  return error_object.new {
    code = errors[1].code,
    message = #errors == 1 and errors[1].message or table.concat(texts, "; "),
    op = "connect",
    endpoint = endpoint,
    attempts = errors,
  }
end

--- Race the addresses: the next attempt starts when the last one has failed, or
--- after ATTEMPT_DELAY; the first connection wins and ends the others.
local function race(endpoint, opts, addresses)
  local winner
  local errors = {}
  task.scope(function(scope)
    local news = sched.queue "connect"
    local function attempt(address)
      local stream, err = core.dial(endpoint, opts, address)
      if not stream then
        errors[#errors + 1] = err
        news:wake(FAILED)
      elseif winner then
        stream:close()
      else
        winner = stream
        news:wake(CONNECTED)
      end
    end
    for i, address in ipairs(addresses) do
      scope:spawn(attempt, address)
      if i < #addresses then
        task.timeout(ATTEMPT_DELAY, news.wait, news)
      end
      if winner then
        break
      end
    end
    while not winner and scope.live > 0 do
      news:wait()
    end
    scope:cancel()
  end)
  sched.check "connect"
  if winner then
    return winner
  end
  return nil, all_failed(endpoint, errors)
end

--- Connect. A name's addresses are tried side by side (RFC 8305).
---@param endpoint string  `tcp://host:port`, `unix:/path`, `unix:@name`, `mem:name`, `fd:N`;
--- a Datagram by `udp://host:port`, `unixgram:/path`, `seqpacket:/path`, `icmp://host`,
--- `raw://host/protocol`
---@param opts? neap.net.ConnectOptions
---@return neap.Stream|neap.Datagram|nil socket
---@return neap.Error? err  ECONNREFUSED, ETIMEDOUT, EAI_NONAME, ...; `err.attempts` lists
--- each address's own when there were several
function net.connect(endpoint, opts)
  local stream, err = core.dial(endpoint, opts)
  if stream ~= false then
    return stream, err
  end
  local timeout = opts and opts.timeout
  if not timeout then
    local addresses
    addresses, err = lookup(endpoint, "connect")
    if not addresses then
      return nil, err
    end
    return race(endpoint, opts, interleave(addresses))
  end
  local rest = {}
  for name, value in pairs(opts) do
    rest[name] = name ~= "timeout" and value or nil
  end
  stream, err = task.timeout(timeout, net.connect, endpoint, rest)
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
---@param endpoint string  `tcp://host:port` (host `*`: every address, v4 and v6; none:
--- loopback; port 0: any free one), `unix:/path`, `unix:@name`, `mem:name`, `fd:N`
---@param opts? neap.net.ListenOptions
---@return neap.Listener? listener
---@return neap.Error? err  EADDRINUSE, EACCES, EADDRNOTAVAIL, ENAMETOOLONG, ...
function net.listen(endpoint, opts)
  local listener, err = core.listen(endpoint, opts)
  if listener ~= false then
    return listener, err
  end
  local addresses
  addresses, err = lookup(endpoint, "listen")
  if not addresses then
    return nil, err
  end
  return core.listen(endpoint, opts, addresses[1])
end

--- A message socket: bound to an address, for messages from and to anyone.
---@param endpoint string  `udp://host:port` (hosts and ports as for `net.listen`),
--- `unixgram:/path`, `unixgram:@name`, `icmp://host`, `raw://host/protocol`,
--- `packet://interface`, `fd:N`
---@param opts? neap.net.BindOptions
---@return neap.Datagram? socket
---@return neap.Error? err  EADDRINUSE, EACCES, EPERM, ENODEV, ...
function net.bind(endpoint, opts)
  local socket, err = core.bind(endpoint, opts)
  if socket ~= false then
    return socket, err
  end
  local addresses
  addresses, err = lookup(endpoint, "bind")
  if not addresses then
    return nil, err
  end
  return core.bind(endpoint, opts, addresses[1])
end

--- Two connected sockets: streams, or of `"unixgram"` and `"seqpacket"` message
--- sockets.
---@param kind? "unix"|"mem"|"unixgram"|"seqpacket"  default "unix": socketpair(2)
---@return neap.Stream|neap.Datagram|nil a
---@return neap.Stream|neap.Datagram|neap.Error b
function net.socketpair(kind)
  return core.pair(kind)
end

--- Copy one direction in Lua, then half-close.
local function copy(from, to)
  local bytes = 0
  while true do
    local chunk, err = from:recv()
    if not chunk then
      if err then
        error(err, 0)
      end
      local ok
      ok, err = to:shutdown()
      if not ok then
        error(err, 0)
      end
      return bytes
    end
    local ok
    ok, err = to:write(chunk)
    if not ok then
      error(err, 0)
    end
    bytes = bytes + #chunk
  end
end

--- Move bytes both ways between two streams until both directions have ended.
--- The end of one is passed on as a half close; neither is closed. Between
--- sockets the bytes stay in the kernel (splice(2)).
---@param a neap.Stream
---@param b neap.Stream
---@return integer? bytes_ab  from a to b; nil on failure
---@return integer|neap.Error bytes_ba  or the error, which ends both directions;
--- the two counts follow it
function net.relay(a, b)
  local ab, ba, n, m = core.relay(a, b)
  if ab ~= false then
    return ab, ba, n, m
  end
  local ok, results = pcall(task.all, {
    function()
      return copy(a, b)
    end,
    function()
      return copy(b, a)
    end,
  })
  if ok then
    return ba + results[1], n + results[2]
  elseif not error_object.is(results) then
    error(results, 0)
  end
  sched.check "relay"
  return nil, results, ba, n
end

--- `string.pack(fmt, ...)`, written.
---@return neap.Stream? stream
---@return neap.Error? err
function Stream:pack(fmt, ...)
  return self:write(string.pack(fmt, ...))
end

--- Errors after which a listener is of no more use to an iterator.
local function is_lack(err)
  local code = err.code
  return code == "EMFILE" or code == "ENFILE" or code == "ENOBUFS" or code == "ENOMEM" or code == "EPERM"
end

--- Iterate over connections, until the listener is closed. A lack of descriptors
--- or memory is reported on stderr, and waited out; any other failure raises.
---@return fun(): neap.Stream?
function Listener:accepts()
  return function()
    while true do
      local stream, err = self:accept()
      if stream then
        return stream
      elseif err.code == "ECANCELED" or err.code == "EBADF" then
        return nil
      elseif not is_lack(err) then
        error(err, 0)
      end
      io.stderr:write("neap: ", tostring(err), "\n")
    end
  end
end

--- Serve: a task runs `handler(stream)` for each connection, which is closed when
--- the handler returns. A handler's error is reported on stderr, with its
--- traceback, and ends that connection only. Returns when the listener has been
--- closed and its connections have ended; when the task is cancelled, they are
--- cancelled too.
---@param handler fun(stream: neap.Stream)
---@param opts? { max?: integer, drain?: number }  max: connections at once, others wait
--- in the backlog; drain: seconds that connections may go on after the listener's end
function Listener:serve(handler, opts)
  local max = opts and opts.max
  local drain = opts and opts.drain
  if max ~= nil and (math.type(max) ~= "integer" or max < 1) then
    error("serve: option 'max': a count of 1 or more expected", 2)
  end
  if drain ~= nil and (type(drain) ~= "number" or drain < 0) then
    error("serve: option 'drain': seconds expected", 2)
  end
  task.scope(function(scope)
    local serve = scope.serve
    for stream in self:accepts() do
      serve(scope, handler, stream)
      if max and scope.live >= max then
        scope:wait(max - 1)
      end
    end
    if drain then
      task.timeout(drain, scope.wait, scope, 0)
      scope:cancel()
    end
  end)
end

return net

--- Connected pairs of streams, by every transport that is a stream: for specs
--- that hold over each of them.

local busted = require "busted"
local net = require "neap.net"
local task = require "neap.task"

local transports = {}

--- Names of the transports, in the order in which to test them. The environment
--- may name others: those that a kernel may lack, NEAP_TRANSPORTS="sctp vsock", and
--- layers over them: "tls:tcp", and those that the executable `layers` has: "xor:tcp
--- cut:xor:mem tls:cut:tcp".
transports.names = {"tcp", "unix", "mem"}

local named = os.getenv "NEAP_TRANSPORTS"
if named then
  transports.names = {}
  for name in named:gmatch "%S+" do
    table.insert(transports.names, name)
  end
end

--- What is at the bottom of layers: the name itself where there are none.
---@param kind string
---@return string
function transports.bottom(kind)
  return (kind:gsub("^.*:", ""))
end

--- What its streams say they are.
---@param kind string
---@return string
function transports.protocol(kind)
  return kind:match "^%w+"
end

--- Names of the transports that listen: layers do not.
transports.listening = {}

for _, name in ipairs(transports.names) do
  if transports.bottom(name) == name then
    table.insert(transports.listening, name)
  end
end

local listening = {
  tcp = {"tcp://127.0.0.1:0"},
  mptcp = {"tcp://127.0.0.1:0", {mptcp = true}},
  sctp = {"sctp://127.0.0.1:0"},
  vsock = {"vsock://local:0"},
}

local function connected(endpoint, options)
  local listener <close> = assert(net.listen(endpoint, options))
  local a = assert(net.connect(listener.endpoint, options))
  return a, assert(listener:accept())
end

local contexts

--- The contexts of a server that is called "localhost", and of its clients.
---@return neap.tls.Context server
---@return neap.tls.Context client
function transports.contexts()
  if not contexts then
    local tls = require "neap.tls"
    local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
    contexts = {assert(tls.context {cert = cert, key = key}), assert(tls.context {ca = cert})}
  end
  return table.unpack(contexts)
end

--- TLS over both, of which the first is the client.
local function secure(a, b)
  local server, client = transports.contexts()
  task.all { -- each waits for the other
    function() assert(a:starttls {context = client, server_name = "localhost"}) end,
    function() assert(b:starttls {context = server, server = true}) end,
  }
  return a, b
end

--- Two streams, each the other's peer.
---@param kind "tcp"|"unix"|"mem"|"mptcp"|"sctp"|"vsock"|string  or a layer over one
---@return neap.Stream a
---@return neap.Stream b
function transports.pair(kind)
  local layer, lower = kind:match "^(%w+):(.+)$"
  if layer == "tls" then
    return secure(transports.pair(lower))
  elseif layer then
    local layers = require "layers"
    local a, b = transports.pair(lower)
    local both = task.all { -- one may wait for the other
      function() return assert(layers.over(a, layer)) end,
      function() return assert(layers.over(b, layer)) end,
    }
    return both[1], both[2]
  end
  if listening[kind] then
    return connected(table.unpack(listening[kind]))
  end
  return assert(net.socketpair(kind))
end

--- Pairs for a `describe`: each of its tests is given one of its own, which is gone after it.
---@param kind string
---@param give fun(a: neap.Stream, b: neap.Stream)
---@return fun() renew  gives two more, in the place of those that a test has used up
function transports.each_test(kind, give)
  local a, b

  local function open()
    a, b = transports.pair(kind)
    give(a, b)
  end

  local function reset()
    a:reset()
    b:reset()
  end

  busted.before_each(open)
  busted.after_each(reset)
  return function()
    reset()
    open()
  end
end

--- A pair of which the first is soon full, when the second does not read.
---@param kind string
---@return neap.Stream ours
---@return neap.Stream theirs
function transports.narrow_pair(kind)
  local ours, theirs = transports.pair(kind)
  ours:set {sndbuf = 65536}
  theirs:set {rcvbuf = 65536}
  return ours, theirs
end

--- Write far more than the kernel and the stream take; returns how many bytes that was.
---@param stream neap.Stream
---@return integer
function transports.stuff(stream)
  local bytes = ("s"):rep(1024 * 1024)
  local ok, err = task.timeout(0.02, stream.write, stream, bytes)
  assert(ok == nil and err.code == "ETIMEDOUT", err)
  return #bytes
end

local longest = ""

--- Bytes that differ everywhere, so that a loss or a swap shows.
---@param n integer
---@return string
function transports.pattern(n)
  if #longest < n then
    local parts = {}
    for i = 1, n // 8 + 1 do
      parts[i] = ("%08x"):format(i)
    end
    longest = table.concat(parts)
  end
  return longest:sub(1, n)
end

--- A copy of its descriptor, which is no socket of neap's.
---@param stream neap.Stream
---@return integer fd
function transports.copy(stream)
  local near, far = assert(net.socketpair())
  assert(near:sendfd("x", {stream}))
  local _, list = assert(far:recvfd())
  near:close()
  far:close()
  return assert(list[1]:take())
end

--- A descriptor that is no socket of neap's, as of a C library; a stream to its other
--- end; and what closes it.
---@return integer fd
---@return neap.Stream peer
---@return fun() close
function transports.foreign()
  local theirs, ours = assert(net.socketpair())
  local fd = transports.copy(ours)
  ours:close()
  return fd, theirs, function()
    assert(net.connect("fd:" .. fd)):close()
  end
end

return transports

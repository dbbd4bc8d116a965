--- Two ends that begin TLS with each other, and somebody who sits between them.

local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local handshakes = {}

--- A server's certificate, which the client trusts.
handshakes.cert, handshakes.key = tls.selfsigned {names = {"localhost", "127.0.0.1", "a.example"}}
handshakes.ours = assert(tls.context {cert = handshakes.cert, key = handshakes.key})
handshakes.theirs = assert(tls.context {ca = handshakes.cert})

--- Both ends begin; what each comes to: true, or its error.
function handshakes.shake(a, b, client, server)
  local results = task.all {
    function()
      local ok, err = a:starttls(client or {context = handshakes.theirs, server_name = "localhost"})
      return ok and true or err
    end,
    function()
      local ok, err = b:starttls(server or {context = handshakes.ours, server = true})
      return ok and true or err
    end,
  }
  return results[1], results[2]
end

--- A pair in which somebody sits between: client, his two ends, server.
function handshakes.with_middle()
  local a, near = net.socketpair "mem"
  local far, b = net.socketpair "mem"
  return a, near, far, b
end

--- Pass on `most` bytes, and then end both by that verb, if there is one; how many went.
function handshakes.pass(from, to, most, verb)
  local sum = 0
  while sum < most do
    local bytes = from:recv(math.min(most - sum, 65536))
    if not bytes then
      break
    end
    sum = sum + #bytes
    to:write(bytes)
    to:flush()
  end
  if verb and sum >= most then
    from[verb](from)
    to[verb](to)
  end
  return sum
end

return handshakes

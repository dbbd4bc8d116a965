--- A bus: messages to whoever has subscribed to their subject. Publish and subscribe, request and
--- answer, and queue groups, of which one gets each message; between the tasks of a program, its
--- workers, or machines, by the same script:
---
--- | endpoint | between whom |
--- | --- | --- |
--- | `mem:name` | tasks of one state; the name may be empty |
--- | `worker:name` | the workers of a process (`neap -w 4`), and its main program |
--- | `nats://host:4222` | whoever connects to that NATS server, or its cluster; `nats://a,b,c:4223`, `tls://host` |
---
--- ```lua
--- local bus = require "neap.bus"
--- local task = require "neap.task"
---
--- local here <close> = assert(bus.open "mem:")
--- local questions = here:subscribe("math.*", {queue = "servers"})
--- task.background(function()
---   for message in questions:messages() do
---     local a, b = message.data:match "(%d+) (%d+)"
---     message:respond(message.subject == "math.add" and ("%d"):format(a + b) or "?")
---   end
--- end)
---
--- print(here:request("math.add", "2 3").data)  --> 5
--- ```
---
--- A message is gone when nobody has subscribed, and may be lost with a connection, a process, or
--- where a subscriber is slow (see `Subscription`): a bus delivers at most once. `request` tells
--- whether it was answered, and `Bus:jetstream` has messages that NATS keeps until they are
--- done.

local error_object = require "neap.error"
local options = require "neap.options"

local error, require, type = error, require, type
local match = string.match

---@class neap.bus
local bus = {}

--- Of `bus.open`. All but `onevent` are of NATS.
---@class neap.bus.Options
---@field onevent (fun(name: string, what: any))?  told what happens: `"slow"`, a subscription;
--- `"lost"`, the error; `"connected"`, the server's name and port, when it is again; `"lame"`: the
--- server is about to end; `"error"`, what the server said. It is not to wait
---@field name string?  what the server calls this client in its lists
---@field user string?
---@field password string?
---@field token string?
---@field nkey string?  a seed, `SU...`: who we are is proved by a signature (Ed25519)
---@field creds string?  a file with a user's JWT and seed, as `nsc` writes it
---@field tls (neap.tls.Context|neap.tls.StartOptions)?  speak TLS, also where the server does not ask
--- for that; who asks, gets it without these options, too
---@field timeout number?  seconds for each attempt to connect; default 5
---@field reconnect boolean|integer|nil  what to do when the connection is lost: connect again, to
--- any server of the cluster, at once and then after ever longer pauses, for ever (true, the
--- default) or until all have failed so many times; or end (false)
---@field pause number?  seconds between two rounds through the servers: at first 0.1, then twice as
--- much each time until this, and some of it by chance; default 5
---@field ping number?  seconds between two questions whether the server is there, of which two may
--- be without an answer; default 30
---@field pending integer?  bytes that are kept while there is no connection; default 8 MiB
---@field full "wait"|"error"|nil  who publishes more than that waits (the default), or gets ENOBUFS
---@field echo boolean?  false: get nothing of what this bus has published itself; default true
---@field max integer?  bytes of a message that is taken; default 64 MiB

local seconds, size = options.seconds, options.size
local name = { function(value)
  return type(value) == "string" and value ~= ""
end, "a text" }

local known = {
  onevent = options.callable, name = name, user = name, password = name, token = name, nkey = name, creds = name,
  timeout = seconds, pause = seconds, ping = seconds, pending = size, max = size, tls = options.tls,
  reconnect = options.times, echo = options.flag,
  full = { function(value)
    return value == "wait" or value == "error"
  end, "'wait' or 'error'" },
}

--- Open a bus. Over NATS it is connected when this returns; from then on it connects again by
--- itself, subscriptions are made anew, and what is published meanwhile is kept.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:house")
--- local there <close> = assert(bus.open "mem:house")
--- local sub = here:subscribe "door"
--- there:publish("door", "open")
--- print(sub:recv().data)  --> open
--- print(select(2, bus.open "nats://127.0.0.1:1").code)  --> ECONNREFUSED
--- ```
---@async
---@param endpoint string  `mem:name`, `worker:name`, `nats://user:password@host:port,host:port`
---@param opts? neap.bus.Options
---@return neap.Bus? bus
---@return neap.Error? err  EBADMSG: no such endpoint; EACCES: the server does not let us in;
--- EPROTO: it does not speak NATS, or no TLS; EKEY: `nkey` or `creds` are broken; ETIMEDOUT; what
--- `net.connect` fails with
function bus.open(endpoint, opts)
  if type(endpoint) ~= "string" then
    error("bad argument #1 to 'open' (string expected, got " .. type(endpoint) .. ")", 2)
  end
  opts = options.check("bus.open", opts or {}, known, 2)
  local client = require "neap.bus.client"
  local scheme, at = match(endpoint, "^(%a+):(.*)$")
  if scheme == "mem" then
    return require "neap.bus.mem".open(client.new(opts.onevent), at)
  elseif scheme == "worker" then
    return require "neap.bus.workers".open(client.new(opts.onevent), at)
  elseif scheme == "nats" or scheme == "tls" then
    local opened, err = require "neap.bus.nats".open(client.new(opts.onevent), endpoint, opts)
    return opened, err
  end
  return nil, error_object.new {
    code = "EBADMSG", op = "bus", endpoint = endpoint, message = "mem:, worker: or nats:// expected",
  }
end

return bus

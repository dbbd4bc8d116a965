--- What `Listener:serve` does: a task for each connection, and limits.

local core = require "neap.net.core"
local error_object = require "neap.error"
local sched = require "neap.task.core"

local error, getmetatable, next, pcall, xpcall = error, getmetatable, next, pcall, xpcall
local rawget, require, setmetatable, tostring, type = rawget, require, setmetatable, tostring, type
local concat, sort = table.concat, table.sort
local format, sub, mathtype = string.format, string.sub, math.type
local traceback = debug.traceback
local stderr = io.stderr
local spawn_served = sched.serve

---@class neap.net.serving
local serving = {}

--- Seconds between two lines that tell of the same errors of one listener.
serving.INTERVAL = 60

--- A line on stderr.
local function tell(text)
  stderr:write("neap: ", require "neap.host".harmless(text), "\n")
end

serving.tell = tell


-- Accepting

--- Errors after which a listener is of no more use to an iterator.
local function is_lack(err)
  local code = err.code
  return code == "EMFILE" or code == "ENFILE" or code == "ENOBUFS" or code == "ENOMEM"
    or code == "EPERM"
end

--- Is a listener of use to an iterator after this failure to accept? Raises for
--- what neither ends it nor passes.
function serving.goes_on(err)
  if err.code == "ECANCELED" or err.code == "EBADF" then
    return false
  elseif not is_lack(err) then
    error(err, 0)
  end
  tell(tostring(err))
  return true
end

local goes_on = serving.goes_on


-- Options

local function is_count(value)
  return mathtype(value) == "integer" and value >= 1
end

local checks = {
  max = {"a count of 1 or more", is_count},
  per_peer = {"a count of 1 or more", is_count},
  rate = {"a number above 0", function(value)
    return type(value) == "number" and value > 0
  end},
  drain = {"seconds", function(value)
    return type(value) == "number" and value >= 0
  end},
  onerror = {"a function", function(value)
    return type(value) == "function"
  end},
  proxied = {"true, or a list of addresses and prefixes", function(value)
    return require "neap.net.proxied".peers(value) ~= nil
  end},
}

--- What it was called with: the options; or raise.
function serving.check(handler, opts, level)
  local meta = getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error("serve: a function expected, got " .. type(handler), level + 1)
  elseif type(opts) ~= "table" then
    error("serve: a table of options expected, got " .. type(opts), level + 1)
  end
  local checked = {}
  for name in next, opts do
    local row = checks[name]
    if not row then
      error(format("serve: unknown option '%s'", tostring(name)), level + 1)
    end
    local value = rawget(opts, name)
    if not row[2](value) then
      error(format("serve: option '%s': %s expected", name, row[1]), level + 1)
    end
    checked[name] = value
  end
  return checked
end


-- What went wrong is told of each code once, and then counted.

---@class neap.net.serving.Tally
local Tally = {}
Tally.__index = Tally

local function new_tally(listener)
  return setmetatable({ name = listener.endpoint, counts = {}, more = 0 }, Tally)
end

--- Tell what was counted, and begin anew.
function Tally:tell()
  local parts = {}
  for code, count in next, self.counts do
    if count > 0 then
      parts[#parts + 1] = format("%s %d", code, count)
    end
  end
  sort(parts)
  if #parts > 0 then
    tell(format("%s: %d more connections failed: %s", self.name, self.more, concat(parts, ", ")))
  end
  self.counts, self.more = {}, 0
end

local function tell_later(tally)
  sched.sleep(serving.INTERVAL)
  tally.teller = nil
  tally:tell()
end

--- Was it only counted? False: the first of its code is to be told.
function Tally:count(code)
  local count = self.counts[code]
  if not self.teller then
    self.teller = sched.background(tell_later, self)
    self.teller.name = "counts failures"
  end
  self.counts[code] = (count or -1) + 1
  self.more = self.more + (count and 1 or 0)
  return count ~= nil
end

function Tally:close()
  if self.teller then
    self.teller:cancel()
    self.teller = nil
  end
  self:tell()
end

Tally.__close = Tally.close


-- Handlers

--- What onerror gets of an error: itself, and where it began.
local function note(err)
  return { err, not error_object.is(err) and traceback(tostring(err), 2) or nil }
end

--- What a handler has come to. Who is cancelled ends by that. A lack of memory is not noted: Lua
--- calls no function for it.
local function ended(onerror, stream, ok, noted)
  if not ok then
    sched.check "serve"
    if type(noted) ~= "table" then
      noted = { noted }
    end
    onerror(noted[1], stream, noted[2])
  end
end

local function with_onerror(handler, onerror)
  return function(stream)
    ended(onerror, stream, xpcall(handler, note, stream))
  end
end

--- Whom a connection is counted for: an address, of IPv6 a network. Nil: nobody.
local function peer_of(stream)
  local address = stream.remoteaddr
  local ip = address and address.ip
  if ip and address.family == "inet6" then
    return sub(require "neap.packet.address".to_ipv6(ip), 1, 8)
  end
  return ip
end

--- How many connections each peer has, of those that there may be.
---@class neap.net.serving.Peers
local Peers = {}
Peers.__index = Peers

--- Is a connection one too many? Else it is counted.
function Peers:refuses(stream)
  local peer = peer_of(stream)
  if not peer then
    return false
  end
  local count = self.counts[peer] or 0
  if count >= self.most then
    return true
  end
  self.counts[peer] = count + 1
  return false
end

local function leave(guest)
  local counts, peer = guest.counts, guest.peer
  counts[peer] = counts[peer] > 1 and counts[peer] - 1 or nil
end

local Guest = { __close = leave }

--- The handler, behind which its connection is counted no longer.
function Peers:around(handler)
  return function(stream)
    local peer = peer_of(stream)
    local _ <close> = peer and setmetatable({ counts = self.counts, peer = peer }, Guest)
    return handler(stream)
  end
end


-- Serving

--- Waits, so that accepts are so many a second, on average.
local function pacer(rate)
  local now = require "neap.time".now
  local most = rate > 1 and rate or 1
  local left, last = most, now()
  return function()
    local time = now()
    left = left + (time - last) * rate
    left = (left < most and left or most) - 1
    last = time
    if left < 0 then
      sched.sleep(-left / rate)
    end
  end
end

--- Serve into a scope, until the listener is closed.
---@param plan { max?: integer, pace?: function, refuses?: fun(stream: neap.Stream): boolean }
local function serve_into(scope, listener, handler, plan)
  local max, pace, refuses = plan.max, plan.pace, plan.refuses
  if max then
    core.rouse(listener, scope)
  end
  local accept = listener.accept
  local stream, err = accept(listener)
  while stream or goes_on(err) do
    if stream and not (refuses and refuses(stream)) then
      spawn_served(scope, handler, stream)
    end
    if max and scope.live >= max then
      scope:wait(max - 1)
    end
    if pace then
      pace()
    end
    stream, err = accept(listener)
  end
  listener:close() -- unless it is: the program drains
end

--- The same where connections outlive the end by some seconds, also when this task is
--- cancelled: their scope is another task's, which nothing interrupts.
local function serve_draining(drain, run)
  local task = require "neap.task"
  local scope
  local opened, over = task.event(), task.event()
  local holder = sched.background(sched.shield, sched.scope, function(s)
    scope = s
    opened:set()
    over:wait()
  end)
  holder.name = "connections"
  local ok, err = pcall(function()
    opened:wait()
    run(scope)
  end)
  over:set()
  sched.shield(function()
    sched.timeout(drain, holder.join, holder)
    scope:cancel()
    holder:join()
  end)
  if not ok then
    error(err, 0)
  end
end

--- Refuses what a peer has too many of, and tells of it.
local function doorman(peers, tally)
  return function(stream)
    if not peers:refuses(stream) then
      return false
    end
    if not tally:count "per_peer" then
      tell(format("%s: a connection from %s is one more than %d, and was closed", tally.name,
        stream.remoteaddr.ip, peers.most))
    end
    stream:close()
    return true
  end
end

--- The handler behind what proxies say, before TLS begins.
local function around_proxied(handler, whom, plan)
  local proxied = require "neap.net.proxied"
  local refuses = plan.refuses
  plan.refuses = nil
  return proxied.around(handler, proxied.peers(whom), refuses)
end

--- What a serve closes: it serves no more.
local served = setmetatable({}, { __close = function()
  sched.serving(false)
end })

function serving.serve(listener, handler, opts)
  local o = serving.check(handler, opts or {}, 2)
  local tally <close> = new_tally(listener)
  local plan = { max = o.max, pace = o.rate and pacer(o.rate) }
  local bare <close> = o.proxied and listener.tls and require "neap.tls.sockets".bare(listener) or nil
  if listener.tls then
    handler = require "neap.tls.sockets".serving(handler, bare and bare.context)
  end
  if o.per_peer then
    local peers = setmetatable({ most = o.per_peer, counts = {} }, Peers)
    handler = peers:around(handler)
    plan.refuses = doorman(peers, tally)
  end
  if o.proxied then
    handler = around_proxied(handler, o.proxied, plan)
  end
  if o.onerror then
    handler = with_onerror(handler, o.onerror)
  end
  local function run(scope)
    sched.onfailure(scope, function(err)
      return tally:count(err.code)
    end)
    serve_into(scope, listener, handler, plan)
  end
  sched.serving(true)
  local _ <close> = served
  core.drains(listener)
  if o.drain then
    serve_draining(o.drain, run)
  else
    sched.scope(run)
  end
end

return serving

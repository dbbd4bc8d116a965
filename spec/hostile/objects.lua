--- Objects of every public class, made when they are asked for, and what ends them.

local bus = require "neap.bus"
local crypto = require "neap.crypto"
local error_object = require "neap.error"
local fs = require "neap.fs"
local http = require "neap.http"
local log = require "neap.log"
local metrics = require "neap.metrics"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local prefix = require "neap.prefix"
local process = require "neap.process"
local sim = require "neap.sim"
local task = require "neap.task"
local tls = require "neap.tls"
local trace = require "neap.trace"
local url = require "neap.url"
local worker = require "neap.worker"
local zlib = require "neap.zlib"

--- What is left to end, the newest last.
local ends = {}

local function owned(object, ...)
  ends[#ends + 1] = object
  if select("#", ...) > 0 then
    return object, owned(...)
  end
  return object
end

--- Ends all that was made, whatever was done to it.
local function finish(list)
  for i = #list, 1, -1 do
    local object = list[i]
    list[i] = nil
    if type(object) == "function" then
      object()
    else
      pcall(function() object:close() end)
    end
  end
end

local function accepted(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  local a = assert(net.connect(listener.endpoint))
  return owned(assert(listener:accept()), a)
end

--- Lists of what ends that which is kept.
local all_kept = {}

--- What takes long to make is used some times, whatever has been done to it.
local function kept(make)
  local results, own
  local left = 0
  return function()
    if left == 0 or #own == 0 then
      finish(own or {})
      local others = ends
      ends = {}
      results = table.pack(make())
      own, ends, left = ends, others, 16
      own[#own + 1] = function()
        results = nil
      end
      all_kept[#all_kept + 1] = own
    end
    left = left - 1
    return table.unpack(results, 1, results.n)
  end
end

local cert, key = tls.selfsigned {names = {"localhost"}}
local context = assert(tls.context {cert = cert, key = key, verify = false})
local signing = crypto.generate "ed25519"

--- A request that a server has got, its answer, what a client got, and events.
local exchange = kept(function()
  local listener = assert(net.listen "mem:hostile_http")
  local request, response, events
  local done = task.event()
  local server = task.spawn(pcall, http.serve, listener, function(...)
    if (...).path == "/events" then
      events = select(2, ...):events()
    else
      request, response = ...
    end
    done:wait()
    return ""
  end)
  local client = http.client {endpoint = "mem:hostile_http"}
  local asking = task.spawn(pcall, client.get, client, "http://self/")
  local answered = assert(client:get "http://self/events")
  while not request do
    task.yield()
  end
  owned(function()
    asking:cancel()
    server:cancel()
    done:set()
    pcall(client.close, client)
    listener:close()
    server:join()
    asking:join()
  end)
  return request, response, answered, events
end)

local function listener_of(endpoint)
  return function()
    return owned(assert(net.listen(endpoint)))
  end
end

local function opened_bus()
  return owned(assert(bus.open "mem:hostile"))
end

local function recorded()
  local file = owned(assert(io.tmpfile()))
  local writer = pcap.writer(file)
  writer:write("x", {time = 1})
  writer:flush()
  file:seek "set"
  return file, writer
end

--- A link to a server that has gone.
local nobody = {__index = function()
  return function()
    return nil, error_object.new {code = "EPIPE", message = "gone"}
  end
end}

local objects = {}

--- Makers by class: more than one where there are kinds.
objects.makers = {
  ["neap.Stream"] = {
    function() return (owned(net.socketpair "mem")) end,
    function() return (owned(net.socketpair "unix")) end,
    function() return (accepted "tcp://127.0.0.1:0") end,
    kept(function()
      local a, b = owned(net.socketpair "mem")
      local asking = task.spawn(a.starttls, a, {context = context})
      local s = owned(assert(b:starttls {server = true, context = context}))
      owned(asking:join())
      return s
    end),
    function() return owned(assert(fs.open("file", "w+"))) end,
  },
  ["neap.Listener"] = {listener_of "mem:hostile", listener_of "tcp://127.0.0.1:0", listener_of "unix:@"},
  ["neap.Datagram"] = {
    function() return owned(assert(net.bind "udp://127.0.0.1:0")) end,
    function() return (owned(net.socketpair "unixgram")) end,
    function() return (owned(net.socketpair "seqpacket")) end,
  },
  ["neap.Descriptor"] = {function()
    local a, b = net.socketpair()
    a:sendfd("x", {a})
    local _, fds = b:recvfd()
    a:close()
    b:close()
    return owned(fds[1])
  end},
  ["neap.tls.Context"] = {function() return (assert(tls.context {cert = cert, key = key})) end},
  ["neap.Address"] = {function() return net.address "127.0.0.1:1" end, function() return net.address "/x" end},
  ["neap.Task"] = {function()
    local t = task.spawn(pcall, task.sleep, 10)
    owned(function() t:cancel() end)
    return t
  end},
  ["neap.Scope"] = {function()
    local scope
    local t = task.spawn(pcall, task.scope, function(s)
      scope = s
      task.sleep(10)
    end)
    owned(function() t:cancel() end)
    while not scope do
      task.yield()
    end
    return scope
  end},
  ["neap.Channel"] = {function() return task.channel() end},
  ["neap.Semaphore"] = {function() return task.semaphore(1) end},
  ["neap.Permit"] = {function() return task.semaphore(1):acquire() end},
  ["neap.Mutex"] = {function() return task.mutex() end},
  ["neap.Event"] = {function() return task.event() end},
  ["neap.Future"] = {function() return task.future() end},
  ["neap.Case"] = {function() return task.event():waiting() end},
  ["neap.fs.Watch"] = {function() return owned(assert(fs.watch ".")) end},
  ["neap.fs.Lock"] = {function() return owned(assert(fs.lock "lock")) end},
  ["neap.fs.Root"] = {function() return owned(assert(fs.root ".")) end},
  ["neap.Process"] = {function() return owned(assert(process.spawn {"true"})) end},
  ["neap.WorkerChannel"] = {function() return owned(worker.channel()) end},
  ["neap.Logger"] = {function() return log.with {} end},
  ["neap.Counter"] = {function() return metrics.counter("hostile_total", "x", {"a"}) end},
  ["neap.Gauge"] = {function() return metrics.gauge("hostile_gauge", "x") end},
  ["neap.Histogram"] = {function() return metrics.histogram("hostile_seconds", "x") end},
  ["neap.Hasher"] = {function() return crypto.hasher "sha256" end},
  ["neap.Key"] = {function() return signing end},
  ["neap.http.Request"] = {function() return (exchange()) end},
  ["neap.http.Response"] = {function() return (select(2, exchange())) end},
  ["neap.http.ClientResponse"] = {function() return (select(3, exchange())) end},
  ["neap.http.Events"] = {function() return (select(4, exchange())) end},
  ["neap.http.CookieJar"] = {function() return http.cookiejar() end},
  ["neap.http.Client"] = {function() return owned(http.client {endpoint = "mem:nobody"}) end},
  ["neap.http.Router"] = {function() return http.router() end},
  ["neap.http.Body"] = {function() return http.body {"one\n", "two\n"} end},
  ["neap.http.Headers"] = {function() return http.headers {a = "1"} end},
  ["neap.WebSocket"] = {function()
    local a, b = net.socketpair "mem"
    local ws = owned(require "neap.websocket.connection".new(b, true, {}))
    local peer = task.spawn(pcall, function() -- whose goodbye is waited for
      for bytes in a:chunks() do
        if bytes:byte() == 0x88 then
          break
        end
      end
      a:close()
    end)
    owned(function() peer:cancel() end)
    owned(a)
    return ws
  end},
  ["neap.Bus"] = {opened_bus},
  ["neap.bus.Subscription"] = {function() return opened_bus():subscribe "x" end},
  ["neap.bus.Message"] = {function()
    local b = opened_bus()
    local subscription = b:subscribe "x"
    b:publish("x", "data")
    return (subscription:recv())
  end},
  ["neap.bus.JetStream"] = {function() return setmetatable({bus = opened_bus(), prefix = "$JS.API."},
    require "neap.bus.jetstream".JetStream) end},
  ["neap.bus.Consumer"] = {function()
    return setmetatable({jetstream = objects.make "neap.bus.JetStream", stream = "x", name = "x"},
      require "neap.bus.jetstream".Consumer)
  end},
  ["neap.redis.Client"] = {function()
    return setmetatable({link = setmetatable({}, nobody), busy = {}}, require "neap.redis.client".Client)
  end},
  ["neap.redis.Script"] = {function() return require "neap.redis".script "return 1" end},
  ["neap.zlib.Compressor"] = {function() return zlib.compressor() end},
  ["neap.zlib.Decompressor"] = {function() return zlib.decompressor() end},
  ["neap.Url"] = {function() return url.parse "http://u:p@a/b?c#d" end},
  ["neap.url.Form"] = {function() return url.formdecode "a=1" end},
  ["neap.Prefix"] = {function() return prefix.parse "10.0.0.0/8" end},
  ["neap.prefix.Set"] = {function() return prefix.set {["10.0.0.0/8"] = 1} end},
  ["neap.Packet"] = {function() return packet.ip {dst = "10.0.0.1"} / packet.udp {dst_port = 53} end},
  ["neap.Filter"] = {function() return packet.filter "udp" end},
  ["neap.pcap.Writer"] = {function() return (select(2, recorded())) end},
  ["neap.pcap.Reader"] = {function() return pcap.reader((recorded())) end},
  ["neap.Tracer"] = {function()
    local tracer = assert(trace.events())
    owned(function() tracer:stop() end)
    return tracer
  end},
  ["neap.sim.Host"] = {function()
    objects.hosts = (objects.hosts or 0) + 1
    return sim.host("host" .. objects.hosts, function() end)
  end},
  ["neap.sim.Message"] = {function() return setmetatable({}, require "neap.sim.messages".Message) end},
  ["neap.sim.Rule"] = {function() return sim.rule(function() end) end},
}

objects.context = context

--- Ends what was made, but for what is dear.
function objects.finish()
  finish(ends)
end

--- Ends all.
function objects.finish_all()
  finish(ends)
  for i = #all_kept, 1, -1 do
    finish(all_kept[i])
    all_kept[i] = nil
  end
end

--- An object of a class.
---@param class string
---@param kind? integer  which of its makers
function objects.make(class, kind)
  local makers = assert(objects.makers[class], class)
  return (makers[kind or 1]())
end

return objects

-- Methods that are written in Lua, called with a wrong self, as by `.` instead of `:`.

local bus = require "neap.bus"
local crypto = require "neap.crypto"
local fs = require "neap.fs"
local hot = require "spec.support.hot"
local http = require "neap.http"
local jetstream = require "neap.bus.jetstream"
local lfs = require "lfs"
local log = require "neap.log"
local metrics = require "neap.metrics"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local prefix = require "neap.prefix"
local task = require "neap.task"
local tls = require "neap.tls"
local url = require "neap.url"
local websocket = require "neap.websocket.connection"

--- Call f(path, class, verb, the class's whole name) for each method of the public classes in a folder's files.
local function each_method(folder, f)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:find "%.lua$" then
      local file <close> = assert(io.open(path))
      local text = file:read "a"
      for class, verb in text:gmatch "\nfunction (%u%w*):(%l[%w_]*)%(" do
        local whole = text:match("@class (neap%.[%w.]*%f[%w]" .. class .. ")\n")
        if whole and not path:find "serving" then
          f(path, class, verb, whole)
        end
      end
    elseif not name:find "^%." and name ~= "meta" and name ~= "repl"
      and lfs.attributes(path, "mode") == "directory" then
      each_method(path, f)
    end
  end
end

local call = assert(load("local f, self = ...\nlocal result = f(self, 1, 1)\nreturn result", "=caller"))

--- A request that a server has got, its answer, what a client got, and events.
local function message()
  local listener <close> = assert(net.listen "mem:self_http")
  local request, response, events
  local server = task.spawn(http.serve, listener, function(...)
    request, response = ...
    if request.path == "/events" then
      events = response:events()
      return
    end
    return ""
  end)
  local client <close> = http.client {endpoint = "mem:self_http"}
  assert(client:get "http://self/events"):read "a"
  local answered = assert(client:get "http://self/")
  server:cancel()
  server:join()
  return request, response, answered, events
end

describe("a method in Lua", function()
  local objects, ends

  before_each(function()
    log.setup {to = function() end, level = "debug"}
    local a, b = net.socketpair()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    local file = io.tmpfile()
    local semaphore = task.semaphore(1)
    objects = {
      Channel = task.channel(), Semaphore = semaphore, Permit = semaphore:acquire(), Mutex = task.mutex(),
      Event = task.event(), Future = task.future(), Url = assert(url.parse "http://a/"),
      Form = assert(url.formdecode "a=1"), Prefix = assert(prefix.parse "10.0.0.0/8"),
      Writer = assert(pcap.writer(file)), Packet = packet.ip {dst = "10.0.0.1"}, Filter = packet.filter "ip",
      Logger = log.with {}, Set = prefix.set(),
      Watch = assert(fs.watch "/"), Stream = a, Listener = assert(net.listen "mem:self_spec"),
      Context = assert(tls.context {cert = cert, key = key}),
      Counter = metrics.counter("self_total", "x", {"a"}), Gauge = metrics.gauge("self_gauge", "x"),
      Histogram = metrics.histogram("self_seconds", "x"), Root = fs.root "/",
      Headers = http.headers(), Body = http.body {}, Router = http.router(),
      CookieJar = http.cookiejar(), Host = setmetatable({}, require "neap.sim.hosts".Host),
      Message = setmetatable({}, require "neap.sim.messages".Message),
      Rule = setmetatable({}, require "neap.sim.messages".Rule),
      Client = http.client(),
      WebSocket = websocket.new(b, true, {}),
      Bus = assert(bus.open "mem:self"), JetStream = setmetatable({}, jetstream.JetStream),
      Consumer = setmetatable({}, jetstream.Consumer),
      ["neap.redis.Client"] = setmetatable({link = {closed = true}}, require "neap.redis.client".Client),
      Script = require "neap.redis".script "return 1",
    }
    objects.Subscription = objects.Bus:subscribe "x"
    objects.Bus:publish "x"
    objects["neap.bus.Message"] = objects.Subscription:recv()
    objects.Request, objects.Response, objects.ClientResponse, objects.Events = message()
    objects.Writer:flush()
    file:seek "set"
    objects.Reader = assert(pcap.reader(file))
    ends = {a, b, objects.Bus, objects.Watch, objects.Listener, file, objects.Root} -- if there is one: ENOSYS
  end)

  after_each(function()
    log.setup {}
    for _, object in ipairs(ends) do
      object:close()
    end
  end)

  it("says so at the line of its caller", function()
    local count = 0
    local function try(class, verb, method)
      count = count + 1
      local name = class .. ":" .. verb
      local wrong = {"text", {}, io.stdout, crypto.hasher "md5", objects.Root or objects.Watch,
        class == "Event" and objects.Future or objects.Event, 1, true, print, coroutine.create(print)}
      for i = 0, #wrong do
        if wrong[i] ~= objects[class] then
          local ok, err = pcall(call, method, wrong[i])
          local told = ("%s with %s: %s"):format(name, wrong[i], err)
          assert.is_false(ok, told)
          if i < 7 or not hot[name] then
            assert(tostring(err):find "^caller:2: " and err:find(verb, 1, true), told)
          end
        end
      end
    end
    each_method("lua/neap", function(path, class, verb, whole)
      local object = assert(objects[whole] or objects[class],
        path .. " has a class that this spec does not know: " .. class)
      try(class, verb, object[verb])
    end)
    for verb, method in pairs(require "neap.fs.core".Root) do
      if debug.getinfo(method, "S").what ~= "C" then
        try("Root", verb, method)
      end
    end
    assert.is_true(count > 60, tostring(count))
  end)

  it("says so at that line of other arguments, too, where others are called by tail calls", function()
    for _, use in ipairs {
      {objects.Counter.labels, objects.Counter, {}}, {objects.Gauge.labels, objects.Gauge, "x"},
      {objects.Logger.with, objects.Logger, 5}, {log.with, 5}, {log.setup, {first = 0}}, {metrics.counter, 5},
      {metrics.histogram, "self_x", "x", {buckets = 5}},
    } do
      local _, err = pcall(load("local f, a, b, c, d = ...\nlocal r = f(a, b, c, d)\nreturn r", "=caller"),
        table.unpack(use))
      assert.matches("^caller:2: ", err)
    end
  end)
end)

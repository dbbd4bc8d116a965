-- What nobody should pass, wherever something is passed: nothing crashes, hangs or stays
-- behind, and what is wrong is told at the line that did it (spec/hostile/run.lua).
--
-- Some of the calls, by chance. All: sh scripts/hostile; sequences of them: sh scripts/sequences

local args = require "neap.args"
local child = require "spec.support.child"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local http = require "neap.http"
local jetstream = require "neap.bus.jetstream"
local lfs = require "lfs"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local redis = require "neap.redis"
local task = require "neap.task"
local sim = require "neap.sim"
local tls = require "neap.tls"
local trace = require "neap.trace"
local websocket = require "neap.websocket"
local connection = require "neap.websocket.connection"
local worker = require "neap.worker"

local root = lfs.currentdir()

describe("hostile arguments", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("are refused where they are given, by each public function and method", function()
    local result = folder.run(root .. "/spec/hostile/run.lua", root, "120", "1")
    assert.matches("%d+ functions, %d+ calls, 0 findings\n$", result.stdout, result.stdout .. result.stderr)
    assert.same({0}, {result.code, result.signal})
  end)
end)

describe("sequences of calls", function()
  it("lose no byte, leave nothing behind, and each of their waits ends", function()
    for seed = 1, child.sanitized and 4 or 20 do
      assert(sim.run("spec/sequences.lua", {args = {"2"}, seed = seed, quiet = true}))
    end
  end)
end)

local light = debug.upvalueid(function() return folder end, 1)

--- Calls that went on with what they should have refused: what they say now.
local mistakes = {
  ["timeout: a function expected, got number"] = function() return (task.timeout(1, 5)) end,
  ["idle: a function expected, got string"] = function() return (task.idle "x") end,
  ["shield: a function expected, got table"] = function() return (task.shield {}) end,
  ["scope: a function expected, got nil"] = function() return (task.scope(nil)) end,
  ["a table with a metatable cannot be sent"] = function()
    return (worker.run(function() end, setmetatable({}, {}))) end,
  ["a subcommand's name expected"] = function() return (args.help({}, {})) end,
  ["bad argument #1 to 'get' (string expected"] = function() return (http.headers():get(nil)) end,
  ["bad argument #1 to 'all' (string expected"] = function() return (http.headers():all {}) end,
  ["bad argument #2 to 'has' (string expected"] = function() return (http.headers():has("a", nil)) end,
  ["a header's name expected, got \"nil\""] = function() return (http.headers():set(nil, "x")) end,
  ["a header's name expected, got \"1\""] = function() http.headers()[1] = "x" end,
  ["bad argument #2 to 'readuntil' (a count"] = function() return (http.body({"x"}):readuntil("\n", "x")) end,
  ["bad argument #3 to 'readuntil' (table"] = function() return (http.body({"x"}):readuntil("\n", 1, 5)) end,
  ["router: a request expected, got string"] = function() return (http.router() "x") end,
  ["serve: malformed endpoint 'x'"] = function() return (http.serve("x", print)) end,
  ["serve: option 'backlog'"] = function() return (http.serve("mem:x", print, {backlog = {}})) end,
  ["(neap.Listener expected, got userdata)"] = function() return (http.serve(light, print)) end,
  ["option 'endpoint': an endpoint expected"] = function() return (http.get("http://a/", {endpoint = "x"})) end,
  ["option 'stream': a stream expected"] = function()
    return (websocket.connect("ws://a/", {stream = io.stderr})) end,
  ["a table of options expected, got number)"] = function()
    return (setmetatable({}, jetstream.Consumer):fetch(1, 5)) end,
  ["bad argument #1 to 'settimeout' (seconds"] = function()
    local a <close> = net.socketpair "mem"
    return (connection.new(a, true, {}):settimeout {})
  end,
  ["trace.events: options expected"] = function() return (trace.events(5)) end,
  ["trace: filter: a string"] = function() return (trace.events {filter = 5}) end,
  ["trace.start: option 'format'"] = function() return (trace.start {format = 5}) end,
  ["trace: filter: a string or a list of them expected, got boolean"] = function()
    return (trace.start {to = io.write, filter = true})
  end,
  ["sim.run: args: a list of strings"] = function() return (sim.run(function() end, {args = print})) end,
  ["sim.run: args: a list of strings expected"] = function()
    return (sim.run(function() end, {args = {x = "y"}})) end,
  ["a method expected, got"] = function() return (http.router():route(0 / 0, "/", print)) end,
  ["http_request_seconds: buckets: a list of numbers"] = function() return (http.metrics {buckets = {}}) end,
  ["buckets: numbers, each above"] = function() return (http.metrics {buckets = {2, 1}}) end,
  ["bad argument #1 to 'embedded' (a path below"] = function() return (fs.embedded "..") end,
  ["bad argument #2 to 'run' (a list of keys expected, got table in it)"] = function()
    return (redis.script "return 1":run({call = print}, {{}})) end,
  ["bad argument #2 to 'api' (encode: cannot encode"] = function()
    return (setmetatable({}, jetstream.JetStream):api("x", {[1.5] = 1})) end,
  ["bad argument #1 to 'stream' (encode: cannot encode"] = function()
    return (setmetatable({}, jetstream.JetStream):stream {name = "x", subjects = print}) end,
  ["bad argument #2 to 'consumer' (encode: cannot encode"] = function()
    return (setmetatable({}, jetstream.JetStream):consumer("x", {x = print})) end,
  ["with getfd() expected, got neap.Stream"] = function()
    local a <close> = net.socketpair "mem"
    return (net.wait(a))
  end,
  ["an open file expected"] = function()
    local a <close> = net.socketpair "mem"
    return (a:sendfile(light))
  end,
  ["option 'cert': a"] = function() return (tls.context {names = {["a.example"] = {cert = 5}}}) end,
  ["without names of its own"] = function() return (tls.context {names = {["a.example"] = {names = {}}}}) end,
  ["a table of options expected, got string"] = function()
    local file <close> = io.tmpfile()
    local writer = pcap.writer(file)
    return (writer:write("x", "y"))
  end,
}

describe("a call that went on once", function()
  for words, call in pairs(mistakes) do
    it("is told of at its line: " .. words, function()
      local good, err = pcall(call)
      local info = debug.getinfo(call, "S")
      assert.is_false(good)
      assert.matches(words, err, nil, true)
      local line = tonumber(err:match "hostile_spec.lua:(%d+): ")
      assert.is_true(line ~= nil and line >= info.linedefined and line <= info.lastlinedefined, err)
    end)
  end

  it("takes a light userdata for no context", function()
    local a, b = net.socketpair "mem"
    local good, err = pcall(a.starttls, a, {context = light})
    assert.is_false(good)
    assert.matches("context", err)
    a:close()
    b:close()
  end)

  it("asks what can be called for the name of a server, if it is a table with names, too", function()
    assert(tls.context {names = setmetatable({"x"}, {__call = function() end})})
  end)

  it("copies a field that has itself in it", function()
    local cycle = {}
    cycle[1] = cycle
    assert.is_truthy(packet.udp {note = cycle}:copy())
  end)
end)

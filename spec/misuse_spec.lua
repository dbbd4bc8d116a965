-- What a script gets hold of must not bring the process down, whatever it does.

local crypto = require "neap.crypto"
local fs = require "neap.fs"
local folder = require "spec.support.folder"
local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local trace = require "neap.trace"
local worker = require "neap.worker"
local core = require "neap.task.core"

local neap = require "spec.support.child".neap

local function run(script)
  return assert(process.run {neap, "-e", script, stderr = "stdout"})
end

--- Do something again and again, with a finalizer that runs at another allocation
--- each time. That of every feature is memory_faults.lua's.
local function with_finalizer(before, call, finalizer)
  local result = run(([[
    local net, task = require "neap.net", require "neap.task"
    local d, s, other, l
    local function finalize()
      %s
    end
    local left = 0
    local function renew()
      setmetatable({}, {__gc = function()
        left = left - 1
        if left == 0 then
          finalize()
        end
        renew()
      end})
    end
    renew()
    collectgarbage("incremental", 1, 1000, 40)
    collectgarbage()
    for k = 1, 12 do
      %s
      local function call()
        %s
      end
      task.yield()
      left = k
      pcall(call)
      left = 0
      for _, socket in pairs {d, s, other, l} do
        socket:close()
      end
    end
    print "well"
  ]]):format(finalizer, before, call))
  assert.same({"well\n", 0}, {result.stdout, result.code}, call)
end

describe("a finalizer", function()
  it("may close the message socket in hand", function()
    for _, call in ipairs {
      "d:close()", "d:set {rcvbuf = '1'}", "d:join('224.0.0.251', {interface = 'lo'})",
    } do
      with_finalizer("d = assert(net.bind 'udp://127.0.0.1:0')", call, "d:close()")
    end
    local result = run [[
      collectgarbage "generational"
      local d = require "neap.net".bind "udp://127.0.0.1:0"
      local t = {}
      setmetatable({}, {__gc = function() d:close() end})
      for i = 1, 1 << 18 do
        t[i] = i
      end
      d:close()
    ]]
    assert.same({"", 0}, {result.stdout, result.code})
    with_finalizer([[
      d = assert(net.bind "udp://127.0.0.1:0")
      local to = d.localaddr
      local list = setmetatable({"x", "y"}, {__len = function() d:close() return 2 end})
    ]], "d:sendmany(list, to)", "")
  end)

  it("may close the stream in hand", function()
    local before = "s, other = net.socketpair() local far = net.socketpair()"
    for _, call in ipairs {
      "s:set {rcvbuf = '1'}", "task.timeout(0.01, net.relay, s, other)", "s:sendfd('x', {other})",
    } do
      with_finalizer(before, call, "s:reset() other:reset()")
    end
    with_finalizer([[
      l = assert(net.listen "tcp://127.0.0.1:0")
      other = assert(net.connect(l.endpoint))
      s = l:accept()
      other:reset()
      task.yield()
      pcall(s.write, s, ("x"):rep(300000))
    ]], "s:close()", "s:close()")
  end)

  it("may close the listener in hand", function()
    for _, endpoint in ipairs {"tcp://127.0.0.1:0", "mem:misuse"} do
      for _, call in ipairs {
        "l:close()", "l:accept()", "l:set {rcvbuf = '1'}", "require 'neap.host'.sockets()",
      } do
        with_finalizer(("l = assert(net.listen %q) s = assert(net.connect(l.endpoint))"):format(endpoint),
          call, "l:close()")
      end
    end
  end)

  it("may spawn tasks", function()
    with_finalizer("", "for _ = 1, 10 do task.spawn(task.yield) end", "for _ = 1, 60 do task.spawn(task.yield) end")
  end)
end)

describe("a tracer's bytes", function()
  it("are not forgotten where a finalizer adds some", function()
    local result = run [[
      local net, trace = require "neap.net", require "neap.trace"
      local tracer = assert(trace.events {format = "text", filter = "mem"})
      local a, b = net.socketpair "mem"
      a:write "first"
      a:flush()
      local c, d = net.socketpair "mem"
      collectgarbage("incremental", 1, 1000, 40)
      collectgarbage()
      local garbage = setmetatable({}, {__gc = function() c:close() end})
      garbage = nil
      local text = tracer()
      tracer:stop()
      for more in tracer do
        text = text .. more
      end
      print(select(2, text:gsub(" closed", "")), select(2, text:gsub("5 bytes", "")))
    ]]
    assert.same({"1\t2\n", 0}, {result.stdout, result.code})
  end)
end)

describe("a function of a module", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("tells what is wrong with its arguments at the caller's line", function()
    local result = folder.run("-e", [[
      local task, found = require "neap.task", {}
      local lists = {{}, {{}}, {5}, {"x"}, {print}, {5, 5}, {"x", {x = 5}}, {{}, {}}, {{5}, 5}, {{x = 1}}}
      for _, name in ipairs {"crypto", "dns", "endpoint", "error", "host", "inspect", "net", "packet",
        "pcap", "prefix", "process", "signal", "task", "time", "tls", "trace", "worker", "fs",
        "json", "log", "url", "zlib"} do
        for verb, f in pairs(require("neap." .. name)) do
          for _, list in ipairs(type(f) == "function" and lists or {}) do
            local calling = task.spawn(pcall, f, table.unpack(list))
            task.yield()
            calling:cancel()
            local ended, ok, err = pcall(calling.join, calling)
            if ended and not ok and type(err) == "string" and err:find "^neap[%w_.]*:%d+: bad argument" then
              found[#found + 1] = name .. "." .. verb .. ": " .. err
            end
          end
        end
      end
      io.stdout:write("wrong: ", table.concat(found, "\n"), ".")
      os.exit(0)
    ]])
    assert.equal("wrong: .", result.stdout:match "wrong: .*", result.stderr)
  end)
end)

describe("a method or metamethod", function()
  it("raises when it is called with a wrong self", function()
    local listener = assert(net.listen "mem:self")
    local a, b = net.socketpair()
    local c, d = net.socketpair "unixgram"
    local child = assert(process.spawn {"true"})
    local _, beat = time.every(10)
    local _, watch = signal.each "SIGUSR2"
    local tracer = assert(trace.events())
    tracer:stop()
    local w = assert(require "neap.worker.core".start(nil, 0, 2, "spec", string.dump(function() end)))
    local channel = worker.channel()
    a:sendfd("x", {1})
    local _, fds = b:recvfd()
    local root = assert(fs.root "/")
    local scope
    task.scope(function(s) scope = s end)
    local objects = {
      listener, a, c, child, watch, tracer, w, channel, fds and fds[1], scope, task.current(),
      core.queue "spec", net.address "127.0.0.1:1", io.stdout, beat, crypto.hasher "md5",
      crypto.generate "ec", root,
    }
    local closed = io.tmpfile()
    closed:close()
    local selfs = {
      {}, 1, "text", true, print, setmetatable({}, {__gc = function() end}), closed, coroutine.running(),
    }
    for _, object in ipairs(objects) do
      selfs[#selfs + 1] = object
    end
    -- The registry has the metatables that scripts don't see otherwise.
    local count = 0
    local function try(meta, f, name)
      count = count + 1
      local is_c = debug.getinfo(f, "S").what == "C"
      pcall(f)
      for _, value in ipairs(selfs) do
        if debug.getmetatable(value) ~= meta then
          -- One in Lua may find out later: what it returns looks at it.
          local ok = pcall(f, value, 0, 0)
          assert.is_true(not ok or not is_c, ("%s: %s"):format(name, value))
        end
      end
    end
    for name, meta in pairs(debug.getregistry()) do
      if type(name) == "string" and type(meta) == "table" and meta.__name == name
        and name:find "^neap" and name ~= "neap.Error" then -- which is of tables
        for event, f in pairs(meta) do
          -- those whose first argument may be another object
          if type(f) == "function" and event ~= "__eq" and event ~= "__concat" then
            try(meta, f, name .. "." .. event)
          end
        end
        for _, table_of in ipairs {meta.methods or {}, type(meta.__index) == "table" and meta.__index or {}} do
          for verb, f in pairs(table_of) do
            if type(f) == "function" and verb ~= "__eq" then
              try(meta, f, name .. ":" .. verb)
            end
          end
        end
      end
    end
    assert.is_true(count > 60, tostring(count))
    w:wait()
    child:wait()
    for _, object in ipairs {listener, a, b, c, d, root} do
      object:close()
    end
    debug.getmetatable(watch).__close(watch)
    for _, fd in ipairs(fds) do
      fd:close()
    end
  end)

  it("raises when what it is called with was collected by hand", function()
    local result = run [[
      local worker = require "neap.worker"
      local w = require "neap.worker.core".start(nil, 0, 2, "x", string.dump(function() end))
      w:wait()
      for _, object in ipairs {worker.channel(), w} do
        local meta = getmetatable(object)
        meta.__gc(object)
        meta.__gc(object)
        for _, verb in ipairs {"send", "recv", "close", "wait", "results", "interrupt", "id", "closed", "capacity"} do
          pcall(function()
            local f = object[verb]
            f(object, 1)
          end)
        end
        pcall(tostring, object)
        pcall(function() return #object end)
        print(object == object)
      end
    ]]
    assert.same({"true\ntrue\n", 0}, {result.stdout, result.code})
  end)
end)

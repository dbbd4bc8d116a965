local inspect = require "neap.inspect"
local names = require "neap.repl.names"
local net = require "neap.net"
local objects = require "neap.repl.objects"
local task = require "neap.task"

describe("in one line", function()
  it("a stream: addresses, state, counts, who waits", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local reader
    local serving = task.spawn(function()
      listener:serve(function(s)
        reader = s
        s:read(100)
      end)
    end)
    local stream <close> = assert(net.connect(listener.endpoint))
    stream:write "hello"
    task.sleep(0.02)
    assert.equal(("%s (tcp %s -> %s, open, 0 bytes in, 5 bytes out)"):format(
      tostring(stream):match "^stream %d+", stream.localaddr, stream.remoteaddr), inspect(stream))
    assert.matches("open, 5 bytes in, 0 bytes out, 5 not read, task %d+ reads%)$", inspect(reader))
    assert.matches("1 accepted, task %d+ accepts%)$", inspect(listener))
    stream:close()
    listener:close()
    serving:join()
    assert.matches("^stream %d+ %(closed%)$", inspect(stream))
    assert.matches("^listener %d+ %(closed%)$", inspect(listener))
  end)

  it("a message socket", function()
    local a <close> = assert(net.bind "udp://127.0.0.1:0")
    local b <close> = assert(net.bind "udp://127.0.0.1:0")
    a:send("hello", b.localaddr)
    assert.equal("hello", b:recv())
    assert.matches("0 messages %(0 bytes%) in, 1 message %(5 bytes%) out%)$", inspect(a))
    assert.matches("1 message %(5 bytes%) in, 0 messages", inspect(b))
  end)

  it("tasks, with what they wait for", function()
    local t = task.spawn(task.sleep, 100)
    t.name = "late\27"
    task.yield()
    assert.matches('^task %d+ "late\\x1b" %(waiting for sleep.*, 0%.%d s%)$', inspect(t))
    t:cancel()
    t:join()
    assert.matches('%(cancelled%)$', inspect(t))
    assert.matches("%(running%)$", inspect(task.current()))
  end)
end)

describe("in one line", function()
  it("a function, by its name or its place", function()
    local name_of = names.finder()
    assert.equal("function print", objects.of_function(print, name_of))
    assert.equal("function string.rep", objects.of_function(string.rep, name_of))
    assert.matches("^function net.connect %(neap.net:%d+%)$", objects.of_function(net.connect, name_of))
    assert.matches("^function %(.*repl_objects_spec.lua:%d+%)$",
      objects.of_function(function() end, name_of))
  end)

  it("other userdata, by their class", function()
    assert.equal("file", objects.of_userdata(io.stdout))
    assert.equal("neap.queue", objects.of_userdata(require "neap.task.core".queue "x"))
    assert.matches("^scope", task.scope(objects.of_userdata))
  end)
end)

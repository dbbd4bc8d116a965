-- What was accepted goes out behind close(), also while the peer goes on sending:
-- however the stream is closed, and for a bounded time.

local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local transports = require "spec.support.transports"

--- An answer that does not fit into a socket's buffers, and one that does.
local LONG, SHORT = 400000, 4000

local answers = {long = ("a"):rep(LONG), short = ("a"):rep(SHORT)}

--- What a client uploads before it reads the answer.
local upload = ("u"):rep(child.sanitized and 4 << 20 or 20 << 20)

--- Write, and do not wait until the peer has read.
local function put(stream, bytes)
  stream:settimeout(0.001)
  stream:write(bytes)
  stream:settimeout(nil)
end

--- Upload all, and read all: the answer's length.
local function ask(stream)
  assert(stream:write(upload))
  return #assert(stream:read "a")
end

describe("close", function()
  for _, kind in ipairs(transports.names) do
    for name, answer in pairs(answers) do
      it(("sends a %s answer over %s to a peer that still sends"):format(name, kind), function()
        local ours, theirs = transports.pair(kind)
        put(ours, answer)
        ours:close()
        local bottom = transports.bottom(kind)
        if bottom ~= "mem" then -- there a write tells at once
          for _ = 1, 2 do
            task.sleep(0.01)
            local ok = theirs:write "more" and theirs:flush()
            assert.is_truthy(ok or bottom == "unix") -- which loses nothing by a close
          end
        end
        assert.equal(#answer, #assert(theirs:read "a"))
        theirs:close()
      end)
    end
  end

  it("sends it when a handler returns", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    task.scope(function(scope)
      scope:spawn(listener.serve, listener, function(stream)
        stream:read(10)
        stream:write(answers.long)
      end)
      for _ = 1, 5 do
        local stream <close> = assert(net.connect(listener.endpoint))
        assert.equal(LONG, ask(stream))
      end
      listener:close()
    end)
  end)

  it("sends it when a task is cancelled", function()
    local ours, theirs <close> = transports.pair "tcp"
    task.scope(function(scope)
      local t = scope:spawn(function()
        local stream <close> = ours
        put(stream, answers.long)
        task.sleep(10)
      end)
      task.sleep(0.01)
      t:cancel()
      assert.equal(LONG, ask(theirs))
    end)
  end)

  it("leaves the connection to a child that has it, with what came unread", function()
    local ours, theirs <close> = transports.pair "tcp"
    ours:write "who?\n"
    assert.equal("who?", theirs:read())
    theirs:write "me\n"
    task.sleep(0.01)
    local p <close> = assert(process.spawn {"cat", stdin = ours, stdout = ours})
    ours:close()
    assert.equal("me", theirs:read())
    theirs:write "still here\n"
    assert.equal("still here", theirs:read())
    theirs:shutdown()
    assert.is_nil(theirs:read())
    assert.equal(0, (p:wait()))
  end)

  it("reads and forgets so much a second, and no more", function()
    local server <close> = assert(process.spawn {child.neap, "-e", [[
      local listener = net.listen "tcp://127.0.0.1:0"
      print(listener.port)
      io.stdout:flush()
      local stream = listener:accept()
      stream:write "enough"
      stream:close()
      local before = os.clock()
      task.sleep(1)
      print(os.clock() - before)
    ]], stdout = "pipe"})
    local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. server.stdout:read "l"))
    local block, sent, start = ("x"):rep(1 << 20), 0, time.now()
    assert.equal("enough", stream:read "a")
    while time.now() - start < 0.8 do
      assert(stream:write(block))
      sent = sent + #block
    end
    local rate = sent / (time.now() - start)
    assert.is_true(rate < 400e6, rate)
    local cpu = tonumber(server.stdout:read "l")
    assert.is_true(cpu < 0.6, cpu)
    server:kill "SIGKILL"
    server:wait()
  end)

  it("keeps no descriptor that a new connection needs", function()
    local server <close> = assert(process.spawn {"sh", "-c", 'ulimit -n 24; exec "$0" -e "$1"',
      child.neap, [[
      local listener = net.listen "tcp://127.0.0.1:0"
      print(listener.port)
      io.stdout:flush()
      listener:serve(function(stream) stream:write "welcome" end)
    ]], stdout = "pipe"})
    local port = server.stdout:read "l"
    local streams = {}
    for i = 1, 40 do
      streams[i] = assert(net.connect("tcp://127.0.0.1:" .. port))
      assert.equal("welcome", streams[i]:read "a")
    end
    for _, stream in ipairs(streams) do
      stream:close()
    end
    server:kill "SIGKILL"
    server:wait()
  end)
end)

describe("the program's end", function()
  --- What a server prints its port with, and answers.
  local script = [[
    local listener = net.listen "tcp://127.0.0.1:0"
    print(listener.port)
    io.stdout:flush()
    stream = listener:accept()
    listener:close()
    %s
  ]]

  local endings = {
    "stream:close()", "", "stream = nil", "os.exit(0)", "os.exit(0, true)",
    "task.spawn(stream.recv, stream, 1) task.yield() signal.raise 'SIGTERM'",
    "task.spawn(function() local s <close> = stream task.sleep(10) end):cancel()",
  }

  for _, ending in ipairs(endings) do
    it("sends to a peer that still sends: " .. (ending ~= "" and ending or "nothing"), function()
      local server <close> = assert(process.spawn {child.neap, "-e", script:format([[
        stream:read(10)
        stream:settimeout(0.01)
        stream:write(("a"):rep(400000))
        stream:settimeout(nil)
      ]] .. ending), stdout = "pipe"})
      local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. server.stdout:read "l"))
      assert.equal(LONG, ask(stream))
      stream:close()
      server:wait()
    end)
  end

  it("does not wait for a peer that has got all and says nothing", function()
    local server <close> = assert(process.spawn {child.neap, "-e", script:format [[
      stream:read(5)
      stream:write "answer"
      stream:close()
    ]], stdout = "pipe"})
    local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. server.stdout:read "l"))
    stream:write "12345"
    assert.equal("answer", stream:read "a")
    local start = time.now()
    assert.equal(0, (server:wait()))
    assert.is_true(time.now() - start < 3)
  end)
end)

describe("a relay", function()
  for _, kinds in ipairs {{"tcp", "tcp"}, {"unix", "tcp"}, {"mem", "tcp"}, {"mem", "mem"}} do
    it(("passes on what a side said that takes no more: %s to %s"):format(kinds[1], kinds[2]), function()
      local client, a = transports.pair(kinds[1])
      local b, server = transports.pair(kinds[2])
      task.scope(function(scope)
        local relay = scope:spawn(function()
          local _ <close> = a
          local _ <close> = b
          return net.relay(a, b)
        end)
        scope:spawn(function()
          server:read(10)
          server:write(answers.long)
          server:close()
        end)
        scope:spawn(function()
          client:write(upload) -- some of it
        end)
        local got = client:read "a"
        assert.equal(LONG, got and #got)
        client:close()
        relay:join()
      end)
    end)
  end
end)

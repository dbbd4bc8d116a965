-- Streams that have news at once are read together, then their tasks run, then
-- what these wrote leaves: nobody may notice but by speed.

local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local transports = require "spec.support.transports"
local worker = require "neap.worker"

--- More than are read together.
local MANY = 40

local function pairs_of_streams(kind, count)
  local ours, theirs = {}, {}
  for i = 1, count do
    ours[i], theirs[i] = transports.pair(kind)
  end
  return ours, theirs
end

local function close_all(...)
  for _, streams in ipairs {...} do
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end
end

--- Write to all without a wait in between, so that all of it is there when the
--- loop is asked next; but where a machine is slow, a write lets others run first.
local function write_all(streams, text)
  for i, stream in ipairs(streams) do
    assert(stream:write(text(i)))
    assert(stream:flush())
  end
end

for _, kind in ipairs(transports.names) do
  describe("streams that have news at once, " .. kind .. ":", function()
    it("give each reader its bytes, and keep what it left", function()
      local ours, theirs = pairs_of_streams(kind, MANY)
      local got = {}
      local readers = {}
      for i, stream in ipairs(ours) do
        readers[i] = task.spawn(function()
          local first = assert(stream:read(3))
          task.yield() -- what is left has been put elsewhere by now
          got[i] = first .. assert(stream:read(5 + i))
        end)
      end
      task.yield()
      write_all(theirs, function(i)
        return ("%02d:"):format(i) .. ("x"):rep(4 + i) .. "|"
      end)
      for _, reader in ipairs(readers) do
        reader:join()
      end
      for i = 1, MANY do
        assert.equal(("%02d:"):format(i) .. ("x"):rep(4 + i) .. "|", got[i])
      end
      close_all(ours, theirs)
    end)

    it("give all of many long messages", function()
      local ours, theirs = pairs_of_streams(kind, 8)
      local size = 40000
      local readers = {}
      for i, stream in ipairs(ours) do
        readers[i] = task.spawn(stream.read, stream, size)
      end
      task.yield()
      write_all(theirs, function(i)
        return string.char(64 + i):rep(size)
      end)
      for i, reader in ipairs(readers) do
        assert.equal(string.char(64 + i):rep(size), (reader:join()))
      end
      close_all(ours, theirs)
    end)

    it("may be closed by the first of their readers", function()
      local ours, theirs = pairs_of_streams(kind, MANY)
      local results = {}
      local readers = {}
      for i, stream in ipairs(ours) do
        readers[i] = task.spawn(function()
          local data, err = stream:read(4)
          close_all(ours)
          results[#results + 1] = data or err.code
        end)
      end
      task.yield()
      for _, stream in ipairs(theirs) do
        stream:write "news" -- it may be closed already: see write_all
        stream:flush()
      end
      for _, reader in ipairs(readers) do
        reader:join()
      end
      assert.equal("news", results[1])
      for i = 2, MANY do
        assert.equal("ECANCELED", results[i])
      end
      close_all(theirs)
    end)

    it("may be relayed by another's reader, with what has just come", function()
      local ours, theirs = pairs_of_streams(kind, 3)
      local from, to = ours[2], ours[3]
      theirs[2]:write "1"
      assert.equal("1", from:recv()) -- from now on its bytes are read ahead
      local relay
      local reader = task.spawn(function()
        assert.equal("go", ours[1]:read(2))
        relay = task.spawn(net.relay, from, to)
      end)
      task.yield()
      write_all({theirs[1], theirs[2]}, function(i)
        return i == 1 and "go" or "just come"
      end)
      reader:join()
      assert.equal("just come", theirs[3]:read(9))
      theirs[2]:shutdown()
      theirs[3]:shutdown()
      relay:join()
      close_all(ours, theirs)
    end)
  end)
end

describe("a task that is cancelled when its news is there", function()
  --- Race two functions, both of whose news comes at once; then what the one that
  --- lost gets, by asking again.
  local function race(first, second)
    local winner = task.race {
      function()
        return {first(), 1}
      end,
      function()
        return {second(), 2}
      end,
    }
    local other = winner[2] == 1 and second or first
    return winner[1], (task.timeout(5, other))
  end

  local function news(stream)
    assert(stream:write "news")
    assert(stream:flush())
  end

  it("leaves bytes where they are", function()
    local a, from_a <close> = assert(net.socketpair())
    local b, from_b <close> = assert(net.socketpair())
    for _, case in ipairs {{"recv"}, {"read", 4}, {"readuntil", "w"}, {"peek", 4}} do
      local verb, argument = table.unpack(case)
      news(from_a)
      news(from_b)
      local one, two = race(function()
        return a[verb](a, argument)
      end, function()
        return b[verb](b, argument)
      end)
      assert.equal(verb == "readuntil" and "ne" or "news", one)
      assert.equal(one, two)
      if verb == "readuntil" then
        a:read(1)
        b:read(1)
      end
    end
    a:close()
    b:close()
  end)

  for kind, make in pairs {task = function()
    return task.channel(1)
  end, worker = worker.channel} do
    it("leaves the value of a " .. kind .. "'s channel", function()
      local a, b = make "together a", make "together b"
      local sender = task.spawn(function()
        task.yield() -- until both wait
        a:send "value"
        b:send "value"
      end)
      local one, two = race(function()
        return a:recv()
      end, function()
        return b:recv()
      end)
      sender:join()
      assert.same({"value", "value"}, {one, two})
    end)
  end

  it("leaves a connection and a message", function()
    local stream, peer <close> = assert(net.socketpair())
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local socket <close> = assert(net.bind "udp://127.0.0.1:0")
    local sender <close> = assert(net.connect("udp://" .. tostring(socket.localaddr)))

    news(peer)
    local client <close> = assert(net.connect(listener.endpoint))
    local one, two = race(function()
      return stream:recv()
    end, function()
      return (listener:accept())
    end)
    assert.is_truthy(one)
    assert.is_truthy(two)
    assert.is_true(one == "news" or two == "news")
    local accepted = one == "news" and two or one
    assert.equal(tostring(client.localaddr), tostring(accepted.remoteaddr))
    accepted:close()

    news(peer)
    assert(sender:send "message")
    assert(sender:flush())
    one, two = race(function()
      return stream:recv()
    end, function()
      return (socket:recv())
    end)
    local both = {one, two}
    table.sort(both)
    assert.same({"message", "news"}, both)
    stream:close()
  end)
end)

describe("net.relay", function()
  it("moves what arrives while it waits for earlier writes", function()
    local client, a = assert(net.socketpair())
    local b, server = assert(net.socketpair())
    b:set {sndbuf = 4096}
    client:write "!"
    assert.equal("!", a:recv()) -- from now on its bytes are read ahead
    local long = ("x"):rep(60000)
    b:write(long) -- more than the kernel takes
    b:write "" -- and less than a writer waits for
    local relay = task.spawn(net.relay, a, b)
    task.yield()
    client:write "late"
    task.sleep(0.05)
    assert.equal(long, server:read(#long))
    assert.equal("late", (task.timeout(5, server.read, server, 4)))
    client:shutdown()
    server:shutdown()
    relay:join()
    close_all({a, b, client, server})
  end)
end)

--- A stream "fd:3", a pipe that the script itself can read at once, or wait at
--- for ever.
local pipe = [[
  local stream = assert(net.connect "fd:3")
  local function arrived(n)
    local file <close> = assert(io.open("/proc/self/fd/3", "r"))
    return file:read(n)
  end
]]

--- Run a script with that pipe.
local function run(code)
  local path = os.tmpname()
  os.remove(path)
  return assert(process.run {
    "sh", "-c", 'mkfifo "$1" && timeout -k 1 20 "$2" -e "$3" 3<>"$1"; status=$?; rm -f "$1"; exit $status',
    "sh", path, child.neap, pipe .. code,
  })
end

describe("what a task has written", function()
  --- One task writes, so many others run, then one blocks the process until it can
  --- read that.
  local function arrives(others, before)
    local result = run(before .. ("\nlocal others = %d\n"):format(others) .. [[
      task.scope(function(scope)
        scope:spawn(function()
          stream:write "early"
        end)
        for _ = 1, others do
          scope:spawn(function() end)
        end
        scope:spawn(function()
          print(arrived(5))
        end)
      end)
    ]])
    assert.same({"early\n", "", 0}, {result.stdout, result.stderr, result.code})
  end

  it("leaves though those that run with it never end, where tasks take long", function()
    arrives(5, [[
      local function busy(ms)
        local stop = os.clock() + ms / 1000
        repeat until os.clock() > stop
      end
      task.scope(function(scope)
        for _ = 1, 4 do
          scope:spawn(busy, 2)
        end
      end)
    ]])
  end)

  it("leaves at once where few tasks run", function()
    arrives(0, "")
  end)

  it("leaves behind 16 others at the latest", function()
    arrives(16, "")
  end)

  it("leaves before another ends the process", function()
    local result = assert(process.run {child.neap, "-e", [[
      local out = require "neap.stdio".stdout
      task.scope(function(scope)
        scope:spawn(function()
          out:write "written\n"
        end)
        for _ = 1, 5 do -- so many that it does not leave at once
          scope:spawn(function() end)
        end
        scope:spawn(function()
          os.exit(3, false)
        end)
      end)
    ]]})
    assert.same({"written\n", "", 3}, {result.stdout, result.stderr, result.code})
  end)

  it("leaves when another ends the process while more arrives", function()
    -- The process waits for the child to take what the kernel refused; meanwhile
    -- others of the same group are closed, and a relay goes on.
    local result = child.run [[
      local process = require "neap.process"
      local slow = assert(process.spawn {"sh", "-c", "sleep 0.3; wc -c >&2", stdin = "pipe"})
      local from, to = assert(net.socketpair())
      local left, right = assert(net.socketpair())
      task.spawn(net.relay, to, left)
      local ours, theirs = {}, {}
      for i = 1, 8 do
        ours[i], theirs[i] = assert(net.socketpair())
        task.spawn(function()
          ours[i]:recv()
          if i == 1 then
            ours[2]:close()
            slow.stdin:write(("x"):rep(100000))
            os.exit(4, false)
          end
        end)
      end
      task.yield()
      for i = 8, 1, -1 do
        theirs[i]:write(("y"):rep(60000))
        theirs[i]:flush()
      end
      from:write(("z"):rep(60000))
      from:flush()
      right:recv()
    ]]
    assert.equal(4, result.code, result.stderr)
  end)

  it("leaves in the order of the writes", function()
    if process.run({"sh", "-c", "command -v strace"}).code ~= 0 then
      pending "strace is not installed"
      return
    end
    local result = child.strace({"-e", "trace=sendto"}, [[
      local ours, theirs = {}, {}
      for i = 1, 6 do
        ours[i], theirs[i] = assert(net.socketpair())
      end
      task.scope(function(scope)
        for i = 1, 6 do
          scope:spawn(function()
            ours[i]:write("message ", i)
          end)
        end
      end)
    ]])
    local order = {}
    for _, call in ipairs(result.calls) do
      order[#order + 1] = call:match "message (%d)"
    end
    assert.equal("1 2 3 4 5 6", table.concat(order, " "))
  end)
end)

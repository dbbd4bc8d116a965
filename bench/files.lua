-- usage: neap bench/files.lua [all|read|send [count]]    what reading files costs others
--
-- An echo over loopback, by itself and while files are read; and how long a large file,
-- of 100 MiB, takes to a socket, sent and copied. read and send are for bench/cost.lua: a
-- file of 4 KiB that is read, and one of 68 KiB that is sent.

local fs = require "neap.fs"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local MIB = 1 << 20
local ROUNDS, READERS, SMALL = 2000, 8, MIB // 16

local dir = os.tmpname() .. ".d"
assert(fs.mkdir(dir))
local _ <close> = setmetatable({}, {__close = function()
  fs.remove(dir, {recursive = true})
end})

local function pair()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local a = assert(net.connect(listener.endpoint))
  return a, assert(listener:accept())
end

--- The times of so many echoes, sorted, in microseconds.
local function echo()
  local a, b = pair()
  local took = {}
  task.spawn(function()
    for line in b:lines "L" do
      b:write(line)
    end
    b:close()
  end)
  for i = 1, ROUNDS do
    local began = time.now()
    a:write "ping\n"
    a:read "l"
    took[i] = (time.now() - began) * 1e6
  end
  a:close()
  table.sort(took)
  return took
end

local function tell(what, took, more)
  print(("%-30s p50 %5.0f us, p99 %5.0f us%s"):format(what, took[ROUNDS // 2], took[ROUNDS * 99 // 100],
    more or ""))
end

local files = {}

function files.all()
  tell("echo", echo())

  assert(fs.write(dir .. "/small", ("x"):rep(SMALL), {sync = false}))
  task.scope(function(scope)
    local reads = 0
    for _ = 1, READERS do
      scope:spawn(function()
        while true do
          assert(fs.read(dir .. "/small"))
          reads = reads + 1
        end
      end)
    end
    local began = time.now()
    local took = echo()
    local rate = reads / (time.now() - began)
    scope:cancel()
    tell(("echo beside %d readers"):format(READERS), took, (", %.0f MiB/s read"):format(rate * SMALL / MIB))
  end)
  files.large(100)
end

--- Seconds until the other end has all of what `send` sends.
local function transfer(send)
  local a, b = pair()
  local got = 0
  local began = time.now()
  task.all {
    function()
      for chunk in b:chunks() do
        got = got + #chunk
      end
    end,
    function()
      send(a)
      a:shutdown()
    end,
  }
  local took = time.now() - began
  a:close()
  b:close()
  return took, got
end

--- Of so many MiB.
function files.large(count)
  local large = assert(fs.open(dir .. "/large", "w+"))
  for _ = 1, count do
    assert(large:write(("y"):rep(MIB)))
  end
  assert(large:flush())
  for _, way in ipairs {
    {"sendfile", function(to) assert(large:seek "set" and to:sendfile(large)) end},
    {"read and write", function(to)
      assert(large:seek "set")
      for chunk in large:chunks() do
        assert(to:write(chunk))
      end
    end},
  } do
    local took, got = transfer(way[2])
    print(("%-30s %d MiB in %.3f s, %.0f MiB/s"):format(way[1], got // MIB, took, got / MIB / took))
  end
  large:close()
end

--- Read by a thread, from the first byte to the last.
function files.read(count)
  assert(fs.write(dir .. "/little", ("x"):rep(4096), {sync = false}))
  for _ = 1, 2 * count do -- as the rounds of bench/cost/measure.lua are two
    assert(fs.read(dir .. "/little"))
  end
end

--- To a socket that has room for all of it, as it then is read: so nothing depends on who
--- is faster.
function files.send(count)
  assert(fs.write(dir .. "/some", ("x"):rep(68 * 1024), {sync = false}))
  local a, b = net.socketpair()
  local file <close> = assert(fs.open(dir .. "/some"))
  for _ = 1, 2 * count do
    assert(a:sendfile(file) == 68 * 1024)
    assert(a:flush())
    assert(#b:readexactly(68 * 1024) == 68 * 1024)
  end
  a:close()
  b:close()
end

files[arg[1] or "all"](tonumber(arg[2] or 200))

-- usage: neap bench/trace.lua [rounds] [NEAP]    what tracing costs an echo server
--
-- Servers without a trace, with one into a capture, and with one into a text file (with and without
-- hexdumps) take turns with the
-- same client. The figure is the processor time that each uses for a message: the median of the rounds,
-- and of the ratios to the one without a trace in the same round.
-- With another executable, NEAP (built before a change, say), and with valgrind: the instructions of a
-- message without a trace, here and there. Those are counted, so they repeat.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local rounds = tonumber(arg[1] or 31)
local other = arg[2]
local neap = arg[-1]
local connections, messages = 50, 400
local payload = ("x"):rep(64)
local path = os.tmpname()

--- Processor time that a process has used, in seconds (its main thread's, of which there is no other here).
local function used(pid)
  return io.open(("/proc/%d/schedstat"):format(pid)):read "n" / 1e9
end

local function echo(endpoint, count)
  task.scope(function(scope)
    for _ = 1, connections do
      scope:spawn(function()
        local stream <close> = assert(net.connect(endpoint))
        for _ = 1, count do
          stream:write(payload)
          assert(stream:read(#payload) == payload)
        end
      end)
    end
  end)
end

local function started(command)
  command.stdout = "pipe"
  local server = assert(process.spawn(command))
  return server, assert(server.stdout:read "l")
end

--- The words before, of which some may be nil, and those of a server.
local function served(...)
  local words = {}
  for i = 1, select("#", ...) do
    words[#words + 1] = (select(i, ...))
  end
  return table.move({"bench/peers/neap.lua", "echo", "tcp://127.0.0.1:0"}, 1, 3, #words + 1, words)
end

local function ended(server)
  server:kill "SIGTERM"
  server:wait()
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

local ways = {
  {name = "no trace"},
  {name = "a capture", option = "--trace=" .. path, form = "--trace-format=pcapng"},
  {name = "text", option = "--trace=" .. path, form = "--trace-format=text"},
  {name = "text, no bytes", option = "--trace=" .. path, form = "--trace-bytes=0"},
}
for _, way in ipairs(ways) do
  way.server, way.endpoint = started(served(neap, way.option, way.form))
  echo(way.endpoint, 20)
end
for _ = 1, rounds do
  for _, way in ipairs(ways) do
    local before = used(way.server.pid)
    echo(way.endpoint, messages)
    table.insert(way, (used(way.server.pid) - before) / (connections * messages))
  end
end
for _, way in ipairs(ways) do
  ended(way.server)
end
os.remove(path)
for i = #ways, 1, -1 do
  local way, ratios = ways[i], {}
  for round, time in ipairs(way) do
    ratios[round] = time / ways[1][round]
  end
  print(("%-14s %.2f us a message, %+.1f %%"):format(way.name, median(way) * 1e6, (median(ratios) - 1) * 100))
end

--- Instructions of a message: the difference of two runs, so that start and end do not count.
local function instructions(executable)
  local totals = {}
  for i, count in ipairs {20, 60} do
    local command = served("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", executable)
    command.stderr = "pipe"
    local server, endpoint = started(command)
    echo(endpoint, count)
    ended(server)
    totals[i] = tonumber(server.stderr:read "a":match "Collected : (%d+)")
  end
  return (totals[2] - totals[1]) / (40 * connections)
end

if other then
  print(("instructions of a message without a trace: %.0f here, %.0f of %s"):format(
    instructions(neap), instructions(other), other))
end

-- usage: neap bench/udp.lua [window] [seconds]    UDP echo: against a C server, and its system calls by strace
--
-- Servers take turns with the same client, so that both see the same machine.

local process = require "neap.process"

local window = tonumber(arg[1] or 64)
local seconds = tonumber(arg[2] or 2)
local rounds = 3
local neap = arg[-1]

local c = os.tmpname()
assert(process.run {"cc", "-O2", "-w", "-o", c, "bench/udp_echo.c"})

--- Processor time that a process has used, in seconds (proc(5); a tick is 10 ms).
local function used(pid)
  local file <close> = assert(io.open(("/proc/%d/stat"):format(pid)))
  local user, system = file:read "a":match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
  return (user + system) / 100
end

--- Echoes a second of a server, and the processor time of one.
local function measure(server)
  local endpoint = assert(server.stdout:read "l")
  local before = used(server.pid)
  local result = assert(process.run {c, endpoint:match "%d+$", tostring(window), tostring(seconds)})
  local rate = tonumber(result.stdout)
  return rate, (used(server.pid) - before) / (rate * seconds)
end

local function ended(server)
  server:kill "SIGTERM"
  server:wait()
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

local rates, times = {C = {}, neap = {}}, {C = {}, neap = {}}
for _ = 1, rounds do
  for name, command in pairs {C = {c}, neap = {neap, "bench/udp_echo_server.lua"}} do
    command.stdout = "pipe"
    local server = assert(process.spawn(command))
    local rate, time = measure(server)
    table.insert(rates[name], rate)
    table.insert(times[name], time)
    ended(server)
  end
end
local base, ours = median(rates.C), median(rates.neap)
print(("UDP echo of 64 bytes, window %d: C (epoll, recvfrom, sendto) %.0f/s, neap %.0f/s: %.2f")
  :format(window, base, ours, ours / base))

base, ours = median(times.C), median(times.neap)
print(("processor time of an echo: C %.2f us, neap %.2f us: %.2f of C's speed")
  :format(base * 1e6, ours * 1e6, base / ours))

local counts = os.tmpname()
local server = assert(process.spawn {
  "strace", "-f", "-c", "-o", counts, neap, "bench/udp_echo_server.lua", stdout = "pipe",
})
local total = measure(server) * seconds
local pid = io.open(("/proc/%d/task/%d/children"):format(server.pid, server.pid)):read "n"
os.execute("kill -TERM " .. pid)
server:wait()
print "system calls a datagram:"
for line in io.lines(counts) do
  local calls, name = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s*%d*%s+([%w_]+)$"
  if calls and tonumber(calls) >= 100 and name ~= "total" then
    print(("  %-14s %8s  %.3f"):format(name, calls, tonumber(calls) / total))
  end
end
os.remove(counts)
os.remove(c)

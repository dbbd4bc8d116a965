-- usage: neap bench/udp.lua [-w window] [-s seconds] [-r rounds] [--gso] [name...]
--
-- UDP echo of 64 bytes against the peers that are installed here.  In each round every server has its turn with the
-- same client (bench/udp_load.c, which checks each echo), so that all see the same machine: servers on core 0, the
-- client on core 1.  A ratio is the median of the rounds' ratios to the C server that receives and sends one by one:
-- of echoes a second, and of what an echo takes of the server's core, which the client does not limit.
-- `--gso`: the client sends and receives by UDP_SEGMENT and UDP_GRO.  Then neap's system calls, by strace.

local process = require "neap.process"

local neap = arg[-1]
local folder = arg[0]:match "^(.*)/" or "."
local build = os.tmpname()
local program = build .. ".udp_"

--- What one server is: the command, and what has to be compiled for it.
local servers = {
  {name = "C", command = {program .. "c"}},
  {name = "C, recvmmsg", command = {program .. "c", "batch"}},
  {name = "neap", command = {neap, folder .. "/peers/udp_neap.lua"}},
  {name = "go", command = {program .. "go"}},
  {name = "luv", command = {"lua5.4", folder .. "/peers/udp_luv.lua"}},
  {name = "luv, LuaJIT", command = {"luajit", folder .. "/peers/udp_luv.lua"}},
  {name = "luasocket", command = {"lua5.4", folder .. "/peers/udp_luasocket.lua"}},
  {name = "cqueues", command = {"lua5.4", folder .. "/peers/udp_cqueues.lua"}},
  {name = "uvloop", command = {"/usr/bin/python3", folder .. "/peers/udp_asyncio.py", "uvloop"}},
  {name = "asyncio", command = {"/usr/bin/python3", folder .. "/peers/udp_asyncio.py"}},
  {name = "node", command = {"node", folder .. "/peers/udp_node.js"}},
}

local options = {w = 64, s = 1, r = 5}
local wanted, gso = {}, nil

local function read_arguments()
  local i = 1
  while arg[i] do
    local option = arg[i]:match "^%-([wsr])$"
    if option then
      options[option] = assert(tonumber(arg[i + 1]), "a number expected behind " .. arg[i])
      i = i + 1
    elseif arg[i] == "--gso" then
      gso = "gso"
    else
      wanted[#wanted + 1] = arg[i]
      wanted[arg[i]] = true
    end
    i = i + 1
  end
end

--- Is it asked for?  The C server always is: it is the measure.
local function is_wanted(server)
  return #wanted == 0 or server.name == "C" or wanted[server.name]
end

local function compile()
  assert(process.run({"cc", "-O2", "-w", "-o", program .. "load", folder .. "/udp_load.c"}).code == 0)
  assert(process.run({"cc", "-O2", "-w", "-o", program .. "c", folder .. "/peers/udp_c.c"}).code == 0)
  process.run {"go", "build", "-o", program .. "go", folder .. "/peers/udp_go.go"}
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

--- The server's process, and its port; nil when it does not run here.
local function start(command)
  local server = process.spawn {stdout = "pipe", stderr = "null", "taskset", "-c", "0", table.unpack(command)}
  local line = server and server.stdout:read "l"
  if line then
    return server, line:match ":(%d+)$"
  end
end

local function stop(server, pid)
  process.run {"kill", "-TERM", tostring(pid or server.pid)}
  server:wait()
end

--- Echoes a second.
local function load(port, seconds)
  local client = assert(process.run {
    "taskset", "-c", "1", program .. "load", port, tostring(options.w), tostring(seconds), gso,
  })
  local rate, lost, wrong = client.stdout:match "^(%d+) (%d+) (%d+)"
  assert(rate, client.stderr)
  assert(tonumber(wrong) == 0, "echoed wrong: " .. wrong)
  return tonumber(rate), tonumber(lost)
end

--- Processor time that a process has used, in seconds (proc(5); a tick is 10 ms).
local function used(pid)
  local file <close> = assert(io.open(("/proc/%d/stat"):format(pid)))
  local user, system = file:read "a":match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
  return (user + system) / 100
end

--- Echoes a second, and a second of the server's core.
local function measure(server)
  local running, port = start(server.command)
  if not running then
    return nil
  end
  local before = used(running.pid)
  local rate, lost = load(port, options.s)
  local per_core = rate * options.s / (used(running.pid) - before)
  stop(running)
  if lost > 0 then
    io.stderr:write(("%s: %d lost\n"):format(server.name, lost))
  end
  return {rate = rate, per_core = per_core}
end

--- The median of the ratios to the first server, and the quarter and three quarters of them.
local function ratios_of(server, what)
  local ratios = {}
  for i, round in ipairs(server) do
    ratios[i] = round[what] / servers[1][i][what]
  end
  table.sort(ratios)
  return ratios[(#ratios + 1) // 2], ratios[(#ratios + 3) // 4], ratios[(3 * #ratios + 3) // 4]
end

local function rates_of(server)
  local rates = {}
  for i, round in ipairs(server) do
    rates[i] = round.rate
  end
  return rates
end

local function print_rows()
  print(("UDP echo of 64 bytes, window %d%s"):format(options.w, gso and ", client with GSO" or ""))
  for _, server in ipairs(servers) do
    if #server > 0 then
      print(("  %-12s %9.0f/s  %.2f (%.2f-%.2f)"):format(
        server.name, median(rates_of(server)), ratios_of(server, "rate"))
        .. ("   of a core: %.2f (%.2f-%.2f)"):format(ratios_of(server, "per_core")))
    elseif is_wanted(server) then
      print(("  %-12s not installed"):format(server.name))
    end
  end
end

--- System calls a datagram.
local function print_calls()
  local counts = build .. ".counts"
  local server, port = start({"strace", "-f", "-c", "-o", counts, neap, folder .. "/peers/udp_neap.lua"})
  if not server then
    return print "no strace: system calls not counted"
  end
  local total = load(port, 2) * 2
  local tracee = io.open(("/proc/%d/task/%d/children"):format(server.pid, server.pid)):read "n"
  stop(server, tracee)
  print "system calls of neap, a datagram"
  for line in io.lines(counts) do
    local calls, name = line:match "^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s*%d*%s+([%w_]+)$"
    if calls and tonumber(calls) >= 100 and name ~= "total" then
      print(("  %-12s %.3f"):format(name, tonumber(calls) / total))
    end
  end
  os.remove(counts)
end

read_arguments()
compile()
for _ = 1, options.r do
  for _, server in ipairs(servers) do
    if is_wanted(server) and not server.missing then
      local rate = measure(server)
      server[#server + 1] = rate
      server.missing = rate == nil
    end
  end
end
print_rows()
print_calls()
for _, suffix in ipairs {"", ".udp_c", ".udp_go", ".udp_load"} do
  os.remove(build .. suffix)
end

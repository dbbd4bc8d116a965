-- usage: sh bench/run [--quick] [--peers=A,B] [--one-core] [ROW...]    neap and its peers, in turn, on the same work
--
-- Started by bench/run, which builds what is needed into the folder BUILD.
-- Each round measures every peer once, one after the other, so that all see the
-- same machine; what counts is the ratio to the hand-written server in C of the
-- same round. Servers run on core 0, the load on core 1; with --one-core where the
-- measurement itself does, so that only processor times tell. Each server is started
-- once a row, and a peer that fails is left out with a line.

local json = require "neap.json"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = arg[-1]
local build = assert(os.getenv "BUILD", "start it by: sh bench/run")
local peers = dofile "bench/peers.lua"(build, neap)
local rows = dofile "bench/rows.lua"

local BASE = "epoll"


-- The command line

local plan = {rounds = 9, seconds = 0.35, warm = 0.1, out = "docs/performance.json"}
local chosen_rows, chosen_peers = {}, nil

for _, word in ipairs(arg) do
  if word == "--quick" then
    plan.rounds, plan.seconds, plan.warm, plan.quick = 3, 0.25, 0.05, true
  elseif word == "--one-core" then
    plan.one_core = true
  elseif word:find "^%-%-rounds=%d+$" then
    plan.rounds = tonumber(word:match "%d+")
  elseif word:find "^%-%-out=." then
    plan.out = word:match "=(.*)"
  elseif word:find "^%-%-peers=." then
    chosen_peers = {[BASE] = true, openssl = true, llhttp = true}
    for id in word:match "=(.*)":gmatch "[^,]+" do
      chosen_peers[id] = true
    end
  elseif word:find "^%-" then
    io.stderr:write("usage: sh bench/run [--quick] [--rounds=N] [--peers=A,B] [--one-core] [--out=FILE] [ROW...]\n")
    os.exit(2)
  else
    chosen_rows[word] = true
  end
end


-- Small things

local function say(...)
  io.stderr:write(string.format(...), "\n")
end

local function median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[(n + 1) // 2] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

local function env_with(more)
  local env = process.env()
  env.TLS_CERT, env.TLS_KEY = build .. "/cert.pem", build .. "/key.pem"
  for name, value in pairs(more or {}) do
    env[name] = value
  end
  return env
end

local function first_line(path, pattern)
  local file <close> = io.open(path)
  return file and file:read "a":match(pattern) or "?"
end

local processor = first_line("/proc/cpuinfo", "model name%s*:%s*([^\n]*)")

local two_cores = not plan.one_core and tonumber(process.run({"nproc"}).stdout) >= 2

--- The words of a command, on one core (nil: on any).
local function pinned(core, command)
  local words = two_cores and core and {"taskset", "-c", tostring(core)} or {}
  table.move(command, 1, #command, #words + 1, words)
  return words
end

local function run_pinned(core, command, env)
  local words = pinned(core, command)
  words.env = env_with(env)
  local result = assert(task.timeout(120, process.run, words))
  if result.code ~= 0 then
    error((result.stderr ~= "" and result.stderr or result.stdout):gsub("%s+$", ""), 0)
  end
  return result.stdout
end

--- Nanoseconds of processor time that all threads of a process have had.
local function used(pid)
  local sum = 0
  for tid in process.run({"ls", ("/proc/%d/task"):format(pid)}).stdout:gmatch "%d+" do
    sum = sum + (tonumber(first_line(("/proc/%d/task/%s/schedstat"):format(pid, tid), "^%d+")) or 0)
  end
  return sum
end

local function resident(pid)
  return tonumber(first_line(("/proc/%d/status"):format(pid), "VmRSS:%s+(%d+)")) * 1024
end


-- Servers

local function free_endpoint()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.endpoint
end

local function first_line_of(server)
  local line, err = task.timeout(20, server.stdout.read, server.stdout, "l")
  if not line then
    server:kill "SIGKILL"
    error(err and "it is not ready after 20 s" or "it ended before it was ready", 0)
  end
  return line
end

--- What a relay for TLS has behind it: it costs the relay what it costs.
local function start_echo()
  local words = pinned(1, {build .. "/epoll", "echo", "tcp://127.0.0.1:0"})
  words.stdout = "pipe"
  local echo = assert(process.spawn(words))
  return echo, first_line_of(echo)
end

--- A server of a peer for a row: its process, and where it listens.
local function serve(peer, row)
  local mode = row.mode
  local endpoint = mode == "unix" and ("unix:%s/%s.sock"):format(build, peer.id)
    or mode == "workers" and free_endpoint() -- all of them are to have the same
    or "tcp://127.0.0.1:0"
  local upstream = mode == "relay" and free_endpoint() or mode == "files" and build .. "/read" or nil
  local echo
  if mode == "tls" and peer.relays then
    echo, upstream = start_echo()
  end
  local server_mode = (mode == "lines" or mode == "relay" or mode == "tls" or mode == "http" or mode == "files")
    and mode or (mode == "ws" or mode == "large") and "http" or "echo"
  os.remove(endpoint:match "^unix:(.*)" or "")
  local words = pinned(not row.free and 0 or nil, peer.server(server_mode, endpoint, upstream))
  local log <close> = assert(io.open(("%s/%s.log"):format(build, peer.id), "a"))
  words.stdout, words.stdin, words.stderr = "pipe", "pipe", log
  words.env = env_with(peer.env)
  local server = {process = assert(process.spawn(words)), upstream = mode == "relay" and upstream, echo = echo}
  server.endpoint = first_line_of(server.process)
  return server
end

local function stop(server)
  for _, child in pairs {server.process, server.echo} do
    child:kill "SIGKILL"
    child:wait()
  end
end

local function loader(row)
  local loaders = {tls = "/tls_load", http = "/http_load", ws = "/http_load", large = "/http_load"}
  return build .. (loaders[row.mode] or "/load")
end

local function load(row, server, options)
  local words = {loader(row), row.load[1], server.endpoint}
  words[#words + 1] = server.upstream or nil
  table.move(row.load, 2, #row.load, #words + 1, words)
  for name, value in pairs(options) do
    words[#words + 1] = name .. "=" .. value
  end
  return json.decode(run_pinned(not row.free and 1 or nil, words))
end


-- One measurement of each kind: a table with value, and what else is known

local measure = {}

function measure.load(_, row, server)
  local before = used(server.process.pid)
  local result = load(row, server, {connections = row.connections, seconds = plan.seconds, warm = plan.warm})
  local cpu = (used(server.process.pid) - before) / result.messages
  return {value = result.rate, cpu = cpu, p50 = result.p50, p99 = result.p99}
end

--- The load generator itself looks at the server's clock, which also knows of the
--- threads that have ended.
function measure.tls(_, row, server)
  local result = load(row, server, {
    connections = row.connections, seconds = row.seconds or plan.seconds, warm = plan.warm,
    pid = server.process.pid,
  })
  local size = row.unit == "bytes/s" and result.size or 1
  return {value = result.rate * size, cpu = result.cpu}
end

measure.http = measure.tls

--- The p99 of a server that does something beside, and of one that does not.
function measure.beside(peer, row, server)
  local options = {connections = row.connections, seconds = row.seconds, warm = plan.warm}
  local alone = serve(peer, {mode = "echo"})
  local ok, without = pcall(load, row, alone, options)
  stop(alone)
  assert(ok, without)
  return {value = load(row, server, options).p99, alone = without.p99}
end

local function with_idle(row, server, connections, f)
  local words = pinned(1, {
    loader(row), "idle", server.endpoint, "connections=" .. connections,
  })
  words.stdin, words.stdout = "pipe", "pipe"
  local client <close> = assert(process.spawn(words))
  assert(task.timeout(600, client.stdout.read, client.stdout, "l") == "ready",
    "its connections are not all there after 600 s")
  local result = f()
  client.stdin:close()
  client:wait()
  return result
end

--- What the first connections need once, needs no counting.
function measure.idle(_, row, server)
  local pid = server.process.pid
  with_idle(row, server, 200, function() end)
  local before = resident(pid)
  return with_idle(row, server, row.connections, function()
    task.sleep(0.2)
    return {value = (resident(pid) - before) / row.connections}
  end)
end

function measure.start(peer)
  local words = {build .. "/load", "start"}
  table.move(peer.start, 1, #peer.start, 3, words)
  return {value = json.decode(run_pinned(0, words, peer.env)).p50 / 1000}
end

local tasks_of_round = {}

--- Both numbers of a round come from one run.
function measure.tasks(peer, row, _, round)
  local known = tasks_of_round[peer.id .. round]
  if not known then
    local count = plan.quick and 50000 or 200000
    local words = table.move(peer.tasks, 1, #peer.tasks, 1, {})
    words[#words + 1] = tostring(count)
    local spawn, switch = run_pinned(0, words, peer.env):match "([%d.]+) ([%d.]+)"
    known = {spawn = tonumber(spawn), switch = tonumber(switch)}
    tasks_of_round[peer.id .. round] = known
  end
  return {value = known[row.id]}
end


--- Values from task to task.
function measure.switches(_, row)
  local count = plan.quick and 50000 or 200000
  local out = run_pinned(0, {neap, "bench/switches.lua", row.id, tostring(count)})
  return {value = tonumber(out:match ": ([%d.]+) ns")}
end


--- Memory of a task asleep.
function measure.asleep(_, row)
  local out = run_pinned(0, {neap, "bench/tasks.lua", "asleep", tostring(row.x), "1"})
  return {value = tonumber(out:match "asleep: (%d+) bytes")}
end


-- Who takes part

local function is_there(peer)
  for _, program in ipairs(peer.needs) do
    if process.run({"sh", "-c", 'command -v "$1"', "sh", program}).code ~= 0 then
      return false, program .. " is not installed"
    end
  end
  if peer.probe and process.run(peer.probe).code ~= 0 then
    return false, "not there: " .. table.concat(peer.probe, " ")
  end
  return true
end

local function takes_part(peer, row)
  if row.curve and peer.id ~= "neap" and (peer.id ~= BASE or row.how ~= "load") then
    return false
  end
  if row.how == "asleep" or row.how == "switches" then
    return peer.id == "neap"
  end
  if row.how == "start" or row.how == "tasks" then
    return peer[row.how] ~= nil
  end
  return (peer.modes[row.mode] or row.id == "pingpong" and peer.modes.echo)
    and (peer.most or math.huge) >= row.connections
end

local there = {}
for _, peer in ipairs(peers) do
  if not chosen_peers or chosen_peers[peer.id] then
    local ok, why = is_there(peer)
    if ok then
      there[#there + 1] = peer
    else
      say("%s: skipped (%s)", peer.name, why)
    end
  end
end


-- TLS: a certificate for all, of P-256

local function make_certificate()
  local cert, key = require("neap.tls").selfsigned {names = {"localhost", "127.0.0.1"}}
  for name, text in pairs {cert = cert, key = key} do
    local file <close> = assert(io.open(("%s/%s.pem"):format(build, name), "w"))
    file:write(text)
  end
end

make_certificate()


-- Files to send and to read: made once, of what is not all the same

local function make_file(name, mib)
  local file <close> = assert(io.open(build .. "/" .. name, "w"))
  for i = 1, mib do
    file:write(("%015d\n"):format(i):rep((1 << 20) // 16))
  end
end

make_file("large", 100)
make_file("read", 1)


-- A row

local function attempt(peer, row, f, ...)
  local ok, result = pcall(f, ...)
  if ok then
    return result
  end
  say("  %s, %s: left out (%s)", row.title, peer.name, tostring(result))
end

local function start_servers(row)
  local runs = {}
  for _, peer in ipairs(there) do
    if takes_part(peer, row) then
      local serves = row.mode ~= "start" and row.mode ~= "tasks" and row.mode ~= "asleep"
      local server = serves and attempt(peer, row, serve, peer, row)
      if server or not serves then
        runs[#runs + 1] = {peer = peer, server = server, samples = {}}
      end
    end
  end
  return runs
end

local function field(samples, name)
  local values = {}
  for _, sample in pairs(samples) do
    values[#values + 1] = sample[name]
  end
  return values[1] and median(values) or nil
end

--- How many times as good as the base, in the rounds that both have.
local function ratio(samples, base, name, less)
  local ratios = {}
  for round, sample in pairs(samples) do
    local other = base and base[round]
    if other and sample[name] then
      ratios[#ratios + 1] = less and other[name] / sample[name] or sample[name] / other[name]
    end
  end
  return ratios[1] and median(ratios) or nil
end

local function measure_row(row)
  local rounds = row.rounds or plan.rounds
  local runs = start_servers(row)
  say("%s: %d peers, %d rounds", row.title, #runs, rounds)
  for round = 1, rounds do
    for _, run in ipairs(runs) do
      if not run.failed then
        local sample = attempt(run.peer, row, measure[row.how], run.peer, row, run.server, round)
        run.failed = sample == nil
        run.samples[round] = sample
      end
    end
  end
  local base
  for _, run in ipairs(runs) do
    if run.server then
      stop(run.server)
    end
    base = run.peer.id == (row.base or BASE) and run.samples or base
  end
  local results = {}
  for _, run in ipairs(runs) do
    if not run.failed then
      results[#results + 1] = {
        id = run.peer.id, name = run.peer.name, kind = run.peer.kind,
        value = field(run.samples, "value"),
        ratio = ratio(run.samples, base, "value", row.less),
        cpu = field(run.samples, "cpu"),
        cpu_ratio = ratio(run.samples, base, "cpu", true),
        p50 = field(run.samples, "p50"), p99 = field(run.samples, "p99"), alone = field(run.samples, "alone"),
      }
    end
  end
  return {
    id = row.id, title = row.title, unit = row.unit, less = row.less or false, rounds = rounds,
    curve = row.curve, x = row.x, base = row.base, date = os.date "!%Y-%m-%d", machine = processor,
    peers = results,
  }
end


-- All rows; rows that are not chosen keep what the file has

local function old_rows()
  local file <close> = io.open(plan.out)
  local before, known = file and json.decode(file:read "a") or {}, {}
  for _, row in ipairs(before.rows or {}) do
    known[row.id] = row
  end
  return known, before
end

--- A value with no more digits of its numbers than mean something.
local function rounded(value)
  if type(value) == "table" then
    local copy = {}
    for key, each in pairs(value) do
      copy[key] = rounded(each)
    end
    return copy
  elseif math.type(value) ~= "float" then
    return value
  elseif math.abs(value) >= 1000 or value == math.floor(value) then
    return math.tointeger(math.floor(value + 0.5)) or value
  end
  return tonumber(("%.4g"):format(value))
end

local kept, before = {}, {}
if next(chosen_rows) then
  kept, before = old_rows()
end
local result = {
  machine = before.machine or {
    cpu = processor,
    cores = tonumber(process.run({"nproc"}).stdout),
    kernel = first_line("/proc/sys/kernel/osrelease", "%S+"),
    system = first_line("/etc/os-release", 'PRETTY_NAME="([^"]*)"'),
  },
  date = before.date or os.date "!%Y-%m-%d",
  rows = {},
}
for _, row in ipairs(rows) do
  if not next(chosen_rows) or chosen_rows[row.id] then
    result.rows[#result.rows + 1] = measure_row(row)
  elseif kept[row.id] then
    result.rows[#result.rows + 1] = kept[row.id]
  end
  chosen_rows[row.id] = chosen_rows[row.id] and "done" or nil
end
for name, state in pairs(chosen_rows) do
  if state ~= "done" then
    say("no row %s", name)
  end
end
local file <close> = assert(io.open(plan.out, "w"))
file:write(json.encode(rounded(result), {indent = 2, sort = true}), "\n")

-- usage: neap spec/soak/main.lua [OPTIONS] SECONDS    (scripts/soak)
--
-- Servers of every kind, and what a program does besides, for a long time, under many
-- connections that come and go: does it end as it began? The clients are two processes
-- (spec/soak/peers.lua), of which one resets what it has opened, and is killed itself: it has
-- servers of its own, where failures are expected. Anywhere else there must be none.

local args = require "neap.args"
local fs = require "neap.fs"
local host = require "neap.host"
local json = require "neap.json"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local tls = require "neap.tls"

local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
local actors = require "actors"
local measure = require "measure"
local servers = require "servers"

local given = args.parse(arg, {
  about = "Soaks neap: many connections that come and go, all kinds of work, and some peers that die.",
  {"-c, --connections=N", "open at once", type = "integer", min = 1, default = 10000},
  {"-r, --rate=N", "connects a second", type = "number", min = 1, default = 1500},
  {"-s, --seed=N", "of what is random", type = "integer", default = 1},
  {"--victims=PERCENT", "of the peers, which are reset or killed", type = "number", min = 0, max = 50, default = 1},
  {"--late=MS", "that timers may be late, of 99 %", type = "number", default = 20},
  {"--break=WHAT", "let this go wrong, to see that it is found", many = true, default = {},
    choices = {"descriptors", "tasks", "errors", "memory", "timers"}},
  {"SECONDS", "for how long", type = "number", min = 1},
})

math.randomseed(given.seed)

local WINDOW = 10 -- seconds between two lines
local SLOPE, JUDGED = 0.1, 600 -- MB a minute, of runs of so many seconds: allocators take their time
local broken = {}
for _, what in ipairs(given["break"]) do
  broken[what] = true
end

local fails = {}
local function fail(...)
  fails[#fails + 1] = string.format(...)
end

-- What went wrong, by what it was.
local wrong, victims = {count = 0}, {count = 0}
local function note(into, what)
  what = tostring(what)
  into.count = into.count + 1
  into[what] = (into[what] or 0) + 1
end

local function tell(list)
  local lines = {}
  for what, count in pairs(list) do
    if what ~= "count" then
      lines[#lines + 1] = ("%7d x %s"):format(count, what)
    end
  end
  table.sort(lines, function(a, b) return a > b end)
  return table.concat(lines, "\n", 1, math.min(#lines, 10))
end


-- The clients

local place = assert(os.getenv "NEAP_SOAK", "scripts/soak starts this")
local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
local stopping = false
local killed = 0
local clients = {}

local function read_from(peers, is_victim)
  for line in peers.process.stdout:lines() do
    local said = json.decode(line)
    peers.said = said
    for _, what in ipairs(said.errors) do
      note(is_victim and victims or wrong, "client: " .. what)
    end
    if said.left and not is_victim then
      fail("the clients leave behind: %s", said.left)
    end
  end
end

-- A process of clients, until it has ended.
local function run_clients(name, endpoints, count, rate, seed)
  local is_victim = name == "victims"
  local peers = clients[name] or {connects = 0}
  clients[name] = peers
  peers.process = assert(process.spawn {
    arg[-1], folder .. "/peers.lua", stdin = "pipe", stdout = "pipe", stderr = is_victim and "null" or nil,
  })
  peers.process.stdin:write(json.encode {
    endpoints = endpoints, cert = cert, connections = count, rate = rate, seed = seed, victims = is_victim,
  }, "\n")
  peers.running = true
  if stopping then
    peers.process.stdin:write "stop\n"
  end
  local ok, err = pcall(read_from, peers, is_victim)
  peers.running = false
  local code = peers.process:wait()
  peers.process:close()
  peers.connects = peers.connects + (peers.said and peers.said.connects or 0)
  peers.said = nil
  if not is_victim and (not ok or code ~= 0) then
    fail("the clients have ended: %s, %s", code, err)
  end
end

local function run_victims(endpoints, count, rate)
  local seed = given.seed + 1000
  while not stopping do
    seed = seed + 1
    local killer = task.spawn(function()
      task.sleep(1 + 3 * math.random())
      if not stopping then
        clients.victims.process:kill "SIGKILL"
        killed = killed + 1
      end
    end)
    run_clients("victims", endpoints, count, rate, seed)
    killer:cancel()
    killer:join()
  end
end

local function of_clients(field)
  local sum = 0
  for _, peers in pairs(clients) do
    sum = sum + (peers.said and peers.said[field] or 0) + (field == "connects" and peers.connects or 0)
  end
  return sum
end


-- The run

local function open_all(name, into)
  local function onerror(what)
    note(into, what)
  end
  return servers.open(place .. "/" .. name, {cert = cert, key = key}, onerror)
end

local function soak()
  local memory, timers = measure.memory(), measure.timers()
  local steady, others = open_all("steady", wrong), open_all("victims", victims)
  assert(fs.write(place .. "/resolv.conf", "nameserver [127.0.0.1]:" .. steady.names .. "\n"))
  local share = given.victims / 100
  local work = {
    task.spawn(run_clients, "steady", steady.endpoints, math.ceil(given.connections * (1 - share)),
      given.rate * (1 - share), given.seed + 1),
    share > 0 and task.spawn(run_victims, others.endpoints, math.ceil(given.connections * share),
      given.rate * share) or nil,
  }
  local acting = actors.start(place .. "/steady", given.rate / 20, function(what)
    note(wrong, what)
  end)
  if broken.errors then
    note(wrong, "on purpose")
  end

  local began, connects, shown = time.now(), 0, 0
  local kept = {}
  while time.now() - began < given.seconds do
    local seconds = math.min(WINDOW, given.seconds - (time.now() - began))
    local from = time.now()
    while time.now() - from < seconds do
      task.sleep(math.min(0.5, seconds))
      memory:sample()
      if broken.memory then
        kept[#kept + 1] = ("x"):rep(200000) .. #kept
      end
      if broken.timers then
        local till = time.now() + 0.2
        while time.now() < till do end
      end
    end
    memory:window(time.now() - began)
    local now, took = of_clients "connects", time.now() - from
    shown = shown + 1
    print(("%6.0f s: %5d open, %6.1f connects/s, %7d operations, %6.1f MB (Lua %.1f), late: %s; victims: %d failures, "
      .. "%d killed; errors: %d"):format(time.now() - began, of_clients "open", (now - connects) / took,
      of_clients "operations" + acting.operations, memory.rss, memory.lua, timers:window(), victims.count, killed,
      wrong.count))
    io.stdout:flush()
    connects = now
  end
  local late = timers:stop()

  stopping = true
  for _, peers in pairs(clients) do
    if peers.running then
      peers.process.stdin:write "stop\n"
    end
  end
  for _, t in ipairs(work) do
    t:join()
  end
  acting:stop()
  for what, count in pairs(acting.counts) do
    print(("  %-12s %8d"):format(what, count))
    if count == 0 then
      fail("nothing was done: %s", what)
    end
  end
  steady:close()
  others:close()
  return memory, late, connects / (time.now() - began)
end

-- What is there more than at the beginning; what was closed may need some turns to be gone.
local function left_since(before)
  local left
  for _ = 1, 300 do
    collectgarbage()
    left = measure.more(before, host.stats())
    if not left then
      return nil
    end
    task.sleep(0.01)
  end
  return left
end


-- What is opened once, at the first use, is no leak.
assert(fs.write(place .. "/resolv.conf", "nameserver [127.0.0.1]:9\n"))
process.run {"true"}
repeat
  collectgarbage()
  local descriptors = host.stats().descriptors
  task.sleep(0.05)
until host.stats().descriptors == descriptors
local before = host.stats()
local memory, late = soak()
before.kept = { -- which is too much, to see that it is found
  broken.descriptors and io.open "/dev/null" or false,
  broken.tasks and task.background(task.sleep, 1000) or false,
}
local left = left_since(before)
if left then
  fail("left behind: %s", left)
end

local slopes = memory:slopes()
if slopes then
  print(("memory: %s"):format(slopes.text))
  if slopes.grows > SLOPE and given.seconds >= JUDGED then
    fail("memory grows: %s", slopes.text)
  end
else
  print "memory: too short a run to judge it"
end
print(("timers: %s"):format(late.text))
if late.judged > given.late then
  fail("timers are late: %s", late.text)
end
print(("victims: %d failures, %d times killed"):format(victims.count, killed))
print(tell(victims))
if wrong.count > 0 then
  fail("%d errors:\n%s", wrong.count, tell(wrong))
end

for _, what in ipairs(fails) do
  print("FAILED: " .. what)
end
print(#fails == 0 and "soak: ok" or "soak: FAILED")
os.exit(#fails == 0 and 0 or 1, true)

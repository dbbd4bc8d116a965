--- Simulated worlds: scripts under virtual time, from a seed, with faults.
---
--- A *world* is described by a script that `neap sim world.lua` runs, once for each seed. It is
--- the world's *director*: its clock is the world's, which jumps to whatever happens next, so
--- that a sleep of a year takes no time. It starts *hosts*, each an unmodified script in a state
--- of its own, with an address, a name and clocks; *clients*, whose end ends the run; and says
--- what goes wrong meanwhile, and what has to hold all the same. Whatever is left to chance
--- (which task runs next, how long a message takes, what a fault strikes, `math.random`) is
--- drawn from the seed: so a run that has failed can be run again, to the same failure.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local task = require "neap.task"
---
---   task.sleep(365 * 24 * 3600)
---   print(sim.now())  --> 31536000.0
--- end))
--- ```
---
--- A run fails when an error ends a task of the director or a host's program, when nothing can
--- ever happen any more though there are clients left, or when a check (`always`,
--- `eventually`) does not hold. `sim.run` and `sim.test` are for programs and specs; everything
--- else here is for the director, and raises elsewhere. Times are seconds of the world, from
--- its beginning.
---
--- Hosts are states of their own. A function that is to run in one gets copies of what it has
--- around it: plain values, tables of them, Lua functions with what is around these; modules,
--- and what these have, are the host's own. Anything else is an error that names it.

local core = require "neap.sim.core"
local checks = require "neap.sim.checks"
local chaos = require "neap.sim.chaos"
local hosts = require "neap.sim.hosts"
local links = require "neap.sim.links"
local runs = require "neap.sim.runs"
local sched = require "neap.task.core"

local error, pairs, require, tostring, type = error, pairs, require, tostring, type
local format, maxinteger, mathtype = string.format, math.maxinteger, math.type

---@class neap.sim
local sim = {}

local function check_director(name)
  if not core.directs() then
    error(format("sim.%s: only a script that `neap sim` runs directs a world", name), 3)
  end
end

local function check_seconds(name, seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error(format("sim.%s: seconds from 0, below 1e9, expected, got %s", name,
      type(seconds) == "number" and seconds or type(seconds)), 3)
  end
end

local function check_name(name, given)
  if type(given) ~= "string" then
    error(format("sim.%s: a name expected, got %s", name, type(given)), 3)
  end
end

local function check_function(name, f)
  if type(f) ~= "function" then
    error(format("sim.%s: a function expected, got %s", name, type(f)), 3)
  end
end

---@class neap.sim.RunOptions
---@field seed integer?  from 1; default 1
---@field args string[]?  what the program gets
---@field limit number?  seconds of the world, at which the run fails; default 3600 where there
--- are hosts, else none
---@field order "fifo"?  which of the tasks that are ready runs next is not drawn: it is the
---first, as outside
---@field whole boolean?  what is written arrives in pieces as large as they can be, as it
---mostly does on loopback; else they are cut
---@field quiet boolean?  print nothing of what the world prints

--- Run a world in this process, and wait until it has ended.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- print(sim.run(function()
---   require "neap.task".channel():recv()
--- end, {quiet = true}))
--- --> nil sim: seed 0x1 at +0.000s: deadlock: task 1 "main" waits for channel recv at ... (ESIM)
--- ```
---@async
---@param program string|function  the path of a script, or a Lua function
---@param options? neap.sim.RunOptions
---@return boolean? ok
---@return neap.Error? err  ESIM: the run has failed; `err.output` is what was printed in it
function sim.run(program, options)
  if options ~= nil and type(options) ~= "table" then
    error(format("sim.run: options expected, got %s", type(options)), 2)
  end
  local ok, err = runs.run(program, options or {})
  return ok, err
end

---@class neap.sim.TestOptions
---@field seed integer?  default 1
---@field seeds integer?  or so many of them, from 1
---@field hosts table<string, string|function>?  what runs beside the test, as `sim.host` has it
---@field limit number?  seconds of the world; default a day
---@field order "fifo"?  as that of a run
---@field whole boolean?  the same

--- What an `it` of `neap test` is given, to run this function as the director of a world of its
--- own: so it sleeps for an hour at once, and all it says and hears goes over the simulated
--- network. `assert`, `finally` and `pending` are busted's.
---
--- The test fails as any other does, and also when it leaves tasks or sockets behind, when
--- nothing can ever happen any more, or when the limit is reached: then each host tells what
--- its tasks wait for. What was printed is told, and a command that runs that seed again;
--- `neap test --sim-seed=FIRST-LAST` runs others.
---
--- ```lua
--- local net = require "neap.net"
--- local sim = require "neap.sim"
--- local task = require "neap.task"
---
--- local function serve()
---   assert(net.listen "tcp://*:7000"):serve(function(stream)
---     task.sleep(24 * 3600)
---     stream:write "done\n"
---   end)
--- end
---
--- local answers = sim.test(function() -- it("answers after a day", sim.test(function()
---   local stream <close> = assert(net.connect "tcp://server:7000")
---   print(stream:read())  --> done
---   print(sim.now() // 3600)  --> 24.0
--- end, {hosts = {server = serve}, limit = 25 * 3600})
---
--- answers()
--- ```
---@param f function
---@param options? neap.sim.TestOptions
---@return fun() run  may suspend
function sim.test(f, options)
  if type(f) ~= "function" then
    error(format("sim.test: a function expected, got %s", type(f)), 2)
  elseif options ~= nil and type(options) ~= "table" then
    error(format("sim.test: options expected, got %s", type(options)), 2)
  end
  local run = require "neap.sim.tests".new(f, options or {}, 2)
  return run
end

---@class neap.sim.HostOptions
---@field args string[]?  the script's arguments
---@field env table<string, string>?  what `os.getenv` finds
---@field skew number?  seconds by which its wall clock is ahead
---@field drift number?  parts per million by which its clocks run fast
---@field restart boolean?  when its program has ended by itself, begin it anew, after a second

--- Add a host, and start its program. It ends when its program does; a status other than 0
--- fails the run.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---
---   local counter = sim.host("counter", function()
---     print("I count")
---     require "neap.task".sleep(10)
---   end)
---   counter:wait()
---   print(counter:state(), sim.now())
--- end))
--- --> counter: I count
--- --> ended 10.0
--- ```
---@param name string  letters, digits, `-` and `.`
---@param program string|function  a script's path, from the folder of the world's file (of `sim.run`:
--- the current one), or a Lua function
---@param options? neap.sim.HostOptions
---@return neap.sim.Host
function sim.host(name, program, options)
  check_director "host"
  local host = hosts.new(name, program, options, "host", 2)
  return host
end

--- Add a client: its end, and that of all others, ends the run. A function is a task of the
--- director, which sees the locals around it; a script is a host of its own.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local task = require "neap.task"
---
---   sim.host("server", function()
---     require "neap.task".sleep(1e9)
---   end)
---   sim.client("first", function()
---     task.sleep(3)
---     print "done"  --> done
---   end)
--- end))
--- ```
---@param name string
---@param program string|function
---@param options? neap.sim.HostOptions  of a script
function sim.client(name, program, options)
  check_director "client"
  check_name("client", name)
  hosts.client(name, program, options)
end

--- Call a function at a time, in a task of its own, which nothing waits for.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.at(60, function()
---     print(sim.now() // 1)  --> 60.0
---   end)
---   require "neap.task".sleep(100)
--- end))
--- ```
---@param seconds number  from the beginning
---@param f fun()
function sim.at(seconds, f)
  check_director "at"
  check_seconds("at", seconds)
  check_function("at", f)
  sched.background(function()
    sched.sleep(seconds - core.now())
    f()
  end)
end

--- Call a function again and again, for as long as the run lasts.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local beats = 0
---   sim.every(1, function()
---     beats = beats + 1
---   end)
---   sim.at(3600.5, function()
---     print(beats)  --> 3600
---   end)
---   require "neap.task".sleep(4000)
--- end))
--- ```
---@param seconds number  between two calls, and before the first
---@param f fun()
function sim.every(seconds, f)
  check_director "every"
  check_seconds("every", seconds)
  check_function("every", f)
  if seconds == 0 then
    error("sim.every: seconds above 0 expected", 2)
  end
  sched.background(function()
    while true do
      sched.sleep(seconds)
      f()
    end
  end)
end

--- Seconds since the world began.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   require "neap.task".sleep(2)
---   print(sim.now())  --> 2.0
--- end))
--- ```
---@return number
function sim.now()
  check_director "now"
  return core.now()
end

--- The seed of this run.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   print(sim.seed())  --> 1
--- end))
--- ```
---@return integer
function sim.seed()
  check_director "seed"
  return core.seed()
end

--- A number of the seed, for what a world varies: from a stream of its own, so that one more
--- draw shifts nothing else.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local servers = sim.random(3, 5)
---   print(servers >= 3 and servers <= 5)  --> true
--- end))
--- ```
---@param m integer  1 to m; or, with n, m to n
---@param n? integer
---@return integer
function sim.random(m, n)
  check_director "random"
  if n == nil then
    m, n = 1, m
  end
  if mathtype(m) ~= "integer" or mathtype(n) ~= "integer" or n < m or n - m < 0 or n - m == maxinteger then
    error("sim.random: two whole numbers expected, the first not above the second, and less than 2^63 apart", 2)
  end
  return m + core.chance("world", n - m + 1)
end

--- When the run ends in any case, and fails if there are still clients.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.limit(24 * 3600)
---   sim.host("server", function()
---     require "neap.task".sleep(1e9)
---   end)
--- end))
--- ```
---@param seconds number
function sim.limit(seconds)
  check_director "limit"
  check_seconds("limit", seconds)
  hosts.limit(seconds)
end

--- What must hold at any time. It is looked at each tenth of a second. What it returns
--- beside false is told: it says why.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- local _, err = sim.run(function()
---   local sim = require "neap.sim"
---   local queue = 0
---   sim.always("the queue is short", function()
---     return queue < 10, queue
---   end)
---   sim.every(1, function()
---     queue = queue + 1
---   end)
---   require "neap.task".sleep(60)
--- end, {quiet = true})
--- print(err.message)  --> seed 0x1 at +10...s: always: the queue is short: no longer: 10
--- ```
---@param name string  what holds
---@param f fun(): any, any  does it? and why not
function sim.always(name, f)
  check_director "always"
  check_name("always", name)
  check_function("always", f)
  checks.always(name, f)
end

--- What should be seen in one of the seeds at least, lest the world tests nothing. It is looked
--- at each tenth of a second; `neap sim --seeds=N` fails when no seed has seen it.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local retries = 0
---   sim.sometimes("a client tries again", function()
---     return retries > 0
---   end)
--- end))
--- ```
---@param name string
---@param f fun(): any
function sim.sometimes(name, f)
  check_director "sometimes"
  check_name("sometimes", name)
  check_function("sometimes", f)
  checks.sometimes(name, f)
end

--- What must come to hold when the clients have ended, the faults have stopped and all
--- partitions are healed: within so many seconds. The function may say why it does not, as
--- with `always`.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local agreed = false
---   sim.at(7, function()
---     agreed = true
---   end)
---   sim.eventually("all agree", 30, function()
---     return agreed
---   end)
---   sim.client("client", function() end)
--- end))
--- ```
---@param name string
---@param seconds number
---@param f fun(): any, any
function sim.eventually(name, seconds, f)
  check_director "eventually"
  check_name("eventually", name)
  check_seconds("eventually", seconds)
  check_function("eventually", f)
  checks.eventually(name, seconds, f)
end

---@class neap.sim.LinkOptions
---@field latency number|number[]?  seconds: always the same, or the least and the most; default {0.0002, 0.002}
---@field mean number?  then that on average, by an exponential distribution above the least
---@field jitter number?  up to so much more, of each message
---@field bandwidth integer?  bytes a second
---@field queue integer?  bytes that may wait for it before messages are lost
---@field loss number?  0 to 1: of messages; streams are late instead
---@field duplicates number?  0 to 1, of messages
---@field reordered number?  0 to 1, of messages
---@field slow number?  0 to 1: pairs of hosts that are slow for good
---@field slowness integer?  by this factor; default 10

--- Say how long messages take, and what becomes of them: on all links, or on those from some
--- hosts to others, both ways. Latency is drawn anew for each message, from a stream of its own.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.link {latency = {0.001, 0.010}, loss = 0.01}
---   sim.host("far", function()
---     require "neap.task".sleep(1)
---   end)
---   sim.link("director", "far", {latency = 0.250})
--- end))
--- ```
---@param a neap.sim.Hosts|neap.sim.LinkOptions
---@param b? neap.sim.Hosts
---@param options? neap.sim.LinkOptions
function sim.link(a, b, options)
  check_director "link"
  links.set(a, b, options, 2)
end

--- A host, its name, or a list of them; "director" is the director itself.
---@alias neap.sim.Hosts neap.sim.Host|string|(neap.sim.Host|string)[]

---@class neap.sim.RuleOptions
---@field streams boolean?  ask it about the segments of TCP, too

--- Decide about each message (UDP, ping, raw IP) as it leaves one host for another, before its
--- link is asked. The function returns "drop", "duplicate", seconds by which it is late, or
--- nothing: then the next rule is asked, in their order. It may change `message.bytes`, and
--- should not wait, for the messages behind it do.
---
--- With `streams` it is asked about the segments of TCP, too: what opens a connection, ends or
--- resets it, and bytes, in pieces that chance has cut; not about what only acknowledges. One
--- that is dropped is sent again, with longer and longer pauses, and the function is asked
--- again; what is late makes all behind it late; and "cut" resets the connection. Bytes cannot
--- be changed, and nothing comes twice. What a segment is, `message:packet().tcp` tells.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local net = require "neap.net"
---   local sim = require "neap.sim"
---   local task = require "neap.task"
---
---   local n = 0
---   sim.rule(function(message)
---     n = n + 1
---     if message.dst_port == 7 and n == 1 then
---       return "drop"
---     end
---     message.bytes = message.bytes:upper()
---   end)
---   sim.host("echo", function()
---     local net = require "neap.net"
---     local socket = assert(net.bind "udp://*:7")
---     for message, from in socket:messages() do
---       socket:send(message, from)
---     end
---   end)
---   task.sleep(1)
---   local socket = assert(net.connect "udp://echo:7")
---   socket:send "lost"
---   socket:send "hello"
---   print((socket:recv()))  --> HELLO
--- end))
--- ```
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local net = require "neap.net"
---   local sim = require "neap.sim"
---   local task = require "neap.task"
---
---   sim.rule(function(message)
---     return message.bytes:find "secret" and "cut" or nil
---   end, {streams = true})
---   sim.host("echo", function()
---     assert(require "neap.net".listen "tcp://*:7"):serve(function(stream)
---       stream:write(stream:read "L")
---     end)
---   end)
---   task.sleep(1)
---   local stream <close> = assert(net.connect "tcp://echo:7")
---   stream:write "a secret\n"
---   print(stream:read())  --> nil read ... (ECONNRESET)
--- end))
--- ```
---@param f fun(message: neap.sim.Message): ("drop"|"duplicate"|"cut"|number)?
---@param options? neap.sim.RuleOptions
---@return neap.sim.Rule
function sim.rule(f, options)
  check_director "rule"
  check_function("rule", f)
  if options ~= nil and type(options) ~= "table" then
    error(format("sim.rule: options expected, got %s", type(options)), 2)
  end
  for name, value in pairs(options or {}) do
    if name ~= "streams" then
      error(format("sim.rule: there is no option '%s'", tostring(name)), 2)
    elseif type(value) ~= "boolean" then
      error("sim.rule: streams: true or false expected", 2)
    end
  end
  return require "neap.sim.messages".rule(f, options and options.streams)
end

--- Cut the links between some hosts and others: messages are lost, streams wait.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   for i = 1, 3 do
---     sim.host("n" .. i, function()
---       require "neap.task".sleep(60)
---     end)
---   end
---   sim.at(5, function()
---     sim.partition({"n1"}, {"n2", "n3"})
---   end)
---   sim.at(20, sim.heal)
--- end))
--- ```
---@param a neap.sim.Hosts
---@param b? neap.sim.Hosts  default: all others
---@param oneway? boolean  only what a sends to b
function sim.partition(a, b, oneway)
  check_director "partition"
  links.cut(a, b, oneway, 2)
end

--- Let everybody reach everybody: nothing is cut, held or clogged any more.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.host("far", function()
---     require "neap.task".sleep(60)
---   end)
---   sim.partition("far")
---   sim.at(30, sim.heal)
--- end))
--- ```
function sim.heal()
  check_director "heal"
  core.heal()
end

--- Hold what some hosts send each other, until `release`: nothing is lost.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.host("a", function() end)
---   sim.host("b", function() end)
---   sim.hold("a", "b")
---   sim.at(5, function()
---     sim.release("a", "b")
---   end)
--- end))
--- ```
---@param a neap.sim.Hosts
---@param b? neap.sim.Hosts  default: all others
function sim.hold(a, b)
  check_director "hold"
  links.hold(a, b, true, 2)
end

--- Let go what was held.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.host("a", function() end)
---   sim.hold "a"
---   sim.release "a"
--- end))
--- ```
---@param a neap.sim.Hosts
---@param b? neap.sim.Hosts
function sim.release(a, b)
  check_director "release"
  links.hold(a, b, false, 2)
end

--- Let nothing leave between some hosts and others for a time; it leaves then.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   sim.host("a", function() end)
---   sim.clog("a", nil, 3)
--- end))
--- ```
---@param a neap.sim.Hosts
---@param b? neap.sim.Hosts  default: all others
---@param seconds number
function sim.clog(a, b, seconds)
  check_director "clog"
  check_seconds("clog", seconds)
  links.clog(a, b, seconds, 2)
end

---@class neap.sim.Chaos
---@field every number[]?  the least and the most seconds between two faults; default {1, 8}
---@field lasts number[]?  and how long one lasts; default {0.5, 5}
---@field kinds string[]?  of "partition", "crash" (or `kill`, by chance), "pause", "clog", "skew";
--- default all. Each seed leaves each kind out with probability 1/2
---@field hosts string[]?  that are struck; default all
---@field skew number?  the most seconds by which a clock is moved; default 1

--- Let faults happen, from now on until the clients have ended. Which, when and where is drawn
--- from a stream of its own; each has a number, by which `--shrink` leaves it out. What a
--- partition has cut its end heals, unless the world or another fault has cut it, too.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   for i = 1, 3 do
---     sim.host("n" .. i, function()
---       require "neap.task".sleep(60)
---     end)
---   end
---   sim.chaos {every = {1, 5}, lasts = {1, 3}, kinds = {"partition", "pause", "skew"}}
--- end))
--- ```
---@param plan? neap.sim.Chaos
function sim.chaos(plan)
  check_director "chaos"
  chaos.begin(plan or {}, 2)
end

return sim

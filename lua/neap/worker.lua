--- Lua programs side by side in threads (workers), each with its own state, loop
--- and tasks.
---
--- Two workers share no value: what one gives the other is copied, through the
--- arguments and results of `worker.run` and through channels. So there is nothing
--- to lock, and a worker that fails takes nobody with it.
---
--- What can be copied: nil, booleans, numbers, strings, tables of those (without a
--- metatable, at most 180 inside each other, none in itself), error objects (see
--- neap.error), the arrays and null of neap.json, and channels, which both ends then share.
--- Anything else raises. A message has at most 256 MiB.
---
--- `neap -w 4 server.lua` runs one script in four workers. Each of them listens for
--- itself: the kernel spreads the connections to one port over them
--- (SO_REUSEPORT, which `net.listen` and `net.bind` then set for TCP and UDP; in the
--- workers of `worker.run` the option `reuseport` does it). Port 0 gives each worker a
--- port of its own; a unix path can be had by one only: `if worker.id == 1 then ... end`.
---
--- A worker of `-w` that fails is told of on stderr and started again, after 0.1 to 10
--- seconds; one that fails before the script itself runs (an option `-l` or `-e`, a
--- mistake of syntax) ends them all. Without a script the `-e` are the program, and a
--- worker that fails in them is started again.
---
--- Under `-w` SIGINT and SIGTERM make all workers drain (see `task.idle`), for
--- `--drain=SECONDS`, and then cancel them. SIGHUP reads the script anew and replaces the
--- workers one by one: a successor listens by the very sockets of the one before it, where it
--- asks for the same endpoints, and that one drains when the other serves, or has said
--- `READY=1` (`process.notify`), or has lived for ten seconds. One that fails before that
--- leaves the old one. SIGUSR2 replaces the whole process so (`process.restart`). A worker
--- may wait for signals (`neap.signal`), also for these, which are then its own; each
--- that waits gets them. What a signal does, `signal.ignore` and `signal.default`, is the main
--- program's (EBUSY). `os.exit` ends the worker that calls it.
---
--- What is the process's, such as its working folder, is every worker's. So is standard
--- input: workers that read it race for what comes, and the script of `-w N -`, which is
--- read from there, goes to one of them only. `arg` has no negative indexes in a worker.
---
--- `neap ps` and `neap socks` show each worker behind the main thread, `neap attach PID/2`
--- is a prompt in worker 2. `--trace=FILE` beside `-w` writes of worker 2 to `FILE.2`
--- (`x.pcapng`: `x.2.pcapng`), and of who takes its place to `FILE.2-1`. A deadlock is told
--- of only among the tasks of one thread: who waits for a channel of workers that nobody
--- feeds or closes any more waits silently.

local alone = require "neap.worker.alone"
local core = require "neap.worker.core"
local sched = require "neap.task.core"

local error, pcall, type = error, pcall, type
local gsub = string.gsub

--- The kinds of programs (worker/worker.h).
local FILE, FUNCTION = 0, 2

---@class neap.worker
---@field id integer  of this worker: from 1, 0 in the main program. `neap -w N` has 1 to N
---@field count integer  how many workers run this script (`neap -w`); else 0
local worker = {}
worker.id, worker.count = core.self()

--- Pass on what a core function returned; what it raised is told at the script's line.
local function told(name, ok, ...)
  if ok then
    return ...
  end
  local err = ...
  error(type(err) == "string" and gsub(err, "'%?'", "'" .. name .. "'") or err, 3)
end

--- Seconds between the interrupts of a worker that goes on: worker/worker_thread.c.
local PATIENCE = 1

local function ended(w)
  w:wait()
  return true
end

local function interrupt(w)
  w:interrupt()
  while not sched.timeout(PATIENCE, ended, w) do
    w:interrupt(true)
  end
end

core.interrupt = interrupt

--- Wait for a worker's end. Who is interrupted meanwhile interrupts the worker, and
--- still waits until it has ended.
function core.await(w)
  local ok, reason = pcall(w.wait, w)
  if not ok then
    sched.shield(interrupt, w)
    error(reason, 0)
  end
end

--- Run a script, or a function, in a worker of its own, and wait until it has ended.
---
--- It is the worker's main program: what it spawns belongs to the worker, which ends
--- when all of that has. When the caller is cancelled or its time is up, so is the
--- worker, also while it computes; what it still runs a second later is interrupted
--- again and again, and no `pcall` keeps that to itself. Only a function of C that
--- takes long (a pattern that backtracks) and a finalizer (`__gc`) are waited for. A function runs in the other
--- state: it has its arguments and globals, but none of the locals around it, and
--- requires what it needs by itself.
---
--- ```lua
--- local task = require "neap.task"
--- local worker = require "neap.worker"
---
--- local function sum(from, to)
---   local n = 0
---   for i = from, to do
---     n = n + i
---   end
---   return n
--- end
---
--- local results = task.all {
---   function()
---     return worker.run(sum, 1, 50000)
---   end,
---   function()
---     return worker.run(sum, 50001, 100000)
---   end,
--- }
--- print(results[1] + results[2])  --> 5000050000
---
--- print(select(2, worker.run(function()
---   os.exit(3)
--- end)))  --> worker ...: it ended with status 3 (EWORKER)
--- ```
---@async
---@param program string|function  the path of a script, or a Lua function without upvalues
---@param ... any  its arguments
---@return any ...  what it returned; nil when it failed
---@return neap.Error? err  EWORKER: it raised (what, is on stderr too) or ended with a status,
--- `err.status`, that is not 0; EAGAIN: no more threads; EMFILE: no more descriptors. Of an
--- error object that it raised there is the text, in `err.message`, and neither its code nor
--- its fields: what the caller is to tell apart the worker returns. `err.began`: whether the
--- program ran at all; false for a script that cannot be read, or has a mistake of syntax
function worker.run(program, ...)
  local w, err
  if type(program) == "string" then
    w, err = told("run", pcall(core.start, nil, 0, FILE, program, nil, ...))
  elseif type(program) == "function" then
    local code, name = alone(program, "run", "a worker", 2)
    w, err = told("run", pcall(core.start, nil, 0, FUNCTION, name, code, ...))
  else
    error("run: a script's path or a function expected, got " .. type(program), 2)
  end
  if not w then
    return nil, err
  end
  core.await(w)
  return w:results()
end

--- A channel between workers: a queue of copied values. Whoever asks for the same
--- name in this process gets the same channel; one without a name is passed on as
--- an argument or in a message. It lives while somebody holds it, or can receive
--- it, and with a name also while there is something in it.
---
--- ```lua
--- local task = require "neap.task"
--- local worker = require "neap.worker"
---
--- local jobs, results = worker.channel(), worker.channel()
--- for _ = 1, 2 do
---   task.spawn(worker.run, function(jobs, results)
---     for n in jobs:each() do
---       results:send {n = n, square = n * n}
---     end
---   end, jobs, results)
--- end
--- local sum = 0
--- for n = 1, 10 do
---   jobs:send(n)
--- end
--- for _ = 1, 10 do
---   sum = sum + results:recv().square
--- end
--- print(sum)  --> 385
--- jobs:close()
--- ```
---@param name? string  without zero bytes
---@param capacity? integer  messages that it holds, 1 to 1048576; default 64. Raises when
--- the channel is there with another one
---@return neap.WorkerChannel
function worker.channel(name, capacity)
  local channel = told("channel", pcall(core.channel, name, capacity))
  return channel
end

return worker

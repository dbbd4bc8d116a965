--- Child processes, whose pipes are streams.
---
--- ```lua
--- local process = require "neap.process"
---
--- local p <close> = assert(process.spawn {"sort", stdin = "pipe", stdout = "pipe"})
--- p.stdin:write("b\n", "a\n")
--- p.stdin:close()
--- for line in p.stdout:lines() do
---   print(line)
--- end
--- --> a
--- --> b
--- assert(p:wait() == 0)
--- ```
---
--- A command is a program and its arguments, not a line for a shell: nothing in
--- it is expanded. `{"sh", "-c", line}` asks for a shell.
---
--- **What a child has started ends with it.** A child that has no terminal among its
--- stdin, stdout and stderr leads a process group of its own (`group`), to which belongs
--- what it starts, unless that leaves it (setsid(2)). To close the Process, by `close`, by
--- `<close>`, or by cancelling what has it in hand, ends all of them, though the child
--- itself may have ended before: by SIGTERM, and by SIGKILL when the `grace` is over. The
--- program's end waits for that, 5 seconds at most, and then kills what is left.
---
--- ```lua
--- local process = require "neap.process"
--- local task = require "neap.task"
---
--- print(task.timeout(0.1, process.run, {"sh", "-c", "sleep 60 | sleep 60", grace = 1}))
--- --> nil timeout: the time is up (ETIMEDOUT)
--- -- neither the shell nor a sleep is left
--- ```
---
--- A child at our terminal stays in our group, so that ^C, also at the prompt, is a SIGINT
--- for it, too. One in a group of its own that opens /dev/tty to ask for a password (ssh,
--- sudo) is stopped by that: give it `group = false`. Killed by SIGKILL, or by a second
--- SIGTERM, neap ends no child.
---
--- A program that keeps children going calls `signal.ignore "SIGPIPE"` if whoever reads
--- its output may go (a logger behind `2>&1 |`): else the next `print`, or report on stderr,
--- ends it.

local core = require "neap.process.core"
local error_object = require "neap.error"
local sched = require "neap.task.core"
local whole = require "neap.net.whole"

local error, ipairs, pairs, pcall, type = error, ipairs, pairs, pcall, type
local tostring, mathtype = tostring, math.type
local format, gsub = string.format, string.gsub

--- Bytes of each output that `run` keeps, unless told otherwise.
local MAX = 64 * 1024 * 1024

---@class neap.process
local process = {
  pid = core.pid,
  spawn = core.spawn,
  env = core.env,
}

---@class neap.process.RunOptions: neap.process.Options
---@field input string?  what the child reads; it need not read all of it
---@field max integer?  the most bytes to keep of each output; default 64 MiB

---@class neap.process.Result
---@field code integer  exit status, or 128 + the number of the signal
---@field signal string?  that ended it: "SIGKILL"
---@field stdout string?  all of it, where it is a pipe (the default)
---@field stderr string?

local own = {input = true, max = true}

--- What `run` passes on to `spawn`.
local function child_options(options)
  local copy = {stdout = "pipe", stderr = "pipe"}
  for key, value in pairs(options) do
    if not own[key] then
      copy[key] = value
    end
  end
  if options.input ~= nil then
    if type(options.input) ~= "string" then
      error("bad argument #1 to 'run' (input: a string expected)", 3)
    elseif options.stdin ~= nil then
      error("bad argument #1 to 'run' (input and stdin exclude each other)", 3)
    end
    copy.stdin = "pipe"
  elseif options.stdin == "pipe" then
    error("bad argument #1 to 'run' (stdin cannot be a pipe here: give input)", 3)
  end
  return copy
end

local function feed(stream, input)
  local ok, err = stream:write(input)
  stream:close()
  if not ok and err.code ~= "EPIPE" then
    return nil, err
  end
  return true
end

local function collect(stream, max)
  local bytes, err = whole(stream, max)
  if bytes or err then
    return bytes, err
  end
  return nil, error_object.new {
    code = "EMSGSIZE", op = "run", message = format("more than %d bytes of output", max),
  }
end

--- Run a child to its end, with all its outputs read at the same time. When the
--- caller is cancelled or `max` is exceeded, the child is told to end, with its group;
--- what it leaves running when it ends by itself goes on.
---
--- ```lua
--- local process = require "neap.process"
---
--- local result = assert(process.run {"tr", "a-z", "A-Z", input = "hello\n"})
--- print(result.code, result.stdout)  --> 0 HELLO
--- print(process.run({"sh", "-c", "kill $$"}).signal)  --> SIGTERM
--- ```
---@async
---@param options neap.process.RunOptions  stdout and stderr default to "pipe"
---@return neap.process.Result? result  for every exit status: look at `code`
---@return neap.Error? err  of `spawn`, or EMSGSIZE
function process.run(options)
  if type(options) ~= "table" then
    error(format("bad argument #1 to 'run' (table expected, got %s)", type(options)), 2)
  end
  local max = options.max or MAX
  if mathtype(max) ~= "integer" or max < 0 then
    error("bad argument #1 to 'run' (max: a number of bytes expected)", 2)
  end
  sched.check "run" -- before anything is started
  local ok, child, spawn_error = pcall(core.spawn, child_options(options))
  if not ok then
    local message = gsub(tostring(child), "'[%w.]*'", "'run'", 1)
    error(message, 2)
  elseif not child then
    return nil, spawn_error
  end
  local p <close> = child
  local result = {}
  local failure

  -- Closing the pipes ends the other tasks, too.
  local function check(value, err)
    if not value and not failure then
      failure = err
      p:close()
    end
    return value
  end

  sched.scope(function(scope)
    if options.input then
      scope:spawn(function()
        check(feed(p.stdin, options.input))
      end)
    end
    for _, name in ipairs {"stdout", "stderr"} do
      if p[name] then
        scope:spawn(function()
          result[name] = check(collect(p[name], max))
        end)
      end
    end
  end)
  if failure then
    return nil, failure
  end
  result.code, result.signal = p:wait()
  core.leave(p)
  return result
end

--- Tell the service's manager how this process is (sd_notify(3), by NOTIFY_SOCKET), as
--- lines of `NAME=value`: `READY=1` when it serves, `STATUS=...` for people.
---
--- With `READY=1` the loop begins to beat where the manager wants that (`WatchdogSec=`,
--- WATCHDOG_USEC), for as long as it goes on, and the end is told (`STOPPING=1`) when a
--- signal begins it. Of the workers of `neap -w` each says so, and the manager is told when
--- all have; the beats stop when the loop of one of them does.
---
--- ```lua
--- local process = require "neap.process"
---
--- print(process.notify "READY=1\nSTATUS=at your service")  --> false
--- ```
---@async
---@param state string
---@return boolean? told  false: there is no manager
---@return neap.Error? err  ECONNREFUSED, ENOENT, EACCES, ...
function process.notify(state)
  local ok, told, err = pcall(require "neap.process.service".notify, state)
  if not ok then
    error(told, 2)
  elseif told == nil then
    return nil, err
  end
  return told
end

--- Start the program anew, as a new process with the same command line, and end this one:
--- for a new version of it, or of neap. No connection is lost: the new process gets the
--- listening sockets where it asks for the same endpoints, and this one gets its SIGTERM,
--- on which it drains (see `task.idle`), when the other serves what this one did. That is
--- when it accepts from all the listeners that it has inherited, or says `READY=1`
--- (`process.notify`). Of what else is open here it gets stdin, stdout and stderr, and what
--- the service's manager has given. A systemd service tells its manager of the new main
--- process (`Type=notify`, `NotifyAccess=all`).
---
--- `neap -w` does so on SIGUSR2.
---
--- ```lua
--- local net = require "neap.net"
--- local process = require "neap.process"
--- local signal = require "neap.signal"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- local serving = task.spawn(listener.serve, listener, function(stream)
---   stream:write "hello\n"
--- end)
--- local restarting = task.spawn(function()
---   for _ in signal.each "SIGUSR2" do
---     local ok, err = process.restart()
---     print(ok, err) -- it goes on, where the new one does not start
---   end
--- end)
--- task.sleep(0.01)
--- restarting:cancel()
--- listener:close()
--- serving:join()
--- ```
---@async
---@return true? ok  SIGTERM is on its way
---@return neap.Error? err  ECHILD: the new process ended before it served, which it has told on
--- stderr; EALREADY: one is being started; EPERM: this is process 1; ENOTSUP, EAGAIN, EMFILE
function process.restart()
  return require "neap.process.service".restart()
end

return process

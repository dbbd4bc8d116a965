--- Child processes, whose pipes are streams.
---
---     local p <close> = assert(process.spawn {"sort", stdin = "pipe", stdout = "pipe"})
---     p.stdin:write("b\n", "a\n")
---     p.stdin:close()
---     print(p.stdout:read "a")
---     assert(p:wait() == 0)
---
--- A command is a program and its arguments, not a line for a shell: nothing in
--- it is expanded. `{"sh", "-c", line}` asks for a shell.

local core = require "neap.process.core"
local error_object = require "neap.error"
local task = require "neap.task"
local check_waiting = require "neap.task.core".check

--- Bytes of each output that `run` keeps, unless told otherwise.
local MAX = 64 * 1024 * 1024

---@class neap.process.Options
---@field [integer] string  the program, looked up in PATH unless it has a "/", and its arguments
---@field stdin? neap.process.Stdio  default "null"
---@field stdout? neap.process.Stdio  default "inherit"
---@field stderr? neap.process.Stdio|"stdout"  default "inherit"; "stdout": where stdout goes
---@field cwd? string  the folder to run in
---@field env? table<string, string>  the whole environment, see `process.env`; default ours
---@field detached? boolean  in a session of its own; closing the Process leaves it alone
---@field uid? integer  user and group to run as, for root
---@field gid? integer

--- What a child's input or output is: the null device; what ours is; a pipe,
--- whose other end is a stream of the Process; an open file or stream (flush it
--- before; the child shares its position, so close it here).
---@alias neap.process.Stdio "null"|"inherit"|"pipe"|file*|neap.Stream

--- A child. It is reaped when it ends, whether or not anyone waits for it; a
--- Process that is collected lets its child run on.
---@class neap.Process
---@field pid integer
---@field status "running"|"exited"|"killed"
---@field code integer?  once it has ended: its exit status, or 128 + the number of its signal
---@field signal string?  once a signal has ended it: "SIGTERM"
---@field stdin neap.Stream?  our end, where it is a pipe
---@field stdout neap.Stream?
---@field stderr neap.Stream?
---@field wait fun(self): integer?, (string|neap.Error)?  suspends until it has ended:
--- its code, and the name of the signal that ended it. Any number of tasks may wait
---@field kill fun(self, signal?: string): true?, neap.Error?  default "SIGTERM"; ESRCH once
--- it has ended, for the pid may be another's by then
---@field close fun(self): true  closes its pipes, and sends SIGTERM to a child that still
--- runs and is not detached; `<close>` does the same. It does not wait, `wait` may follow

---@class neap.process
---@field pid integer  of this process
local process = {pid = core.pid}

--- Start a child. It has no descriptor of ours but the three it is given, the
--- default action for every signal, and no signal blocked. Raises for options
--- that are wrong or unknown; fails with ENOENT, EACCES, E2BIG, EPERM, EMFILE, ...
--- (`err.endpoint` is the program, or the folder when that is to blame).
---@type fun(options: neap.process.Options): neap.Process?, neap.Error?
process.spawn = core.spawn

--- A copy of the environment, to change and pass as `env`.
---@type fun(): table<string, string>
process.env = core.env

---@class neap.process.RunOptions: neap.process.Options
---@field input? string  what the child reads; it need not read all of it
---@field max? integer  the most bytes to keep of each output; default 64 MiB

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
  local parts, size = {}, 0
  while true do
    local chunk, err = stream:recv()
    if err then
      return nil, err
    elseif not chunk then
      return table.concat(parts)
    end
    size = size + #chunk
    if size > max then
      return nil, error_object.new {
        code = "EMSGSIZE", op = "run", message = ("more than %d bytes of output"):format(max),
      }
    end
    parts[#parts + 1] = chunk
  end
end

--- Run a child to its end, with all its outputs read at the same time. When the
--- caller is cancelled or `max` is exceeded, the child is sent SIGTERM.
---@param options neap.process.RunOptions  stdout and stderr default to "pipe"
---@return neap.process.Result? result  for every exit status: look at `code`
---@return neap.Error? err  of `spawn`, or EMSGSIZE
function process.run(options)
  if type(options) ~= "table" then
    error(("bad argument #1 to 'run' (table expected, got %s)"):format(type(options)), 2)
  end
  local max = options.max or MAX
  if math.type(max) ~= "integer" or max < 0 then
    error("bad argument #1 to 'run' (max: a number of bytes expected)", 2)
  end
  check_waiting "run" -- before anything is started
  local ok, child, spawn_error = pcall(core.spawn, child_options(options))
  if not ok then
    local message = tostring(child):gsub("'[%w.]*'", "'run'", 1)
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

  task.scope(function(scope)
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
  return result
end

return process

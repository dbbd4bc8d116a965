--- A second neap, for what is not to happen to the one that tests.

local lfs = require "lfs"
local process = require "neap.process"
local time = require "neap.time"

-- The one that a spec finds in a test; what `require "busted"` has begins a test.
local pending = require "busted.core"().pending

local child = {}

--- The folder of the build under test, where the environment names it.
child.build = os.getenv "NEAP_BUILD"

local build = child.build or "build"
if build:sub(1, 1) ~= "/" then
  build = lfs.currentdir() .. "/" .. build
end

--- The executable under test, from wherever it is started.
child.neap = build .. "/neap"

--- What build that is, as its folder says: "release", "check", "threads"; check is
--- "stress" where it collects all garbage before each resume.
child.kind = os.getenv "NEAP_STRESS" and "stress" or build:match "/build%-([^/]+)/*$" or "release"

--- Does a sanitizer make it slower, and its memory more?
child.sanitized = child.kind ~= "release"

--- Does it collect all garbage before each resume?
child.stress = child.kind == "stress"

--- How many of something are many: sanitizers make a build some ten times slower.
child.many = child.stress and 100 or child.kind == "check" and 1000 or 10000

--- Code for `neap -e`, which has no arguments of its own, that finds some in `...`
--- and `arg`.
---@param script string
function child.code(script, ...)
  local arguments = {...}
  if #arguments == 0 then
    return script
  end
  for i, value in ipairs(arguments) do
    arguments[i] = ("%q"):format(value)
  end
  return ("arg = {%s}; return (function(...) %s\nend)(table.unpack(arg))"):format(
    table.concat(arguments, ", "), script)
end

local function env_with(options)
  local env = process.env()
  env.ASAN_OPTIONS = options
  return env
end

--- Run a script (as `neap -e` does) to its end: code, stdout, stderr.
---@param script string
---@param ... string  what the script finds in `...`
function child.run(script, ...)
  return assert(process.run {child.neap, "-e", child.code(script, ...)})
end

--- How many seconds a process has been ready to run so far, and had no processor: a
--- busy machine makes it wait, and counts what it computes by that no sooner.
---@param pid integer
---@return number
function child.waited(pid)
  local file <close> = io.open(("/proc/%d/schedstat"):format(pid))
  local ns = file and file:read "a":match "^%d+ (%d+)"
  return ns and ns / 1e9 or 0
end

--- Call f: the seconds that it took, how many of them this process waited for a
--- processor, and its results.
---@param f function
function child.timed(f, ...)
  local before, waited = time.now(), child.waited(process.pid)
  local results = table.pack(f(...))
  local took = time.now() - before
  return took, child.waited(process.pid) - waited, table.unpack(results, 1, results.n)
end

--- A copy of the executable that others may run, too: a folder above the executable
--- may be closed to them. It has the same name, in a folder of its own; second comes
--- a function that removes both.
function child.copy()
  local folder = os.tmpname()
  local path = folder .. "/neap"
  local copied = assert(process.run {"sh", "-c",
    'rm "$1" && mkdir "$1" && cp "$0" "$1/neap" && chmod 755 "$1" "$1/neap"', child.neap, folder})
  assert(copied.code == 0, copied.stderr)
  return path, function()
    os.remove(path)
    os.remove(folder)
  end
end

--- Run a command of neap as a user who owns nothing.
---@param command table  as of process.run, without the executable
---@param before? string[]  what goes before the executable
function child.run_as_nobody(command, before)
  local path, remove = child.copy()
  local _ <close> = setmetatable({}, {__close = remove})
  table.insert(command, 1, path)
  for i, word in ipairs(before or {}) do
    table.insert(command, i, word)
  end
  command.uid, command.gid, command.cwd = 65534, 65534, "/"
  return assert(process.run(command))
end

--- Run a script where no thread can be had, which root always can, with the executable's
--- file as its stdin.
---@param script string
function child.run_without_threads(script)
  local limited = {"sh", "-c", 'exec prlimit --nproc=1:1 -- "$0" "$@" < "$0"'}
  local env = env_with "detect_leaks=0" -- for which a thread is made, too
  if assert(process.run {"id", "-u"}).stdout == "0\n" then
    return child.run_as_nobody({"-e", script, env = env}, limited)
  end
  table.move({child.neap, "-e", script}, 1, 3, #limited + 1, limited)
  limited.env = env
  return assert(process.run(limited))
end

--- How many lines of what it wrote match.
---@param text string
---@param pattern string
function child.count_lines(text, pattern)
  local n = 0
  for line in text:gmatch "[^\n]+" do
    n = n + (line:find(pattern) and 1 or 0)
  end
  return n
end

--- An environment for children in which functions of the C library are these; a variable
--- that is to be closed.
---@param source string  in C
function child.preloading(source)
  local library = os.tmpname()
  local env = setmetatable(env_with "verify_asan_link_order=0:detect_leaks=0", {
    __close = function()
      os.remove(library)
    end,
  })
  local built = assert(process.run {
    "cc", "-x", "c", "-shared", "-fPIC", "-o", library, "-", input = source,
  })
  assert(built.code == 0, built.stderr)
  env.LD_PRELOAD = library
  return env
end

--- A path at which there is nothing.
function child.missing()
  local path = os.tmpname()
  os.remove(path)
  return path .. "/none"
end

--- The same, where a sanitizer keeps no freed memory, which would count as used.
function child.run_lean(script)
  return assert(process.run {
    child.neap, "-e", script,
    env = env_with "detect_leaks=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0",
  })
end

--- Run it where so many MiB of memory are all, or for a sanitizer, which needs much more,
--- 4 MiB at once.
---@param size integer
---@param script string
---@param source? string  a line of sh that writes what it reads
function child.run_short_of_memory(size, script, source)
  local line = ([[exec prlimit --as=%d -- "$0" -e "$1"]]):format(size << 20)
  local env
  if child.sanitized then
    line = 'exec "$0" -e "$1"'
    env = env_with "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4"
    env.TSAN_OPTIONS = (env.TSAN_OPTIONS or "") .. ":allocator_may_return_null=1:max_allocation_size_mb=4"
  end
  if source then
    line = source .. " | " .. line
  end
  return assert(process.run {"sh", "-c", line, child.neap, script, env = env})
end

--- Run it under strace with these of its options; the result has the lines of
--- its log, too.
---@param options string[]
---@param script string
function child.strace(options, script)
  local path = os.tmpname()
  local command = {"strace", "-qq", "-o", path, env = env_with "detect_leaks=0"} -- not under ptrace
  table.move(options, 1, #options, #command + 1, command)
  for _, word in ipairs {child.neap, "-e", script} do
    command[#command + 1] = word
  end
  local result = assert(process.run(command))
  result.calls = {}
  for line in io.lines(path) do
    result.calls[#result.calls + 1] = line
  end
  os.remove(path)
  return result
end

--- Was each refusal one that epoll could have made? What it has already, it never refuses. A call
--- of one thread may end behind those of another: then it is in two lines.
local function is_possible(calls)
  local there, begun = {}, {}
  for _, line in ipairs(calls) do
    local thread = line:match "^%d+"
    local set, what, fd = line:match "epoll_ctl%((%d+), EPOLL_CTL_(%u+), (%d+),"
    if set then
      begun[thread] = {pair = set .. " " .. fd, what = what}
    end
    local call, answer = begun[thread], line:match ".* = (%-?%d+)"
    if call and answer then
      if line:find "INJECTED" and (call.what ~= "ADD" or there[call.pair]) then
        return false
      elseif answer == "0" then
        there[call.pair] = call.what ~= "DEL"
      end
    end
  end
  return true
end

--- Run it again and again, each time with another of its descriptors refused by epoll: a
--- list of results. In which order they are added need not be the same each time.
---@param script string
function child.unwatched(script)
  local counts, most = {}, 0
  for _, line in ipairs(child.strace({"-f", "-e", "trace=epoll_ctl"}, script).calls) do
    local thread = line:match "^(%d+) +epoll_ctl" -- strace counts for each by itself
    if thread then
      counts[thread] = (counts[thread] or 0) + 1
      most = math.max(most, counts[thread])
    end
  end
  local results = {}
  for n = 1, most do
    local result = child.strace({
      "-f", "-e", "trace=epoll_ctl", "-e", "inject=epoll_ctl:error=ENOSPC:when=" .. n,
    }, script)
    if is_possible(result.calls) then
      results[#results + 1] = result
    end
  end
  return results
end

--- Run it in a network of its own, behind what a line of sh does there: its
--- stdout. Pending where that may not be done.
---@param setup string
---@param script string
---@return string
function child.isolated(setup, script)
  local result = assert(process.run {
    "unshare", "-n", "sh", "-c", "ip link set lo up; " .. setup .. '; exec "$0" -e "$1"',
    child.neap, script,
  })
  if result.stderr:find "^unshare:" then
    pending "no network namespaces here"
  elseif result.stderr ~= "" then
    error(result.stderr)
  end
  return result.stdout
end

--- Start it behind a line of sh that may set limits before "$@"; its stdout is
--- a pipe, and stderr too where that is asked for.
---@param line string  'ulimit -n 64; exec "$@"'
---@param script string
---@param stderr? "pipe"
---@return neap.Process
function child.start(line, script, stderr)
  return assert(process.spawn {
    "sh", "-c", line, "sh", child.neap, "-e", script, stdout = "pipe", stderr = stderr,
  })
end

--- Processor time of a process so far, in seconds.
---@param pid integer
function child.cpu(pid)
  local file <close> = assert(io.open(("/proc/%d/stat"):format(pid)))
  local fields = {}
  for field in file:read "a":match "%) (.*)":gmatch "%S+" do
    fields[#fields + 1] = field
  end
  return (fields[12] + fields[13]) / 100 -- utime, stime: proc(5)
end

--- Its resident memory, in bytes; ours without a pid.
---@param pid? integer
function child.memory(pid)
  local file <close> = assert(io.open(("/proc/%s/statm"):format(pid or "self")))
  return tonumber(file:read "a":match "^%d+ (%d+)") * 4096
end

return child

--- Files: read and written whole, as streams, listed, watched and locked, while only the
--- task waits that asks.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- assert(fs.write(path, "first\n"))
--- assert(fs.append(path, "second\n"))
--- print(fs.read(path))  --> first
--- --> second
--- print(fs.stat(path).size)  --> 13
--- assert(fs.remove(path))
--- print(fs.read(path) == nil)  --> true
--- ```
---
--- A disk may be slow, and a server of files dead: each call is made in a thread, and
--- other tasks go on. 32 go on at a time of what `fs` does, and as many of each
--- `fs.root`; others wait in order. Cancelling the task, or a timeout, wakes it at once;
--- what its thread is at then goes on for as long as the kernel keeps it, and a write is
--- done whole or not at all. The program's end waits for writes, five seconds at most.
---
--- What fails is returned as nil and an error that names the path: `read /nowhere: no such
--- file or directory (ENOENT)`. `socks` shows the streams of `fs.open`, and so does a
--- trace whose filter names `file`; whole reads and writes are in neither.

local check_self = require "neap.class.core".check_self
local core = require "neap.fs.core"
local error_object = require "neap.error"
local sched = require "neap.task.core"
local whole = require "neap.net.whole"

local error, ipairs, next, pairs, require, type = error, ipairs, next, pairs, require, type
local tostring, mathtype = tostring, math.type
local concat, remove_last, sort = table.concat, table.remove, table.sort
local find, format, match = string.find, string.format, string.match
local sleep = sched.sleep

local Root, here = core.Root, core.here

--- Bytes that `read` gives at most, unless told otherwise.
local MAX = 256 * 1024 * 1024

--- Flags of core's functions.
local ATOMIC, APPEND, SYNC = 1, 2, 4
local RECURSIVE, NOFOLLOW = 1, 1

--- While somebody else has what is waited for, it is looked for so often, s.
local SOONEST, LATEST = 0.001, 0.05

---@class neap.fs
local fs = {}


-- Arguments. What is wrong in them is told at the line of who called the public function,
-- which calls these itself.

local function wrong(n, name, what)
  error(format("bad argument #%d to '%s' (%s)", n, name, what), 4)
end

local function check_path(path, n, name)
  if type(path) ~= "string" then
    wrong(n, name, format("a path expected, got %s", type(path)))
  elseif find(path, "\0", 1, true) then
    wrong(n, name, "a path has no zero byte")
  end
end

local function is_mode(value)
  return mathtype(value) == "integer" and value >= 0 and value <= 4095 -- 07777
end

local function is_count(value)
  return mathtype(value) == "integer" and value >= 0
end

local function is_speed(value)
  return is_count(value) and value >= 1 and value <= 20000000
end

local function is_flag(value)
  return type(value) == "boolean"
end

--- One of these.
local function one_of(...)
  local list = {...}
  local is = {}
  for i, value in ipairs(list) do
    is[value] = true
    list[i] = format(type(value) == "string" and "'%s'" or "%d", value)
  end
  local last = remove_last(list)
  return {function(value) return is[value] ~= nil end, concat(list, ", ") .. " or " .. last .. " expected"}
end

local kinds = {
  mode = {is_mode, "permission bits, as tonumber(\"644\", 8), expected"},
  max = {is_count, "a number of bytes expected"},
  depth = {is_count, "a whole number expected"},
  speed = {is_speed, "bits in a second, from 1 to 20000000, expected"},
  bits = one_of(5, 6, 7, 8),
  parity = one_of("none", "even", "odd"),
  stop = one_of(1, 2),
  flow = one_of("none", "hardware", "software"),
}

local flag = {is_flag, "true or false expected"}

--- The options, or none.
local function check_options(opts, n, name, known)
  if opts == nil then
    return {}
  elseif type(opts) ~= "table" then
    wrong(n, name, format("table expected, got %s", type(opts)))
  end
  local copy = {}
  for key, value in next, opts do
    if not known[key] then
      wrong(n, name, format("unknown option '%s'", tostring(key)))
    end
    local kind = kinds[key] or flag
    if not kind[1](value) then
      wrong(n, name, format("option '%s': %s", key, kind[2]))
    end
    copy[key] = value
  end
  return copy
end

--- `flags` has a bit where `is`.
local function with(flags, is, bit)
  return is and flags | bit or flags
end

--- Ask until another one gives way.
local function patiently(f, ...)
  local pause = SOONEST
  while true do
    local result, err = f(...)
    if result then
      return result
    elseif err.code ~= "EAGAIN" then
      return nil, err
    end
    sleep(pause)
    pause = pause < LATEST and 2 * pause or LATEST
  end
end

--- Path and name in one.
local function join(path, name)
  if path == "" or path == "." then
    return name
  end
  return find(path, "/$") and path .. name or path .. "/" .. name
end

core.join = join -- for neap.fs.watch


-- Whole files

--- All that a FIFO or a device gives.
local function drain(opened, path, max)
  local stream <close> = opened
  local bytes, err = whole(stream, max)
  if bytes or err then
    return bytes, err
  end
  return nil, error_object.new {
    code = "EFBIG", op = "read", endpoint = path, message = format("more than %d bytes", max),
  }
end

--- Write it all to a stream.
local function fill(opened, bytes)
  local stream <close> = opened
  local ok, err = stream:write(bytes)
  if ok then
    ok, err = stream:flush()
  end
  if not ok then
    return nil, err
  end
  return true
end

local read_options = {max = true}

local function read(root, path, opts)
  check_path(path, 1, "read")
  local max = check_options(opts, 2, "read", read_options).max or MAX
  local result, err = core.read(root, path, max)
  if not result then
    return nil, err
  end
  if type(result) == "string" then
    return result
  end
  return drain(result, path, max)
end

local write_options = {mode = true, atomic = true, sync = true}
local append_options = {mode = true, sync = true}

local function put(root, path, bytes, mode, flags)
  local result, err = patiently(core.write, root, path, bytes, flags, mode or -1)
  if not result then
    return nil, err
  end
  if result == true then
    return true
  end
  return fill(result, bytes)
end

local function check_bytes(bytes, name)
  if type(bytes) ~= "string" then
    wrong(2, name, format("string expected, got %s", type(bytes)))
  end
end

local function write(root, path, bytes, opts)
  check_path(path, 1, "write")
  check_bytes(bytes, "write")
  opts = check_options(opts, 3, "write", write_options)
  local flags = with(0, opts.atomic ~= false, ATOMIC)
  return put(root, path, bytes, opts.mode, with(flags, opts.sync ~= false, SYNC))
end

local function append(root, path, bytes, opts)
  check_path(path, 1, "append")
  check_bytes(bytes, "append")
  opts = check_options(opts, 3, "append", append_options)
  return put(root, path, bytes, opts.mode, with(APPEND, opts.sync, SYNC))
end


-- Streams

local modes = {r = true, w = true, a = true, ["r+"] = true, ["w+"] = true, ["a+"] = true}
local open_options = {
  mode = true, new = true, speed = true, bits = true, parity = true, stop = true, flow = true,
}

local function check_mode(mode)
  if not modes[mode] then
    wrong(2, "open", "'r', 'w', 'a', 'r+', 'w+' or 'a+' expected")
  end
end

local function check_line(opts)
  if not opts.speed and (opts.bits or opts.parity or opts.stop or opts.flow) then
    wrong(3, "open", "a serial line's options, and no speed")
  end
end

local function open(root, path, mode, opts)
  check_path(path, 1, "open")
  mode = mode == nil and "r" or mode
  check_mode(mode)
  opts = check_options(opts, 3, "open", open_options)
  check_line(opts)
  return patiently(core.open, root, path, mode, opts.mode or 438, opts.new, opts.speed, -- 0666
    opts.bits, opts.parity, opts.stop, opts.flow)
end


-- Names

local function stat(root, path)
  check_path(path, 1, "stat")
  return core.stat(root, path)
end

local function lstat(root, path)
  check_path(path, 1, "lstat")
  return core.stat(root, path, true)
end

local function sorted(names, types)
  if not names then
    return nil, types
  end
  sort(names)
  return names, types
end

local function list(root, path)
  path = path == nil and "." or path
  check_path(path, 1, "list")
  return sorted(core.list(root, path, 0))
end

local walk_options = {depth = true}

local function walk(root, path, opts)
  path = path == nil and "." or path
  check_path(path, 1, "walk")
  local depth = check_options(opts, 2, "walk", walk_options).depth or 1000000
  local names, types = sorted(core.list(root, path, 0))
  if not names then
    return nil, types
  end
  local top = {path = path, names = names, types = types, at = 0, depth = 1}
  return function()
    while top do
      top.at = top.at + 1
      local name = top.names[top.at]
      if name then
        local kind, err = top.types[name], nil
        local found = join(top.path, name)
        if kind == "directory" and top.depth < depth then
          local below, more = sorted(core.list(root, found, NOFOLLOW))
          if below then
            top = {path = found, names = below, types = more, at = 0, depth = top.depth + 1, above = top}
          else
            err = more
          end
        end
        return found, kind, err
      end
      top = top.above
    end
  end
end

local mkdir_options = {parents = true, mode = true}

local function mkdir(root, path, opts)
  check_path(path, 1, "mkdir")
  opts = check_options(opts, 2, "mkdir", mkdir_options)
  return core.mkdir(root, path, with(0, opts.parents, RECURSIVE), opts.mode or 511) -- 0777
end

local remove_options = {recursive = true}

local function remove(root, path, opts)
  check_path(path, 1, "remove")
  opts = check_options(opts, 2, "remove", remove_options)
  return core.remove(root, path, with(0, opts.recursive, RECURSIVE))
end

local rename_options = {replace = true}

local function rename(root, from, to, opts)
  check_path(from, 1, "rename")
  check_path(to, 2, "rename")
  opts = check_options(opts, 3, "rename", rename_options)
  return core.rename(root, from, to, opts.replace == false)
end

local function root(self, path)
  check_path(path, 1, "root")
  return core.root(self, path)
end

local watch_options = {recursive = true}

--- Of the program's script: its folder, with a slash at the end; "" where it is none.
local function beside(script)
  return script and match(script, "^.*/") or ""
end

local function check_below(path, n, name)
  if find(path, "^/") or find("/" .. path .. "/", "/../", 1, true) then
    wrong(n, name, "a path below the script's folder expected")
  end
end

local function embedded(path)
  check_path(path, 1, "embedded")
  check_below(path, 1, "embedded")
  local host = require "neap.host"
  if not host.carried() then
    return read(here, beside(host.script()) .. path)
  end
  local bytes = host.carried(path)
  if bytes then
    return bytes
  end
  return nil, error_object.new {op = "embedded", endpoint = path, code = "ENOENT",
    message = "no such file or directory"}
end

local function watch(self, path, opts)
  path = path == nil and "." or path
  check_path(path, 1, "watch")
  opts = check_options(opts, 2, "watch", watch_options)
  return require "neap.fs.watch".open(self, path, opts.recursive)
end

local lock_options = {shared = true, wait = true}

local function lock(self, path, opts)
  check_path(path, 1, "lock")
  opts = check_options(opts, 2, "lock", lock_options)
  if opts.wait == false then
    return core.lock(self, path, opts.shared)
  end
  return patiently(core.lock, self, path, opts.shared)
end


-- The module's functions are those of the root where the process is. They are annotated
-- here, and so told at the script's line (a tail call leaves no frame).

--- All of a file. A FIFO, or a device, is read until its end.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- print(fs.read "/proc/self/comm")  --> neap
--- print(fs.read "/nowhere")  --> nil read /nowhere: no such file or directory (ENOENT)
--- ```
---@async
---@param path string
---@param opts? { max?: integer }  `max`: the most bytes; default 256 MiB
---@return string? bytes
---@return neap.Error? err  ENOENT, EACCES, EISDIR, EFBIG, ...
function fs.read(path, opts)
  return read(here, path, opts)
end

--- Write a file whole: another one is written in the same folder, brought to the disk
--- (fsync), and takes the name, so that whoever reads sees the old one or the new one,
--- also behind a crash. It has the old one's permissions, and where possible its owner.
--- What is no regular file (a FIFO, a device) is written to; a symbolic link is refused
--- (ELOOP).
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- assert(fs.write(path, "secret\n", {mode = tonumber("600", 8)}))
--- print(string.format("%o", fs.stat(path).mode), fs.read(path))  --> 600 secret
--- fs.remove(path)
--- ```
---@async
---@param path string
---@param bytes string
---@param opts? { mode?: integer, atomic?: boolean, sync?: boolean }  `mode`: its permission
--- bits; `atomic = false`: write into the file that is there, also through a link; `sync =
--- false`: leave it to the kernel when it is on the disk
---@return true? ok
---@return neap.Error? err  ENOSPC, EACCES, EISDIR, ELOOP, ...
function fs.write(path, bytes, opts)
  return write(here, path, bytes, opts)
end

--- Write behind the end of a file, which is made if there is none.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- fs.append(path, "a")
--- fs.append(path, "b")
--- print(fs.read(path))  --> ab
--- fs.remove(path)
--- ```
---@async
---@param path string
---@param bytes string
---@param opts? { mode?: integer, sync?: boolean }  as of `write`; but it is synced only if
--- that is said
---@return true? ok
---@return neap.Error? err
function fs.append(path, bytes, opts)
  return append(here, path, bytes, opts)
end

--- What a file is; a symbolic link is followed.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- print(fs.stat("/").type, fs.stat("/dev/null").type)  --> directory character device
--- ```
---@async
---@param path string
---@return neap.fs.Stat? about
---@return neap.Error? err
function fs.stat(path)
  return stat(here, path)
end

--- What a file is, or a symbolic link itself.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- print(fs.lstat("/proc/self").type, fs.stat("/proc/self").type)  --> link directory
--- ```
---@async
---@param path string
---@return neap.fs.Stat? about
---@return neap.Error? err
function fs.lstat(path)
  return lstat(here, path)
end

--- The names in a folder, in their order, and what each is.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local names, types = assert(fs.list "/dev")
--- print(#names > 0, types.null)  --> true character device
--- ```
---@async
---@param path? string  default `"."`
---@return string[]? names  without `.` and `..`
---@return (table<string, string>|neap.Error)? types  by name, as `type` of a Stat; or the error
function fs.list(path)
  return list(here, path)
end

--- All that is below a folder: each folder's names in their order, what is in a folder
--- behind it. Symbolic links are not followed.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local dir = os.tmpname() .. ".d"
--- fs.mkdir(dir .. "/a/b", {parents = true})
--- fs.write(dir .. "/a/c", "")
--- for path, type, err in assert(fs.walk(dir)) do
---   print(path:sub(#dir + 1), type, err)
--- end
--- --> /a directory nil
--- --> /a/b directory nil
--- --> /a/c file nil
--- fs.remove(dir, {recursive = true})
--- ```
---@async
---@param path? string  default `"."`
---@param opts? { depth?: integer }  `depth = 1`: only what is in the folder itself
---@return (fun(): string?, string?, neap.Error?)? each  the path, beginning with that
--- of the folder; what it is, as `type` of a Stat; and why it could not be listed, if it is a folder
---@return neap.Error? err  of the folder itself
function fs.walk(path, opts)
  return walk(here, path, opts)
end

--- Make a folder.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local dir = os.tmpname() .. ".d"
--- assert(fs.mkdir(dir .. "/a/b", {parents = true}))
--- print(fs.mkdir(dir .. "/a") == nil)  --> true
--- fs.remove(dir, {recursive = true})
--- ```
---@async
---@param path string
---@param opts? { parents?: boolean, mode?: integer }  `parents`: those above it, too, and it
--- may be there; `mode`: its permission bits, but for umask's
---@return true? ok
---@return neap.Error? err  EEXIST, ENOENT, ...
function fs.mkdir(path, opts)
  return mkdir(here, path, opts)
end

--- Remove a file, a link or an empty folder; or a folder with all that is in it. No link
--- is followed, also none that takes the place of a folder meanwhile.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- print(fs.remove "/nowhere")  --> nil remove /nowhere: no such file or directory (ENOENT)
--- ```
---@async
---@param path string
---@param opts? { recursive?: boolean }
---@return true? ok
---@return neap.Error? err  ENOTEMPTY, ENOENT, EACCES, ...
function fs.remove(path, opts)
  return remove(here, path, opts)
end

--- Give a file or folder another name, which another file may have had.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- assert(fs.rename(path, path .. ".new"))
--- print(fs.stat(path .. ".new").size)  --> 0
--- fs.remove(path .. ".new")
--- ```
---@async
---@param from string
---@param to string
---@param opts? { replace?: boolean }  `replace = false`: fail (EEXIST) rather than replace
--- what is there
---@return true? ok
---@return neap.Error? err
function fs.rename(from, to, opts)
  return rename(here, from, to, opts)
end

--- A folder that has these functions as methods, whose paths begin in it, and never leave
--- it: a path that would, by `..`, a `/` in front, or a symbolic link, also one that
--- somebody puts there meanwhile, fails with EXDEV. So paths that strangers give can be
--- used as they are. It stays that folder, also when it is renamed, and what other file
--- systems have mounted beneath is beneath it. The kernel sees to it (openat2(2), Linux
--- 5.6; ENOSYS: it can't).
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local root <close> = assert(fs.root "/proc")
--- print(root:read "self/comm")  --> neap
--- print(root:read "../etc/passwd")
--- --> nil read /proc/../etc/passwd: the path leads out of its root (EXDEV)
--- ```
---@async
---@param path string
---@return neap.fs.Root? root
---@return neap.Error? err  ENOENT, ENOTDIR, EACCES, ENOSYS
function fs.root(path)
  return root(here, path)
end

--- Open a file as a stream, with a stream's methods and `seek`. Regular files are read and
--- written by threads, at the position that they have; before the first read behind a
--- write, and the first write behind a read, `seek` must be called, as in C. `flush` waits
--- until all was written, and tells what went wrong; `close` does not wait.
---
--- A FIFO waits in the loop: who reads for a writer and for bytes, who opens it to write
--- for a reader. So does a terminal or a serial line, which `speed` makes raw, without
--- modem control: bytes go through as they are.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- local file <close> = assert(fs.open(path, "w+"))
--- file:write("one\n", "two\n")
--- file:seek("set", 4)
--- print(file:read "l", file:seek())  --> two 8
--- os.remove(path)
--- ```
---@async
---@param path string
---@param mode? "r"|"w"|"a"|"r+"|"w+"|"a+"  as of io.open; default `"r"`
---@param opts? neap.fs.OpenOptions
---@return neap.Stream? file
---@return neap.Error? err  ENOENT, EACCES, EISDIR, EEXIST, ENOTTY (no serial line), ...
function fs.open(path, mode, opts)
  return open(here, path, mode, opts)
end

--- Watch a folder, or a file, and with `recursive` all that is below a folder, also in
--- folders that come into being meanwhile: what is in them when they are found is told,
--- too. Links are not followed. It is inotify(7): what others do over a network is not
--- seen, nor a change through a mapping.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local dir = os.tmpname() .. ".d"
--- fs.mkdir(dir)
--- local watch <close> = assert(fs.watch(dir))
--- fs.write(dir .. "/a", "")
--- fs.remove(dir .. "/a")
--- fs.remove(dir)
--- local event
--- repeat
---   event = watch:next()
--- until event.kind == "removed"
--- print(event.path == dir .. "/a")  --> true
--- ```
---@async
---@param path? string  default `"."`
---@param opts? { recursive?: boolean }
---@return neap.fs.Watch? watch
---@return neap.Error? err  ENOENT; ENOSPC: too many watches; EMFILE: too many Watches
function fs.watch(path, opts)
  return watch(here, path, opts)
end

--- All of a file that belongs to the program, by its path from the script's folder. Of an
--- executable that `neap build --include=PATH` has made it is what that carries; of a script
--- that is run as such it is the file there.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local page = fs.embedded "assets/index.html"
--- print(page or "there is no page")  --> there is no page
--- ```
---@async
---@param path string
---@return string? bytes
---@return neap.Error? err  ENOENT, EISDIR, ...
function fs.embedded(path)
  return embedded(path)
end

--- Lock a file, which is made if there is none, against others who lock it (flock(2)), in
--- this program or another: to be the only one that does something. Who waits looks again,
--- every 50 ms at least; nobody is first in line. The lock is let go of by `close`, at the
--- end of its scope, and when the process ends, however it does. The file stays.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local path = os.tmpname()
--- local lock <close> = assert(fs.lock(path))
--- print(select(2, fs.lock(path, {wait = false})).message)  --> another has locked it
--- os.remove(path)
--- ```
---@async
---@param path string
---@param opts? { shared?: boolean, wait?: boolean }  `shared`: others may share it; `wait =
--- false`: fail with EAGAIN where another has it
---@return neap.fs.Lock? lock
---@return neap.Error? err  EAGAIN, EACCES, ENOENT, ...
function fs.lock(path, opts)
  return lock(here, path, opts)
end

for name, method in pairs {
  watch = watch, lock = lock,
  open = open,
  root = root,
  read = read, write = write, append = append, stat = stat, lstat = lstat, list = list, walk = walk,
  mkdir = mkdir, remove = remove, rename = rename,
} do
  Root[name] = function(self, ...)
    check_self(self, "neap.fs.Root", name)
    return method(self, ...)
  end
end

return fs

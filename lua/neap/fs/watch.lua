--- Watching: what inotify(7) tells, made into events with paths.

local check_self = require "neap.class.core".check_self
local core = require "neap.fs.core"
local timeout = require "neap.task".timeout

local error, ipairs, next, pairs, setmetatable = error, ipairs, next, pairs, setmetatable
local join = core.join
local max = math.max
local concat, remove, sort = table.concat, table.remove, table.sort
local gsub, sub, unpack = string.gsub, string.sub, string.unpack

--- Flags of core's functions.
local BENEATH, NOFOLLOW = 1, 1

--- Bits of inotify's, all of inotify(7).
local MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x8, 0x40, 0x80
local CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
local OVERFLOW, IGNORED, ISDIR = 0x4000, 0x8000, 0x40000000

--- The two halves of a rename are so many events apart, at most; and how long the second one
--- may take, where it is not among what was read with the first, in seconds.
local APART, HALF = 8, 0.01

--- What is told of a folder or file that is watched, and of all below it, if that was
--- asked for. Closed at the end of its scope, or by `close`.
---@class neap.fs.Watch
---@field private stream neap.Stream
local Watch = {}
Watch.__index = Watch
Watch.__name = "neap.fs.Watch"

local function tell(self, event)
  local last = self.events_in[#self.events_in]
  if event.kind == "changed" and last and last.kind == "changed" and last.path == event.path then
    return -- it has not been told yet
  end
  self.events_in[#self.events_in + 1] = event
end

--- It is to be watched, or what is in the folder that was asked for is. `anew`: it has come
--- into being, and what is in it already is told.
local function enter_later(self, path, anew)
  self.pending[#self.pending + 1] = {path = path, anew = anew}
end

--- Watch and list what is to be entered next. Who is interrupted here begins it again;
--- behind the list nothing waits.
local function mark_and_list(self, path)
  if path == self.path then
    return self.top, core.list(self.root, path, 0)
  end
  local mark, err = core.mark(self.root, path, self.stream, BENEATH)
  if not mark then
    return nil, nil, err
  end
  self.paths[mark] = path
  return mark, core.list(self.root, path, NOFOLLOW)
end

--- One that is gone may have gone with a folder that was renamed, which will be told.
local function miss(self, path, err)
  if err.code == "ENOENT" or err.code == "ENOTDIR" then
    self.missed[path] = true
  elseif not self.is_closed then
    tell(self, {kind = "unwatched", path = path, err = err})
  end
end

local function enter(self)
  local one = self.pending[#self.pending]
  local mark, names, types = mark_and_list(self, one.path)
  remove(self.pending)
  if not names then
    return miss(self, one.path, types)
  end
  sort(names)
  for _, name in ipairs(names) do
    local found, is_folder = join(one.path, name), types[name] == "directory"
    if one.anew and not self.told[found] then
      self.told[found] = mark
      tell(self, {kind = "created", path = found, type = is_folder and "directory" or nil})
    end
    if is_folder then
      enter_later(self, found, one.anew)
    end
  end
end

local function is_below(path, folder)
  return path == folder or sub(path, 1, #folder + 1) == folder .. "/"
end

--- Do for each folder that is watched and is `path`, or below it.
local function each_below(self, path, f)
  local found = {}
  for mark, folder in next, self.paths do
    if is_below(folder, path) then
      found[mark] = folder
    end
  end
  for mark, folder in pairs(found) do
    f(mark, folder)
  end
end

--- Those below `path` that were gone when they were to be entered are forgotten, and
--- returned.
local function missed_below(self, path)
  local found = {}
  for missed in next, self.missed do
    if is_below(missed, path) then
      found[#found + 1] = missed
    end
  end
  for _, missed in ipairs(found) do
    self.missed[missed] = nil
  end
  return found
end

local function leave(self, path)
  each_below(self, path, function(mark)
    self.paths[mark] = nil
    core.unmark(self.stream, mark)
  end)
  missed_below(self, path)
end

--- One that was renamed before it could be entered is not watched yet.
local function follow(self, from, to)
  local is_known = false
  local function moved(folder)
    is_known = is_known or folder == from
    return to .. sub(folder, #from + 1)
  end
  each_below(self, from, function(mark, folder)
    self.paths[mark] = moved(folder)
  end)
  for _, one in ipairs(self.pending) do
    one.path = is_below(one.path, from) and moved(one.path) or one.path
  end
  for _, missed in ipairs(missed_below(self, from)) do
    enter_later(self, moved(missed), true)
  end
  if not is_known then
    enter_later(self, to, true)
  end
end

--- Something has come: it may have been told, when its folder was listed.
local function come(self, path, is_folder)
  if self.told[path] then
    self.told[path] = nil
    return
  end
  tell(self, {kind = "created", path = path, type = is_folder and "directory" or nil})
  if is_folder and self.recursive then
    enter_later(self, path, true)
  end
end

local function go(self, path, is_folder)
  self.told[path], self.missed[path] = nil, nil
  tell(self, {kind = "removed", path = path, type = is_folder and "directory" or nil})
  if is_folder and self.recursive then
    leave(self, path)
  end
end

--- The other half of a rename.
local function partner(raw, i)
  for k = i + 1, i + APART do
    local other = raw[k]
    if other and other.mask & MOVED_TO ~= 0 and other.cookie == raw[i].cookie then
      return other
    end
  end
end

local function move(self, raw, i, from, is_folder)
  local other = partner(raw, i)
  local folder = other and self.paths[other.mark]
  if not folder then
    return go(self, from, is_folder)
  end
  local to = join(folder, other.name)
  other.mask = 0
  self.told[from], self.told[to] = nil, nil
  tell(self, {kind = "renamed", path = to, from = from, type = is_folder and "directory" or nil})
  if is_folder and self.recursive then
    follow(self, from, to)
  end
end

--- What becomes of a folder or file that is watched itself; its folder tells of others.
local function itself(self, raw)
  if raw.mark == self.top then
    tell(self, {kind = "removed", path = self.path})
  end
end

local function forget(self, mark)
  self.paths[mark] = nil
  for path, of in pairs(self.told) do
    if of == mark then
      self.told[path] = nil
    end
  end
end

local function take(self, raw, i)
  local one = raw[i]
  local mask, folder = one.mask, self.paths[one.mark]
  if mask & OVERFLOW ~= 0 then
    tell(self, {kind = "overflow", path = self.path})
    if self.recursive then
      enter_later(self, self.path, false)
    end
    return
  elseif not folder then
    return
  end
  local path, is_folder = one.name == "" and folder or join(folder, one.name), mask & ISDIR ~= 0
  if mask & MOVED_FROM ~= 0 then
    move(self, raw, i, path, is_folder)
  elseif mask & (MOVED_TO | CREATE) ~= 0 then
    come(self, path, is_folder)
  elseif mask & DELETE ~= 0 then
    go(self, path, is_folder)
  elseif mask & (DELETE_SELF | MOVE_SELF) ~= 0 then
    itself(self, one)
  elseif mask & MODIFY ~= 0 then
    tell(self, {kind = "changed", path = path})
  elseif mask & CLOSE_WRITE ~= 0 then
    tell(self, {kind = "written", path = path})
  elseif mask & IGNORED ~= 0 then
    forget(self, one.mark)
  end
end

--- The events in some bytes, which are whole, behind others.
local function parse(bytes, raw)
  local at = 1
  while at <= #bytes do
    local mark, mask, cookie, name
    mark, mask, cookie, name, at = unpack("=i4I4I4s4", bytes, at)
    raw[#raw + 1] = {mark = mark, mask = mask, cookie = cookie, name = gsub(name, "\0+$", "")}
  end
end

--- Is there half a rename at the end, whose other half may be still to come?
local function is_half(raw)
  for i = max(1, #raw - APART + 1), #raw do
    if raw[i].mask & MOVED_FROM ~= 0 and not partner(raw, i) then
      return true
    end
  end
  return false
end

--- Read what the kernel has told: true, or nil and why not. Who is interrupted behind half a
--- rename goes on there.
local function receive(self)
  local raw = self.raw
  if #raw == 0 then
    local bytes, err = self.stream:recv()
    if not bytes then
      return nil, err
    end
    parse(bytes, raw)
  end
  if is_half(raw) then
    parse(timeout(HALF, self.stream.recv, self.stream) or "", raw)
  end
  self.raw = {}
  for i in ipairs(raw) do
    take(self, raw, i)
  end
  return true
end

local Awaiting = {__close = function(it)
  it.watch.is_awaited = false
end}

--- Wait until there is an event to tell; an error, if there will be none. Each folder that
--- was entered stays so, also where the task is interrupted at the next one.
local function await(self)
  local _ <close> = setmetatable({watch = self}, Awaiting)
  self.is_awaited = true
  while not self.events_in[self.at] do
    self.events_in, self.at = {}, 1
    if #self.pending > 0 and not self.is_closed then
      enter(self)
    else
      local ok, err = receive(self)
      if not ok then
        return err
      end
    end
  end
end

--- The next event. Nothing is lost between two calls, but what the kernel has no room
--- for, which is told: then look at all anew. It raises where another task waits in it.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local dir = os.tmpname() .. ".d"
--- fs.mkdir(dir)
--- local watch <close> = assert(fs.watch(dir))
--- fs.write(dir .. "/f", "bytes", {atomic = false})
--- local event = watch:next()
--- print(event.kind, event.path:sub(#dir + 1))  --> created /f
--- print(watch:next().kind, watch:next().kind)  --> changed written
--- fs.remove(dir, {recursive = true})
--- ```
---@async
---@return neap.fs.Event? event
---@return neap.Error? err  it was closed
function Watch:next()
  check_self(self, Watch, "next")
  if self.is_awaited then
    error("another task waits for this watch (EBUSY)", 2)
  elseif not self.events_in[self.at] then
    local err = await(self)
    if err then
      return nil, err
    end
  end
  self.at = self.at + 1
  return self.events_in[self.at - 1]
end

--- A loop over events, until it is closed.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local dir = os.tmpname() .. ".d"
--- fs.mkdir(dir)
--- local watch = assert(fs.watch(dir, {recursive = true}))
--- fs.mkdir(dir .. "/a/b", {parents = true})
--- for event in watch:events() do
---   print(event.kind, event.type, event.path:sub(#dir + 1))
---   if event.path:find "b$" then
---     watch:close()
---   end
--- end
--- --> created directory /a
--- --> created directory /a/b
--- fs.remove(dir, {recursive = true})
--- ```
---@async
---@return fun(): neap.fs.Event? each
function Watch:events()
  check_self(self, Watch, "events")
  return function()
    local event = self:next()
    return event
  end
end

--- Let it be; who waits in `next` gets an error.
---
--- ```lua
--- local fs = require "neap.fs"
---
--- local watch = assert(fs.watch "/")
--- print(watch:close(), watch:next())
--- --> true nil recv: bad file descriptor (EBADF)
--- ```
---@return true ok
function Watch:close()
  check_self(self, Watch, "close")
  self.is_closed = true
  self.stream:close()
  return true
end

Watch.__close = Watch.close

function Watch:__tostring()
  return concat {"watch (", self.path, ")"}
end

--- What has happened.
---@class neap.fs.Event
---@field kind "created"|"changed"|"written"|"removed"|"renamed"|"overflow"|"unwatched"
--- `changed`: its bytes, perhaps more than once; `written`: closed by one who could write;
--- `renamed`: within what is watched; `overflow`: some were lost; `unwatched`: a new folder
--- can't be, see `err`
---@field path string  beginning with what `watch` was given
---@field from string?  what it was called before
---@field type "directory"?  it is one; of created, removed and renamed
---@field err neap.Error?

--- A Watch, or nil and why not: what neap.fs calls.
local function open(root, path, recursive)
  local stream, err = core.inotify(root, path)
  if not stream then
    return nil, err
  end
  local self = setmetatable({
    root = root, path = path, recursive = recursive, stream = stream, paths = {},
    told = {}, -- path -> the mark of its folder: created, as a list said
    pending = {}, -- folders that are to be watched, the next one last
    raw = {}, -- read, and not looked at yet
    missed = {}, -- paths of those that were gone by then, until that is told
    events_in = {}, at = 1,
  }, Watch)
  self.top, err = core.mark(root, path, stream, 0)
  if not self.top then
    stream:close()
    return nil, err
  end
  self.paths[self.top] = path
  if recursive then
    enter_later(self, path, false)
  end
  while self.pending[1] and not self.events_in[1] do
    enter(self)
  end
  local first = self.events_in[1] -- a folder that can't be watched
  if first then
    stream:close()
    return nil, first.err
  end
  return self
end

return {open = open, Watch = Watch}

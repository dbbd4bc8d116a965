--- LuaSocket's select: wait for the first of many sockets, its own or others'.
---
--- A task waits for each, so that all are asked in the same turn of the loop.

local net = require "neap.net"
local object = require "neap.luasocket.object"
local sched = require "neap.task.core"

local error, format, getmetatable = error, string.format, getmetatable
local ipairs, type = ipairs, type
local find, HUGE = string.find, math.huge

--- Sockets in a list, as LuaSocket has it (FD_SETSIZE).
local MOST = 1024

--- One of ours by itself, or under what has its descriptor; or a number; nil: closed.
local function watched(value)
  if object.is(value) then
    return getmetatable(value).is_open(value) and value or nil
  end
  local getfd = value.getfd
  local fd = getfd and getfd(value)
  if type(fd) ~= "number" or fd < 0 then
    return nil
  end
  return object.by_fd[fd] or fd
end

local function await(which, what, seconds)
  if object.is(which) then
    return getmetatable(which).await(which, what, seconds)
  end
  local ready, err = net.wait(which, what, seconds)
  return ready or err.code ~= "ETIMEDOUT" and what or nil
end

--- Put what is to be waited for in `all`, in order; a socket that is in both lists once.
local function collect(list, n, letter, all)
  if list == nil then
    return
  elseif type(list) ~= "table" then
    error(format("bad argument #%d to 'select' (table expected, got %s)", n, type(list)), 3)
  end
  local count = 0
  for _, value in ipairs(list) do
    local which = watched(value)
    if which then
      count = count + 1
      local one = all[which]
      if one then
        one.what = one.what == letter and letter or "rw"
      else
        one = {which = which, what = letter, ready = ""}
        all[which] = one
        all[#all + 1] = one
      end
    end
  end
  if count > MOST then
    error(format("bad argument #%d to 'select' (too many sockets)", n), 3)
  end
end

--- Wait for one, and take those that are ready at the same time along.
local function await_any(all, seconds)
  sched.scope(function(scope)
    local news = sched.queue "select"
    local any = false
    for i = 1, #all do
      local one = all[i]
      scope:spawn(function()
        one.ready = await(one.which, one.what, seconds) or ""
        any = any or one.ready ~= ""
        news:wake()
      end)
    end
    while not any and scope.live > 0 do
      news:wait()
    end
    scope:cancel()
  end)
  sched.check "select"
end

--- Those of a list that are ready, in order, and by themselves.
local function pick(list, letter, all)
  local ready = {}
  for _, value in ipairs(list or {}) do
    local one = all[watched(value)]
    if one and find(one.ready, letter, 1, true) then
      ready[#ready + 1] = value
      ready[value] = #ready
    end
  end
  return ready
end

--- Has it bytes that nobody will tell of: those that were read ahead?
local function any_dirty(list)
  for _, value in ipairs(list or {}) do
    if not object.is(value) and value.dirty and value:dirty() then
      return true
    end
  end
  return false
end

--- Wait until one can be read, or written.
---@async
---@param readers table?
---@param writers table?
---@param seconds number?  nil or below 0: any
---@return table readable  in order, and socket -> its place
---@return table writable
---@return "timeout"? text
local function select(readers, writers, seconds)
  local all = {}
  collect(readers, 1, "r", all)
  collect(writers, 2, "w", all)
  if seconds ~= nil and type(seconds) ~= "number" then
    error(format("bad argument #3 to 'select' (number expected, got %s)", type(seconds)), 2)
  end
  if seconds and seconds < 0 then
    seconds = nil
  end
  local is_dirty = any_dirty(readers)
  if is_dirty then
    seconds = 0
  end
  if #all == 0 then
    sched.sleep(seconds or HUGE)
  elseif #all == 1 then
    all[1].ready = await(all[1].which, all[1].what, seconds) or ""
  else
    await_any(all, seconds)
  end
  if is_dirty then
    for _, value in ipairs(readers) do
      local one = all[watched(value)]
      if one and not object.is(value) and value.dirty and value:dirty() then
        one.ready = one.ready .. "r"
      end
    end
  end
  local readable, writable = pick(readers, "r", all), pick(writers, "w", all)
  if #readable == 0 and #writable == 0 then
    return readable, writable, "timeout"
  end
  return readable, writable
end

return {select = select, MOST = MOST}

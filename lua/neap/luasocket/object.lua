--- What all of LuaSocket's objects share: their classes, and how long their calls may wait.
---
--- An object is a table whose metatable is its class: `tcp{master}`, `tcp{client}`. All
--- classes of a kind have the same methods, which tell by the class what they are called on.

local time = require "neap.time"

local error, getmetatable, setmetatable, next, type = error, getmetatable, setmetatable, next, type
local tonumber, format, sub = tonumber, string.format, string.sub
local max, min, now = math.max, math.min, time.now

local object = {}

--- Classes: metatable -> its kind.
local kind_of = {}

--- Whose descriptor has that number, as far as somebody has asked for it.
object.by_fd = setmetatable({}, {__mode = "v"})

local function to_text(self)
  return format("%s: %p", self.class, self)
end

--- A class: its methods, and `class` among them, and what select asks of its objects.
---@param kind string  "tcp"
---@param name string  "tcp{master}"
---@param methods table<string, function>
---@param waiting? {await: function, is_open: function}
---@return table
function object.class(kind, name, methods, waiting)
  local index = {class = name}
  for method_name, method in next, methods do
    index[method_name] = method
  end
  local class = {__index = index, __tostring = to_text, __name = name,
    await = waiting and waiting.await, is_open = waiting and waiting.is_open}
  kind_of[class] = kind
  return class
end

--- The classes of a kind, by their names without the braces.
---@param kind string  "tcp"
---@param names string[]  {"master", "client", "server"}
---@param methods table<string, function>
---@param waiting {await: function, is_open: function}
---@return table<string, table>
function object.classes(kind, names, methods, waiting)
  local all = {}
  for i = 1, #names do
    all[names[i]] = object.class(kind, format("%s{%s}", kind, names[i]), methods, waiting)
  end
  return all
end

--- Is it one of ours?
function object.is(value)
  return kind_of[getmetatable(value)] ~= nil
end

--- Raise at the line of a method's caller if it is called on something else.
---@param kind string?  nil: any of ours
---@param class table?  the only one; nil: any of the kind
function object.check(self, method, kind, class)
  local its = getmetatable(self)
  local known = kind_of[its]
  if class and its ~= class or not known or kind and known ~= kind then
    error(format("calling '%s' on bad self (%s expected, got %s)", method,
      class and class.__name or (kind or "socket") .. "{any}", known and its.__name or type(self)), 3)
  end
end

--- Raise at the line of a method's caller.
function object.bad(n, method, what)
  error(format("bad argument #%d to '%s' (%s)", n, method, what), 3)
end

--- A text, as a C function takes it: a number is one, too.
---@param deeper integer?  so many calls below the method
function object.text(value, n, method, deeper)
  if type(value) == "number" then
    return format(value % 1 == 0 and "%d" or "%s", value)
  elseif type(value) ~= "string" then
    error(format("bad argument #%d to '%s' (string expected, got %s)", n, method,
      value == nil and "no value" or type(value)), 3 + (deeper or 0))
  end
  return value
end

--- Seconds that the next wait of a call may last; nil: any. `start` is when it began.
---@return number? seconds
function object.limit(self, start)
  local block, total = self.block, self.total
  if total < 0 then
    return block >= 0 and block or nil
  end
  local left = start and max(0, total - (now() - start)) or total
  return block >= 0 and min(block, left) or left
end

--- When a call begins, if that is of interest.
function object.start(self)
  return self.total >= 0 and now() or nil
end

--- `settimeout(seconds?, mode?)`: "b" for each wait of a call, "t" for all of it.
function object.settimeout(self, seconds, mode)
  object.check(self, "settimeout")
  if seconds ~= nil and not tonumber(seconds) then
    error(format("bad argument #1 to 'settimeout' (number expected, got %s)", type(seconds)), 2)
  end
  mode = sub(mode or "b", 1, 1)
  if mode == "b" then
    self.block = tonumber(seconds) or -1
  elseif mode == "t" or mode == "r" then
    self.total = tonumber(seconds) or -1
  else
    error("bad argument #2 to 'settimeout' (invalid timeout mode)", 2)
  end
  object.apply_limit(self)
  return 1
end

--- Let a stream's own waits last as long as a call's: what changes while a call goes on
--- (`total`) is set in front of each.
function object.apply_limit(self)
  if self.stream then
    self.stream:settimeout(self.block >= 0 and self.block or nil)
  end
end

--- `gettimeout()`
function object.gettimeout(self)
  object.check(self, "gettimeout")
  return self.block, self.total
end

return object

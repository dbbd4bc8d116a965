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

--- The classes of a kind, by their names without the braces.
---@param kind string  "tcp"
---@param names string[]  {"master", "client", "server"}
---@param methods table<string, function>
---@return table<string, table>
function object.classes(kind, names, methods)
  local all = {}
  for i = 1, #names do
    local index = {class = format("%s{%s}", kind, names[i])}
    for name, method in next, methods do
      index[name] = method
    end
    local class = {__index = index, __tostring = to_text, __name = index.class}
    kind_of[class] = kind
    all[names[i]] = class
  end
  return all
end

--- Is it one of ours?
function object.is(value)
  return kind_of[getmetatable(value)] ~= nil
end

--- Raise at the line of a method's caller if it is called on something else.
---@param class table?  the only one; nil: any of the kind
function object.check(self, method, kind, class)
  local its = getmetatable(self)
  if its ~= class and (class or kind_of[its] ~= kind) then
    error(format("calling '%s' on bad self (%s expected, got %s)", method,
      class and class.__name or kind .. "{any}", kind_of[its] and its.__name or type(self)), 3)
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
function object.set_limit(self, seconds, mode)
  if seconds ~= nil and not tonumber(seconds) then
    error(format("bad argument #1 to 'settimeout' (number expected, got %s)", type(seconds)), 3)
  end
  mode = sub(mode or "b", 1, 1)
  if mode == "b" then
    self.block = tonumber(seconds) or -1
  elseif mode == "t" or mode == "r" then
    self.total = tonumber(seconds) or -1
  else
    error("bad argument #2 to 'settimeout' (invalid timeout mode)", 3)
  end
end

return object

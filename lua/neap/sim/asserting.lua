-- Functions in a test's world have busted's assertions, which are loaded where one is first
-- asked for: they are many.

local error, globals, require, setmetatable = error, _G, require, setmetatable

local function plain(_, value, message, ...)
  if not value then
    error(message == nil and "assertion failed!" or message, 2)
  end
  return value, message, ...
end

local function load(_, name)
  globals.assert = require "luassert"
  return globals.assert[name]
end

return function(f, _, ...)
  globals.assert = setmetatable({}, {__call = plain, __index = load})
  return f(...)
end

-- What the director of a test's world runs (sim.test): the test's function, as `neap test`
-- would, with its clients; and what has become of it is told.

local asserting = require "neap.sim.asserting"
local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"
local trials = require "neap.test.trials"

local error, globals, ipairs, pairs = error, _G, ipairs, pairs
local getmetatable, rawequal, setmetatable, tostring, type = getmetatable, rawequal, setmetatable, tostring, type
local getinfo = debug.getinfo
local format, match, sort = string.format, string.match, table.sort

local function begin(programs)
  local names = {}
  for name in pairs(programs) do
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    hosts.new(name, programs[name], nil, "test", 1)
  end
end

--- What ends a test that is pending.
local PENDING = {}

--- Set busted's `finally` and `pending`. Returns what runs at the end, and what tells why the
--- test is pending.
local function set_globals()
  local last, why
  function globals.finally(f)
    local meta = getmetatable(f)
    if type(f) ~= "function" and not (type(meta) == "table" and meta.__call) then
      error(format("finally: a function expected, got %s", type(f)), 2)
    end
    last = f
  end
  function globals.pending(message)
    local at = getinfo(2, "Sl")
    why = format("%s:%d: %s", at.short_src, at.currentline, message == nil and "" or tostring(message))
    error(PENDING, 0)
  end
  return setmetatable({}, {__close = function()
    if last then
      last()
    end
  end}), function()
    return why
  end
end

return function(f, programs)
  hosts.by = "neap.sim.asserting"
  hosts.clients[1] = {wait = function() end} -- the test itself: the hosts need not end
  local ending, reason = set_globals()
  local told = trials.one(function()
    local _ <close> = ending
    begin(programs)
    asserting(f)
    hosts.finish()
  end)
  if told and rawequal(told.error, PENDING) then
    core.report("pending", reason())
  elseif told then
    core.report("trace", told.trace)
    core.report("place", told.source and format("%s:%d", told.source, told.line) or "")
    core.report(told.failed and "failure" or "error", told.text)
    core.fail(match(told.text, "^[^\n]*"))
  end
end

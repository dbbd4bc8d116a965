-- What the director of a test's world runs (sim.test): the test's function, as `neap test`
-- would, with its clients; and what has become of it is told.

local asserting = require "neap.sim.asserting"
local core = require "neap.sim.core"
local hosts = require "neap.sim.hosts"
local trials = require "neap.test.trials"

local ipairs, pairs = ipairs, pairs
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

return function(f, programs)
  hosts.by = "neap.sim.asserting"
  hosts.clients[1] = {wait = function() end} -- the test itself: the hosts need not end
  local told = trials.one(function()
    begin(programs)
    asserting(f)
    hosts.finish()
  end)
  if told then
    core.report("trace", told.trace)
    core.report("place", told.source and format("%s:%d", told.source, told.line) or "")
    core.report(told.failed and "failure" or "error", told.text)
    core.fail(match(told.text, "^[^\n]*"))
  end
end

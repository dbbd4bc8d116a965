-- usage: neap names_neap.lua LOOKUPS AT-ONCE

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local lookups, at_once = tonumber(arg[1]), tonumber(arg[2])
local next_name = 0

local began, computed = time.now(), os.clock()
task.scope(function(scope)
  for _ = 1, at_once do
    scope:spawn(function()
      while next_name < lookups do
        next_name = next_name + 1
        assert(#assert(net.resolve("n" .. next_name .. ".test")) == 2)
      end
    end)
  end
end)
print(lookups / (time.now() - began), (os.clock() - computed) / lookups * 1e6)

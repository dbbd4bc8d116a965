-- tasks_cqueues [COUNT]: as tasks.lua

local cqueues = require "cqueues"

local count = tonumber(arg[1] or 200000)

local start = cqueues.monotime()
for _ = 1, count / 1000 do
  local loop = cqueues.new()
  for _ = 1, 1000 do
    loop:wrap(function() end)
  end
  assert(loop:loop())
end
local spawn = (cqueues.monotime() - start) / count
start = cqueues.monotime()
local loop = cqueues.new()
count = count // 10
for _ = 1, 2 do
  loop:wrap(function()
    for _ = 1, count do
      cqueues.sleep(0)
    end
  end)
end
assert(loop:loop())
print(("%.1f %.1f"):format(spawn * 1e9, (cqueues.monotime() - start) / count / 2 * 1e9))

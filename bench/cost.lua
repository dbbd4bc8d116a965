-- usage: neap bench/cost.lua [PATH...]    instructions and system calls a message, or of a start

local measure = dofile "bench/cost/measure.lua"
local names = #arg > 0 and arg or measure.order

for _, name in ipairs(names) do
  local instructions = measure.instructions(arg[-1], name)
  local calls, each = measure.calls(arg[-1], name)
  local parts = {}
  for call, count in pairs(each) do
    if count >= 0.005 then
      parts[#parts + 1] = ("%s %.2f"):format(call, count)
    end
  end
  table.sort(parts)
  print(("%-9s %7.0f instructions, %5.2f system calls (%s)"):format(
    name, instructions, calls, table.concat(parts, ", ")))
end

-- What a message costs, and a start, stays within its budget (bench/budgets.lua). It
-- is counted, by callgrind and strace, and not timed: so it holds on a busy machine.

local child = require "spec.support.child"
local process = require "neap.process"

local budgets = dofile "bench/budgets.lua"
local measure = dofile "bench/cost/measure.lua"

--- Why there is nothing to measure here; nil when there is.
local function obstacle()
  local settings <close> = io.open((child.neap:gsub("neap$", "CMakeCache.txt")))
  local text = settings and settings:read "a" or ""
  local lua = text:match "\nNEAP_LUA_SOURCE:PATH=([^\n]+)"
  if os.getenv "LD_PRELOAD" or text:match "\nNEAP_PROFILE:STRING=(%a*)" ~= "use" then
    return "only what scripts/optimise builds has budgets"
  end
  local source <close> = io.open((lua or "") .. "/lapi.c")
  if not source then
    return "Lua was not compiled with neap"
  end
  local machine = process.run {"uname", "-m"}.stdout:match "%S+"
  if machine ~= "x86_64" then
    return "the budgets are those of amd64"
  end
  for _, tool in ipairs {"valgrind", "strace"} do
    if process.run({"sh", "-c", "command -v " .. tool}).code ~= 0 then
      return tool .. " is not installed"
    end
  end
end

--- The least of up to three tries: a wake-up that serves fewer connections than
--- it could, because the client had to wait for a processor, costs more.
local function least(most, f, ...)
  local best, about = math.huge, nil
  for _ = 1, 3 do
    local cost, details = f(child.neap, ...)
    if cost < best then
      best, about = cost, details
    end
    if best <= most then
      break
    end
  end
  return best, about
end

local function list(calls)
  local parts = {}
  for call, count in pairs(calls) do
    if count >= 0.005 then
      parts[#parts + 1] = ("%s %.2f"):format(call, count)
    end
  end
  table.sort(parts)
  return table.concat(parts, ", ")
end

describe("the cost of a message, and of a start,", function()
  local why = obstacle()
  for _, name in ipairs(measure.order) do
    local budget = budgets[name]

    it(("is at most %.2f system calls: %s #slow"):format(budget.calls, name), function()
      if why then
        pending(why)
        return
      end
      local calls, each = least(budget.calls, measure.calls, name)
      assert.is_true(calls <= budget.calls, ("%.2f: %s"):format(calls, list(each or {})))
    end)

    it(("is at most %d instructions: %s #slow"):format(budget.instructions, name), function()
      if why then
        pending(why)
        return
      end
      local instructions = least(budget.instructions, measure.instructions, name)
      assert.is_true(instructions <= budget.instructions, ("%.0f"):format(instructions))
    end)
  end
end)

describe("an idle connection", function()
  local budget = budgets.idle.bytes

  it(("takes at most %d bytes of memory"):format(budget), function()
    local why = obstacle()
    if (tonumber(process.run({"sh", "-c", "ulimit -n"}).stdout) or math.huge) < 4300 then
      why = "a process may not have 4,300 descriptors here"
    end
    if why then
      pending(why)
      return
    end
    local result = process.run {child.neap, "bench/idle.lua", "4000"}
    local bytes = result.stdout:match "(%d+) bytes of resident memory"
    assert.is_true(tonumber(bytes) <= budget, bytes)
  end)
end)

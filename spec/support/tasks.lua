--- What specs of tasks do again and again.

local assert = require "luassert"
local task = require "neap.task"

local tasks = {}

--- Something to declare <close>: calls f.
---@param f function
function tasks.closing(f)
  return setmetatable({}, {__close = f})
end

--- Run a scope that fails, and give its error.
---@param body function
function tasks.failure_of(body)
  local ok, err = pcall(task.scope, body)
  assert.is_false(ok)
  return err
end

--- Spawn, let it run to its first wait, cancel, and give what join says.
---@param f function
function tasks.cancelled(f, ...)
  local t = task.spawn(f, ...)
  task.yield()
  t:cancel()
  return t:join()
end

--- Let others run until the condition holds, for two seconds at most: does it?
---@param condition function
function tasks.await(condition)
  for _ = 1, 2000 do
    if condition() then
      return true
    end
    task.sleep(0.001)
  end
  return false
end

--- What a block opened and left.
---@param open function
function tasks.left_by_block(open)
  local left
  do
    local it <close> = open()
    left = it
  end
  return left
end

--- What `wait` returns, of which nothing is there before `act`.
---@param act function
---@param wait function
function tasks.woken_by(act, wait, ...)
  local waiter = task.spawn(wait, ...)
  task.sleep(0.002)
  assert.equal("waiting", waiter.status)
  act()
  return waiter:join()
end

return tasks

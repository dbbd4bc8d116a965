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

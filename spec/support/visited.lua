--- Processes that are looked into, as by `neap attach`: with a folder of their own for it.

local child = require "spec.support.child"
local process = require "neap.process"

local visited = {}

--- A folder that stands for XDG_RUNTIME_DIR, and what makes and removes it.
---@return fun(): table env
---@return fun() make
---@return fun() remove
function visited.folder()
  local path
  return function()
    local env = process.env()
    env.XDG_RUNTIME_DIR = path
    return env
  end, function()
    path = os.tmpname()
    os.remove(path)
    assert(process.run {"mkdir", "-m", "700", path})
  end, function()
    process.run {"rm", "-rf", path}
  end
end

--- Start a script that says something when it is ready.
---@param env table
---@param script string
---@param ... string  options of neap before -e
---@return neap.Process
function visited.start(env, script, ...)
  local command = {child.neap, ...}
  command[#command + 1] = "-e"
  command[#command + 1] = script
  command.stdout, command.env = "pipe", env
  local p = assert(process.spawn(command))
  assert(p.stdout:read "l")
  return p
end

return visited

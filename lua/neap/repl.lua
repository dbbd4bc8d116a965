--- The prompt, from within a script.
---
--- `neap` alone opens it, `neap -i script.lua` behind a script, `neap attach PID` in
--- a process that runs; see the guide's chapter on it.

local core = require "neap.repl.core"
local main = require "neap.repl.main"

local debug = debug

---@class neap.repl
local repl = {}

--- Frames of a coroutine, the running one included.
local function depth(co)
  local n = 0
  while debug.getinfo(co, n, "l") do
    n = n + 1
  end
  return n
end

--- The local variables of a frame, by name: the index of the one that the frame
--- sees.
local function locals_at(co, level)
  local found = {}
  local i = 1
  while true do
    local name = debug.getlocal(co, level, i)
    if not name then
      return found
    elseif not string.find(name, "^%(") then
      found[name] = i
    end
    i = i + 1
  end
end

--- Make the variables of a function that waits those of a session: read before each
--- input, and written back behind it where it changed them. Another coroutine does it:
--- then the frames of this one are those that it has while it waits.
local function bind(session, co, f, bottom)
  local last = {}

  local function level()
    return depth(co) - bottom
  end

  local function each(visit)
    local at = level()
    local locals = locals_at(co, at)
    for i = 1, math.huge do
      local name, value = debug.getupvalue(f, i)
      if not name then
        break
      elseif name ~= "_ENV" and name ~= "" and not locals[name] then
        visit(name, value, function(new)
          debug.setupvalue(f, i, new)
        end)
      end
    end
    for name, i in pairs(locals) do
      local _, value = debug.getlocal(co, at, i)
      visit(name, value, function(new)
        debug.setlocal(co, level(), i, new)
      end)
    end
  end

  function session.before()
    each(function(name, value)
      session:set(name, value)
      last[name] = value
    end)
  end

  function session.after()
    each(function(name, _, set)
      local new = rawget(session.env, name)
      if not rawequal(new, last[name]) then
        set(new)
        last[name] = new
      end
    end)
  end
end

--- Open the prompt here, with the local variables and upvalues of the calling
--- function: they can be looked at, and assigned to. The calling task waits until the
--- prompt is left with ^D; all others run on.
---
--- ```lua
--- local repl = require "neap.repl"
---
--- local n = 1
--- print(repl.here())  --> false
--- ```
---
--- Without a terminal, as here, it does nothing. Raises while another prompt is open
--- in this process.
---@async
---@return boolean opened  false: standard input or output is no terminal
function repl.here()
  if not (core.is_terminal(0) and core.is_terminal(1)) then
    return false
  elseif main.is_open() then
    error("here: a prompt is open already", 2)
  end
  local co = coroutine.running()
  local info = debug.getinfo(2, "Slf")
  local bottom = depth(co) - 3 -- those above it: getinfo, depth, here
  main.say("at ", info.short_src, ":", info.currentline, "; ^D goes on")
  main.open(function(session)
    bind(session, co, info.func, bottom)
  end)
  return true
end

return repl

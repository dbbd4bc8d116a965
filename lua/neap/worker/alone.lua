-- Functions that go to another lua_State: their code, if they stand alone.

local error, pcall, type, format = error, pcall, type, string.format
local dump, getupvalue, getinfo = string.dump, debug.getupvalue, debug.getinfo

--- The code of a Lua function, and what it is called in messages; raises at a level, that of
--- who calls this being 1.
---@param f function
---@param verb string  what was called
---@param other string  who has nothing of what is around it: "a worker"
---@param level integer
---@return string code
---@return string name
return function(f, verb, other, level)
  for i = 1, 255 do
    local name = type(f) == "function" and getupvalue(f, i)
    if not name then
      break
    elseif name ~= "_ENV" then
      error(format("%s: the function uses '%s' from around it, which %s does not have; "
        .. "give it as an argument", verb, name, other), level + 1)
    end
  end
  local ok, code = pcall(dump, f)
  if not ok then
    error(verb .. ": a Lua function expected", level + 1)
  end
  local info = getinfo(f, "S")
  return code, format("%s:%d", info.short_src, info.linedefined)
end

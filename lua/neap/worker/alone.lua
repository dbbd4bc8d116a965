-- Functions that go to another lua_State: their code, if they stand alone.

local error, pcall, type, format = error, pcall, type, string.format
local dump, getupvalue, getinfo = string.dump, debug.getupvalue, debug.getinfo

--- The code of a Lua function, and what it is called in messages; raises at the caller of
--- who calls this.
---@param f function
---@param verb string  what was called
---@param other string  who has nothing of what is around it: "a worker"
---@return string code
---@return string name
return function(f, verb, other)
  for i = 1, 255 do
    local name = type(f) == "function" and getupvalue(f, i)
    if not name then
      break
    elseif name ~= "_ENV" then
      error(format("%s: the function uses '%s' from around it, which %s does not have; "
        .. "give it as an argument", verb, name, other), 3)
    end
  end
  local ok, code = pcall(dump, f)
  if not ok then
    error(verb .. ": a Lua function expected", 3)
  end
  local info = getinfo(f, "S")
  return code, format("%s:%d", info.short_src, info.linedefined)
end

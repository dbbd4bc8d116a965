--- What the functions of the library and of Lua are called, and what raw tables
--- say: found without calling anything of the script's.

local host = require "neap.host"

local next, rawget, type = next, rawget, type
local sub = string.sub
local getinfo, getmetatable, getregistry = debug.getinfo, debug.getmetatable, debug.getregistry
local loaded = package.loaded

---@class neap.repl.names
local names = {}

--- The functions of Lua itself, as they were at first: function -> {owner, name}.
local standard = {}

for _, library in ipairs {"string", "table", "math", "os", "io", "coroutine", "debug", "utf8",
  "package"} do
  local found = rawget(loaded, library)
  for name, value in next, type(found) == "table" and found or {} do
    if type(value) == "function" then
      standard[value] = {library, name}
    end
  end
end

for name in string.gmatch([[assert collectgarbage dofile error getmetatable ipairs load loadfile next pairs
    pcall print rawequal rawget rawlen rawset require select setmetatable tonumber tostring type
    warn xpcall]], "%a+") do
  if rawget(_G, name) then
    standard[rawget(_G, name)] = {"_G", name}
  end
end

for name, value in next, getmetatable(io.stdout).__index do
  standard[value] = {"file", name}
end

--- The table in which a metatable's methods lie: a class of C has it as the upvalue
--- of its `__index`, other classes as their `__index`.
---@param metatable table
---@return table?
function names.methods(metatable)
  local index = rawget(metatable, "__index")
  if type(index) == "function" and getinfo(index, "S").what == "C" then
    local _, up = debug.getupvalue(index, 1)
    index = up
  end
  return type(index) == "table" and index or nil
end

--- The class of a value of the library: what its metatable calls itself.
---@param value any
---@return string? class  "neap.Stream"
---@return table? metatable
function names.class(value)
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  if type(name) == "string" then
    return name, metatable
  end
end

local function add(map, owner, from)
  for name, value in next, from do
    if type(value) == "function" and type(name) == "string" and not map[value] then
      map[value] = {owner, name}
    end
  end
end

--- Where the functions of the library are to be found now: its modules that are
--- loaded, and its classes that C knows.
local function library()
  local map = {}
  for _, name in next, host.modules() do
    local module = rawget(loaded, name)
    if type(module) == "table" then
      add(map, name, module)
    end
  end
  for class, metatable in next, getregistry() do
    if type(class) == "string" and sub(class, 1, 5) == "neap." and type(metatable) == "table"
      and rawget(metatable, "__name") then
      add(map, class, names.methods(metatable) or {})
    end
  end
  return map
end

--- A finder of names, for some functions in a row.
---@return fun(f: function): string?, string?  owner  "neap.net", "neap.Stream", "string", "_G"; name
function names.finder()
  local map
  return function(f)
    local found = standard[f]
    if not found then
      map = map or library()
      found = map[f]
    end
    if found then
      return found[1], found[2]
    end
  end
end

--- The owner as it is written: net, stream.
---@param owner string
---@return string
function names.short(owner)
  return (string.lower(string.match(owner, "[^.]+$")))
end

return names

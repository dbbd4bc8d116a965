-- Functions that go to a simulated host, with what is around them: as the text of a chunk that
-- makes them there.
--
-- A host is a state of its own, so what a function has around it cannot be had there but as a
-- copy. Copied are plain values, tables of them, and Lua functions, each once, so that what two
-- functions share is one variable there, too. What a module has, and modules themselves, are
-- taken from the module of that name there, which is looked for where it is here. All else is
-- refused.

local error, getmetatable, next, pcall, setmetatable, type = error, getmetatable, next, pcall, setmetatable, type
local dump, find, format = string.dump, string.find, string.format
local concat, sort = table.concat, table.sort
local getmeta, getinfo, getupvalue, upvalueid = debug.getmetatable, debug.getinfo, debug.getupvalue, debug.upvalueid
local package = package

local STANDARD = {_G = true, coroutine = true, debug = true, io = true, math = true, os = true, package = true,
  string = true, table = true, utf8 = true}
local PLAIN = {["nil"] = true, boolean = true, number = true, string = true}

--- A table's plain keys, always in the same order.
local function keys(of)
  local list = {}
  for key in next, of do
    if PLAIN[type(key)] then
      list[#list + 1] = key
    end
  end
  sort(list, function(a, b)
    if type(a) ~= type(b) then
      return type(a) < type(b)
    end
    return type(a) == "boolean" and a and not b or type(a) ~= "boolean" and a < b
  end)
  local i = 0
  return function()
    i = i + 1
    if list[i] ~= nil then
      return i, list[i]
    end
  end
end

--- Modules by their names: those of every state first, for what is found in two of them.
local function modules()
  local names = {}
  for name in next, package.loaded do
    if type(name) == "string" then
      names[#names + 1] = name
    end
  end
  local function rank(name)
    return STANDARD[name] and "1" .. name or find(name, "^neap%f[.\0]") and "2" .. name or "3" .. name
  end
  sort(names, function(a, b)
    return rank(a) < rank(b)
  end)
  return names
end

--- What modules are and have, by value: the text that takes it from there.
local function known()
  local names, found = modules(), {}
  for i = 1, #names do
    local module = package.loaded[names[i]]
    if not PLAIN[type(module)] and not found[module] then
      found[module] = format("(require(%q))", names[i])
    end
  end
  for i = 1, #names do
    local module = package.loaded[names[i]]
    for _, key in keys(type(module) == "table" and module or {}) do
      local value = module[key]
      if type(key) == "string" and not PLAIN[type(value)] and not found[value] then
        found[value] = format("(require(%q))[%q]", names[i], key)
      end
    end
  end
  return found
end

local Packer = {}
Packer.__index = Packer

function Packer:say(...)
  self.lines[#self.lines + 1] = format(...)
end

--- A new place for what is made there.
function Packer:place(value)
  self.count = self.count + 1
  self.places[value] = format("v[%d]", self.count)
  return self.places[value]
end

local function refuse(path, value)
  local meta = getmeta(value)
  local name = type(meta) == "table" and meta.__name
  error({path = path, what = type(name) == "string" and name or type(value)}, 0)
end

function Packer:table(value, path)
  if getmetatable(value) ~= nil then
    refuse(path, value)
  end
  local place = self:place(value)
  self:say("%s = {}", place)
  for key in next, value do
    if not PLAIN[type(key)] then
      refuse(format("a key of %s", path), key)
    end
  end
  for _, key in keys(value) do
    self:say("%s[%q] = %s", place, key, self:text(value[key], format("%s[%q]", path, key)))
  end
  return place
end

function Packer:func(f, path)
  local ok, code = pcall(dump, f)
  if not ok then
    refuse(path, f)
  end
  local place = self:place(f)
  self:say("%s = load(%q, nil, 'b')", place, code)
  local i = 1
  local name, value = getupvalue(f, i)
  while name do
    local id = upvalueid(f, i)
    local first = self.variables[id]
    if first then
      self:say("join(%s, %d, %s)", place, i, first)
    else
      self.variables[id] = format("%s, %d", place, i)
      local inside = path and format("%s of %s", name, path) or name
      self:say("set(%s, %d, %s)", place, i, name == "_ENV" and "_G" or self:text(value, inside))
    end
    i = i + 1
    name, value = getupvalue(f, i)
  end
  return place
end

--- What makes a value there.
function Packer:text(value, path)
  if PLAIN[type(value)] then
    return format("%q", value)
  end
  self.known = self.known or known()
  local there = self.known[value] or self.places[value]
  if there then
    return there
  elseif type(value) == "table" then
    return self:table(value, path)
  elseif type(value) == "function" then
    return self:func(value, path)
  end
  refuse(path, value)
end

--- The text of a chunk that calls the function with its own arguments; raises at a level, that
--- of who calls this being 1.
---@param f function
---@param verb string  what was called
---@param level? integer  nil: nowhere
---@param by? string  the module whose function is called instead, with it, and
---@param with? any  called `hosts`
---@return string code
---@return string name  what the function is called in messages
return function(f, verb, level, by, with)
  local packer = setmetatable({lines = {}, places = {}, variables = {}, count = 0}, Packer)
  local ok, text = pcall(packer.func, packer, f)
  if not ok and (type(text) ~= "table" or not text.path) then
    error(verb .. ": a Lua function expected", level and level + 1 or 0)
  end
  local list = text
  if ok and by then
    ok, text = pcall(packer.text, packer, with, "hosts")
    list = format("%s, %s", list, text)
  end
  if not ok then
    error(format("%s: the function uses '%s' from around it, a %s, which no simulated host has; make it inside, or "
      .. "give values, tables of them, Lua functions, modules", verb, text.path, text.what), level and level + 1 or 0)
  end
  local info = getinfo(f, "S")
  local call = by and format("require(%q)(%s, ...)", by, list) or text .. "(...)"
  return format("package.path = %q\nlocal v, set, join = {}, debug.setupvalue, debug.upvaluejoin\n%s\nreturn %s",
    package.path, concat(packer.lines, "\n"), call), format("%s:%d", info.short_src, info.linedefined)
end

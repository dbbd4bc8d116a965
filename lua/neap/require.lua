--- `require`, so that a module may suspend while it loads.
---
--- Lua's own `require` is a C function that nothing can suspend through.  This
--- one does the same, in the same order and with the same messages, and adds:
--- modules that are built into neap are found second, after package.preload;
--- Lua files are loaded as text only; and while one task loads a module,
--- another that requires it waits for it.
---
--- neap's own modules find each other by a `require` of their own, which
--- this chunk returns: whatever a script makes of `package`, what is built in is
--- there.

local builtin = ...

local package, type, tostring, error = package, type, tostring, error
local select, loadfile, setmetatable = select, loadfile, setmetatable
local concat, insert, format, gsub = table.concat, table.insert, string.format, string.gsub
local sub = string.sub
local searchpath, getinfo, open = package.searchpath, debug.getinfo, io.open
local loaded = package.loaded
local ENOENT, ENOTDIR = 2, 20
local BUILTIN = ":builtin:"
local SELF = getinfo(1, "S").source

--- The modules in C below neap's own, by name. Lua looks in package.loaded for the
--- name of a function that has none where it is called, to tell it in messages, and
--- would find one of these as often as the public one.
local cores = {}

--- Modules that are being loaded: name -> { name =, task =, queue = }.
local loading = {}

--- The module that a task waits for: task -> an entry of `loading`.
local awaited = setmetatable({}, { __mode = "k" })

--- Raise at the script's line, where Lua's own `require` would.
local function raise(message)
  local level = 2
  while getinfo(level, "S").source == SELF do
    level = level + 1
  end
  error(message, level)
end

local function search_builtin(name)
  local loader, where = builtin(name)
  if loader then
    return loader, where
  end
  return format("no module '%s' in neap", name)
end

local function search_lua(name)
  local path = package.path
  if type(path) ~= "string" then
    error("'package.path' must be a string", 0)
  end
  local file, tried = searchpath(name, path)
  if not file then
    return tried
  end
  local loader, message = loadfile(file, "t")
  if not loader then
    error(format("error loading module '%s' from file '%s':\n\t%s", name, file, message), 0)
  end
  return loader, file
end

package.searchers[2] = search_lua
insert(package.searchers, 2, search_builtin)

--- A file that is there, or may be: why was it not found?
local function explain(path)
  local file, reason, code = open(path)
  if file then
    file:close()
  elseif code ~= ENOENT and code ~= ENOTDIR then
    return format("cannot open %s", reason)
  end
end

local function find(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then
    raise "'package.searchers' must be a table"
  end
  local tried = {}
  local i = 0
  while true do
    i = i + 1
    local searcher = searchers[i]
    if searcher == nil then
      raise(format("module '%s' not found:%s", name, (gsub(concat(tried), "no file '([^'\n]*)'", explain))))
    end
    local loader, extra = searcher(name)
    if type(loader) == "function" then
      return loader, extra
    elseif type(loader) == "string" or type(loader) == "number" then
      insert(tried, "\n\t" .. loader)
    end
  end
end

local function find_own(name)
  local loader, where = builtin(name, true)
  if loader then
    return loader, where
  end
  return find(name)
end

local function load_module(name, find_loader)
  local loader, extra = find_loader(name)
  local value = loader(name, extra)
  if extra == BUILTIN and sub(name, -5) == ".core" then
    cores[name] = value
    return value, extra
  end
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], extra
end

--- A module that waits, in one or several steps, for one that this task loads
--- would wait for ever.
local function check_circle(entry, task)
  local step = entry
  repeat
    if step.task == task then
      raise(format("module '%s' requires itself while it loads", entry.name))
    end
    step = awaited[step.task]
  until not step
end

--- Wait until the task that loads the module is done with it.
local function await(entry, core, task)
  entry.queue = entry.queue or core.queue("require " .. entry.name)
  awaited[task] = entry
  local _ <close> = setmetatable({}, {
    __close = function()
      awaited[task] = nil
    end,
  })
  while loading[entry.name] == entry do
    entry.queue:wait()
  end
end

local Entry = {}

function Entry:__close()
  loading[self.name] = nil
  if self.queue then
    self.queue:wake_all()
  end
end

-- Closing, and not pcall: so an error keeps the place where it was raised. Who
-- waits for a module that failed tries it anew.
local function load_alone(name, find_loader, task)
  local entry <close> = setmetatable({ name = name, task = task }, Entry)
  loading[name] = entry
  return load_module(name, find_loader)
end

local core -- neap.task.core

local function require_name(name, find_loader)
  local value = loaded[name] or cores[name] and (find_loader ~= find or builtin(name)) and cores[name]
  if value then
    return value
  end
  core = core or builtin("neap.task.core", true)()
  local task = core.current()
  if not task then
    return load_module(name, find_loader)
  end
  local entry = loading[name]
  if entry then
    check_circle(entry, task)
    await(entry, core, task)
    return require_name(name, find_loader)
  end
  return load_alone(name, find_loader, task)
end

function require(...) -- luacheck: globals require
  local name = ...
  if type(name) == "number" then
    name = tostring(name)
  elseif type(name) ~= "string" then
    local got = select("#", ...) == 0 and "no value" or type(name)
    raise(format("bad argument #1 to 'require' (string expected, got %s)", got))
  end
  return require_name(name, find)
end

return function(name)
  return require_name(name, find_own)
end

--- `require`, so that a module may suspend while it loads.
---
--- Lua's own `require` is a C function that nothing can suspend through.  This
--- one does the same, in the same order and with the same messages, and adds:
--- modules that are built into neap are found second, after package.preload;
--- Lua files are loaded as text only; and while one task loads a module,
--- another that requires it waits for it.

local builtin = ...

local package, type, tostring, error = package, type, tostring, error
local pcall, select, loadfile, rawequal = pcall, select, loadfile, rawequal
local concat, insert = table.concat, table.insert
local searchpath = package.searchpath
local loaded = package.loaded

--- Modules that are being loaded: name -> { task =, queue = }.
local loading = {}

local function search_builtin(name)
  local loader, where = builtin(name)
  if loader then
    return loader, where
  end
  return ("no module '%s' in neap"):format(name)
end

local function search_lua(name)
  local path = package.path
  if type(path) ~= "string" then
    error("'package.path' must be a string")
  end
  local file, tried = searchpath(name, path)
  if not file then
    return tried
  end
  local loader, message = loadfile(file, "t")
  if not loader then
    error(("error loading module '%s' from file '%s':\n\t%s"):format(name, file, message))
  end
  return loader, file
end

package.searchers[2] = search_lua
insert(package.searchers, 2, search_builtin)

local function find(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then
    error("'package.searchers' must be a table")
  end
  local tried = {}
  local i = 0
  while true do
    i = i + 1
    local searcher = searchers[i]
    if searcher == nil then
      error(("module '%s' not found:%s"):format(name, concat(tried)), 3)
    end
    local loader, extra = searcher(name)
    if type(loader) == "function" then
      return loader, extra
    elseif type(loader) == "string" or type(loader) == "number" then
      insert(tried, "\n\t" .. loader)
    end
  end
end

local function load_module(name)
  local loader, extra = find(name)
  local value = loader(name, extra)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], extra
end

--- Wait until the task that loads the module is done with it.
local function await(name, current, task)
  if rawequal(current.task, task.current()) then
    error(("module '%s' requires itself while it loads"):format(name), 3)
  end
  current.queue = current.queue or task.queue("require " .. name)
  while loading[name] == current do
    current.queue:wait()
  end
end

local function finish(name, ok, ...)
  local current = loading[name]
  loading[name] = nil
  if current and current.queue then
    current.queue:wake_all()
  end
  if not ok then
    error((...), 0)
  end
  return ...
end

function require(name, ...) -- luacheck: globals require
  if type(name) ~= "string" then
    if type(name) ~= "number" then
      local got = select("#", ...) == 0 and name == nil and "no value" or type(name)
      error(("bad argument #1 to 'require' (string expected, got %s)"):format(got), 2)
    end
    name = tostring(name)
  end
  local value = loaded[name]
  if value then
    return value
  end
  local task = loaded["neap.task.core"]
  local running = task and task.current()
  if not running then
    return load_module(name)
  end
  local current = loading[name]
  if current then
    await(name, current, task)
    return require(name)
  end
  loading[name] = { task = running }
  return finish(name, pcall(load_module, name))
end

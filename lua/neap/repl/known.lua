--- What is annotated, built into neap and read when first asked for: the classes, their
--- members, and where functions in Lua are defined.

local annotations = require "neap.repl.annotations"
local host = require "neap.host"
local names = require "neap.repl.names"

local ipairs, type = ipairs, type
local format, gmatch, gsub, match, sort = string.format, string.gmatch, string.gsub, string.match, table.sort

---@class neap.repl.known
local known = {}

---@class neap.repl.known.All
---@field classes table<string, table>  by their full name
---@field short table<string, table[]>  by the short one
---@field places table<string, table>  of functions in Lua: "neap.net:12" -> {class, item}
---@field aliases table<string, string>  of types
---@field headers table<string, table>  of pages, by name

---@type neap.repl.known.All?
local all

local function add_class(class, page)
  for _, item in ipairs(class.functions) do
    class.by_name[item.name] = item
    local file = gsub(match(item.path, "^(.*)%.lua$"), "/", ".")
    all.places[format("neap.%s:%d", file, item.line)] = {class, item}
  end
  for _, field in ipairs(class.fields) do
    if not field.private then
      class.by_name[field.name] = class.by_name[field.name] or field
    end
  end
  class.header = page.module == class and page.header or nil
  all.classes[class.name] = class
  local short = names.short(class.name)
  all.short[short] = all.short[short] or {}
  all.short[short][#all.short[short] + 1] = class
end

local function source_of(path)
  return host.source("neap." .. gsub(match(path, "^(.*)%.lua$"), "/", ".")) or ""
end

--- All of it.
---@return neap.repl.known.All
function known.read()
  if all then
    return all
  end
  all = {classes = {}, short = {}, places = {}, aliases = {}, headers = {}}
  for _, page in ipairs(annotations.read(source_of)) do
    all.headers[page.name] = page.header
    for _, class in ipairs(page) do
      if class.name then
        class.by_name = {}
        add_class(class, page)
      elseif class.alias then
        all.aliases[class.alias] = class.type
      end
    end
  end
  return all
end

--- The class that an annotated type names: `neap.Stream?` is neap.Stream.
---@param annotation string
---@return string?
function known.class_of_type(annotation)
  return match(annotation, "neap%.[%w_.]*%w")
end

--- The fields of a class that are for everybody, and those of the ones that it extends.
---@param class table
---@return table[] fields  by name
function known.fields(class)
  local fields, seen = {}, {}
  for _ = 1, 10 do
    for _, field in ipairs(class.fields) do
      if not field.private and not seen[field.name] then
        seen[field.name] = true
        fields[#fields + 1] = field
      end
    end
    class = class.parent and known.read().classes[class.parent]
    if not class then
      break
    end
  end
  sort(fields, function(a, b)
    return a.name < b.name
  end)
  return fields
end

--- The fields of a type that is written out: `{ parents?: boolean, mode?: integer }`.
local function written_out(annotation)
  local inside = match(annotation, "^{(.*)}%??$")
  if not inside then
    return nil
  end
  local fields = {}
  for name, kind in gmatch(inside .. ",", "%s*([%a_][%w_]*%??):%s*([^,{}()]+),") do
    local optional = match(name, "^(.*)%?$")
    fields[#fields + 1] = {name = optional or name, type = optional and kind .. "?" or kind, private = false}
  end
  return #fields > 0 and {fields = fields, functions = {}} or nil
end

--- The class of the options that a type takes, if it takes some: one of fields only.
---@param annotation string
---@return table? class
function known.options(annotation)
  local own = written_out(annotation)
  if own then
    return own
  end
  for name in gmatch(annotation, "neap%.[%w_.]*%w") do
    local class = known.read().classes[name]
    if class and #class.functions == 0 and (match(name, "Options$") or match(name, "Spec$")) then
      return class
    end
  end
end

--- The texts that a type lists: `"a"|"b"`.
---@param annotation string
---@return string[]
function known.literals(annotation)
  local list = {}
  annotation = gsub(annotation, "neap%.[%w_.]*%w", known.read().aliases)
  if type(annotation) == "string" then
    for text in gmatch(annotation, '"([^"]*)"') do
      list[#list + 1] = text
    end
  end
  return list
end

return known

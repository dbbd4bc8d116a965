--- What the annotations say of a name or a value: `:doc net.connect`.
---
--- They are those that the reference is made of, built into neap and read when
--- first asked for. Values are found by name in raw tables; nothing is called.

local annotations = require "neap.repl.annotations"
local known = require "neap.repl.known"
local names = require "neap.repl.names"
local prose = require "neap.repl.prose"
local standard = require "neap.repl.standard"
local topics = require "neap.repl.topics"

local next, ipairs, rawequal, rawget, type = next, ipairs, rawequal, rawget, type
local find, format, gmatch, gsub, match = string.find, string.format, string.gmatch, string.gsub, string.match
local filled, first_paragraph, first_sentence = prose.filled, prose.paragraph, prose.sentence
local read = known.read
local lower, sub, concat, sort = string.lower, string.sub, table.concat, table.sort
local getinfo, getlocal, getmetatable = debug.getinfo, debug.getlocal, debug.getmetatable
local loaded = package.loaded

---@class neap.repl.doc
local doc = {}

local function add_thing(out, before, thing, indent)
  local text = format("%s%s%s", before, thing.type, thing.text and ": " .. thing.text or "")
  out[#out + 1] = filled(text, indent)
end

--- The fields of a class, and of those that it extends.
local function add_fields(out, class, indent)
  for _, field in ipairs(known.fields(class)) do
    add_thing(out, field.name .. " ", field, indent)
  end
end

local function function_text(class, item)
  local out = {annotations.signature(class, item)}
  out[#out + 1] = filled(first_paragraph(item.text), "  ")
  for _, param in ipairs(item.params) do
    add_thing(out, param.name .. " ", param, "    ")
    local options = known.options(param.type)
    if options and options.name then
      add_fields(out, options, "      ")
    end
  end
  for _, result in ipairs(item.returns) do
    add_thing(out, "returns " .. (result.name and result.name .. " " or ""), result, "    ")
  end
  if item.async then
    out[#out + 1] = "    may suspend"
  end
  return concat(out, "\n")
end

local function field_text(class, field)
  local out = {format("%s.%s: %s", names.short(class.name), field.name, field.type)}
  if field.text then
    out[2] = filled(field.text, "  ")
  end
  return concat(out, "\n")
end

local function list_text(label, list)
  sort(list)
  return #list > 0 and filled(label .. ": " .. concat(list, ", "), "  ") or nil
end

local function class_text(class)
  local out = {class.name}
  local text = first_paragraph(class.text)
  if text == "" and class.header then
    text = first_paragraph(class.header.text)
  end
  if text ~= "" then
    out[2] = filled(text, "  ")
  end
  if #class.functions == 0 then
    add_fields(out, class, "    ")
    return concat(out, "\n")
  end
  local functions, fields = {}, {}
  for _, item in ipairs(class.functions) do
    functions[#functions + 1] = item.name
  end
  for _, field in ipairs(class.fields) do
    fields[#fields + 1] = not field.private and field.name or nil
  end
  out[#out + 1] = list_text("functions", functions)
  out[#out + 1] = list_text("fields", fields)
  return concat(out, "\n")
end

local function member_text(class, member)
  return member.returns and function_text(class, member) or field_text(class, member)
end

-- Functions

local function parameters(f)
  local info = getinfo(f, "u")
  local list = {}
  for i = 1, info.nparams do
    list[i] = getlocal(f, i) or "?"
  end
  if info.isvararg then
    list[#list + 1] = "..."
  end
  return concat(list, ", ")
end

--- The annotation of a function in Lua, by where it is defined.
local function by_place(info)
  local source = sub(info.source, 1, 6) == "=neap." and sub(info.source, 2)
    or sub(info.source, 1, 1) == "@" and match(info.source, "/(neap/.*)%.lua$")
  local found = source and read().places[format("%s:%d", gsub(source, "/", "."), info.linedefined)]
  if found then
    return found[1], found[2]
  end
end

--- The annotation of a function.
---@param f function
---@param name_of? function  of names.finder
---@return table? class
---@return table? item
function doc.annotated(f, name_of)
  local owner, name = (name_of or names.finder())(f)
  local class = owner and read().classes[owner]
  local item = class and class.by_name[name]
  if item and item.returns then
    return class, item
  end
  return by_place(getinfo(f, "S"))
end

--- Of a function: how it is called, and what it does in a sentence.
---@param f function
---@param name? string  what it is called where it was found
---@param name_of? function  of names.finder
---@return string? signature
---@return string? summary
function doc.line(f, name, name_of)
  name_of = name_of or names.finder()
  local class, item = doc.annotated(f, name_of)
  if item then
    return annotations.signature(class, item), first_sentence(first_paragraph(item.text))
  end
  local owner, known_as = name_of(f)
  if owner then
    local signature, summary = standard.find(owner, known_as)
    if signature then
      return signature, summary
    end
  end
  if getinfo(f, "S").what ~= "C" then
    return format("%s(%s)", name or "function", parameters(f))
  end
end

local function of_function(f)
  local name_of = names.finder()
  local class, item = doc.annotated(f, name_of)
  if item then
    return function_text(class, item)
  end
  local signature, summary = doc.line(f, nil, name_of)
  if not signature then
    return nil
  end
  local info = getinfo(f, "S")
  if info.what ~= "C" and not summary then
    summary = format("%s:%d", info.short_src, info.linedefined)
  end
  return signature .. "\n" .. filled(summary or "", "  ")
end

--- A class that is annotated, with its members by name.
---@param name string  "neap.Stream"
---@return table? class
function doc.class(name)
  return read().classes[name]
end

--- What a class or module is for, in a sentence.
---@param class table
---@return string
function doc.summary(class)
  local text = first_paragraph(class.text)
  if text == "" and class.header then
    text = first_paragraph(class.header.text)
  end
  return first_sentence(text)
end

--- The class of what a member gives: a function's first result.
---@param member table
---@return string?
function doc.result_of(member)
  local first = member.returns and member.returns[1]
  return first and known.class_of_type(first.type)
end

--- The class of what a function gives.
---@param f function
---@return string?
function doc.result(f)
  local _, item = doc.annotated(f)
  return item and doc.result_of(item)
end

--- The class of a member of an object: a field's type; of a function, itself.
---@param class table
---@param name any
---@return table?
function doc.member_class(class, name)
  local member = type(name) == "string" and class.by_name[name]
  if not member then
    return nil
  elseif member.returns then
    return {name = class.name, by_name = {}, member = member}
  end
  return doc.class(known.class_of_type(member.type) or "")
end

--- Of a member: what it is, how it is written, and what it is for in a sentence.
---@param class table
---@param name string
---@return "function"|"field"|nil kind
---@return string? signature
---@return string? summary
function doc.member(class, name)
  local member = class.by_name[name]
  if not member then
    return nil
  elseif member.returns then
    return "function", annotations.signature(class, member),
      first_sentence(first_paragraph(member.text))
  end
  return "field", member.name .. ": " .. member.type, member.text and first_sentence(member.text)
end

-- Names

--- `t[key]` by raw tables only: of a table, its metatable's `__index` tables, and
--- the methods of our own classes.
---@param value any
---@param key any
---@return any
function doc.raw(value, key)
  for _ = 1, 100 do
    if type(value) == "table" then
      local found = rawget(value, key)
      if found ~= nil then
        return found
      end
    end
    local metatable = getmetatable(value)
    value = type(metatable) == "table" and names.methods(metatable)
    if not value then
      return nil
    end
  end
end

local function of_class(value)
  local class = names.class(value)
  return class and read().classes[class]
end

--- The text of a name by what it is in env, or nil.
local function in_env(path, env)
  local value = env
  for i, step in ipairs(path) do
    local found = doc.raw(value, step)
    if found == nil then
      local class = i == #path and i > 1 and of_class(value)
      local member = class and class.by_name[step]
      return member and member_text(class, member)
    end
    value = found
  end
  return doc.of_value(value)
end

local function by_name(path)
  local last = path[#path]
  local owner = concat(path, ".", 1, #path - 1)
  local all = read()
  local class = all.classes[owner]
  for _, each in ipairs(class and {class} or all.short[lower(owner)] or {}) do
    if each.by_name[last] then
      return member_text(each, each.by_name[last])
    end
  end
  local signature, summary = standard.find(owner == "" and "_G" or owner, last)
  if signature then
    return signature .. "\n" .. filled(summary, "  ")
  end
  local whole = concat(path, ".")
  class = all.classes[whole] or #path == 1 and all.short[lower(last)] and all.short[lower(last)][1]
  return class and class_text(class) or nil
end

--- All that bear a word: the text of the one, or a line for each.
local function by_word(word)
  local found = topics.bearers(word)
  if #found == 1 then
    return member_text(found[1].class, found[1].member)
  elseif #found > 1 then
    return topics.list(word, found)
  end
end

local function of_name(name, env)
  local path = {}
  for step in gmatch(name, "[^.:]+") do
    path[#path + 1] = step
  end
  if #path == 0 or find(name, "[^%w_.:]") then
    return nil
  end
  local text = in_env(path, env) or by_name(path)
  if #path > 1 then
    return text
  end
  local topic = topics.code(path[1]) or topics.scheme(path[1])
  if text and topic then
    return topic .. "\n" .. text
  end
  return text or topic or by_word(path[1])
end

--- Of a value that is no name.
---@param value any
---@return string?
function doc.of_value(value)
  if type(value) == "function" then
    return of_function(value)
  elseif type(value) == "table" then
    for name, module in next, loaded do
      if rawequal(module, value) and type(name) == "string" and read().classes[name] then
        return class_text(read().classes[name])
      end
    end
  end
  local class = type(value) ~= "string" and of_class(value)
  return class and class_text(class) or nil
end

--- What is known of a name, or of a value: how a function is called, the first
--- paragraph, its parameters and results; of a code of errors, a scheme of endpoints; of
--- another word, what bears it.
---@param what any  a name ("net.connect", "stream.read", "string.rep", "read", "EPIPE",
--- "unix"), or a value
---@param env? table  where names are looked up first; the globals
---@return string? text  nil when nothing is
function doc.doc(what, env)
  if type(what) == "string" then
    return of_name(what, env or _G)
  end
  return doc.of_value(what)
end

return setmetatable(doc, {
  __call = function(_, what, env)
    return doc.doc(what, env)
  end,
})

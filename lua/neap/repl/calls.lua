--- Completion inside a call, by what the annotations say of its parameters: names of
--- options in a table, and the texts that an argument or an option may be. And the keys
--- of a table, in `t["`.

local doc = require "neap.repl.doc"
local expression = require "neap.repl.expression"
local found_of = require "neap.repl.found"
local known = require "neap.repl.known"
local names = require "neap.repl.names"
local prose = require "neap.repl.prose"
local signals = require "neap.signal".names
local syntax = require "neap.repl.syntax"

local ipairs, next, type = ipairs, next, type
local find, match, sub = string.find, string.match, string.sub
local getmetatable, max = debug.getmetatable, math.max

---@class neap.repl.calls
local calls = {}

--- Bytes before the cursor in which a call is looked for, and of what is called.
local NEAR, CALLEE = 8 * 1024, 300

--- What is open at the end of a text: brackets and blocks, the innermost last.
---@class neap.repl.calls.Open
---@field text string  "(", "{", or what begins a block
---@field first integer  where it is
---@field argument integer  entries before this one, and one
---@field key string?  of the entry, in a table
---@field fresh boolean  nothing of the entry is there

local OPENS = {["("] = true, ["["] = true, ["{"] = true, ["function"] = true, ["do"] = true, ["if"] = true,
  ["repeat"] = true}
local CLOSES = {[")"] = true, ["]"] = true, ["}"] = true, ["end"] = true, ["until"] = true}

---@param text string
---@return neap.repl.calls.Open[]
local function open_in(text)
  local open = {}
  local name
  for kind, first, last in syntax.tokens(text) do
    local top = open[#open]
    local token = sub(text, first, last)
    if kind == "comment" then
      goto continue
    elseif OPENS[token] and kind ~= "string" then
      if top then
        top.fresh = false
      end
      open[#open + 1] = {text = token, first = first, argument = 1, fresh = true}
    elseif CLOSES[token] and kind ~= "string" then
      open[#open] = nil
    elseif top and kind == "symbol" and (token == "," or token == ";" and top.text == "{") then
      top.argument, top.key, top.fresh = top.argument + 1, nil, true
    elseif top and token == "=" and top.text == "{" then
      top.key, top.fresh = name, false
    elseif top then
      name = top.fresh and kind == "name" and token or nil
      top.fresh = false
    end
    ::continue::
  end
  return open
end

--- The function that is called by the bracket, or the text, that begins at a place.
local function callee(text, place, env)
  local before = sub(text, max(1, place - CALLEE), place - 1)
  if not find(before, "[%w_%]%)]%s*$") then
    return nil
  end
  local steps = expression.steps(before)
  if not steps then
    return nil
  end
  local value, class = expression.follow(steps, env)
  if type(value) == "function" then
    local _, item = doc.annotated(value)
    return item
  end
  return class and class.member
end

--- The type of a function's parameter; the last may be `...`.
local function type_of(item, n)
  local params = item and item.params or {}
  local param = params[n] or params[#params]
  return param and (params[n] or param.name == "...") and param.type or nil
end

local field_type

--- The type of an entry of what is open: an argument, or a field.
local function entry_type(text, open, level, env)
  local top = open[level]
  if not top then
    return nil
  elseif top.text == "(" then
    return type_of(callee(text, top.first, env), top.argument)
  elseif top.text == "{" and top.key then
    return field_type(text, open, level, top.key, env)
  end
end

--- The options that a table may have which is open.
local function options_of(text, open, level, env)
  local table_type = type_of(callee(text, open[level].first, env), 1) or entry_type(text, open, level - 1, env)
  return table_type and known.options(table_type)
end

function field_type(text, open, level, key, env)
  local class = options_of(text, open, level, env)
  for _, field in ipairs(class and known.fields(class) or {}) do
    if field.name == key then
      return field.type
    end
  end
end

--- The end of a text, and what is open in it.
local function near(text)
  local skipped = max(0, #text - NEAR)
  text = sub(text, skipped + 1)
  return text, open_in(text), skipped
end

--- Names of options, where one may stand at the end of the text.
---@param code string
---@param env table
---@return neap.repl.complete.Result?
function calls.options(code, env)
  local word = match(sub(code, -CALLEE), "[%a_][%w_]*$") or ""
  local text, open, skipped = near(sub(code, 1, #code - #word))
  local top = open[#open]
  local class = top and top.text == "{" and top.fresh and options_of(text, open, #open, env)
  if not class then
    return nil
  end
  local found = found_of.new(word)
  for _, field in ipairs(known.fields(class)) do
    if find(field.name, "^[%a_]") then
      found:add(field.name, {kind = "option", signature = field.name .. ": " .. field.type,
        doc = field.text and prose.sentence(field.text)})
    end
  end
  local result = found:result(skipped + #text + 1)
  return #result.candidates > 0 and result or nil
end

--- Keys looked at.
local LOOKED = 100000

--- The keys of a table that are texts, as they are written behind its `["`.
local function keys(value, inside, quote, first)
  local found = found_of.new(inside)
  local looked = 0
  for _ = 1, 100 do
    for key in next, type(value) == "table" and value or {} do
      looked = looked + 1
      if looked > LOOKED then
        break
      elseif type(key) == "string" and not find(key, "[%c\\" .. quote .. "]") and utf8.len(key) then
        found:add(key .. quote .. "]", {kind = "key"})
      end
    end
    local metatable = getmetatable(value)
    value = type(metatable) == "table" and names.methods(metatable)
    if not value then
      break
    end
  end
  return found:result(first)
end

--- What may stand in a string that begins at i: of what is called there, or indexed; nil
--- if the annotations list nothing.
---@param code string
---@param i integer
---@param env table
---@return neap.repl.complete.Result?
function calls.text(code, i, env)
  local quote, inside = sub(code, i, i), sub(code, i + 1)
  if find(inside, "[\\%c]") then
    return nil
  end
  local text, open, skipped = near(sub(code, 1, i - 1))
  local top = open[#open]
  if top and top.text == "[" and top.fresh then
    local steps = expression.steps(sub(text, max(1, top.first - CALLEE), top.first - 1))
    return steps and keys((expression.follow(steps, env)), inside, quote, i + 1)
  end
  local place = i - skipped
  local wanted = type_of(callee(text, place, env), 1) or entry_type(text, open, #open, env)
  local found = found_of.new(inside)
  for _, literal in ipairs(wanted and known.literals(wanted) or {}) do
    found:add(literal, {kind = "text"})
  end
  if wanted and find(wanted, "neap.signal.Name", 1, true) then
    for _, name in next, signals do
      found:add(name, {kind = "signal"})
    end
  end
  local result = found:result(i + 1)
  return #result.candidates > 0 and result or nil
end

return calls

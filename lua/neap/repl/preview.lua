--- What an expression would give, where finding that out calls nothing: names, fields of
--- raw tables, literals, and operators between numbers and texts. No function runs, and
--- no metamethod.

local inspect = require "neap.inspect".inspect
local syntax = require "neap.repl.syntax"

local error, load, next, pcall, rawequal, rawget = error, load, next, pcall, rawequal, rawget
local rawlen, tonumber, type = rawlen, tonumber, type
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local getmetatable, is_number = debug.getmetatable, math.type

---@class neap.repl.preview
local preview = {}

--- Longest expression, in bytes, and longest text that one makes.
local LONG, MADE = 200, 10000

--- Entries of a table that is shown.
local ENTRIES = 1000

--- Raised where something would have to be called, or is no expression.
local CALLS = {}

local function index(value, key)
  for _ = 1, 100 do
    local kind = type(value)
    if kind ~= "table" and kind ~= "string" then
      break
    end
    local found = kind == "table" and rawget(value, key)
    local metatable = getmetatable(value)
    if kind == "table" and found ~= nil or not metatable then
      return found
    end
    value = rawget(metatable, "__index")
    if value == nil and kind == "table" then
      return nil
    end
  end
  error(CALLS)
end

local function has(value, event)
  local metatable = getmetatable(value)
  return metatable and rawget(metatable, event) ~= nil
end

--
-- Operators: how strongly each binds, to its left and to its right; and what it does.
--

local BINDS = {
  ["or"] = {1, 1}, ["and"] = {2, 2}, ["<"] = {3, 3}, [">"] = {3, 3}, ["<="] = {3, 3}, [">="] = {3, 3},
  ["~="] = {3, 3}, ["=="] = {3, 3}, ["|"] = {4, 4}, ["~"] = {5, 5}, ["&"] = {6, 6}, ["<<"] = {7, 7},
  [">>"] = {7, 7}, [".."] = {9, 8}, ["+"] = {10, 10}, ["-"] = {10, 10}, ["*"] = {11, 11}, ["/"] = {11, 11},
  ["//"] = {11, 11}, ["%"] = {11, 11}, ["^"] = {14, 13},
}
local UNARY = 12

local between = {}

for operator in pairs(BINDS) do
  between[operator] = load("local a, b = ... return a " .. operator .. " b", "=", "t", {})
end

local function a_text(value)
  return type(value) == "string" and value or ""
end

--- May Lua's own operator be used on these, for it calls nothing?
local function is_plain(operator, a, b)
  local numbers = is_number(a) and is_number(b)
  local texts = type(a) == "string" and type(b) == "string"
  if operator == "and" or operator == "or" then
    return true
  elseif operator == "==" or operator == "~=" then
    return rawequal(a, b) or not (has(a, "__eq") or has(b, "__eq"))
  elseif operator == ".." then
    return (texts or type(a) == "string" and is_number(b) or is_number(a) and type(b) == "string" or numbers)
      and #a_text(a) + #a_text(b) < MADE
  elseif find(operator, "^[<>]=?$") then
    return numbers or texts
  end
  return numbers
end

local function binary(operator, a, b)
  if not is_plain(operator, a, b) then
    error(CALLS)
  end
  return between[operator](a, b)
end

local function unary(operator, a)
  if operator == "not" then
    return not a
  elseif operator == "#" and (type(a) == "string" or type(a) == "table" and not has(a, "__len")) then
    return rawlen(a)
  elseif operator == "-" and is_number(a) then
    return -a
  elseif operator == "~" and is_number(a) then
    return ~a
  end
  error(CALLS)
end

--
-- Reading
--

--- The tokens: {kind, text}.
local function read(text)
  local tokens, before = {}, 0
  for kind, first, last in syntax.tokens(text) do
    local token = sub(text, first, last)
    local top = tokens[#tokens]
    if kind == "symbol" and top and top[1] == kind and first == before + 1
      and BINDS[top[2] .. token] then
      top[2] = top[2] .. token
    elseif kind ~= "comment" then
      tokens[#tokens + 1] = {kind, token}
    end
    before = last
  end
  return tokens
end

local CONSTANTS = {["true"] = {true}, ["false"] = {false}, ["nil"] = {nil}}

local expression

local function take(state)
  local token = state.tokens[state.at]
  state.at = state.at + 1
  return token and token[2]
end

local function expect(state, text)
  if take(state) ~= text then
    error(CALLS)
  end
end

local function primary(state)
  local token = state.tokens[state.at] or error(CALLS)
  local kind, text = token[1], token[2]
  state.at = state.at + 1
  if kind == "number" then
    return tonumber(text) or error(CALLS)
  elseif kind == "string" then
    local f = load("return " .. text, "=", "t", {}) or error(CALLS)
    return f()
  elseif CONSTANTS[text] then
    return CONSTANTS[text][1]
  elseif kind == "name" then
    state.looks = true
    return index(state.env, text)
  elseif text == "(" then
    local value = expression(state, 0)
    expect(state, ")")
    return value
  end
  error(CALLS)
end

--- A primary, and the fields behind it.
local function suffixed(state)
  local value = primary(state)
  while true do
    local token = state.tokens[state.at]
    local text = token and token[2]
    if text == "." then
      state.at = state.at + 1
      local name = state.tokens[state.at] or error(CALLS)
      value = index(value, name[1] == "name" and take(state) or error(CALLS))
    elseif text == "[" then
      state.at = state.at + 1
      local key = expression(state, 0)
      expect(state, "]")
      value = index(value, key)
    elseif text == "(" or text == "{" or text == ":" or token and token[1] == "string" then
      error(CALLS)
    else
      return value
    end
  end
end

function expression(state, limit)
  local token = state.tokens[state.at]
  local value
  local operator = token and token[1] ~= "string" and token[2]
  if operator == "-" or operator == "#" or operator == "~" or operator == "not" then
    state.at = state.at + 1
    state.looks = state.looks or operator ~= "-"
    value = unary(operator, (expression(state, UNARY)))
  else
    value = suffixed(state)
  end
  while true do
    token = state.tokens[state.at]
    local binds = token and token[1] ~= "string" and BINDS[token[2]]
    if not binds or binds[1] <= limit then
      return value
    end
    state.at = state.at + 1
    state.looks = true
    value = binary(token[2], value, (expression(state, binds[2])))
  end
end

local function evaluate(text, env)
  local state = {tokens = read(text), at = 1, env = env}
  local value = expression(state, 0)
  return state.at > #state.tokens and state.looks, value
end

local function is_large(value)
  local n = 0
  for _ in next, type(value) == "table" and value or {} do
    n = n + 1
    if n > ENTRIES then
      return true
    end
  end
end

--- What an expression would give, in one line. Nil where that is nil, or what is written,
--- or something would have to be called.
---@param text string
---@param env table
---@return string?
function preview.of(text, env)
  if #text > LONG or find(text, "\n", 1, true) then
    return nil
  end
  text = match(text, "^%s*=?(.-)%s*$")
  if text == "" then
    return nil
  end
  local ok, shown, value = pcall(evaluate, text, env)
  if not ok or not shown or value == nil then
    return nil
  elseif is_large(value) then
    return "a table of more than " .. ENTRIES .. " entries"
  end
  local line = inspect(value, {depth = 1, items = 10, width = 100})
  return (gsub(sub(line, 1, 1000), "%s*\n%s*", " "))
end

return preview

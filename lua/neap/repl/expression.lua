--- What stands before a `.`, a `(` or a `[`: names, indices and calls, read from right to
--- left, and followed to a value or to an annotated class. Nothing is called.

local doc = require "neap.repl.doc"
local names = require "neap.repl.names"

local ipairs, rawequal, rawget, type = ipairs, rawequal, rawget, type
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local insert, tointeger, loaded = table.insert, math.tointeger, package.loaded

---@class neap.repl.expression
local expression = {}

--- The names that lead to what stands before the last separator, from right to
--- left: a list of keys behind a root. The root is a name, or a string's methods,
--- or the result of a call, which only the annotations tell.
---@param text string
---@return table? steps
function expression.steps(text)
  local steps = {}
  while true do
    text = gsub(text, "%s+$", "")
    local rest, name = match(text, "^(.-)([%a_][%w_]*)$")
    if name then
      rest = gsub(rest, "%s+$", "")
      insert(steps, 1, name)
      local before = match(rest, "^(.*[^.:])[.:]$") or match(rest, "^()[.:]$") and ""
      if not before then
        return steps
      end
      text = before
    elseif find(text, "[\"']$") then
      local quote, inside
      text, quote, inside = match(text, "^(.*)([\"'])([^\"'\\]*)%2$")
      if not quote then
        return nil
      elseif not find(text, "[%w_%]]%s*$") then
        insert(steps, 1, {text = true})
        return steps
      end
      insert(steps, 1, {call = true, argument = inside})
    elseif find(text, "%]$") then
      local before, key = match(text, "^(.*)%[%s*(%-?%d+)%s*%]$")
      local quote
      if before then
        key = tointeger(key)
      else
        before, quote, key = match(text, "^(.*)%[%s*([\"'])([^\"'\\]*)%2%s*%]$")
      end
      if not key or quote == "" then
        return nil
      end
      insert(steps, 1, {key = key})
      text = before
    elseif find(text, "%)$") then
      local from = find(text, "%b()$")
      if not from then
        return nil
      end
      local inside = sub(text, from)
      text = sub(text, 1, from - 1)
      if find(text, "[%w_%]]%s*$") then
        insert(steps, 1, {call = true, argument = match(inside, "^%(%s*[\"']([^\"'\\]*)[\"']%s*%)$")})
      else
        insert(steps, 1, {text = true})
        return find(inside, "^%(%s*[\"'].*[\"']%s*%)$") and steps
      end
    else
      return nil
    end
  end
end

--- What a call gives: of `require` the module, if it is loaded; of others the class
--- that the annotations name.
local function called(f, class, argument)
  if f ~= nil and rawequal(f, rawget(_G, "require")) and argument then
    return rawget(loaded, argument)
  elseif class then
    return nil, class.member and doc.class(doc.result_of(class.member) or "")
  end
  return nil, type(f) == "function" and doc.class(doc.result(f) or "")
end

--- Follow the steps: a value, or only the annotated class of one.
---@param steps table
---@param env table
---@return any value
---@return table? class  if there is no value; with a `member` if that is a function
function expression.follow(steps, env)
  local value, class = env, nil
  for _, step in ipairs(steps) do
    if type(step) == "table" and step.text then
      value = ""
    elseif type(step) == "table" and step.call then
      value, class = called(value, class, step.argument)
    elseif value ~= nil then
      local key = type(step) == "table" and step.key or step
      local found = doc.raw(value, key)
      class = found == nil and doc.class(names.class(value) or "") or nil
      value = found
      if class then
        class = doc.member_class(class, key)
      end
    elseif class then
      class = doc.member_class(class, step)
    end
    if value == nil and not class then
      return nil
    end
  end
  return value, class
end

return expression

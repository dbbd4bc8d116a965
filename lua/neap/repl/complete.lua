--- What may stand at the cursor: completion for the prompt.
---
--- Nothing of the script's is called: names are followed through raw tables and
--- `__index` tables only. What is known of the library's classes comes from their
--- tables of methods and from the annotations.

local calls = require "neap.repl.calls"
local doc = require "neap.repl.doc"
local expression = require "neap.repl.expression"
local found_of = require "neap.repl.found"
local names = require "neap.repl.names"
local quoted = require "neap.repl.quoted"

local next, type = next, type
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local getmetatable, setmetatable = debug.getmetatable, setmetatable

---@class neap.repl.complete
local complete = {}

---@class neap.repl.complete.Candidate
---@field text string  what replaces the word
---@field kind string  the type of a value, "field" of a class, "option", "text", "key",
--- "signal", "keyword", "module", "scheme", "endpoint", "file", "folder", "command"
---@field signature string?  how it is called, or its type
---@field doc string?  a sentence

---@class neap.repl.complete.Options
---@field commands table?  of the prompt: name -> a sentence, or a list of names

---@class neap.repl.complete.Result
---@field first integer  where the word begins, a byte position
---@field candidates neap.repl.complete.Candidate[]  in order
---@field common string  what all begin with
---@field more integer  how many are not listed

--- Bytes of the text before the cursor that matter.
local TEXT = 64 * 1024

local function add_members(found, value, class, functions)
  for _ = 1, 100 do
    if type(value) == "table" then
      found:keys(value, functions)
    end
    local name, metatable = names.class(value)
    class = class or name and doc.class(name)
    metatable = metatable or getmetatable(value)
    value = type(metatable) == "table" and names.methods(metatable)
    if not value then
      break
    end
  end
  if class then
    for name, member in next, class.by_name do
      if find(name, "^[%a_]") and (member.returns or not functions) then
        found:add(name)
      end
    end
  end
  return class
end

--- Say of a candidate what it is: a value below `base`, or an annotated member.
local function describer(base, class)
  local name_of = names.finder()
  return function(candidate)
    local value
    if base ~= nil then
      value = doc.raw(base, candidate.text)
    end
    if candidate.kind == "keyword" then
      return
    elseif type(value) == "function" then
      candidate.kind = "function"
      candidate.signature, candidate.doc = doc.line(value, candidate.text, name_of)
    end
    if class and not candidate.signature then
      local kind, signature, summary = doc.member(class, candidate.text)
      if kind then
        candidate.kind, candidate.signature, candidate.doc = kind, signature, summary
        return
      end
    end
    if value ~= nil then
      candidate.kind = type(value)
    end
  end
end

--- What is left of the cursor is code; so much of it matters.
local TAIL = 500

local function in_code(text, env)
  local skipped = #text > TAIL and #text - TAIL or 0
  text = sub(text, skipped + 1)
  local word = match(text, "[%a_][%w_]*$") or ""
  local first = skipped + #text - #word + 1
  local before = gsub(sub(text, 1, -#word - 1), "%s+$", "")
  if find(text, "%d[%w_]*$") and word ~= match(text, "[%w_]*$") then
    return nil
  end
  local separator = match(before, "[^.:]([.:])$") or match(before, "^([.:])$")
  local found = found_of.new(word)
  if not separator then
    if find(before, "[.:]$") and not find(before, "%.%.$") then
      return nil
    end
    add_members(found, env, nil, false)
    for keyword in next, word ~= "" and found_of.KEYWORDS or {} do
      found:add(keyword, {kind = "keyword"})
    end
    return found:result(first, describer(env))
  end
  local steps = expression.steps(sub(before, 1, -2))
  if not steps then
    return nil
  end
  local value, class = expression.follow(steps, env)
  if value == nil and not class then
    return nil
  end
  class = add_members(found, value, class, separator == ":")
  return found:result(first, describer(value, class))
end

-- The prompt's commands

local function commands(word, first, list)
  local found = found_of.new(word)
  for name, about in next, list do
    if type(name) == "number" then
      found:add(about, {kind = "command"})
    else
      found:add(name, {kind = "command", doc = type(about) == "string" and about or nil})
    end
  end
  return found:result(first)
end

--- What may stand at the cursor. Nothing is called, and it takes bounded time.
---@param text string
---@param cursor? integer  its byte position: #text + 1 at the end, which is the default
---@param env? table  the globals
---@param opts? neap.repl.complete.Options
---@return neap.repl.complete.Result
function complete.complete(text, cursor, env, opts)
  cursor = cursor and cursor <= #text and cursor or #text + 1
  local start = cursor > TEXT and cursor - TEXT or 1
  text = sub(text, start, cursor - 1)
  local nothing = {first = cursor, candidates = {}, common = "", more = 0}
  local before, command = match(text, "^(%s*:)(%a*)$")
  local result
  if before then
    result = commands(command, #before + 1, opts and opts.commands or {})
  else
    local head, verb = match(text, "^(%s*:(%a+)%s+)")
    if verb == "load" or verb == "save" then
      result = quoted.files(sub(text, #head + 1), #head + 1)
    else
      local code = head and gsub(head, "[^\n]", " ") .. sub(text, #head + 1) or text
      local inside = quoted.open(code)
      if not inside then
        result = calls.options(code, env or _G) or in_code(code, env or _G)
      elseif inside ~= "comment" then
        result = calls.text(code, inside, env or _G) or quoted.complete(code, inside)
      end
    end
  end
  if result then
    result.first = result.first + start - 1
  end
  return result or nothing
end

return setmetatable(complete, {
  __call = function(_, ...)
    return complete.complete(...)
  end,
})

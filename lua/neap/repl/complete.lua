--- What may stand at the cursor: completion for the prompt.
---
--- Nothing of the script's is called: names are followed through raw tables and
--- `__index` tables only. What is known of the library's classes comes from their
--- tables of methods and from the annotations.

local doc = require "neap.repl.doc"
local endpoint = require "neap.endpoint"
local host = require "neap.host"
local names = require "neap.repl.names"
local smallest = require "neap.repl.smallest"

-- A script may replace the globals.
local ipairs, next, pcall, rawequal, rawget = ipairs, next, pcall, rawequal, rawget
local require, type = require, type
local find, gmatch, gsub, match, sub = string.find, string.gmatch, string.gsub, string.match, string.sub
local byte, getmetatable, insert = string.byte, debug.getmetatable, table.insert
local tointeger, tostring, setmetatable = math.tointeger, tostring, setmetatable
local loaded = package.loaded

---@class neap.repl.complete
local complete = {}

---@class neap.repl.complete.Candidate
---@field text string  what replaces the word
---@field kind string  the type of a value, "field" of a class, "keyword", "module", "scheme",
--- "endpoint", "file", "folder", "command"
---@field signature string?  how it is called, or its type
---@field doc string?  a sentence

---@class neap.repl.complete.Options
---@field commands table?  of the prompt: name -> a sentence, or a list of names

---@class neap.repl.complete.Result
---@field first integer  where the word begins, a byte position
---@field candidates neap.repl.complete.Candidate[]  in order
---@field common string  what all begin with
---@field more integer  how many are not listed

--- Most candidates listed.
local LISTED = 200

--- Keys looked at, in all tables of a completion.
local LOOKED = 300000

--- Bytes of the text before the cursor that matter.
local TEXT = 64 * 1024

local KEYWORDS = {}
for word in gmatch([[and break do else elseif end false for function goto if in local nil not or
    repeat return then true until while]], "%a+") do
  KEYWORDS[word] = true
end

-- Collecting

---@class neap.repl.Found
---@field word string
---@field common string?  of all that were added
---@field names neap.repl.smallest
---@field looked integer
local Found = {}
Found.__index = Found

local function new_found(word)
  return setmetatable({word = word, names = smallest.new(LISTED), looked = 0, of = {}}, Found)
end

--- How far two strings agree.
local function agreed(a, b)
  local n = #a < #b and #a or #b
  for i = 1, n do
    if byte(a, i) ~= byte(b, i) then
      return sub(a, 1, i - 1)
    end
  end
  return sub(a, 1, n)
end

--- A candidate, if it begins with the word; `about` is remembered for it.
function Found:add(name, about)
  if sub(name, 1, #self.word) ~= self.word then
    return
  end
  self.names:add(name)
  self.common = self.common and agreed(self.common, name) or name
  self.of[name] = self.of[name] or about
end

--- Metamethods are shown to who asks for them.
local function is_name(key, word)
  return find(key, "^[%a_][%w_]*$") and not KEYWORDS[key]
    and (word ~= "" or not find(key, "^__"))
end

--- Add the keys of a raw table that are names; functions only, perhaps. This loop
--- is what takes the time in a large table, so it calls little.
function Found:keys(from, functions)
  local word, n = self.word, #self.word
  local common, last = self.common, self.names.last
  local looked, count = self.looked, 0
  for key, value in next, from do
    looked = looked + 1
    if looked > LOOKED then
      break
    end
    if type(key) == "string" and not (functions and type(value) ~= "function") then
      if common and last and key >= last and (common == "" or sub(key, 1, #common) == common) then
        count = count + 1
      elseif (n == 0 or sub(key, 1, n) == word) and is_name(key, word) then
        common = common and agreed(common, key) or key
        self.names:add(key)
        last = self.names.last
      end
    end
  end
  self.common, self.looked = common, looked
  self.names.count = self.names.count + count
end

--- The candidates; `describe(candidate)` says more of each.
function Found:result(first, describe)
  local candidates, before = {}, nil
  local list = self.names:list()
  local total = self.names.count
  for _, name in ipairs(list) do
    if name == before then
      total = total - 1
    else
      local candidate = {text = name, kind = "name"}
      for key, value in next, self.of[name] or {} do
        candidate[key] = value
      end
      if describe then
        describe(candidate)
      end
      candidates[#candidates + 1] = candidate
    end
    before = name
  end
  return {
    first = first, candidates = candidates, common = self.common or self.word,
    more = total > #candidates and total - #candidates or 0,
  }
end

-- Where the cursor is

--- The end of a quoted string that begins at i, or nil.
local function end_of_quoted(text, i)
  local quote = sub(text, i, i)
  local at = i + 1
  while true do
    local stop = find(text, "[\\\n" .. quote .. "]", at)
    if not stop then
      return nil
    elseif sub(text, stop, stop) == "\\" then
      at = stop + 2
    else
      return stop
    end
  end
end

--- Where a string begins in which the text ends; "comment" in a comment or a long
--- string; nil in code.
local function open_string(text)
  local at = 1
  while true do
    local i = find(text, "[\"'%-%[]", at)
    if not i then
      return nil
    end
    local c = sub(text, i, i)
    local level = match(text, "^%[(=*)%[", c == "-" and i + 2 or i)
    if c == "-" and sub(text, i + 1, i + 1) ~= "-" then
      at = i + 1
    elseif level then
      local _, stop = find(text, "]" .. level .. "]", i, true)
      if not stop then
        return "comment"
      end
      at = stop + 1
    elseif c == "-" then
      local stop = find(text, "\n", i, true)
      if not stop then
        return "comment"
      end
      at = stop + 1
    elseif c == "[" then
      at = i + 1
    else
      local stop = end_of_quoted(text, i)
      if not stop then
        return i
      end
      at = stop + 1
    end
  end
end

-- Inside strings

local MODULES = {require = true}
local ENDPOINTS = {connect = true, listen = true, bind = true}
local FILES = {
  dofile = true, loadfile = true, open = true, lines = true, input = true, output = true,
  remove = true, rename = true, load = true,
}

local function split_path(path)
  local folder, name = match(path, "^(.*/)([^/]*)$")
  return folder or "", name or path
end

local function files(path, first)
  local folder, name = split_path(path)
  local found = new_found(name)
  for _, entry in ipairs(host.list(folder == "" and "." or folder) or {}) do
    local hidden = sub(entry, 1, 1) == "." and sub(name, 1, 1) ~= "."
    if not hidden and entry ~= "./" and entry ~= "../" then
      found:add(entry, {kind = sub(entry, -1) == "/" and "folder" or "file"})
    end
  end
  return found:result(first + #folder)
end

--- Folders below which a template with `?/init.lua` is looked for.
local FOLDERS = 50

local function has_init(folder)
  for _, entry in ipairs(host.list(folder) or {}) do
    if entry == "init.lua" then
      return true
    end
  end
end

--- The modules that a template of package.path gives names to, below a parent.
local function add_template(found, template, parent)
  local before, after = match(template, "^([^?]*/)%?(/?[^?/]*)$")
  if not before then
    return
  end
  local folder = before .. gsub(parent, "%.", "/")
  local left = FOLDERS
  for _, entry in ipairs(host.list(folder) or {}) do
    local inner = match(entry, "^([%w_-]+)/$")
    if inner and after == ".lua" then
      found:add(parent .. inner .. ".", {kind = "folder"})
    elseif inner and after == "/init.lua" and left > 0 then
      left = left - 1
      if has_init(folder .. inner) then
        found:add(parent .. inner, {kind = "module"})
      end
    elseif not inner and sub(entry, -#after) == after then
      local name = match(sub(entry, 1, -#after - 1), "^[%w_-]+$")
      if name then
        found:add(parent .. name, {kind = "module"})
      end
    end
  end
end

local function modules(word, first)
  local found = new_found(word)
  for _, name in ipairs(host.modules()) do
    local class = not find(name, "%.core$") and name ~= "neap.require" and doc.class(name)
    if class or find(word, "^neap%.%w+%.") then
      found:add(name, {kind = "module", doc = class and doc.summary(class)})
    end
  end
  for _, from in ipairs {package.preload, loaded} do
    for name in next, type(from) == "table" and from or {} do
      if type(name) == "string" and not find(name, "^neap%.") and name ~= "_G" then
        found:add(name, {kind = "module"})
      end
    end
  end
  local parent = match(word, "^(.*%.)[^.]*$") or ""
  local path = rawget(package, "path")
  for template in gmatch(type(path) == "string" and path or "", "[^;]+") do
    add_template(found, template, parent)
  end
  return found:result(first)
end

--- The schemes, with what is written behind each.
local schemes

local function read_schemes()
  if not schemes then
    schemes = {}
    local _, message = pcall(endpoint.parse, "nosuch:x")
    for scheme in gmatch(match(tostring(message), "known: ([^)]*)") or "", "%w+") do
      schemes[#schemes + 1] = scheme .. (pcall(endpoint.parse, scheme .. ":3") and ":" or "://")
    end
  end
  return schemes
end

local PATHS = {unix = true, unixgram = true, seqpacket = true}

local function endpoints(text, first, verb)
  local scheme, path = match(text, "^(%w+):(.*)$")
  if PATHS[scheme] and sub(path, 1, 1) ~= "@" then
    return files(path, first + #scheme + 1)
  end
  local found = new_found(text)
  if not scheme then
    for _, name in ipairs(read_schemes()) do
      found:add(name, {kind = "scheme"})
    end
  end
  for _, row in ipairs(verb == "connect" and host.sockets(LISTED) or {}) do
    if row.state == "listening" and row.endpoint then
      found:add(row.endpoint, {kind = "endpoint", doc = "a listener of this process"})
    end
  end
  return found:result(first)
end

--- In a string that begins at i: what the function takes that it is given to.
local function in_string(text, i)
  local before, inside = sub(text, i > 200 and i - 200 or 1, i - 1), sub(text, i + 1)
  local verb = match(before, "([%a_][%w_]*)%s*%(?%s*$")
  if find(inside, "[\\%c]") then
    return nil
  elseif MODULES[verb] then
    return modules(inside, i + 1)
  elseif ENDPOINTS[verb] then
    return endpoints(inside, i + 1, verb)
  elseif FILES[verb] then
    return files(inside, i + 1)
  elseif PATHS[match(inside, "^(%w+):[^@]") or ""] then
    return endpoints(inside, i + 1)
  end
end

-- Expressions

--- The names that lead to what stands before the last separator, from right to
--- left: a list of keys behind a root. The root is a name, or a string's methods,
--- or the result of a call, which only the annotations tell.
local function read_base(text)
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
  if f ~= nil and rawequal(f, require) and argument then
    return rawget(loaded, argument)
  elseif class then
    return nil, class.member and doc.class(doc.result_of(class.member) or "")
  end
  return nil, type(f) == "function" and doc.class(doc.result(f) or "")
end

--- Follow the steps: a value, or only the annotated class of one.
local function follow(steps, env)
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
  local found = new_found(word)
  if not separator then
    if find(before, "[.:]$") and not find(before, "%.%.$") then
      return nil
    end
    add_members(found, env, nil, false)
    for keyword in next, word ~= "" and KEYWORDS or {} do
      found:add(keyword, {kind = "keyword"})
    end
    return found:result(first, describer(env))
  end
  local steps = read_base(sub(before, 1, -2))
  if not steps then
    return nil
  end
  local value, class = follow(steps, env)
  if value == nil and not class then
    return nil
  end
  class = add_members(found, value, class, separator == ":")
  return found:result(first, describer(value, class))
end

-- The prompt's commands

local function commands(word, first, list)
  local found = new_found(word)
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
---@param cursor? integer  bytes before the cursor; all
---@param env? table  the globals
---@param opts? neap.repl.complete.Options
---@return neap.repl.complete.Result
function complete.complete(text, cursor, env, opts)
  cursor = cursor or #text
  local start = cursor > TEXT and cursor - TEXT + 1 or 1
  text = sub(text, start, cursor)
  local nothing = {first = cursor + 1, candidates = {}, common = "", more = 0}
  local before, command = match(text, "^(%s*:)(%a*)$")
  local result
  if before then
    result = commands(command, #before + 1, opts and opts.commands or {})
  else
    local head, verb = match(text, "^(%s*:(%a+)%s+)")
    if verb == "load" or verb == "save" then
      result = files(sub(text, #head + 1), #head + 1)
    else
      local code = head and gsub(head, "[^\n]", " ") .. sub(text, #head + 1) or text
      local inside = open_string(code)
      if not inside then
        result = in_code(code, env or _G)
      elseif inside ~= "comment" then
        result = in_string(code, inside)
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

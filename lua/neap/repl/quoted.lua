--- Completion inside a string: what the function takes that it is given to. Modules
--- for `require`, endpoints for `connect`, `listen` and `bind`, else files.

local doc = require "neap.repl.doc"
local endpoint = require "neap.endpoint"
local found_of = require "neap.repl.found"
local host = require "neap.host"

local ipairs, next, pcall, tostring, type = ipairs, next, pcall, tostring, type
local tonumber, utf8_length = tonumber, utf8.len
local char, string_byte, format, rep = string.char, string.byte, string.format, string.rep
local find, gmatch, gsub, match, sub = string.find, string.gmatch, string.gsub, string.match, string.sub
local loaded = package.loaded

---@class neap.repl.quoted
local quoted = {}

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

--- Where a string begins in which the text ends.
---@param text string
---@return integer|"comment"|nil at  "comment" in a comment or a long string; nil in code
function quoted.open(text)
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

local ESCAPES = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"', ["'"] = "\\'"}
local ESCAPED = {n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ['"'] = '"', ["'"] = "'"}

local function hexadecimal(byte)
  return format("\\x%02X", string_byte(byte))
end

--- A name as it is written between quotes.
local function escaped(name)
  name = gsub(gsub(name, "[\n\r\t\\\"']", ESCAPES), "%c", hexadecimal)
  return utf8_length(name) and name or gsub(name, "[\x80-\xFF]", hexadecimal)
end

--- What is written between quotes so; nil if that is more than `escaped` writes.
local function meant(text)
  local good = true
  local bytes = gsub(text, "\\(.?)(%x?%x?)", function(c, digits)
    if c == "x" and #digits == 2 then
      return char(tonumber(digits, 16))
    end
    good = good and ESCAPED[c] ~= nil
    return good and ESCAPED[c] .. digits or ""
  end)
  return good and bytes or nil
end

--- Without a part of a character, or of an escape, at its end.
local function whole(common)
  if not utf8_length(common) then
    common = match(common, "^(.-)[\xC2-\xF4][\x80-\xBF]*$") or ""
  end
  local head, tail = match(common, "^(.-)(\\*x?%x?)$")
  local _, n = gsub(tail, "\\", "")
  if n % 2 == 0 then
    return common
  end
  return head .. rep("\\", n - 1)
end

--- Files, and folders, by the path as it stands.
---@param path string
---@param first integer  where it begins
---@param is_quoted? boolean  it is in quotes: with escapes
---@return neap.repl.complete.Result?
function quoted.files(path, first, is_quoted)
  local as_written, name_as_written = split_path(path)
  local folder, name = as_written, name_as_written
  if is_quoted then
    folder, name = meant(as_written), meant(name_as_written)
    if not folder or not name then
      return nil
    end
  end
  local found = found_of.new(is_quoted and escaped(name) or name)
  for _, entry in ipairs(host.list(folder == "" and "." or folder) or {}) do
    local hidden = sub(entry, 1, 1) == "." and sub(name, 1, 1) ~= "."
    local shown = is_quoted and escaped(entry) or entry
    if not hidden and entry ~= "./" and entry ~= "../" and utf8_length(shown) and not find(shown, "%c") then
      found:add(shown, {kind = sub(entry, -1) == "/" and "folder" or "file"})
    end
  end
  local result = found:result(first + #as_written)
  result.common = whole(result.common)
  return result
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
  local found = found_of.new(word)
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
  local path = package.path
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
    return quoted.files(path, first + #scheme + 1, true)
  end
  local found = found_of.new(text)
  if not scheme then
    for _, name in ipairs(read_schemes()) do
      found:add(name, {kind = "scheme"})
    end
  end
  for _, row in ipairs(verb == "connect" and host.sockets(found_of.LISTED) or {}) do
    if row.state == "listening" and row.endpoint then
      found:add(row.endpoint, {kind = "endpoint", doc = "a listener of this process"})
    end
  end
  return found:result(first)
end

--- What may stand at the end of a text, in a string that begins at i.
---@param text string
---@param i integer
---@return neap.repl.complete.Result?
function quoted.complete(text, i)
  local before, inside = sub(text, i > 200 and i - 200 or 1, i - 1), sub(text, i + 1)
  local verb = match(before, "([%a_][%w_]*)%s*%(?%s*$")
  if find(inside, "%c") then
    return nil
  elseif MODULES[verb] then
    return modules(inside, i + 1)
  elseif ENDPOINTS[verb] then
    return endpoints(inside, i + 1, verb)
  elseif FILES[verb] then
    return quoted.files(inside, i + 1, true)
  elseif PATHS[match(inside, "^(%w+):[^@]") or ""] then
    return endpoints(inside, i + 1)
  end
end

return quoted

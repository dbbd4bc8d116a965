--- Header fields: names that differ only in case are one, and what was repeated is kept,
--- in order.

local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"

local error, getmetatable, ipairs, next, rawget, setmetatable, tostring, type =
  error, getmetatable, ipairs, next, rawget, setmetatable, tostring, type
local mathtype = math.type
local format, gmatch, lower, match = string.format, string.gmatch, string.lower, string.match
local concat, remove, sort = table.concat, table.remove, table.sort
local is_token, is_value = core.token, core.value

--- Header fields, of a request or of a response. Indexed by a name, in any case, they give
--- its first value; `pairs` gives all, in order.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {["Content-Type"] = "text/html", ["set-cookie"] = {"a=1", "b=2"}}
--- print(headers["content-type"], headers["Set-Cookie"])  --> text/html a=1
--- headers:add("Set-Cookie", "c=3")
--- print(#headers:all "set-cookie")  --> 3
--- ```
---@class neap.http.Headers
---@field [string] string?
local Headers = {}

local meta = { __name = "neap.http.Headers" }

--- Where the names and values of one lie: the list of both.
local FIELDS = {}

local function fields_of(self)
  return rawget(self, FIELDS)
end

--- A text as it is compared; of anything else is told where the method is called.
local function lowered(verb, n, text)
  if type(text) ~= "string" then
    error(format("bad argument #%d to '%s' (string expected, got %s)", n, verb, type(text)), 3)
  end
  return lower(text)
end

--- The first value of that name.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, text/*", cookie = {"a=1", "b=2"}}
--- print(headers:get "Accept", headers:get "x")  --> text/html, text/* nil
--- ```
---@param name string
---@return string? value
function Headers:get(name)
  check_self(self, meta, "get")
  local fields, key = fields_of(self), lowered("get", 1, name)
  for i = 1, #fields, 2 do
    if lower(fields[i]) == key then
      return fields[i + 1]
    end
  end
  return nil
end

--- All values of that name, in order.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, text/*", cookie = {"a=1", "b=2"}}
--- print(table.concat(headers:all "Cookie", " "))  --> a=1 b=2
--- ```
---@param name string
---@return string[] values
function Headers:all(name)
  check_self(self, meta, "all")
  local fields, key, found = fields_of(self), lowered("all", 1, name), {}
  for i = 1, #fields, 2 do
    if lower(fields[i]) == key then
      found[#found + 1] = fields[i + 1]
    end
  end
  return found
end

--- Is there this word in the list, between commas, that the fields of that name make
--- together? Case does not count.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, text/*", cookie = {"a=1", "b=2"}}
--- print(headers:has("accept", "text/*"), headers:has("accept", "text"))  --> true false
--- ```
---@param name string
---@param word string
---@return boolean has
function Headers:has(name, word)
  check_self(self, meta, "has")
  local key, wanted = lowered("has", 1, name), lowered("has", 2, word)
  for one in gmatch(lower(concat(self:all(key), ",")), "[^,]+") do
    if match(match(one, "^[ \t]*(.*)$"), "^(.*[^ \t])") == wanted then
      return true
    end
  end
  return false
end

local function text_of(name, value, level)
  local text = mathtype(value) == "integer" and tostring(value) or value
  if type(name) ~= "string" or not is_token(name) then
    error(format("a header's name expected, got %q", tostring(name)), level + 1)
  elseif type(text) ~= "string" or not is_value(text) then
    error(format("header '%s': a text without control characters expected", name), level + 1)
  end
  return text
end

--- Add a field behind the others.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, text/*", cookie = {"a=1", "b=2"}}
--- print(#headers:add("cookie", "c=3"):all "cookie")  --> 3
--- ```
---@param name string
---@param value string|integer
---@return neap.http.Headers headers  itself
function Headers:add(name, value)
  check_self(self, meta, "add")
  local fields = fields_of(self)
  fields[#fields + 1], fields[#fields + 2] = name, text_of(name, value, 2)
  return self
end

local function set(self, name, value, level)
  local text = text_of(name, value ~= nil and value or "", level + 1)
  local fields, key = fields_of(self), lower(name)
  for i = #fields - 1, 1, -2 do
    if lower(fields[i]) == key then
      remove(fields, i)
      remove(fields, i)
    end
  end
  if value ~= nil then
    fields[#fields + 1], fields[#fields + 2] = name, text
  end
end

--- Set a field, in the place of all of that name; nil removes them.
---
--- ```lua
--- local http = require "neap.http"
---
--- local headers = http.headers {accept = "text/html, text/*", cookie = {"a=1", "b=2"}}
--- headers:set("cookie", "c=3"):set("accept", nil)
--- print(#headers:all "cookie", headers.accept)  --> 1 nil
--- ```
---@param name string
---@param value string|integer?
---@return neap.http.Headers headers  itself
function Headers:set(name, value)
  check_self(self, meta, "set")
  set(self, name, value, 2)
  return self
end

function meta.__index(self, name)
  local method = rawget(Headers, name)
  if method then
    return method
  end
  return type(name) == "string" and Headers.get(self, name) or nil
end

function meta.__newindex(self, name, value)
  set(self, name, value, 2)
end

function meta.__pairs(self)
  local fields, i = fields_of(self), -1
  return function()
    i = i + 2
    return fields[i], fields[i + 1]
  end
end

local headers = { Headers = Headers }

local function is_headers(value)
  return type(value) == "table" and getmetatable(value) == meta
end

--- Of a list of names and values.
function headers.of(fields)
  return setmetatable({ [FIELDS] = fields }, meta)
end

--- Of what a script has: such an object, or a table of names and values, where a value may
--- be a list of them. The names of a table are taken in order of the alphabet.
function headers.list(given, level)
  level = (level or 1) + 1
  if is_headers(given) then
    return fields_of(given)
  elseif type(given) ~= "table" then
    error("a table of headers expected, got " .. type(given), level)
  end
  local names, list = {}, {}
  for name in next, given do
    if type(name) ~= "string" then
      error(format("a header's name expected, got %s", tostring(name)), level)
    end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local value = rawget(given, name)
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      list[#list + 1], list[#list + 2] = name, text_of(name, one, level)
    end
  end
  return list
end

function headers.new(given, level)
  local list, copy = headers.list(given or {}, (level or 1) + 1), {}
  for i = 1, #list do
    copy[i] = list[i]
  end
  return headers.of(copy)
end

return headers

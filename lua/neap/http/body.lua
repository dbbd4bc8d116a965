--- The body of a message, read as a stream is: by formats, by lines, by pieces.

local check_self = require "neap.class.core".check_self
local error_object = require "neap.error"

local error, getmetatable, pcall, select, setmetatable = error, getmetatable, pcall, select, setmetatable
local tonumber, type = tonumber, type
local concat, pack, unpack = table.concat, table.pack, table.unpack
local find, format, sub, match = string.find, string.format, string.sub, string.match
local mathtype = math.type

--- Bytes of a line, or before a delimiter.
local LINE_MAX = 64 * 1024

--- What is read of a message behind its head. What was read too early for a format stays
--- for the next. One task reads at a time.
---@class neap.http.Body
---@field private source fun(self: neap.http.Body, max: integer?): string?, neap.Error?
---@field private rest string  read, and from `at` on not taken yet
---@field private at integer
---@field private done boolean?
---@field private failure neap.Error?
---@field private most integer?  bytes that `read "a"` takes
---@field private drop fun(self: neap.http.Body, why: neap.Error)?  behind more than these nothing is read
local Body = {}

local meta = { __index = Body, __name = "neap.http.Body" }

--- Metatables of what has these methods.
local known = { [meta] = true }

--- How many bytes are read and not taken yet.
local function left(self)
  return #self.rest - self.at + 1
end

--- Put bytes before what is not taken yet.
local function unread(self, bytes)
  self.rest, self.at = bytes .. sub(self.rest, self.at), 1
end

--- Add a piece to the rest: true; or false at the end.
local function fill(self)
  if self.failure then
    return nil, self.failure
  elseif self.done then
    return false
  end
  local piece, err = self:source()
  if piece then
    self.rest, self.at = sub(self.rest, self.at) .. piece, 1
    return true
  end
  if err and err.code ~= "ETIMEDOUT" then
    self.failure = err
  end
  self.done = not err
  if err then
    return nil, err
  end
  return false
end

--- The next n bytes, and pass over more. What is left is not copied for each.
local function take(self, n, skip)
  local rest, at = self.rest, self.at
  self.at = at + n + (skip or 0)
  if self.at > #rest then
    self.rest, self.at = "", 1
  end
  return sub(rest, at, at + n - 1)
end

--- What has come, or what comes next: at most `max` bytes; nil at the end.
---
--- ```lua
--- local http = require "neap.http"
---
--- local body = http.body {"abc", "d"}
--- print(body:recv(2), body:recv(), body:recv(), body:recv())  --> ab c d nil
--- ```
---@async
---@param max? integer  bytes
---@return string? bytes
---@return neap.Error? err
function Body:recv(max)
  if not known[getmetatable(self)] then
    check_self(self, meta, "recv")
  end
  if max ~= nil and (mathtype(max) ~= "integer" or max < 1) then
    error("bad argument #1 to 'recv' (a count of bytes from 1 on expected)", 2)
  end
  if self.rest == "" then
    if self.done then
      return nil
    elseif self.failure then
      return nil, self.failure
    end
    local piece, err = self:source(max)
    if not piece and not err then
      self.done = true
      return nil
    elseif not piece then
      self.failure = err.code ~= "ETIMEDOUT" and err or nil
      return nil, err
    elseif not max or #piece <= max then
      return piece
    end
    self.rest, self.at = piece, 1
  end
  local there = left(self)
  return take(self, max and max < there and max or there)
end

local function cut(self, op)
  local err = error_object.new {
    code = "ENODATA", op = op, message = "the body ended in the middle of it",
    partial = sub(self.rest, self.at),
  }
  return nil, err
end

local function until_(self, mark, max, keep, strict)
  local from = self.at
  while true do
    local first, last = find(self.rest, mark, from, true)
    local there = left(self)
    if first and first - self.at <= max then
      return take(self, first - self.at + keep, last - first + 1 - keep)
    elseif first or there - #mark >= max then
      return nil, error_object.new { code = "EMSGSIZE", op = "read", message = "no end within the limit" }
    end
    from = there - #mark + 2
    from = from > 1 and from or 1
    local more, err = fill(self)
    if err then
      return nil, err
    elseif not more then
      if self.rest == "" then
        return nil
      elseif strict then
        return cut(self, "readuntil")
      end
      return take(self, there)
    end
  end
end

--- Pieces that were taken for one result: when that fails, or its task is cancelled, they are
--- the rest again.
local gathering = { __close = function(parts)
  local self = parts.of
  if self then
    unread(self, concat(parts))
  end
end }

local function gather(self)
  local parts = setmetatable({ sub(self.rest, self.at), of = self }, gathering)
  self.rest, self.at = "", 1
  return parts, #parts[1]
end

local function all(self)
  local parts <close>, size = gather(self)
  local most = self.most
  while true do
    local piece, err = self:recv()
    size = size + (piece and #piece or 0)
    if most and size > most then
      parts.of = nil
      self.failure = error_object.new { code = "EMSGSIZE", op = "read",
        message = format("the body is longer than %d bytes", most) }
      if self.drop then
        self:drop(self.failure)
      end
      return nil, self.failure
    elseif not piece then
      if err then
        return nil, err
      end
      parts.of = nil
      return concat(parts)
    end
    parts[#parts + 1] = piece
  end
end

local function count(self, n)
  local there = left(self)
  if there > 0 and there >= n then
    return take(self, n)
  end
  local parts <close>, size = gather(self)
  while size < n or n == 0 and size == 0 do
    local piece, err = self:recv()
    if not piece and err then
      return nil, err
    elseif not piece then
      break
    end
    parts[#parts + 1] = piece
    size = size + #piece
  end
  parts.of = nil
  if size == 0 then
    return nil
  end
  self.rest, self.at = concat(parts), 1
  return take(self, n < size and n or size)
end

local function number(self)
  while not find(self.rest, "%S%s", self.at) do
    local more, err = fill(self)
    if err then
      return nil, err
    elseif not more or left(self) > 4096 then
      break
    end
  end
  local blank, word = match(self.rest, "^(%s*)([%w.+-]*)", self.at)
  local value = tonumber(word)
  take(self, 0, #blank + (value and #word or 0))
  return value
end

local readers = {
  l = function(self)
    return until_(self, "\n", LINE_MAX, 0)
  end,
  L = function(self)
    return until_(self, "\n", LINE_MAX, 1)
  end,
  a = all,
  n = number,
}

local function reader_of(what, n, level)
  if mathtype(what) == "integer" and what >= 0 then
    return count, what
  end
  local one = type(what) == "string" and readers[match(what, "^%*?(.)") or ""]
  if not one then
    error(format("bad argument #%d to 'read' (invalid format)", n), level + 1)
  end
  return one
end

--- As `Stream:read`: formats `"l"`, `"L"`, `"a"`, `"n"`, or a count of bytes; a line
--- without one. Nil at the end.
---
--- ```lua
--- local http = require "neap.http"
---
--- local body = http.body {"one\ntw", "o\n12 rest"}
--- print(body:read("l", "l", "n", "a"))  --> one two 12  rest
--- ```
---@async
---@param ... string|integer  formats
---@return string|number|nil ...
function Body:read(...)
  if not known[getmetatable(self)] then
    check_self(self, meta, "read")
  end
  local n = select("#", ...)
  if n <= 1 then
    local one, arg = reader_of(n == 0 and "l" or (...), 1, 2)
    return one(self, arg)
  end
  local formats, results = pack(...), { n = 0 }
  for i = 1, n do
    reader_of(formats[i], i, 2)
  end
  for i = 1, n do
    local one, arg = reader_of(formats[i], i, 2)
    local value, err = one(self, arg)
    results.n, results[i] = i, value
    if value == nil then
      if err then
        return nil, err
      end
      break
    end
  end
  return unpack(results, 1, results.n)
end

--- As `Stream:readuntil`: up to a delimiter, which is taken.
---
--- ```lua
--- local http = require "neap.http"
---
--- local body = http.body {"a;", "b"}
--- print(body:readuntil ";", body:readuntil ";", body:readuntil ";")  --> a b nil
--- ```
---@async
---@param delimiter string
---@param max? integer  bytes before it; default 64 KiB
---@param opts? { strict: boolean? }
---@return string? bytes
---@return neap.Error? err
function Body:readuntil(delimiter, max, opts)
  if not known[getmetatable(self)] then
    check_self(self, meta, "readuntil")
  end
  if type(delimiter) ~= "string" or delimiter == "" then
    error("bad argument #1 to 'readuntil' (a delimiter of at least one byte expected)", 2)
  end
  max = max or LINE_MAX
  if mathtype(max) ~= "integer" or max < 0 then
    error("bad argument #2 to 'readuntil' (a count of bytes expected)", 2)
  elseif opts ~= nil and type(opts) ~= "table" then
    error("bad argument #3 to 'readuntil' (table expected, got " .. type(opts) .. ")", 2)
  end
  return until_(self, delimiter, max, 0, opts and opts.strict)
end

--- As `Stream:readexactly`: so many bytes, or an ENODATA.
---
--- ```lua
--- local http = require "neap.http"
---
--- local body = http.body {"ab", "cd"}
--- print(body:readexactly(3))  --> abc
--- print(select(2, body:readexactly(3)).partial)  --> d
--- ```
---@async
---@param n integer
---@return string? bytes
---@return neap.Error? err
function Body:readexactly(n)
  if not known[getmetatable(self)] then
    check_self(self, meta, "readexactly")
  end
  if mathtype(n) ~= "integer" or n < 0 then
    error("bad argument #1 to 'readexactly' (a count of bytes expected)", 2)
  end
  local bytes, err = count(self, n)
  if bytes and #bytes < n then
    unread(self, bytes)
    return cut(self, "readexactly")
  elseif err then
    return nil, err
  end
  return bytes
end

--- For `for line in body:lines() do`; formats as `read` has them. What fails is raised.
---
--- ```lua
--- local http = require "neap.http"
---
--- for line in http.body({"one\n", "two"}):lines() do
---   print(line)
--- end
--- --> one
--- --> two
--- ```
---@param ... string|integer
---@return fun(): string|number|nil
function Body:lines(...)
  if not known[getmetatable(self)] then
    check_self(self, meta, "lines")
  end
  local formats = pack(...)
  for i = 1, formats.n do
    reader_of(formats[i], i, 2)
  end
  local function deliver(value, err, ...)
    if value == nil and err then
      error(err, 0)
    end
    return value, err, ...
  end
  return function()
    return deliver(self:read(unpack(formats, 1, formats.n)))
  end
end

--- For `for bytes in body:chunks() do`: as they come. What fails is raised.
---
--- ```lua
--- local http = require "neap.http"
---
--- for bytes in http.body({"one", "two"}):chunks() do
---   print(bytes)
--- end
--- --> one
--- --> two
--- ```
---@return fun(): string?
function Body:chunks()
  if not known[getmetatable(self)] then
    check_self(self, meta, "chunks")
  end
  return function()
    local piece, err = self:recv()
    if err then
      error(err, 0)
    end
    return piece
  end
end

local body = { unread = unread }

--- Let a class of objects with a `source` have these methods, by its metatable; and where it has
--- more: its own methods, `fields` that its objects have until they get their own, names that are
--- the head's, and what is made of one when it is asked for, and kept. Without: its objects have a
--- `rest` of "", and are `at` 1.
function body.inherit(other, class, fields, of_head, made)
  known[other] = true
  if not class then
    other.__index = Body
    return
  end
  fields.rest, fields.at = "", 1
  function other.__index(self, name)
    if of_head[name] then
      return self.head[name]
    end
    local make = made[name]
    if not make then
      local value = class[name]
      if value == nil then
        value = Body[name]
      end
      if value == nil then
        value = fields[name]
      end
      return value
    end
    local value = make(self)
    self[name] = value
    return value
  end
end

local function pull(self, max)
  return self.pull(max)
end

--- What gives the next piece of a content at each call: of a function, or of what has `recv`.
--- Nil: it is neither.
function body.puller(content)
  if type(content) == "function" then
    return content
  end
  local ok, method = pcall(function()
    return content.recv
  end)
  return ok and type(method) == "function" and function()
    return method(content)
  end or nil
end

--- Of what gives the next bytes: `source(max)`, at most so many if told; nil at the end. Of a
--- table its strings.
function body.new(source)
  if type(source) == "table" then
    local list, i = source, 0
    source = function()
      i = i + 1
      return list[i]
    end
  elseif type(source) ~= "function" then
    error("bad argument #1 to 'body' (a function or a table of strings expected)", 2)
  end
  return setmetatable({ pull = source, source = pull, rest = "", at = 1 }, meta)
end

return body

--- Bodies of several parts (RFC 2046 §5.1) that are read, as they come.

local body = require "neap.http.body"
local core = require "neap.http.core"
local error_object = require "neap.error"
local headers = require "neap.http.headers"

local setmetatable = setmetatable
local byte, find, format, gmatch, gsub, lower, match, sub = string.byte, string.find, string.format,
  string.gmatch, string.gsub, string.lower, string.match, string.sub
local is_token, is_value = core.token, core.value

local parts = {}


-- The values of fields

--- What ends at a quote, from a position on, and the position behind that. A backslash
--- stands before a quote or itself; another is one of a path.
local function unquoted(text, at)
  local from = at
  while true do
    local stop = find(text, '["\\]', from)
    if not stop then
      return nil
    elseif byte(text, stop) == 0x22 then
      return gsub(sub(text, at, stop - 1), '\\(["\\])', "%1"), stop + 1
    end
    from = find(text, '^["\\]', stop + 1) and stop + 2 or stop + 1
  end
end

--- The word at the beginning of a field's value, in lower case, and its parameters; nil
--- where they cannot be told, or one is said twice.
local function parameters(text)
  local word, at = match(text, "^[ \t]*([^;%s]+)[ \t]*()")
  local found = {}
  while word and at <= #text do
    local name, from = match(text, '^;[ \t]*([^%s=;"]+)=()', at)
    if not name then
      return find(text, "^;[ \t]*$", at) and lower(word) or nil, found
    end
    local value
    if byte(text, from) == 0x22 then
      value, at = unquoted(text, from + 1)
    else
      value, at = match(text, '^([^%s;"]+)()', from)
    end
    name = lower(name)
    if not value or found[name] or not find(text, "^[ \t]*;", at) and not find(text, "^[ \t]*$", at) then
      return nil
    end
    found[name] = value
    at = match(text, "^[ \t]*()", at)
  end
  return word and lower(word), found
end

--- What HTML has written for a quote and line ends.
local marks = { ["22"] = '"', ["0D"] = "\r", ["0A"] = "\n" }

local function name_of(value)
  return value and (gsub(value, "%%(%x%x)", marks))
end

--- The last component of a path, of what may be in a file's name.
local function safe_name(value)
  local text = value and gsub(gsub(name_of(value), "[\0-\31\127]", ""), "\xc2[\x80-\x9f]", "")
  local last = text and (match(text, "^.*[/\\](.*)$") or text)
  return last ~= "" and last ~= "." and last ~= ".." and last or nil
end

--- The boundary that a content type says, and the type; or nil, and why not: a status and words.
local function boundary_of(values)
  local kind, found = parameters(#values == 1 and values[1] or "")
  if not kind or not find(kind, "^multipart/.") then
    return nil, 415, "a body of type multipart expected"
  end
  local boundary = found.boundary
  if not boundary or #boundary > 70 or not find(boundary, "^[%w'()+_,./:=? -]*[%w'()+_,./:=?-]$") then
    return nil, 400, "a boundary of 1 to 70 characters expected"
  end
  return boundary, kind
end


-- Parts

--- The class of parts, which form.lua says more about.
local part_meta = { __name = "neap.http.Part" }
body.inherit(part_meta)

--- What reads the parts of a `source`: of `text` is left what begins at `at`. `mark` stands
--- before each part; `inside` one, or what is before the first; `part` was given last.
--- `refuse(status, err)` is told by which answer a client is refused, and why.
local Reader = {}
Reader.__index = Reader

--- Nil and an error, now and at each further call.
function Reader:wrong(status, code, words)
  self.failure = error_object.new { code = code, op = "multipart", message = words }
  self.refuse(status, self.failure)
  return nil, self.failure
end

--- Wait for more of the body: true.
function Reader:more()
  local piece, err = self.source:recv()
  if piece then
    self.text, self.at = sub(self.text, self.at) .. piece, 1
    return true
  elseif err then
    return nil, err
  end
  return self:wrong(400, "ENODATA", "the body ended before its last boundary")
end

--- The next piece of a part; nil at its end. What could be the beginning of a mark waits
--- for what follows.
function Reader:data()
  while self.inside and not self.failure do
    local text, at = self.text, self.at
    local first, last = find(text, self.mark, at, true)
    local stop = first
    if first then
      self.inside, self.at = false, last + 1
    else
      local from = #text - #self.mark + 2
      stop = find(text, "\r", from > at and from or at, true) or #text + 1
      self.at = stop
    end
    if stop > at then
      return sub(text, at, stop - 1)
    elseif not first then
      local ok, err = self:more()
      if not ok then
        return nil, err
      end
    end
  end
  return nil, self.failure
end

--- Pass the rest of a boundary's line: true, or false at the last one. Its CRLF is left.
function Reader:line()
  while true do
    if find(self.text, "^%-%-", self.at) then
      return false
    end
    local stop, behind = match(self.text, "^[ \t]*()\r?()", self.at)
    if find(self.text, "^\r\n", stop) then
      self.at = stop
      return true
    elseif behind <= #self.text and not (behind == #self.text and find(self.text, "^%-", self.at))
      or stop - self.at > 128 then
      return self:wrong(400, "EBADMSG", "a boundary in the middle of a line")
    end
    local ok, err = self:more()
    if not ok then
      return nil, err
    end
  end
end

--- The fields of a part, as a list; they stand between two CRLFs.
function Reader:fields()
  local from = self.at
  local stop = find(self.text, "\r\n\r\n", from, true)
  while not stop and #self.text - self.at < self.header + 3 do
    local left = #self.text - self.at
    local ok, err = self:more()
    if not ok then
      return nil, err
    end
    stop = find(self.text, "\r\n\r\n", left > 2 and left - 2 or 1, true)
  end
  if not stop or stop - self.at > self.header then
    return self:wrong(413, "EMSGSIZE", format("the header of a part is longer than %d bytes", self.header))
  end
  local list = {}
  for line in gmatch(sub(self.text, self.at + 2, stop + 1), "(.-)\r\n") do
    local name, value = match(line, "^([^:]+):[ \t]*(.*)$")
    value = match(value or "", "^(.*[^ \t])") or ""
    if not name or not is_token(name) or not is_value(value) then
      return self:wrong(400, "EBADMSG", "the header of a part is none")
    end
    list[#list + 1], list[#list + 2] = name, value
  end
  self.at = stop + 4
  return list
end

local function part_data(part)
  return part.reader:data()
end

--- The next part; nil at the end, or nil and an error.
function Reader:next()
  local part = self.part
  if part and not part.done then
    part.failure = error_object.new { code = "ECANCELED", op = "read", message = "the part was passed over" }
    part.rest, part.at = "", 1
  end
  while self.inside do
    local piece, err = self:data()
    if not piece and err then
      return nil, err
    end
  end
  if self.failure or self.over then
    return nil, self.failure
  end
  if not self.lined then
    local goes_on, err = self:line()
    if not goes_on then
      self.over = goes_on == false
      return nil, err
    end
    self.lined, self.count = true, self.count + 1
    if self.count > self.parts then
      return self:wrong(413, "EMSGSIZE", format("more than %d parts", self.parts))
    end
  end
  local list, err = self:fields()
  if not list then
    return nil, err
  end
  self.lined, self.inside = false, true
  return self:part_of(headers.of(list))
end

function Reader:part_of(fields)
  local said = fields:all "content-disposition"
  local kind, found
  if #said > 0 then
    kind, found = parameters(said[1])
  end
  if #said > 1 or #said == 1 and not kind then
    return self:wrong(400, "EBADMSG", "a part's content-disposition is none")
  end
  found = kind == "form-data" and found or {}
  self.part = setmetatable({ name = name_of(found.name), filename = safe_name(found.filename),
    file = found.filename ~= nil, type = fields["content-type"], headers = fields,
    reader = self, source = part_data, rest = "", at = 1 }, part_meta)
  return self.part
end

local function nothing() end

--- What reads the parts of a body, by the values of its content type; or nil, and an error.
--- `refuse(status, err)` is called for what is wrong with it.
function parts.reader(source, types, opts, refuse)
  local reader = setmetatable({ source = source, text = "\r\n", at = 1, inside = true, count = 0,
    parts = opts.parts or 1000, header = opts.header or 8192, refuse = refuse or nothing }, Reader)
  local boundary, what, words = boundary_of(types)
  if not boundary then
    return reader:wrong(what, "EBADMSG", words)
  end
  reader.mark, reader.type = "\r\n--" .. boundary, what
  return reader
end

return parts

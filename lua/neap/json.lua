local core = require "neap.json.core"
local error_object = require "neap.error"

local decode = core.decode

---@class neap.json
local json = {
  null = core.null,
  encode = core.encode,
  decode = decode,
  array = core.array,
  isarray = core.isarray,
}

--- How much of a line that is longer than a stream's `read "L"` gives is taken at once.
local PIECE = 65536

local function fail(code, message, line)
  error(error_object.new {code = code, message = message, op = "lines", line = line}, 0)
end

--- Take the options apart: the most bytes, and those of decode.
local function read_options(options)
  local max, how = 2 ^ 20 // 1 | 0, {}
  if options ~= nil and type(options) ~= "table" then
    error(string.format("lines: options are a table, got a %s", type(options)), 3)
  end
  for name, value in pairs(options or {}) do
    if name ~= "max" then
      how[name] = value
    elseif math.type(value) ~= "integer" or value < 1 then
      error("lines: option 'max': a positive integer expected", 3)
    else
      max = value
    end
  end
  local ok, why = pcall(decode, "0", how)
  if not ok then
    error(string.format("lines: %s", why), 3)
  end
  return max, how
end

--- Iterate over the values of a stream, one a line (NDJSON, JSON Lines). The source is
--- anything with `read "L"`: a stream, a file. Empty lines are skipped, as they keep a
--- connection alive. A line that is no value raises, an error object with its `line` and
--- `column` in the stream and the code EBADMSG; a failure to read raises, too; and so does a
--- last line without its newline, which may have been cut (ENODATA). What was read of a
--- line when the task was interrupted is kept for the next call.
---
--- To send one, `stream:write(json.encode(value), "\n")`: without `indent` there is no
--- newline in it.
---
--- ```lua
--- local json = require "neap.json"
--- local net = require "neap.net"
---
--- local a, b = net.socketpair()
--- a:write(json.encode {n = 1}, "\n", json.encode {n = 2}, "\n")
--- a:close()
--- for value in json.lines(b) do
---   print(value.n)
--- end
--- --> 1
--- --> 2
--- ```
---
--- A `for` ends where it raises. Who goes on behind a line that is no value calls the
--- function itself, and where the next line may be long in coming, by `task.idle`:
---
--- ```lua
--- local json = require "neap.json"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local a, b = net.socketpair()
--- a:write "1\n{\n3\n"
--- a:close()
--- local next_value = json.lines(b)
--- while true do
---   local ok, value, err = pcall(task.idle, next_value)
---   if ok and value == nil then
---     break -- at the end, or the program drains (err)
---   elseif not ok and value.code ~= "EBADMSG" then
---     error(value)
---   end
---   print(value, err)
--- end
--- --> 1 nil
--- --> lines: line 2, column 2: the text ends too early (EBADMSG) nil
--- --> 3 nil
--- ```
---@async
---@param source { read: fun(self, format: string): string?, any? }
---@param options? neap.json.LinesOptions
---@return fun(): any
function json.lines(source, options)
  if type(source) ~= "table" and type(source) ~= "userdata" then
    error(string.format("lines: a source with a method 'read' expected, got %s", type(source)), 2)
  end
  local max, how = read_options(options)
  local number, parts, size = 0, {}, 0
  local function take(format)
    local bytes, err = source:read(format)
    if not bytes and err then
      if format == "L" and error_object.is(err) and err.code == "EMSGSIZE" then
        return take(PIECE)
      end
      error(err, 0)
    end
    size = size + #(bytes or "")
    parts[#parts + 1] = bytes
    if size > max then
      fail("EMSGSIZE", string.format("line %d is longer than max, %d bytes", number + 1, max), number + 1)
    end
    return bytes
  end
  --- The next line; nil at the end.
  local function take_line()
    local bytes
    repeat
      bytes = take "L"
    until not bytes or string.byte(bytes, -1) == 10
    local line = table.concat(parts)
    if not bytes and string.find(line, "[^ \t\r]") then
      fail("ENODATA", string.format("line %d ends without a newline: it may have been cut", number + 1), number + 1)
    end
    parts, size, number = {}, 0, number + 1
    return bytes and line
  end
  return function()
    local line
    repeat
      line = take_line()
    until not line or string.find(line, "[^ \t\r\n]")
    if not line then
      return nil
    end
    local value, err = decode(line, how)
    if err then
      err = select(2, decode(string.sub(line, 1, -2), how)) -- whose end is not on the next line
      err.op, err.line = "lines", number
      err.message = string.gsub(err.message, "^line %d+", string.format("line %d", number), 1)
      error(err, 0)
    end
    return value
  end
end

return json

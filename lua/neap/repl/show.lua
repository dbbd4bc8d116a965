--- Results and errors as the prompt shows them.

local host = require "neap.host"
local harmless = host.harmless

local show = {}

local concat, format = table.concat, string.format

local function inspect(value, options)
  local ok, module = pcall(require, "neap.inspect")
  if ok then
    local f = type(module) == "table" and module.inspect or module
    local good, text = pcall(f, value, options)
    if good and type(text) == "string" then
      return text
    end
  end
  local good, text = pcall(tostring, value)
  if not good or type(text) ~= "string" then
    return format("(a %s that has no text)", type(value))
  end
  return harmless(type(value) == "string" and format("%q", value) or text)
end

--- A value as one text, on several lines if it is large.
---@param value any
---@param columns integer
---@param colour boolean
---@return string
function show.value(value, columns, colour)
  return inspect(value, {width = columns, colour = colour})
end

local function is_error(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__name") == "neap.Error"
end

local function red(text, colour)
  return colour and "\27[31m" .. text .. "\27[0m" or text
end

--- Has it a text of its own, that is more than its type and address?
local function has_text(value)
  local meta = debug.getmetatable(value)
  return type(value) ~= "table" or type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

--- The text of an error, such that it does no harm to the terminal.
local function message(err, columns)
  if not has_text(err) then
    return show.value(err, columns, false)
  end
  local ok, text = pcall(tostring, err) -- its __tostring may fail, or not end
  if not ok or type(text) ~= "string" then
    text = format("(error object is a %s value)", type(err))
  end
  return harmless(text)
end

--- The results of an input, with a newline; "" for none.
---@param results table  as table.pack
---@param columns integer
---@param colour boolean
---@return string
function show.results(results, columns, colour)
  local texts = {}
  local lines, size = 1, 0
  for i = 1, results.n do
    local value = results[i]
    local text = i == 2 and results[1] == nil and (is_error(value) or type(value) == "string")
      and red(message(value, columns), colour) or show.value(value, columns, colour)
    texts[i] = text
    lines = lines + (string.find(text, "\n", 1, true) and 1 or 0)
    size = size + #text + 2
  end
  if results.n == 0 then
    return ""
  end
  return concat(texts, lines > 1 and "\n" or size < 2000 and "  " or "\n") .. "\n"
end

--- An error and where it was raised.
---@param err any
---@param trace string?
---@param columns integer
---@param colour boolean
---@return string
function show.failure(err, trace, columns, colour)
  return red("error: " .. message(err, columns), colour) .. "\n" .. (trace and harmless(trace) .. "\n" or "")
end

--- What a task waits for, as far as it tells.
---@param t neap.Task
---@return string?
function show.waiting(t)
  local row = host.task(t)
  return row and row.op
end

return show

--- Values as text, for people: what the prompt prints.
---
--- Whatever the value is, the text is bounded, and making it takes bounded time.
--- It runs none of the script's code: no `__tostring`, `__pairs`, `__index`, or
--- other metamethod. No addresses of memory are in it, so that the same program
--- prints the same text; sockets and tasks have their numbers.

local names = require "neap.repl.names"
local objects = require "neap.repl.objects"
local smallest = require "neap.repl.smallest"
local text_of = require "neap.repl.text"

local error, ipairs, next, pcall, rawequal, rawget = error, ipairs, next, pcall, rawequal, rawget
local rawlen, require, select, type, tonumber = rawlen, require, select, type, tonumber
local tostring, tointeger, mathtype, huge = tostring, math.tointeger, math.type, math.huge
local find, format, gsub = string.find, string.format, string.gsub
local gmatch, rep, sub, concat, sort = string.gmatch, string.rep, string.sub, table.concat, table.sort
local length = utf8.len
local getmetatable, getregistry = debug.getmetatable, debug.getregistry
local status = coroutine.status

---@class neap.inspect
local inspect = {}

--- What `inspect` takes, besides the value.
---@class neap.inspect.Options
---@field depth integer?  tables in tables that are shown, 0 to 100; default 4
---@field width integer?  columns of a line, at least 20; default 80
---@field items integer?  entries shown of one table, at least 1; default 100
---@field colour boolean?  with the escape sequences of a terminal

--- Entries in one text, whichever tables they are of.
local ENTRIES = 1000

--- Entries looked at to find the first ones: in one table, and in one text.
local LOOKED, LOOKED_ALL = 200000, 500000

--- Entries of a list passed over to find the others.
local LISTED = 2000000

--- Bytes shown of a string: of one that is the whole value, and of one in a table.
local WHOLE, INSIDE = 2000, 200

--- The same of one that is no text.
local WHOLE_BINARY, INSIDE_BINARY = 256, 64

local NAME = text_of.NAME
local escaped, head, is_text, name_text = text_of.escaped, text_of.head, text_of.is, text_of.name
local escape = text_of.byte

local COLOURS = {
  string = 32, number = 36, boolean = 35, ["nil"] = 35, object = 33, note = 90,
}

local KEYWORDS = {}
for word in gmatch([[and break do else elseif end false for function goto if in local nil not or
    repeat return then true until while]], "%a+") do
  KEYWORDS[word] = true
end

local error_text = getregistry()["neap.Error"].__tostring

-- Pieces of text. Each is a string and how many columns it takes; false for those
-- of several lines.

local function painted(state, kind, text, columns)
  columns = columns or length(text) or #text
  if state.colour then
    text = format("\27[%dm%s\27[0m", COLOURS[kind], text)
  end
  return text, columns
end

local function number_text(n)
  if mathtype(n) == "integer" then
    return format("%d", n)
  elseif n ~= n then
    return "nan"
  elseif n == huge or n == -huge then
    return n > 0 and "math.huge" or "-math.huge"
  end
  local text = format("%.14g", n)
  if tonumber(text) ~= n then
    text = format("%.17g", n)
  end
  return find(text, "[.eE]") and text or text .. ".0"
end

--- Bytes that are no text: quoted when they are few, else a dump.
local function binary(state, bytes, most, indent)
  if #bytes <= 16 then
    return painted(state, "string", '"' .. gsub(bytes, '[^\x20-\x7e]', escape) .. '"')
  end
  local dump = require("neap.packet.show").hexdump(sub(bytes, 1, most))
  local pad = "\n" .. rep(" ", indent + 2)
  local rest = #bytes > most and pad .. format("... %d more", #bytes - most) or ""
  local text = painted(state, "note", format("%d bytes", #bytes)) .. pad
    .. gsub(dump, "\n", pad) .. rest
  return text, false
end

local function string_text(state, text, level, indent)
  local most = level == 0 and WHOLE or INSIDE
  local shown = head(text, most)
  if not is_text(shown) then
    return binary(state, text, level == 0 and WHOLE_BINARY or INSIDE_BINARY, indent)
  end
  local quoted, columns = painted(state, "string", '"' .. escaped(shown) .. '"')
  if #shown < #text then
    local note, more = painted(state, "note", format("... (%d bytes)", #text))
    return quoted .. note, columns + more
  end
  return quoted, columns
end

--- One finder of names for all of a text.
local function name_finder(state)
  state.name_of = state.name_of or names.finder()
  return state.name_of
end

--- A value in one line, without what is in it.
local function plain(state, value)
  local kind = type(value)
  if kind == "number" then
    return painted(state, kind, number_text(value))
  elseif kind == "nil" or kind == "boolean" then
    return painted(state, kind, value and "true" or value == nil and "nil" or "false")
  elseif kind == "function" then
    return painted(state, "object", objects.of_function(value, name_finder(state)))
  elseif kind == "thread" then
    return painted(state, "object", format("coroutine (%s)", status(value)))
  elseif kind == "userdata" then
    return painted(state, "object", objects.of_userdata(value))
  end
  return painted(state, "object", kind)
end

-- Tables

local show

local function is_name(key)
  return type(key) == "string" and #key <= NAME and find(key, "^[%a_][%w_]*$")
    and not KEYWORDS[key]
end

local function key_text(state, key)
  if is_name(key) then
    return key
  elseif type(key) == "string" then
    local shown = head(key, NAME)
    local text = is_text(shown) and escaped(shown) or gsub(shown, '[^\x20-\x7e]', escape)
    return format('["%s"%s]', text, #shown < #key and "..." or "")
  end
  local uncoloured = state.colour
  state.colour = false
  local text = type(key) == "table" and (names.class(key) and name_text(names.class(key)) or "table")
    or plain(state, key)
  state.colour = uncoloured
  return "[" .. text .. "]"
end

--- The first keys behind the list of n, in order: numbers, strings, others; how
--- many there are, and whether these are all that could be counted.
local function sorted_keys(state, value, n)
  local numbers, strings, others = smallest.new(state.items), smallest.new(state.items), {}
  local looked, listed, count, last = 0, 0, 0, nil
  local most = LOOKED_ALL - state.looked
  most = most < LOOKED and most or LOOKED
  for key in next, value do
    if looked >= most or listed > LISTED then
      break
    elseif type(key) == "string" then
      looked = looked + 1
      if not last or key < last then
        strings:add(key)
        last = strings.last
      else -- without a call: there may be many
        count = count + 1
      end
    elseif type(key) == "number" and key >= 1 and key <= n and key % 1 == 0 then
      listed = listed + 1
    elseif type(key) == "number" then
      looked = looked + 1
      numbers:add(key)
    else
      looked = looked + 1
      count = count + 1
      if #others < state.items then
        others[#others + 1] = key
      end
    end
  end
  state.looked = state.looked + looked
  local keys = numbers:list()
  for _, key in ipairs(strings:list()) do
    keys[#keys + 1] = key
  end
  sort(others, function(a, b)
    return type(a) < type(b) or a == false and b == true
  end)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys, numbers.count + strings.count + count, looked >= most or listed > LISTED
end

--- Take an entry from those that the text may have.
local function take(state)
  state.left = state.left - 1
  return state.left >= 0
end

local function note(state, entries, text)
  local shown, columns = painted(state, "note", text)
  entries[#entries + 1] = {prefix = "", text = shown, columns = columns, note = true}
end

local function add_entry(state, entries, key, value, path, level, indent)
  local prefix, step = "", "[" .. number_text(type(key) == "number" and key or 0) .. "]"
  if not entries.listing then
    prefix = key_text(state, key) .. " = "
    step = is_name(key) and "." .. key or sub(prefix, 1, -4)
  end
  local width = length(prefix) or #prefix
  local text, columns = show(state, value, path .. step, level + 1, indent + 2, width)
  entries[#entries + 1] = {
    prefix = prefix, text = text, columns = columns and columns + width, item = entries.listing,
  }
end

--- The entries of a table that may be shown.
local function entries_of(state, value, path, level, indent)
  local entries = {listing = true}
  local n = rawlen(value)
  local most = n < state.items and n or state.items
  for i = 1, most do
    if not take(state) then
      most = i - 1
      break
    end
    add_entry(state, entries, i, rawget(value, i), path, level, indent)
  end
  if most < n then
    note(state, entries, format("... %d more", n - most))
  end
  entries.listing = false
  local keys, count, cut = sorted_keys(state, value, n)
  local shown = 0
  for i = 1, #keys < state.items and #keys or state.items do
    if not take(state) then
      break
    end
    add_entry(state, entries, keys[i], rawget(value, keys[i]), path, level, indent)
    shown = i
  end
  if shown < count then
    note(state, entries, format("... %s%d more", cut and "at least " or "", count - shown))
  elseif cut then
    note(state, entries, "... perhaps more")
  end
  return entries
end

--- All in one line, if they fit behind what is there.
local function in_line(state, entries, used)
  local texts, columns = {}, 2
  for i, entry in ipairs(entries) do
    if not entry.columns then
      return
    end
    columns = columns + entry.columns + (i > 1 and 2 or 0)
    texts[i] = entry.prefix .. entry.text
  end
  if used + columns <= state.width then
    return "{" .. concat(texts, ", ") .. "}", columns
  end
end

--- One on a line; of a list as many as fit.
local function in_lines(state, entries, indent)
  local pad = "\n" .. rep(" ", indent + 2)
  local out, used = {"{"}, nil
  for _, entry in ipairs(entries) do
    local fits = used and entry.item and entry.columns
      and used + entry.columns + 2 <= state.width
    out[#out + 1] = fits and " " or pad
    out[#out + 1] = entry.prefix .. entry.text .. (entry.note and "" or ",")
    used = entry.item and entry.columns
      and (fits and used + entry.columns + 2 or indent + 2 + entry.columns + 1) or nil
  end
  return concat(out) .. "\n" .. rep(" ", indent) .. "}", false
end

--- What is written before a table's brace, by its metatable.
local function title_of(value)
  local class, metatable = names.class(value)
  if class == "neap.Layer" and type(rawget(metatable, "__index")) == "table" then
    class = rawget(rawget(metatable, "__index"), "name")
    class = type(class) == "string" and class or "neap.Layer"
  end
  if class then
    return name_text(class) .. " "
  end
  return type(getmetatable(value)) == "table" and "(with metatable) " or ""
end

--- What an error says, and a table of what else is known of it.
local function error_parts(value)
  local ok, text = pcall(error_text, value)
  local rest
  for key, field in next, value do
    if key ~= "code" and key ~= "message" and key ~= "op" and key ~= "endpoint" then
      rest = rest or {}
      rest[key] = field
    end
  end
  return ok and "error: " .. escaped(head(text, WHOLE)) or "error", rest
end

local function table_text(state, value, path, level, indent, used)
  local known = state.seen[value]
  if known then
    return painted(state, "note", known == "" and "<the whole>" or format("<as %s>", known))
  elseif rawequal(getmetatable(value), getregistry()["neap.Error"]) then
    local text, rest = error_parts(value)
    local shown, columns = painted(state, "object", text)
    if not rest or level >= state.depth then
      return shown, columns
    end
    state.seen[value] = path
    local more, width = show(state, rest, path, level, indent, used + columns + 1)
    return shown .. " " .. more, width and columns + 1 + width
  end
  local title = title_of(value)
  local class = names.class(value)
  if class == "neap.Prefix" and type(rawget(value, "ip")) == "string" then
    return painted(state, "object", format("%s/%s", name_text(rawget(value, "ip")),
      tostring(tointeger(rawget(value, "length")) or "?")))
  end
  local before, columns = "", 0
  if title ~= "" then
    before, columns = painted(state, "object", sub(title, 1, -2))
    before, columns = before .. " ", columns + 1
  end
  if next(value) == nil then
    return before .. "{}", columns + 2
  elseif level >= state.depth or state.left <= 0 then
    return before .. "{...}", columns + 5
  end
  state.seen[value] = path
  local entries = entries_of(state, value, path, level, indent)
  local text, width = in_line(state, entries, indent + used + columns)
  if text then
    return before .. text, columns + width
  end
  return before .. in_lines(state, entries, indent), false
end

--- The text of a value at a path, so many tables deep, `used` columns behind the
--- indentation of its line.
function show(state, value, path, level, indent, used)
  local kind = type(value)
  if kind == "string" then
    return string_text(state, value, level, indent)
  elseif kind == "table" then
    return table_text(state, value, path, level, indent, used)
  end
  return plain(state, value)
end

local LIMITS = {depth = {0, 100, 4}, width = {20, 100000, 80}, items = {1, 100000, 100}}

local function option(opts, name)
  local limits = LIMITS[name]
  local value = rawget(opts, name)
  if value == nil then
    return limits[3]
  end
  local n = type(value) == "number" and tointeger(value)
  if not n or n < limits[1] then
    error(format("bad argument #2 to 'inspect' (option '%s': an integer of at least %d expected)",
      name, limits[1]), 3)
  end
  return n < limits[2] and n or limits[2]
end

--- The text of a value. The module itself may be called, too.
---
--- Keys come in order, a list in one line when it fits. A table that was shown
--- already is named by its path, so cycles end. Long strings are cut, and say
--- their length; bytes that are no text are dumped. Of sockets it tells the
--- addresses, the state, what went in and out, and who waits.
---
--- ```lua
--- local inspect = require "neap.inspect"
---
--- local t = {1, 2, "three", name = "x", [1.5] = true}
--- t.inner = {up = t}
--- print(inspect(t))
--- --> {1, 2, "three", [1.5] = true, inner = {up = <the whole>}, name = "x"}
--- print(inspect(("x"):rep(5000) .. "\n"):sub(-15))  --> ... (5001 bytes)
--- print(inspect({{{{{}}}}}, {depth = 2}))  --> {{{...}}}
--- ```
---@param value any
---@param opts? neap.inspect.Options
---@return string text  no newline at its end
function inspect.inspect(value, opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(format("bad argument #2 to 'inspect' (table expected, got %s)", type(opts)), 2)
  end
  opts = opts or {}
  for name in next, opts do
    if not LIMITS[name] and name ~= "colour" then
      error(format("bad argument #2 to 'inspect' (unknown option '%s')",
        type(name) == "string" and name or type(name)), 2)
    end
  end
  local state = {
    depth = option(opts, "depth"), width = option(opts, "width"), items = option(opts, "items"),
    colour = rawget(opts, "colour") and true or false,
    seen = {}, left = ENTRIES, looked = 0,
  }
  return (show(state, value, "", 0, 0, 0))
end

return setmetatable(inspect, {
  __call = function(_, ...)
    if select("#", ...) == 0 then
      error("bad argument #1 to 'inspect' (value expected)", 2)
    end
    return inspect.inspect(...)
  end,
})

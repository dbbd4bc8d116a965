--- Functions, sockets, tasks and other objects in one line, for neap.inspect.

local core = require "neap.net.core"
local host = require "neap.host"
local json = require "neap.json.core"
local names = require "neap.repl.names"
local text_of = require "neap.repl.text"

local pcall, rawequal, rawget, type = pcall, rawequal, rawget, type
local find, format, sub, concat = string.find, string.format, string.sub, table.concat
local getinfo, getmetatable, getregistry = debug.getinfo, debug.getmetatable, debug.getregistry
local iotype, name_text = io.type, text_of.name

---@class neap.repl.objects
local objects = {}

local address_text = getmetatable(core.address "127.0.0.1:0").__tostring

--- What a function is called, if it is the library's or Lua's, and where it is.
---@param f function
---@param name_of function  of names.finder
---@return string
function objects.of_function(f, name_of)
  local owner, name = name_of(f)
  local info = getinfo(f, "S")
  local text = "function"
  if owner == "_G" then
    text = text .. " " .. name
  elseif owner then
    text = text .. " " .. names.short(owner) .. "." .. name_text(name)
  end
  if info.what == "C" then
    return owner and text or text .. " (C)"
  end
  return format("%s (%s:%d)", text, name_text(info.short_src), info.linedefined)
end

local function count_text(n, what)
  return format("%d %s%s", n, what, n == 1 and "" or "s")
end

--- Who waits: `task 3 reads`.
local function add_waiters(words, list, verb)
  if list then
    words[#words + 1] = format("task %d %s%s", list[1], verb,
      #list > 1 and format(", and %d more", #list - 1) or "")
  end
end

local function ends_text(row)
  local from = row.localaddr and address_text(row.localaddr)
  local to = row.remoteaddr and address_text(row.remoteaddr)
  if from == "" or to == "" or not (from or to) then
    return row.endpoint and name_text(row.endpoint) or row.protocol or "?"
  end
  return format("%s %s%s", row.protocol or "?", from or "*", to and " -> " .. to or "")
end

local socket_words = {}

function socket_words.stream(row, words)
  words[#words + 1] = row.state
  if row.eof then
    words[#words + 1] = "at its end"
  end
  words[#words + 1] = count_text(row.received, "byte") .. " in"
  words[#words + 1] = count_text(row.sent, "byte") .. " out"
  if row.queued_in > 0 then
    words[#words + 1] = format("%d not read", row.queued_in)
  end
  if row.queued_out > 0 then
    words[#words + 1] = format("%d not sent", row.queued_out)
  end
  add_waiters(words, row.readers, "reads")
  add_waiters(words, row.writers or row.turns, row.state == "connecting" and "connects" or "writes")
  add_waiters(words, row.relays, "relays")
end

function socket_words.listener(row, words)
  words[#words + 1] = format("%d accepted", row.accepted)
  add_waiters(words, row.readers, "accepts")
end

function socket_words.datagram(row, words)
  words[#words + 1] = format("%s (%s) in", count_text(row.messages_in, "message"),
    count_text(row.received, "byte"))
  words[#words + 1] = format("%s (%s) out", count_text(row.messages_out, "message"),
    count_text(row.sent, "byte"))
  add_waiters(words, row.readers, "receives")
  add_waiters(words, row.writers, "sends")
end

local function socket_text(socket, kind)
  local row, id = host.socket(socket)
  if not row then
    return format("%s %d (closed)", kind, id)
  end
  local words = {row.kind == "listener" and name_text(row.endpoint) or ends_text(row)}
  socket_words[row.kind](row, words)
  return format("%s %d (%s)", kind, id, concat(words, ", "))
end

local function task_text(task)
  local row = host.task(task)
  local name = row.name and format(' "%s"', name_text(row.name)) or ""
  local what = row.status
  if row.op then
    what = format("waiting for %s%s, %.1f s", name_text(row.op),
      row.place and " at " .. name_text(row.place) or "", row.since)
  end
  return format("task %d%s (%s)", row.id, name, what)
end

local known = {
  ["neap.Stream"] = function(value)
    return socket_text(value, "stream")
  end,
  ["neap.Listener"] = function(value)
    return socket_text(value, "listener")
  end,
  ["neap.Datagram"] = function(value)
    return socket_text(value, "datagram socket")
  end,
  ["neap.Task"] = task_text,
  ["neap.Address"] = address_text,
}

--- An object of ours whose `__tostring` is C, and as we made it.
local function told(value, class, metatable)
  local text = rawget(metatable, "__tostring")
  if rawequal(getregistry()[class], metatable) and type(text) == "function"
    and getinfo(text, "S").what == "C" then
    local ok, result = pcall(text, value)
    return ok and type(result) == "string" and not find(result, "0x%x") and result
  end
end

---@param value userdata
---@return string
function objects.of_userdata(value)
  if rawequal(value, json.null) then
    return "json.null"
  elseif iotype(value) then
    return iotype(value) == "file" and "file" or "file (closed)"
  end
  local class, metatable = names.class(value)
  if not class then
    return "userdata"
  elseif known[class] and rawequal(getregistry()[class], metatable) then
    local ok, text = pcall(known[class], value)
    return ok and text or class
  end
  if sub(class, 1, 5) == "neap." then
    return told(value, class, metatable) or name_text(class)
  end
  return "userdata " .. name_text(class)
end

return objects

--- Heads as text: what goes out is checked, so that no value can end its field.

local core = require "neap.http.core"
local headers = require "neap.http.headers"
local time = require "neap.time"

local error, tonumber = error, tonumber
local char, find, format = string.char, string.find, string.format
local gsub, lower, match = string.gsub, string.lower, string.match
local concat = table.concat
local floor, mathtype = math.floor, math.type
local wall = time.wall

local message = {}

--- What only who frames the message sets.
local framing = { ["transfer-encoding"] = true, ["content-length"] = true, connection = true,
  ["keep-alive"] = true, upgrade = true, trailer = true }

--- A time of the wall clock as HTTP writes it (RFC 9110 §5.6.7).
message.date = core.date

local date = core.date

local today, second = "", -1

--- That of now.
function message.now()
  local seconds = floor(wall())
  if seconds ~= second then
    today, second = date(seconds), seconds
  end
  return today
end

message.reasons = {
  [100] = "Continue", [101] = "Switching Protocols", [103] = "Early Hints",
  [200] = "OK", [201] = "Created", [202] = "Accepted", [203] = "Non-Authoritative Information",
  [204] = "No Content", [205] = "Reset Content", [206] = "Partial Content",
  [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
  [304] = "Not Modified", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
  [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable",
  [407] = "Proxy Authentication Required", [408] = "Request Timeout", [409] = "Conflict",
  [410] = "Gone", [411] = "Length Required", [412] = "Precondition Failed",
  [413] = "Content Too Large", [414] = "URI Too Long", [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable", [417] = "Expectation Failed", [421] = "Misdirected Request",
  [422] = "Unprocessable Content", [426] = "Upgrade Required", [428] = "Precondition Required",
  [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
  [451] = "Unavailable For Legal Reasons",
  [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
}

--- The lines of fields, each of which was checked: of a list of names and values.
--- `own(name in lower case)`: is it to be left out?
function message.lines(list, own)
  local parts, n = {}, 0
  for i = 1, #list, 2 do
    if not own or not own[lower(list[i])] then
      parts[n + 1], parts[n + 2], parts[n + 3], parts[n + 4] = list[i], ": ", list[i + 1], "\r\n"
      n = n + 4
    end
  end
  return concat(parts)
end

--- The fields that a script gives, as a list; or raise for what is the framing's.
function message.fields(given, level, allowed)
  local list = headers.list(given, level + 1)
  for i = 1, #list, 2 do
    local name = lower(list[i])
    if framing[name] and not (allowed and allowed[name]) then
      error(format("header '%s' is not for scripts to set: it frames the message", list[i]), level + 1)
    end
  end
  return list
end

--- The value of a field in such a list.
function message.find(list, name)
  for i = 1, #list, 2 do
    if lower(list[i]) == name then
      return list[i + 1]
    end
  end
end

--- The count of bytes that a list says a body has; nil: none.
function message.length(list, level)
  local said = message.find(list, "content-length")
  local length = said and tonumber(said)
  if said and (mathtype(length) ~= "integer" or not find(said, "^%d+$")) then
    error("header 'content-length': a count of bytes expected", level + 1)
  end
  return length
end

--- Percent codes decoded, all that are well formed.
function message.unescape(text)
  if not find(text, "%", 1, true) then
    return text
  end
  return (gsub(text, "%%(%x%x)", function(digits)
    return char(tonumber(digits, 16))
  end))
end

--- Without blanks around; in two steps: one would try each cut of a run of blanks.
function message.trim(text)
  return match(match(text, "^[ \t]*(.*)$"), "^(.*[^ \t])") or ""
end

--- Interim answers (1xx) that a server may send before its answer.
message.INTERIM = 20

--- The head of an answer, behind interim ones, as `parser:head` returns it.
function message.answer(parser, stream, to_head)
  for _ = 0, message.INTERIM do
    local head, status, words = parser:head(stream, to_head)
    if not head or head.status >= 200 or head.status == 101 then
      return head, status, words
    end
  end
  return nil, 0, format("more than %d interim answers", message.INTERIM)
end

--- A head: its first line, and the text of the lines behind it.
function message.head(first, lines)
  return first .. "\r\n" .. lines .. "\r\n"
end

return message

--- Conditional requests and ranges (RFC 9110 §13 and §14): what is asked of a
--- representation whose validators and size are known. Nothing here knows of files.

local dates = require "neap.http.dates"

local concat = table.concat
local find, gmatch, lower, match = string.find, string.gmatch, string.lower, string.match
local tonumber = tonumber
local maxinteger = math.maxinteger
local months = dates.months

local conditions = {}

--- Ranges of one answer.
local RANGES = 16


-- Dates (§5.6.7)

--- Two digits of a year: those of the last fifty years, or the next.
local function whole_year(text, now)
  local year = tonumber(text)
  if #text ~= 2 then
    return year
  end
  local this = 1970 + now // 31556952
  year = this - this % 100 + year
  return year > this + 50 and year - 100 or year
end

--- Seconds since 1970 of a date in one of the three forms that there are; nil: it is none.
function conditions.time(text, now)
  local day, month, year, hour, min, second = match(text,
    "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  if not day then
    day, month, year, hour, min, second = match(text,
      "^%a+day, (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  end
  if not day then
    month, day, hour, min, second, year = match(text,
      "^%a%a%a (%a%a%a) ([ %d]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$")
  end
  month = month and months[lower(month)]
  if not month then
    return nil
  end
  day, hour, min, second = tonumber(day), tonumber(hour), tonumber(min), tonumber(second)
  if day < 1 or day > 31 or hour > 23 or min > 59 or second > 60 then
    return nil
  end
  return dates.seconds(whole_year(year, now), month, day, hour, min, second)
end


-- Validators (§8.8)

--- A field as one text, whose lines make a list.
local function field(request, name)
  local first = request:header(name)
  return first and concat(request.headers:all(name), ", ")
end

--- Is the tag, which is a strong one, in a list of tags? `weakly`: also as a weak one.
local function has_tag(list, tag, weakly)
  if match(list, "^%s*%*%s*$") then
    return true
  end
  for weak, one in gmatch(list, '(W?/?)("[^"]*")') do
    if one == tag and (weak == "" or weakly) then
      return true
    end
  end
  return false
end

--- Is the time in the field `modified`, or later? nil: the field is not there, or no date.
local function not_since(request, name, modified, now)
  local text = request:header(name)
  local at = text and conditions.time(text, now)
  return at and modified <= at
end

--- What is answered in place of the representation: 304, 412, or nil: nothing (§13.2.2).
---@param request neap.http.Request  GET or HEAD
---@param tag string  a strong one, with its quotes
---@param modified integer  seconds since 1970
---@param now number
function conditions.status(request, tag, modified, now)
  local list = field(request, "if-match")
  if list then
    if not has_tag(list, tag, false) then
      return 412
    end
  elseif not_since(request, "if-unmodified-since", modified, now) == false then
    return 412
  end
  list = field(request, "if-none-match")
  if list then
    return has_tag(list, tag, true) and 304 or nil
  end
  return not_since(request, "if-modified-since", modified, now) and 304 or nil
end


-- Ranges

--- Does the client still have what its ranges are to complete? (§13.1.5)
local function is_same(request, tag, modified, now)
  local text = request:header "if-range"
  return not text or text == tag or conditions.time(text, now) == modified
end

local function count(digits)
  local text = match(digits, "^0*(%d*)$")
  return #text < 18 and tonumber(digits) or digits ~= "" and maxinteger or nil
end

--- One of the list: its first and last byte, from 0 on; false: there are none; nil: it is no
--- range.
local function range_of(text, size)
  local first, last = match(text, "^[ \t]*(%d*)%-(%d*)[ \t]*$")
  if not first or first == "" and last == "" then
    return nil
  end
  first, last = count(first), count(last)
  if not first then
    if last == 0 or size == 0 then
      return false
    end
    return last < size and size - last or 0, size - 1
  elseif last and last < first then
    return nil
  elseif first >= size then
    return false
  end
  return first, last and last < size and last or size - 1
end

--- The ranges that are asked for: a list of {first, last}, both counted from 0 and part of
--- it. Nil: the whole is; an empty one: there are none of these.
---@param request neap.http.Request
---@param size integer
---@param tag string
---@param modified integer
---@param now number
function conditions.ranges(request, size, tag, modified, now)
  local text = field(request, "range")
  if not text or request.method ~= "GET" or not is_same(request, tag, modified, now) then
    return nil
  end
  local list = match(text, "^[Bb][Yy][Tt][Ee][Ss]=(.*)$")
  if not list or list == "" then
    return nil
  end
  local found, sum, asked = {}, 0, 0
  for one in gmatch(list, "[^,]*") do
    asked = asked + 1
    local first, last = range_of(one, size)
    if first == nil and not find(one, "^[ \t]*$") or asked > RANGES then
      return nil
    elseif first then
      found[#found + 1] = { first, last }
      sum = sum + last - first + 1
    end
  end
  if sum > size then
    return nil
  end
  return found
end


return conditions

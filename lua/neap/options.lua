--- Options as servers and clients take them: each is checked before anything begins.

local error, next, pcall, rawget, tostring, type = error, next, pcall, rawget, tostring, type
local concat, sort = table.concat, table.sort
local format, match = string.format, string.match
local huge, mathtype = math.huge, math.type

local options = {}

--- What an option may be: the first says whether it is, the second what is expected.
options.seconds = { function(value)
  return type(value) == "number" and value > 0
end, "seconds above 0" }

options.count = { function(value)
  return mathtype(value) == "integer" and value >= 1 or value == huge
end, "a count of 1 or more" }

--- Bytes, or things in a queue.
options.size = { function(value)
  return mathtype(value) == "integer" and value >= 1 and value < 1 << 31
end, "a count from 1 to 2^31-1" }

--- How often to connect again.
options.times = { function(value)
  return type(value) == "boolean" or mathtype(value) == "integer" and value >= 1
end, "a boolean, or a count from 1" }

options.full = { function(value)
  return value == "drop" or value == "wait"
end, "'drop' or 'wait'" }

options.tls = { function(value)
  return type(value) == "table" or type(value) == "userdata"
end, "a context, or a table of options" }

options.callable = { function(value)
  return type(value) == "function"
end, "a function" }

options.table = { function(value)
  return type(value) == "table"
end, "a table" }

options.text = { function(value)
  return type(value) == "string"
end, "a string" }

options.flag = { function(value)
  return type(value) == "boolean"
end, "a boolean" }

--- A table of more options, which are checked by themselves, or true for their defaults.
options.flag_or_table = { function(value)
  return type(value) == "boolean" or type(value) == "table"
end, "a boolean or a table of options" }

options.level = { function(value)
  return mathtype(value) == "integer" and value >= 1 and value <= 9
end, "a level from 1 to 9" }

options.texts = { function(value)
  if type(value) ~= "table" then
    return false
  end
  for _, text in next, value do
    if type(text) ~= "string" then
      return false
    end
  end
  return true
end, "a list of strings" }

--- Whatever it is: it is checked where it is used.
options.any = { function()
  return true
end, "a value" }

local function names_of(known)
  local names = {}
  for name in next, known do
    names[#names + 1] = name
  end
  sort(names)
  return concat(names, ", ")
end

local check

local function check_one(who, name, value, kind, level)
  if type(kind[1]) ~= "function" then
    return check(who, value, kind, level, name) -- in this one's place
  elseif not kind[1](value) then
    error(format("%s: option '%s': %s expected", who, name, kind[2]), level + 1)
  end
  return value
end

--- The options of a table that has these names at most, each checked: a new table. A kind that
--- is itself a table of names is a group of options. `within`: the name of such a group.
function check(who, given, known, level, within)
  if type(given) ~= "table" then
    error(within and format("%s: option '%s': a table expected", who, within)
      or format("%s: a table of options expected, got %s", who, type(given)), level + 1)
  end
  local found = {}
  for key in next, given do
    local name = (within and within .. "." or "") .. tostring(key)
    local kind = rawget(known, key)
    if not kind then
      error(format("%s: unknown option '%s' (there are %s)", who, name, names_of(known)), level + 1)
    end
    found[key] = check_one(who, name, rawget(given, key), kind, level + 1)
  end
  return found
end

options.check = check

--- What is made of an option by `f`; what that raises is about the option.
function options.made(who, f, value, level)
  local ok, result, err = pcall(f, value)
  if not ok then
    local words = tostring(result)
    error(format("%s: %s", who, match(words, "^bad argument #%d+ to '%w+' %((.*)%)$")
      or match(words, "^%w+: (.*)$") or words), level + 1)
  end
  return result, err
end

return options

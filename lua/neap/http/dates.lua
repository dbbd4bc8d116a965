--- Dates as numbers, for those who read them from texts.

local ipairs = ipairs

local dates = { months = {} }

for i, name in ipairs { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" } do
  dates.months[name] = i
end

--- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- How many days a month has.
function dates.length(year, month)
  return month == 12 and 31 or days(year, month + 1, 1) - days(year, month, 1)
end

--- Seconds since 1970, of UTC.
function dates.seconds(year, month, day, hour, minute, second)
  return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
end

return dates

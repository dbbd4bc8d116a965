--- Cookies (RFC 6265, and what RFC 6265bis adds): those that a server sets, and the jar in
--- which a client keeps them.

local check_self = require "neap.class.core".check_self
local core = require "neap.http.core"
local dates = require "neap.http.dates"
local options = require "neap.options"
local trim = require "neap.http.message".trim

local error, getmetatable, ipairs, next, require, setmetatable =
  error, getmetatable, ipairs, next, require, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local find, format, gmatch, gsub, lower, match, sub = string.find, string.format, string.gmatch,
  string.gsub, string.lower, string.match, string.sub
local concat, remove, sort = table.concat, table.remove, table.sort
local floor, mathtype, min = math.floor, math.type, math.min
local date, is_token = core.date, core.token
local months = dates.months

local cookies = {}

--- Bytes of a cookie's name and value, and of an attribute's value.
local COOKIE, ATTRIBUTE = 4096, 1024


-- What a server sets

--- What a cookie is set with. It is sent back over any connection, to all paths, and shown
--- to no script of a page, unless these say something else.
---@class neap.http.CookieOptions
---@field path (string|false)?  default `"/"`; false: that of the request
---@field domain string?  the hosts below it get it, too; without, the host itself only
---@field maxage integer?  seconds; 0 removes it; without and without `expires`, until the browser
--- is closed
---@field expires number?  a time of the wall clock
---@field secure boolean?  by TLS only
---@field httponly boolean?  default true: page scripts do not see it
---@field samesite ("strict"|"lax"|"none"|false)?  default `"lax"`: other sites send it only
--- where a user follows a link; `"none"` needs `secure`

local same_sites = { strict = "Strict", lax = "Lax", none = "None" }

local function is_attribute(text)
  return type(text) == "string" and #text <= ATTRIBUTE and not find(text, "[%c;\x80-\xff]")
end

local known = {
  path = { function(value)
    return value == false or is_attribute(value) and sub(value, 1, 1) == "/"
  end, "a path that begins with '/', or false" },
  domain = { function(value)
    return is_attribute(value) and find(value, "^[%w-][%w.-]*$") ~= nil
  end, "a host's name" },
  maxage = { function(value)
    return mathtype(value) == "integer" and value >= 0
  end, "a count of seconds" },
  expires = { function(value)
    return type(value) == "number" and value >= 0 and value < 253402300800
  end, "a time of the wall clock" },
  secure = options.flag,
  httponly = options.flag,
  samesite = { function(value)
    return value == false or same_sites[value] ~= nil
  end, "'strict', 'lax', 'none' or false" },
}

--- Why a cookie may not have the prefix that its name has. `o`: its attributes.
local function prefix_lacks(name, o)
  name = lower(name)
  if find(name, "^__secure%-") then
    return not o.secure and "'secure'"
  elseif find(name, "^__host%-") then
    return not o.secure and "'secure'" or o.path ~= "/" and "the path '/'" or o.domain and "no 'domain'"
  end
end

--- The value of a set-cookie field, for `http.cookie` and `Response:setcookie`.
function cookies.text(name, value, opts, level)
  level = (level or 1) + 1
  if type(name) ~= "string" or not is_token(name) then
    error(format("a cookie's name expected, got %q", tostring(name)), level)
  end
  local text = mathtype(value) == "integer" and tostring(value) or value
  if type(text) ~= "string" or find(text, '[%c ",;\\\127-\255]') then
    error(format("cookie '%s': a text without blanks, quotes, commas, semicolons, backslashes and " ..
      "other than ASCII expected", name), level)
  elseif #name + #text > COOKIE then
    error(format("cookie '%s': name and value are longer than %d bytes", name, COOKIE), level)
  end
  local o = options.check("cookie", opts or {}, known, level)
  local path, same = o.path, o.samesite
  if path == nil then
    path = "/"
  end
  if same == nil then
    same = "lax"
  end
  local lacks = prefix_lacks(name, { secure = o.secure, path = path, domain = o.domain })
  if lacks or same == "none" and not o.secure then
    error(format("cookie '%s': %s needs %s", name, lacks and "its name" or "samesite 'none'", lacks or "'secure'"),
      level)
  end
  return concat {
    name, "=", text,
    path and "; Path=" .. path or "",
    o.domain and "; Domain=" .. o.domain or "",
    o.maxage and "; Max-Age=" .. o.maxage or "",
    o.expires and "; Expires=" .. date(floor(o.expires)) or "",
    o.secure and "; Secure" or "",
    o.httponly ~= false and "; HttpOnly" or "",
    same and "; SameSite=" .. same_sites[same] or "",
  }
end

--- Names and values of cookie fields: of names that are repeated the first.
function cookies.of(values)
  local found = {}
  for _, value in ipairs(values) do
    for pair in gmatch(value, "[^;]+") do
      local name, text = match(pair, "^([^=]+)=(.*)$")
      name = trim(name or "")
      if name ~= "" and found[name] == nil then
        text = trim(text)
        found[name] = match(text, '^"(.*)"$') or text
      end
    end
  end
  return found
end


-- Dates (RFC 6265 §5.1.1)

--- A number of some digits at the beginning of a word, behind which is no other.
local function number(word, pattern)
  local digits = match(word, "^(" .. pattern .. ")%f[%D]")
  return digits and tonumber(digits)
end

--- The seconds of a date, which may be written in many ways; nil: none.
function cookies.date(text)
  local hour, minute, second, day, month, year
  for word in gmatch(text, "[^\t -/;-@%[-`{-~]+") do
    local h, m, s = match(word, "^(%d%d?):(%d%d?):(%d%d?)%f[%D]")
    if h and not hour then
      hour, minute, second = tonumber(h), tonumber(m), tonumber(s)
    elseif not day and number(word, "%d%d?") then
      day = number(word, "%d%d?")
    elseif not month and months[lower(sub(word, 1, 3))] then
      month = months[lower(sub(word, 1, 3))]
    elseif not year and number(word, "%d%d%d?%d?") then
      year = number(word, "%d%d%d?%d?")
    end
  end
  if not (hour and day and month and year) then
    return nil
  end
  year = year <= 69 and year + 2000 or year <= 99 and year + 1900 or year
  if year < 1601 or day < 1 or day > dates.length(year, month) or hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  return dates.seconds(year, month, day, hour, minute, second)
end


-- The jar

--- Cookies of a domain, and of all.
local OF_DOMAIN, ALL = 50, 3000

--- Seconds for which a cookie is kept at most.
local LONGEST = 400 * 86400

--- What a client keeps of the cookies that servers set: at most 50 of a domain, and 3,000 in
--- all, of which those go first that were not used for longest. There is no list of public
--- suffixes: a domain that has a dot inside may be set, `co.uk` as well. So a jar is not for
--- servers of which some are to be kept from the others.
---@class neap.http.CookieJar
---@field private domains table<string, table[]>
---@field private count integer
---@field private clock integer
local CookieJar = {}
CookieJar.__index = CookieJar
CookieJar.__name = "neap.http.CookieJar"

local function is_address(host)
  return find(host, ":", 1, true) or require "neap.packet.address".to_ipv4(host)
end

--- Is a host this domain, or below it?
local function is_below(host, domain)
  return host == domain or sub(host, -#domain - 1) == "." .. domain and not is_address(host)
end

--- Does a path lie below that of a cookie?
local function is_within(path, of)
  return path == of or sub(path, 1, #of) == of and (sub(of, -1) == "/" or sub(path, #of + 1, #of + 1) == "/")
end

--- What counts of a URL: its host, its path, and whether it is secure.
local function target_of(url, name, level)
  local found = url
  if type(url) == "string" then
    found = require "neap.url".parse(url)
  end
  local meta = type(found) == "table" and getmetatable(found)
  if not meta or meta.__name ~= "neap.Url" or not found.host or found.host == "" then
    error(format("bad argument #1 to '%s' (a URL with a host expected)", name), level + 1)
  end
  return {
    host = found.host,
    path = found.path ~= "" and found.path or "/",
    secure = found.scheme == "https" or found.scheme == "wss",
  }
end

local function time_of(now, n, name, level)
  if now == nil then
    return require "neap.time".wall()
  elseif type(now) ~= "number" then
    error(format("bad argument #%d to '%s' (a time of the wall clock expected)", n, name), level + 1)
  end
  return now
end

--- Name, value and attributes of a set-cookie field, the last of each; nil: it is none.
local function parse(text)
  local pair, rest = match(text, "^([^;]*)(.*)$")
  local name, value = match(pair, "^([^=]*)=(.*)$")
  name, value = trim(name or ""), trim(value or "")
  if name == "" or #name + #value > COOKIE or find(text, "[\0-\8\10-\31\127]") then
    return nil
  end
  local found = {}
  for attribute in gmatch(rest, ";([^;]*)") do
    local key, of_key = match(attribute, "^([^=]*)=(.*)$")
    key, of_key = lower(trim(key or attribute)), trim(of_key or "")
    if #of_key <= ATTRIBUTE then
      found[key] = of_key
    end
  end
  return name, value, found
end

--- When a cookie ends: nil, with the session.
local function end_of(found, now)
  local age = match(found["max-age"] or "", "^%-?%d+$")
  local ends = age and now + min(tonumber(age), LONGEST) or cookies.date(found.expires or "")
  return ends and min(ends, now + LONGEST)
end

--- The domain of a cookie, and whether it is the host alone; nil: it is not the host's to set.
local function domain_of(said, host)
  local domain = lower(gsub(said or "", "^%.", ""))
  if domain == "" or domain == host and (is_address(host) or not find(host, ".%..")) then
    return host, true
  elseif not find(domain, ".%..") or not is_below(host, domain) then
    return nil
  end
  return domain, false
end

local function default_path(path)
  return match(path, "^(/.*)/[^/]*$") or "/"
end

--- The cookie that a text sets for a target; nil: none.
local function cookie_of(text, target, now)
  local name, value, found = parse(text)
  if not name then
    return nil
  end
  local domain, alone = domain_of(found.domain, target.host)
  local secure = found.secure ~= nil
  local path = find(found.path or "", "^/") and found.path or default_path(target.path)
  if not domain or secure and not target.secure
    or prefix_lacks(name, { secure = secure, path = found.path, domain = not alone }) then
    return nil
  end
  return { name = name, value = value, domain = domain, alone = alone, path = path, secure = secure,
    ends = end_of(found, now) }
end

--- Remove those cookies of a list which are over.
local function sweep(self, list, now)
  for i = #list, 1, -1 do
    if list[i].ends and list[i].ends <= now then
      remove(list, i)
      self.count = self.count - 1
    end
  end
end

--- Remove the cookie of a list that was not used for longest.
local function evict(self, list)
  local oldest = 1
  for i, cookie in ipairs(list) do
    if cookie.used < list[oldest].used then
      oldest = i
    end
  end
  remove(list, oldest)
  self.count = self.count - 1
end

--- Make room for one more.
local function make_room(self, now)
  local least
  for domain, list in next, self.domains do
    sweep(self, list, now)
    if #list == 0 then
      self.domains[domain] = nil
    else
      for _, cookie in ipairs(list) do
        least = (not least or cookie.used < least.used) and cookie or least
      end
    end
  end
  if self.count >= ALL then
    local list = self.domains[least.domain]
    evict(self, list)
    if #list == 0 then
      self.domains[least.domain] = nil
    end
  end
end

--- Would a cookie of an insecure connection take the place of one that is secure?
local function overlays(self, cookie, target)
  if target.secure then
    return false
  end
  for domain, list in next, self.domains do
    if is_below(domain, cookie.domain) or is_below(cookie.domain, domain) then
      for _, other in ipairs(list) do
        if other.secure and other.name == cookie.name and is_within(cookie.path, other.path) then
          return true
        end
      end
    end
  end
  return false
end

--- Take a cookie that a server has set: the value of one set-cookie field. What is not the
--- server's to set is refused, as is what is no cookie.
---
--- ```lua
--- local http = require "neap.http"
---
--- local jar = http.cookiejar()
--- print(jar:set("https://www.example.com/a/b", "id=7; Domain=example.com; Path=/; Secure"))  --> true
--- print(jar:set("https://www.example.com/", "id=8; Domain=other.com"))  --> false
--- print(jar:get "https://example.com/", jar:get "http://example.com/")  --> id=7 nil
--- ```
---@param url string|neap.Url  that was asked for; raises for what is none, or has no host
---@param text string
---@param now? number  a time of the wall clock; default: now
---@return boolean taken
function CookieJar:set(url, text, now)
  check_self(self, CookieJar, "set")
  local target = target_of(url, "set", 2)
  if type(text) ~= "string" then
    error("bad argument #2 to 'set' (a string expected)", 2)
  end
  now = time_of(now, 3, "set", 2)
  local cookie = cookie_of(text, target, now)
  if not cookie or overlays(self, cookie, target) then
    return false
  end
  self.clock = self.clock + 1
  cookie.made, cookie.used = self.clock, self.clock
  local list = self.domains[cookie.domain] or {}
  for i, other in ipairs(list) do
    if other.name == cookie.name and other.path == cookie.path and other.alone == cookie.alone then
      cookie.made = other.made
      remove(list, i)
      self.count = self.count - 1
      break
    end
  end
  sweep(self, list, now)
  if not cookie.ends or cookie.ends > now then
    if #list >= OF_DOMAIN then
      evict(self, list)
    elseif self.count >= ALL then
      make_room(self, now)
    end
    list[#list + 1] = cookie
    self.count = self.count + 1
  end
  self.domains[cookie.domain] = #list > 0 and list or nil
  return true
end

--- The value of the cookie field for a URL; nil: there is none.
---
--- ```lua
--- local http = require "neap.http"
---
--- local jar = http.cookiejar()
--- jar:set("http://example.com/", "a=1")
--- jar:set("http://example.com/x/y", "b=2; Max-Age=60")
--- print(jar:get "http://example.com/x/z")  --> b=2; a=1
--- print(jar:get "http://example.com/", jar:get "http://www.example.com/")  --> a=1 nil
--- ```
---@param url string|neap.Url  to be asked for; raises for what is none, or has no host
---@param now? number  a time of the wall clock; default: now
---@return string? value
function CookieJar:get(url, now)
  check_self(self, CookieJar, "get")
  local target = target_of(url, "get", 2)
  now = time_of(now, 2, "get", 2)
  local found = {}
  local domain = target.host
  self.clock = self.clock + 1
  while domain do
    for _, cookie in ipairs(self.domains[domain] or {}) do
      if (not cookie.alone or domain == target.host) and is_within(target.path, cookie.path)
        and (not cookie.secure or target.secure) and (not cookie.ends or cookie.ends > now) then
        cookie.used = self.clock
        found[#found + 1] = cookie
      end
    end
    domain = not is_address(target.host) and match(domain, "^[^.]*%.(.+)$") or nil
  end
  sort(found, function(a, b)
    if #a.path ~= #b.path then
      return #a.path > #b.path
    end
    return a.made < b.made
  end)
  for i, cookie in ipairs(found) do
    found[i] = cookie.name .. "=" .. cookie.value
  end
  return #found > 0 and concat(found, "; ") or nil
end

function cookies.new()
  return setmetatable({ domains = {}, count = 0, clock = 0 }, CookieJar)
end

return cookies

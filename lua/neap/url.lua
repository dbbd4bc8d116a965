--- URLs (RFC 3986), taken apart and put together, and nothing repaired on the way.
---
--- What is no URL is refused, and not made one: a blank, a backslash, a control character,
--- a byte that is not ASCII, a `%` without two digits. So what neap takes for the host is
--- what everybody else takes for it. A host is a name as resolvers know them, an IPv4
--- address in its full form, or an IPv6 address in brackets, with its zone behind `%25`
--- where it is link-local (RFC 6874); percent codes are none. A name stands in lower case,
--- and an address in its one form. Path, query and fragment are left as they were written:
--- percent codes are decoded, part by part, by who knows what the parts mean.
---
--- A text that a peer sent may be no URL, so that is returned: `nil` and an error object
--- (EBADMSG), which does not show the text, for there may be a password in it.

local address = require "neap.packet.address"
local check_self = require "neap.class.core".check_self
local endpoint = require "neap.endpoint"
local error_object = require "neap.error"

---@class neap.url
local url = {}

--- A URL; to be read, not changed. `tostring` gives its text.
---@class neap.Url
---@field scheme string  in lower case
---@field userinfo string?  before the `@`, as it was written
---@field host string?  a name in lower case, or an address without brackets, with its zone:
--- `fe80::1%eth0`; `""`: nothing between `//` and `/`; nil: there was no `//`
---@field port integer?  nil: none was written
---@field path string  as it was written: `""`, `/a%20b`
---@field query string?  behind the `?`, as it was written
---@field fragment string?  behind the `#`, as it was written
local Url = {}
Url.__index = Url
Url.__name = "neap.Url"

--- Schemes whose URLs have a host.
local WITH_HOST = {http = true, https = true, ws = true, wss = true, ftp = true}

--- What may stand in a part besides percent codes, for a pattern's set.
local UNRESERVED = "A-Za-z0-9%-._~"
local SUBDELIMS = "!$&'()*+,;="
local USERINFO = UNRESERVED .. SUBDELIMS .. ":"
local PARTS = {
  segment = UNRESERVED .. SUBDELIMS .. ":@",
  path = UNRESERVED .. SUBDELIMS .. ":@/",
  query = UNRESERVED .. SUBDELIMS .. ":@/?",
  fragment = UNRESERVED .. SUBDELIMS .. ":@/?",
}

local function fail(op, why)
  return nil, error_object.new {code = "EBADMSG", message = why, op = op}
end

--- Lower case of ASCII, whatever the locale is.
local function lower(text)
  return (string.gsub(text, "[A-Z]", function(c)
    return string.char(string.byte(c) + 32)
  end))
end

local function check_text(value, name, level)
  if type(value) ~= "string" then
    error(string.format("%s: a string expected, got a %s", name, type(value)), level + 1)
  end
end


-- Parsing

--- Why a byte can be nowhere in a URL.
local function name_byte(c)
  if c == " " then
    return "a blank"
  elseif c == "\\" then
    return "a backslash"
  elseif string.byte(c) >= 0x80 then
    return "a byte that is not ASCII"
  elseif string.find(c, "[^\x21-\x7e]") then
    return "a control character"
  end
  return c
end

--- Why it is no such part: it has other characters than these, or broken percent codes.
local function check_part(text, part, set)
  local at = string.find(text, "[^%%" .. (set or PARTS[part]) .. "]")
  if at then
    return string.format("%s cannot be in a URL's %s", name_byte(string.sub(text, at, at)), part)
  end
  local _, signs = string.gsub(text, "%%", "")
  local _, codes = string.gsub(text, "%%[0-9A-Fa-f][0-9A-Fa-f]", "")
  if signs ~= codes then
    return string.format("a %% without two hexadecimal digits is in the URL's %s", part)
  end
end

--- The parts as they are written (RFC 3986, appendix B); authority is nil without `//`.
local function split(text)
  local parts = {}
  local rest, fragment = string.match(text, "^([^#]*)#(.*)$")
  parts.fragment = fragment
  rest = rest or text
  local before, query = string.match(rest, "^([^?]*)%?(.*)$")
  parts.query = query
  rest = before or rest
  local scheme, behind = string.match(rest, "^([A-Za-z][A-Za-z0-9+.-]*):(.*)$")
  parts.scheme = scheme and lower(scheme)
  rest = behind or rest
  parts.authority, parts.path = string.match(rest, "^//([^/]*)(.*)$")
  parts.path = parts.path or rest
  return parts
end

--- What stands in brackets, in its one form.
local function read_address(text)
  local ip, zone = string.match(text, "^([0-9A-Fa-f:.]+)%%25(.+)$")
  local bytes = address.to_ipv6(ip or text)
  if not bytes then
    return nil, "only an IPv6 address stands in brackets"
  elseif zone and (string.find(zone, "[^A-Za-z0-9._~-]") or not string.find(bytes, "^\xfe[\x80-\xbf]")) then
    return nil, "a zone is the name of an interface, behind a link-local address"
  end
  return address.ipv6(bytes) .. (zone and "%" .. zone or "")
end

--- A name or IPv4 address, as endpoints have them.
local function read_name(text)
  local at = string.find(text, "[^A-Za-z0-9._-]")
  if at then
    return nil, string.format("%s cannot be in a URL's host", name_byte(string.sub(text, at, at)))
  elseif text == "" then
    return ""
  end
  local ok, why = pcall(endpoint.parse, string.format("tcp://%s:0", text))
  if not ok then
    return nil, string.match(why, "': (.*)%)$") or why
  end
  return lower(text)
end

--- Userinfo, host and port; or nil and why not.
local function read_authority(text)
  local userinfo, rest = string.match(text, "^([^@]*)@(.*)$")
  local why = userinfo and check_part(userinfo, "userinfo", USERINFO)
  if why then
    return nil, why
  end
  rest = rest or text
  local inner, tail = string.match(rest, "^%[([^%]]*)%](.*)$")
  local host
  if inner then
    host, why = read_address(inner)
  else
    inner, tail = string.match(rest, "^([^:]*)(.*)$")
    host, why = read_name(inner)
  end
  if not host then
    return nil, why
  end
  local digits = string.match(tail, "^:(%d*)$")
  local port = digits and tonumber(digits)
  if tail ~= "" and not digits or port and (port > 65535 or string.find(digits, "^0%d")) then
    return nil, "a port is a whole number, 0 to 65535"
  elseif host == "" and (userinfo or digits) then
    return nil, "a host is expected"
  end
  return {userinfo = userinfo, host = host, port = port}
end

--- What stands in the way of a path behind such an authority.
local function check_path(path, authority)
  if authority and path ~= "" and string.byte(path) ~= 47 then
    return "a path behind a host begins with /"
  elseif not authority and string.find(path, "^//") then
    return "a path that begins with // would be a host"
  end
  return check_part(path, "path")
end

--- Parts as split gives them, checked: a URL.
local function make(parts)
  if not parts.scheme then
    return nil, "a scheme is expected, such as https://"
  end
  local self = {host = nil}
  if parts.authority then
    local why
    self, why = read_authority(parts.authority)
    if not self then
      return nil, why
    end
  end
  if WITH_HOST[parts.scheme] and (self.host or "") == "" then
    return nil, string.format("%s://host is expected", parts.scheme)
  end
  local why = check_path(parts.path, parts.authority) or parts.query and check_part(parts.query, "query")
    or parts.fragment and check_part(parts.fragment, "fragment")
  if why then
    return nil, why
  end
  self.scheme, self.path, self.query, self.fragment = parts.scheme, parts.path, parts.query, parts.fragment
  return setmetatable(self, Url)
end

--- Read a URL, which begins with a scheme. One of http, https, ws, wss and ftp has a host.
---
--- ```lua
--- local url = require "neap.url"
---
--- local u = assert(url.parse "https://user:secret@Example.com:8443/a%20b?x=1#top")
--- print(u.scheme, u.host, u.port, u.path, u.query)  --> https example.com 8443 /a%20b x=1
--- print(url.parse "http://example.com\\@evil.com/")
--- --> nil parse: a backslash cannot be in a URL's userinfo (EBADMSG)
--- ```
---@param text string
---@return neap.Url? url
---@return neap.Error? err  EBADMSG
function url.parse(text)
  check_text(text, "parse", 2)
  local self, why = make(split(text))
  if not self then
    return fail("parse", why)
  end
  return self
end


-- Printing

--- The authority of a table with its parts; nil: it has none.
local function print_authority(parts)
  local host = parts.host
  if not host then
    return nil
  end
  if string.find(host, ":", 1, true) then
    host = "[" .. string.gsub(host, "%%", "%%25", 1) .. "]"
  end
  return (parts.userinfo and parts.userinfo .. "@" or "") .. host .. (parts.port and ":" .. parts.port or "")
end

local function print_parts(parts)
  local authority = print_authority(parts)
  return (parts.scheme and parts.scheme .. ":" or "") .. (authority and "//" .. authority or "") .. parts.path
    .. (parts.query and "?" .. parts.query or "") .. (parts.fragment and "#" .. parts.fragment or "")
end

function Url:__tostring()
  return print_parts(self)
end

--- Its user and password, decoded; nil for what is not there.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.parse "ftp://me:p%40ss@example.com/":credentials())  --> me p@ss
--- ```
---@return string? user
---@return string? password
function Url:credentials()
  check_self(self, Url, "credentials")
  local user, password = string.match(self.userinfo or "", "^([^:]*):(.*)$")
  return self.userinfo and url.decode(user or self.userinfo), password and url.decode(password)
end

local BUILT_OF = {
  scheme = "string", userinfo = "string", host = "string", port = "integer", path = "string", query = "string",
  fragment = "string",
}

--- Which is to blame first: a part that is wrong may make others so.
local BLAMED = {"scheme", "host", "port", "userinfo", "path", "query", "fragment"}

--- The parts that are given, as they are written; or nil and what is wrong.
local function read_parts(parts)
  local given = {path = ""}
  for name, value in pairs(parts) do
    if name == "query" and type(value) == "table" then
      local ok, text = pcall(url.formencode, value)
      if not ok then
        return nil, text
      end
      value = text
    end
    local kind = math.type(value) or type(value)
    if not BUILT_OF[name] then
      return nil, string.format("unknown part '%s'", tostring(name))
    elseif kind ~= BUILT_OF[name] then
      return nil, string.format("part '%s': a value of type %s expected, got %s", name, BUILT_OF[name], kind)
    end
    given[name] = value
  end
  return given
end

--- A part that is given, as it is read.
local function normal(name, value)
  if name == "host" and value and string.find(value, ":", 1, true) then
    return (read_address((string.gsub(value, "%%", "%%25", 1))))
  end
  return (name == "host" or name == "scheme") and value and lower(value) or value
end

--- Build a URL of its parts; those of a parsed one will do. A query may be a table, which
--- `formencode` makes a text. Raises for what is none, and for parts that would be
--- something else where they stand, such as a host with an `@`.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.build {scheme = "http", host = "::1", port = 8080, path = "/" .. url.encode "a/b", query = {q = "x y"}})
--- --> http://[::1]:8080/a%2Fb?q=x+y
--- print(pcall(url.build, {scheme = "http", host = "good.com@evil.com"}))
--- --> false build: the host would not be read as it is given
--- ```
---@param parts { scheme: string, userinfo?: string, host?: string, port?: integer, path?: string,
--- query?: string|table, fragment?: string }
---@return string text
function url.build(parts)
  if type(parts) ~= "table" then
    error(string.format("build: a table expected, got a %s", type(parts)), 2)
  end
  local given, wrong = read_parts(parts)
  local self, why
  if given then
    self, why = make(split(print_parts(given)))
  end
  if not self then
    error("build: " .. (wrong or why), 2)
  end
  for _, name in ipairs(BLAMED) do
    if self[name] ~= normal(name, given[name]) then
      error(string.format("build: the %s would not be read as it is given", name), 2)
    end
  end
  return print_parts(self)
end


-- References (RFC 3986, 5)

--- A path without its segments . and .., as 5.2.4 says.
local function remove_dots(path)
  local absolute = string.byte(path) == 47
  local kept, n, last = {}, 0, nil
  for segment in string.gmatch((absolute and string.sub(path, 2) or path) .. "/", "([^/]*)/") do
    last = segment
    if segment == ".." then
      absolute = absolute or n == 1
      n = math.max(n - 1, 0)
    elseif segment ~= "." then
      n = n + 1
      kept[n] = segment
    end
  end
  if last == "." or last == ".." then
    n = n + 1
    kept[n] = ""
  end
  return (absolute and "/" or "") .. table.concat(kept, "/", 1, n)
end

--- The path of a reference that has neither scheme nor host, beside that of its base.
local function merge(base, path)
  if string.byte(path) == 47 then
    return remove_dots(path)
  elseif base.host and base.path == "" then
    return remove_dots("/" .. path)
  end
  return remove_dots((string.match(base.path, "^.*/") or "") .. path)
end

--- The URL that a reference means where it stands, as in a redirect's Location: one of its
--- own, `//host/path`, `/path`, `path`, `?query`, `#fragment`, or nothing. Segments `.` and
--- `..` are resolved, and never lead above the root.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.resolve("http://a/b/c/d;p?q", "../g?y#s"))  --> http://a/b/g?y#s
--- print(url.resolve("https://a/b", "//c/d"))  --> https://c/d
--- ```
---@param base string|neap.Url
---@param reference string
---@return neap.Url? url
---@return neap.Error? err  EBADMSG
function url.resolve(base, reference)
  check_text(reference, "resolve", 2)
  if getmetatable(base) ~= Url then
    check_text(base, "resolve", 2)
    local parsed, err = url.parse(base)
    if not parsed then
      return fail("resolve", "the base: " .. err.message)
    end
    base = parsed
  end
  local parts = split(reference)
  if parts.scheme or parts.authority then
    parts.scheme = parts.scheme or base.scheme
    parts.path = remove_dots(parts.path)
  else
    parts.query = parts.query or parts.path == "" and base.query or nil
    parts.path = parts.path == "" and base.path or merge(base, parts.path)
    parts.scheme, parts.authority = base.scheme, print_authority(base)
  end
  local self, why = make(parts)
  if not self then
    return fail("resolve", why)
  end
  return self
end


-- Percent codes

local function code(c)
  return string.format("%%%02X", string.byte(c))
end

--- Any text, as it can stand in a part: what cannot, becomes percent codes. Without a part,
--- only letters, digits and `-._~` stay, which can stand everywhere.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.encode "a/b c&d é")  --> a%2Fb%20c%26d%20%C3%A9
--- print(url.encode("a/b c&d", "path"), url.encode("a/b c&d", "segment"))  --> a/b%20c&d a%2Fb%20c&d
--- ```
---@param text string
---@param part? "segment"|"path"|"query"|"fragment"
---@return string
function url.encode(text, part)
  check_text(text, "encode", 2)
  local set = part == nil and UNRESERVED or PARTS[part]
  if not set then
    error(string.format("encode: unknown part '%s'", tostring(part)), 2)
  end
  return (string.gsub(text, "[^" .. set .. "]", code))
end

local function decode(text)
  local _, signs = string.gsub(text, "%%", "")
  local bytes, codes = string.gsub(text, "%%([0-9A-Fa-f][0-9A-Fa-f])", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return signs == codes and bytes or nil
end

--- The bytes behind percent codes, all of them once. `+` is a plus (see `formdecode`).
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.decode "a%2Fb+c", url.decode "%252F")  --> a/b+c %2F
--- print(url.decode "100%")
--- --> nil decode: a % without two hexadecimal digits (EBADMSG)
--- ```
---@param text string
---@return string? bytes
---@return neap.Error? err  EBADMSG
function url.decode(text)
  check_text(text, "decode", 2)
  local bytes = decode(text)
  if not bytes then
    return fail("decode", "a % without two hexadecimal digits")
  end
  return bytes
end


-- Forms

--- What a form or a query says: a list of pairs, `{name, value}`, in their order.
---@class neap.url.Form
---@field [integer] string[]
local Form = {}
Form.__index = Form
Form.__name = "neap.url.Form"

--- The first value of a name.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.formdecode "a=1&b=2&a=3":get "a")  --> 1
--- ```
---@param name string
---@return string? value
function Form:get(name)
  check_self(self, Form, "get")
  for _, pair in ipairs(self) do
    if pair[1] == name then
      return pair[2]
    end
  end
end

--- All values of a name, in their order.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(table.concat(url.formdecode "a=1&b=2&a=3":all "a", " "))  --> 1 3
--- ```
---@param name string
---@return string[] values
function Form:all(name)
  check_self(self, Form, "all")
  local values = {}
  for _, pair in ipairs(self) do
    if pair[1] == name then
      values[#values + 1] = pair[2]
    end
  end
  return values
end

local function encode_field(value, name)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    error(string.format("formencode: '%s': a string, number or boolean expected, got a %s", tostring(name), kind), 0)
  end
  return (string.gsub(string.gsub(tostring(value), "[^A-Za-z0-9*%-._ ]", code), " ", "+"))
end

--- The pairs of a table, in order.
local function pairs_of(fields)
  if fields[1] ~= nil then
    return fields
  end
  local names, list = {}, {}
  for name in pairs(fields) do
    if type(name) ~= "string" then
      error(string.format("formencode: a name is a string, got a %s", type(name)), 0)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    for _, each in ipairs(type(value) == "table" and value or {value}) do
      list[#list + 1] = {name, each}
    end
  end
  return list
end

--- The text of a form or query, as browsers send it (application/x-www-form-urlencoded). The
--- fields are a list of pairs, in that order, as `formdecode` gives them; or a table by their
--- names, in the order of these, in which a list is several values of one name.
---
--- ```lua
--- local url = require "neap.url"
---
--- print(url.formencode {{"q", "a b&c"}, {"lang", "en"}, {"q", "é"}})  --> q=a+b%26c&lang=en&q=%C3%A9
--- print(url.formencode {page = 2, tag = {"x", "y"}})  --> page=2&tag=x&tag=y
--- ```
---@param fields neap.url.Form|string[][]|{ [string]: string|number|boolean|string[] }
---@return string text
function url.formencode(fields)
  if type(fields) ~= "table" then
    error(string.format("formencode: a table expected, got a %s", type(fields)), 2)
  end
  local pieces = {}
  local ok, why = pcall(function()
    for i, pair in ipairs(pairs_of(fields)) do
      if type(pair) ~= "table" then
        error("formencode: a pair of a name and a value expected", 0)
      end
      pieces[i] = encode_field(pair[1], "name") .. "=" .. encode_field(pair[2], pair[1])
    end
  end)
  if not ok then
    error(why, 2)
  end
  return table.concat(pieces, "&")
end

--- The pairs of a form or query, in their order: `+` is a blank, a name without `=` has the
--- value `""`, and nothing between two `&` is nothing.
---
--- ```lua
--- local url = require "neap.url"
---
--- local form = assert(url.formdecode "q=a+b%26c&empty&q=d")
--- for _, pair in ipairs(form) do
---   print(pair[1], pair[2])
--- end
--- --> q a b&c
--- --> empty
--- --> q d
--- ```
---@param text string  such as `url.query`
---@return neap.url.Form? form
---@return neap.Error? err  EBADMSG: a `%` without two digits
function url.formdecode(text)
  check_text(text, "formdecode", 2)
  local form = {}
  for piece in string.gmatch(text, "[^&]+") do
    local name, value = string.match(piece, "^([^=]*)=(.*)$")
    name = decode(string.gsub(name or piece, "%+", " "), nil)
    value = decode(string.gsub(value or "", "%+", " "), nil)
    if not name or not value then
      return fail("formdecode", "a % without two hexadecimal digits")
    end
    form[#form + 1] = {name, value}
  end
  return setmetatable(form, Form)
end

return url

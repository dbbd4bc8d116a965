--- Where a redirect leads, and what goes along (RFC 9110 §15.4).

local authority = require "neap.http.authority"
local error_object = require "neap.error"
local url = require "neap.url"

local lower, tostring = string.lower, tostring

local redirect = {}

local statuses = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- What another origin must not see; Host, where a script has set it, names none but its own.
local secrets = { host = true, authorization = true, cookie = true, ["proxy-authorization"] = true }

local function without(list, names)
  local kept = {}
  for i = 1, #list, 2 do
    if not names[lower(list[i])] then
      kept[#kept + 1], kept[#kept + 2] = list[i], list[i + 1]
    end
  end
  return kept
end

--- What is no secret of a list of fields.
function redirect.public(list)
  return without(list, secrets)
end

--- What tells of a body.
local of_body = {
  ["content-type"] = true, ["content-encoding"] = true, ["content-language"] = true,
  ["content-location"] = true, ["content-length"] = true, expect = true,
}

local followed = { http = true, https = true }

local function refused(code, words, to)
  return nil, error_object.new { code = code, op = "request", message = words, url = to and tostring(to) }
end

--- Are scheme, host and port the same?
function redirect.same_origin(a, b)
  return a.scheme == b.scheme and a.host == b.host
    and authority.port(a) == authority.port(b)
end

--- The body and what tells of it stay behind?
local function becomes_get(status, method)
  return status == 303 and method ~= "GET" and method ~= "HEAD"
    or (status == 301 or status == 302) and method == "POST"
end

--- The next request, when this answer to `asked` sends it on: a table of `url`, `method`,
--- `list` (the fields), `body`, `private` (false once another origin was asked); nil when it
--- does not; nil and an error for where it must not go.
function redirect.next(asked, status, location)
  if not statuses[status] or not location then
    return nil
  end
  local to, err = url.resolve(asked.url, location)
  if not to then
    return refused("EBADMSG", "a redirect to what is no URL: " .. err.message)
  elseif not followed[to.scheme] then
    return refused("EPERM", "a redirect to " .. to.scheme .. ": only http and https are followed")
  elseif asked.url.scheme == "https" and to.scheme == "http" then
    return refused("EPERM", "a redirect from https to http is not followed", to)
  end
  local next = {
    url = to, method = asked.method, list = asked.list, body = asked.body,
    private = asked.private and redirect.same_origin(asked.url, to),
  }
  if becomes_get(status, asked.method) then
    next.method, next.body, next.list = "GET", nil, without(next.list, of_body)
  elseif next.body and not next.body.again then
    return refused("EINVAL", "a redirect wants the body once more, which is read already", to)
  end
  if not next.private then
    next.list = redirect.public(next.list)
  end
  return next
end

return redirect

--- URLs: what parse takes is read alike when it is printed, built, or resolved.
---
--- Of an input the first line is a URL or a reference, the second one its base.

local url = require "neap.url"

local PARTS <const> = {"scheme", "userinfo", "host", "port", "path", "query", "fragment"}

local function check_same(a, b, why)
  for _, part in ipairs(PARTS) do
    if a[part] ~= b[part] then
      error(("%s: %s is %q, and %q"):format(why, part, tostring(a[part]), tostring(b[part])))
    end
  end
end

local function check_url(u)
  local text = tostring(u)
  assert(not text:find "[^\x21-\x7e]", "a byte that no URL has")
  assert(not u.port or u.port >= 0 and u.port <= 65535, "no port")
  check_same(u, assert(url.parse(text)), "printed")
  local parts = {}
  for _, part in ipairs(PARTS) do
    parts[part] = u[part]
  end
  assert(url.build(parts) == text, "built otherwise")
  local resolved = assert(url.resolve(u, text))
  check_same(resolved, assert(url.resolve(u, tostring(resolved))), "resolved twice")
  local here = assert(url.resolve(u, ""))
  assert(here.host == u.host and here.query == u.query and not here.fragment, "the URL itself")
  for segment in resolved.path:gmatch "[^/]+" do
    assert(segment ~= "." and segment ~= "..", "a dot segment")
  end
end

--- Each way to make a text a part of a URL can be undone.
local function check_coding(text)
  for _, part in ipairs {"segment", "path", "query", "fragment"} do
    local coded = url.encode(text, part)
    assert(url.decode(coded) == text, part)
    assert(not coded:find "[^\x21-\x7e]", part)
  end
  local form = assert(url.formdecode(url.formencode {{text, text}, {text, ""}}))
  assert(#form == 2 and form[1][1] == text and form[1][2] == text and form[2][2] == "", "a form")
  local decoded = url.formdecode(text)
  if decoded then
    local again = assert(url.formdecode(url.formencode(decoded)))
    assert(#again == #decoded, "a form with other fields")
    for i, field in ipairs(decoded) do
      assert(again[i][1] == field[1] and again[i][2] == field[2], "another field")
    end
  end
end

local function check(bytes)
  local text, base = bytes:match "^([^\n]*)\n?(.*)$"
  check_coding(text)
  local u, err = url.parse(text)
  if u then
    check_url(u)
  else
    assert(err.code == "EBADMSG", err)
  end
  local b = url.parse(base)
  local resolved = b and url.resolve(b, text)
  if resolved then
    check_url(resolved)
    check_same(resolved, assert(url.resolve(base, text)), "of a text")
  end
end

local seeds = {
  "https://user:secret@Example.com:8443/a%20b?x=1#top", "http://[fe80::1%25eth0]:80/", "http://[::ffff:1.2.3.4]",
  "mailto:a@b", "file:///a/./b/../c", "a:b?c?d#e#f", "ws://h", "http://1.2.3.4:065535/", "x://:80/", "x:////", "x:",
  "http://h\\@e/", "urn:a:%7E%7e", "../g?y#s\nhttp://a/b/c/d;p?q", "//g\nhttp://a/b", "?y\nhttp://a", "./../..\nx://a",
  "..//../b\nx:/a//b", ".//b\nx:a/b", "g:h\nhttp://a", "#s\nx:y", "/.//b\nx:/a", "a=1&b=%41+c&&=d", "\nhttp://a/b",
}

return {check = check, seeds = seeds, lines = true}

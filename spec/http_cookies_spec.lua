-- Cookies: those that a server sets and gets, and a client's jar.

local http = require "neap.http"
local cookies = require "neap.http.cookies"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"
local url = require "neap.url"

local NOW = 1700000000

describe("a cookie that is set", function()
  it("is safe as it is, and has the attributes that it is given", function()
    for _, row in ipairs {
      {nil, "a=b; Path=/; HttpOnly; SameSite=Lax"},
      {{path = "/x", domain = "example.com", maxage = 0, expires = 0.5, secure = true},
        "a=b; Path=/x; Domain=example.com; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; " ..
        "SameSite=Lax"},
      {{path = false, httponly = false, samesite = false}, "a=b"},
      {{samesite = "none", secure = true}, "a=b; Path=/; Secure; HttpOnly; SameSite=None"},
    } do
      assert.equal(row[2], http.cookie("a", "b", row[1]))
    end
    assert.equal("a=; Path=/; HttpOnly; SameSite=Lax", http.cookie("a", ""))
    assert.equal("a=7; Path=/; HttpOnly; SameSite=Lax", http.cookie("a", 7))
    assert.equal(4096, #http.cookie("a", ("x"):rep(4095)):match "^[^;]*" - 1)
    local all = {}
    for byte = 0, 255 do
      if pcall(http.cookie, "a", string.char(byte)) then
        all[#all + 1] = string.char(byte)
      end
    end
    assert.equal("!#$%&'()*+-./0123456789:<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~",
      table.concat(all))
  end)

  it("has what its name's prefix says", function()
    local safe = {secure = true}
    assert.equal("__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax", http.cookie("__Host-a", "b", safe))
    assert.equal("__Secure-a=b; Path=/x; Secure; HttpOnly; SameSite=Lax",
      http.cookie("__Secure-a", "b", {secure = true, path = "/x"}))
    for _, row in ipairs {
      {"__Host-a"}, {"__host-a"},
      {"__Host-a", {secure = true, path = "/x"}}, {"__Host-a", {secure = true, path = false}},
      {"__Host-a", {secure = true, domain = "example.com"}}, {"__Secure-a"}, {"a", {samesite = "none"}},
    } do
      assert.is_false(pcall(http.cookie, row[1], "b", row[2]), row[1])
    end
  end)

  it("raises at its caller's line for what would be another cookie", function()
    for _, row in ipairs {
      {"", "b"}, {"a b", "b"}, {"a=", "b"}, {7, "b"}, {"a", nil}, {"a", "b;c"}, {"a", "b\r\nc: d"}, {"a", 1.5},
      {"a", ("x"):rep(4096)}, {"a", "b", 7}, {"a", "b", {Path = "/"}}, {"a", "b", {path = "x"}},
      {"a", "b", {path = "/;x"}}, {"a", "b", {path = "/\r"}}, {"a", "b", {domain = ""}}, {"a", "b", {domain = "a;b"}},
      {"a", "b", {maxage = -1}}, {"a", "b", {maxage = "1"}}, {"a", "b", {expires = "x"}}, {"a", "b", {secure = 1}},
      {"a", "b", {expires = 0 / 0}}, {"a", "b", {samesite = "Lax"}}, {"a", "b", {httponly = "no"}},
    } do
      local _, why = pcall(function()
        local text = http.cookie(row[1], row[2], row[3])
        return text
      end)
      assert.truthy(tostring(why):find "^spec/http_cookies_spec.lua:%d+: .*cookie", tostring(why))
    end
  end)
end)

describe("http.serve", function()
  --- The answer's head, to a request with these fields.
  local function head(handler, fields, version)
    local listener <close> = assert(net.listen "mem:cookies")
    local server = task.spawn(http.serve, listener, handler)
    local client <close> = assert(net.connect "mem:cookies")
    client:write(("GET / HTTP/%s\r\nHost: here\r\n%s\r\n"):format(version or "1.1", fields or ""))
    client:shutdown()
    local all = assert(client:read "a")
    server:cancel()
    server:join()
    return all:match "^(.-)\r\n\r\n"
  end

  local function set(text)
    local found = {}
    for value in text:gmatch "\r\nset%-cookie: (%w+=%w+)" do
      found[#found + 1] = value
    end
    return table.concat(found, " ")
  end

  it("gives the cookies that it gets, the first of each name", function()
    local found
    local function handler(request)
      found = request.cookies
      return ""
    end
    head(handler, 'Cookie: a=1; b="x y"; a=2;c=; =d; e ; f=g=h;\r\nCookie: i="; \ta=3 ;b = z\r\n')
    assert.same({a = "1", b = "x y", c = "", f = "g=h", i = '"'}, found)
    head(handler)
    assert.same({}, found)
    local began = time.now()
    cookies.of {(" "):rep(60000) .. "=" .. (" "):rep(60000)}
    assert.is_true(time.now() - began < 2)
  end)

  it("sets cookies however it is answered", function()
    local ways = {
      function() return "x" end,
      function() return http.json {} end,
      function() return http.response(204, {["set-cookie"] = http.cookie("c", "3")}) end,
      function(_, response) response:start(200) response:write "x" end,
      function(_, response) response:write "x" end,
      function(_, response) response:send(200) end,
      function(_, response) response:upgrade {upgrade = "x"} end,
    }
    for i, way in ipairs(ways) do
      local text = head(function(request, response)
        response:setcookie("a", "1"):setcookie("b", "2")
        return way(request, response)
      end)
      assert.equal(i == 3 and "c=3 a=1 b=2" or "a=1 b=2", set(text), i)
    end
    assert.equal("", set(head(ways[1])))
  end)

  it("sets none behind the head", function()
    local why
    head(function(_, response)
      response:write "x"
      why = select(2, pcall(function()
        response:setcookie("a", "1")
      end))
    end)
    assert.matches("^spec/http_cookies_spec.lua:%d+: this request is answered already", why)
  end)
end)

describe("a cookie's date", function()
  it("may be written in many ways (RFC 6265 5.1.1)", function()
    for text, expected in pairs {
      ["Sun, 06 Nov 1994 08:49:37 GMT"] = 784111777, ["Sunday, 06-Nov-94 08:49:37 GMT"] = 784111777,
      ["Sun Nov  6 08:49:37 1994"] = 784111777, ["6 november 94 8:49:37"] = 784111777,
      ["08:49:37x 6th Nov 1994y"] = 784111777, ["1994 6 Nov 8:49:37"] = 784111777,
      ["06/nov/1994/08:49:37"] = 784111777, ["Thu, 01 Jan 1970 00:00:00 GMT"] = 0,
      ["29 Feb 2000 0:0:0"] = 951782400, ["29 Feb 1900 0:0:0"] = false, ["31 Apr 2000 0:0:0"] = false,
      ["1 Jan 69 0:0:0"] = 3124224000, ["1 Jan 70 0:0:0"] = 0, ["1 Jan 1601 0:0:0"] = -11644473600,
      ["1 Jan 1600 0:0:0"] = false, ["1 Jan 2000 24:0:0"] = false, ["1 Jan 2000 0:60:0"] = false,
      ["1 Jan 2000 0:0:60"] = false, ["0 Jan 2000 0:0:0"] = false, ["32 Jan 2000 0:0:0"] = false,
      ["1 Jan 2000"] = false, ["1 Jan 0:0:0"] = false, ["2000 0:0:0 Jan"] = false, [""] = false,
      ["1 Jan 20000 0:0:0"] = false, ["31 Dec 9999 23:59:59"] = 253402300799, ["001 Jan 2000 0:0:0"] = false,
    } do
      assert.equal(expected or nil, cookies.date(text), text)
    end
  end)
end)

describe("a jar", function()
  local jar

  local function set(at, text, now)
    return jar:set(at, text, now or NOW)
  end

  local function get(at, now)
    return jar:get(at, now or NOW)
  end

  before_each(function()
    jar = http.cookiejar()
  end)

  it("gives a host's cookies to that host", function()
    assert.is_true(set("http://www.example.com/x", "a=1"))
    assert.equal("a=1", get "http://www.example.com/")
    assert.equal("a=1", get "https://WWW.example.com:8080")
    assert.equal("a=1", get(assert(url.parse "http://www.example.com/y")))
    for _, host in ipairs {"example.com", "x.www.example.com", "www.example.org", "127.0.0.1"} do
      assert.is_nil(get("http://" .. host .. "/"), host)
    end
    assert.is_true(set("http://localhost/", "b=1; Domain=localhost"))
    assert.equal("b=1", get "http://localhost/")
    assert.is_nil(get "http://x.localhost/")
  end)

  it("gives a domain's cookies to all hosts of it", function()
    assert.is_true(set("http://a.b.example.com/", "a=1; Domain=.Example.COM"))
    for host, expected in pairs {["example.com"] = "a=1", ["b.example.com"] = "a=1", ["z.y.example.com"] = "a=1",
      ["xexample.com"] = false, com = false} do
      assert.equal(expected or nil, get("http://" .. host .. "/"), host)
    end
    for _, domain in ipairs {"other.com", "com", ".com", "x.example.com", "ample.com", "example.com.", "..com"} do
      assert.is_false(set("http://example.com/", "b=1; Domain=" .. domain), domain)
    end
    assert.is_true(set("http://example.com/", "c=1; Domain="))
    assert.is_true(set("http://example.com/", "d=1; Domain=other.com; Domain=example.com"))
    assert.equal("a=1; c=1; d=1", get "http://example.com/")
    assert.equal("a=1; d=1", get "http://www.example.com/")
  end)

  it("knows no domains of addresses", function()
    assert.is_true(set("http://10.0.0.1/", "a=1"))
    assert.is_true(set("http://10.0.0.1/", "b=1; Domain=10.0.0.1"))
    assert.is_false(set("http://10.0.0.1/", "c=1; Domain=0.0.1"))
    assert.is_true(set("http://[::1]/", "d=1"))
    assert.equal("a=1; b=1", get "http://10.0.0.1/")
    assert.is_nil(get "http://1.10.0.0.1.x/")
    assert.equal("d=1", get "http://[::1]/")
  end)

  it("gives cookies of a path to what is below it, the longest first", function()
    assert.is_true(set("http://h.x/", "z=0; Path=/"))
    for path, below in pairs {["/a/b"] = "/a", ["/a/"] = "/a", ["/a"] = "/", ["/"] = "/", [""] = "/"} do
      local other = http.cookiejar()
      other:set("http://h.x" .. path, "a=1", NOW)
      assert.equal("a=1", other:get("http://h.x" .. below, NOW), path)
      assert.equal(below == "/" and "a=1" or nil, other:get("http://h.x/", NOW), path)
    end
    set("http://h.x/any", "a=1; Path=/a")
    set("http://h.x/any", "b=2; Path=/a/")
    set("http://h.x/any", "c=3; Path=/a/b")
    set("http://h.x/p/any", "d=4; Path=x")
    assert.equal("z=0", get "http://h.x/ab")
    assert.equal("a=1; z=0", get "http://h.x/a")
    assert.equal("b=2; a=1; z=0", get "http://h.x/a/?/a/b")
    assert.equal("c=3; b=2; a=1; z=0", get "http://h.x/a/b")
    assert.equal("d=4; z=0", get "http://h.x/p/")
  end)

  it("keeps what is secure to TLS", function()
    assert.is_false(set("http://h.x/", "a=1; Secure"))
    assert.is_true(set("https://h.x/", "a=1; secure"))
    assert.is_nil(get "http://h.x/")
    assert.equal("a=1", get "https://h.x/")
    assert.equal("a=1", get "wss://h.x/")
    assert.is_false(set("http://h.x/", "a=2"))
    assert.is_false(set("http://y.h.x/", "a=2; Domain=h.x"))
    assert.is_true(set("http://h.x/", "b=2"))
    assert.equal("a=1; b=2", get "https://h.x/")
    for _, text in ipairs {"__Secure-a=1", "__Host-a=1; Secure", "__Host-a=1; Path=/", "__hOst-a=1; Secure; Path=/x",
      "__Host-a=1; Secure; Path=/; Domain=h.x"} do
      assert.is_false(set("https://h.x/", text), text)
    end
    assert.is_true(set("https://h.x/", "__Host-a=1; Secure; Path=/"))
    assert.is_true(set("https://h.x/", "__Secure-a=1; Secure; Domain=h.x"))
  end)

  it("forgets cookies in time, by their age before their date", function()
    local future, past = "Expires=Sun, 06 Nov 2044 08:49:37 GMT", "Expires=Sun, 06 Nov 1994 08:49:37 GMT"
    set("http://h.x/", "a=1; Max-Age=10; " .. past)
    set("http://h.x/", "b=1; Expires=Tue, 14 Nov 2023 22:13:30 GMT")
    set("http://h.x/", "c=1; Max-Age=x")
    set("http://h.x/", "d=1; Max-Age=" .. ("9"):rep(30))
    set("http://h.x/", "e=1; " .. future)
    set("http://h.x/", "f=1; " .. past)
    set("http://h.x/", "g=1; Max-Age=-" .. ("9"):rep(30))
    assert.equal("a=1; b=1; c=1; d=1; e=1", get "http://h.x/")
    assert.equal("a=1; b=1; c=1; d=1; e=1", get("http://h.x/", NOW + 9.9))
    assert.equal("c=1; d=1; e=1", get("http://h.x/", NOW + 10))
    assert.equal("c=1", get("http://h.x/", NOW + 400 * 86400))
    assert.is_true(set("http://h.x/", "c=2; Max-Age=0"))
    assert.equal("a=1; b=1; d=1; e=1", get "http://h.x/")
  end)

  it("changes a cookie in its place", function()
    set("http://h.x/", "a=1")
    set("http://h.x/", "b=1")
    set("http://h.x/", "a=2; Max-Age=5")
    assert.equal("a=2; b=1", get "http://h.x/")
    set("http://h.x/", "a=3; Path=/y")
    assert.equal("a=3; a=2; b=1", get "http://h.x/y")
  end)

  it("takes what servers write, and not what is no cookie", function()
    for text, expected in pairs {
      [" a = b c ; x"] = "a=b c", ['a="b"'] = 'a="b"', ["a="] = "a=", ["a=b=c"] = "a=b=c", ["a=b;;; ;=;"] = "a=b",
      ["a=\xc3\xbc"] = "a=\xc3\xbc", ["a=b\tc"] = "a=b\tc", ["a"] = false, ["=a"] = false, [""] = false,
      [";a=b"] = false,
      ["a=\r\nb"] = false, ["a=b\0"] = false, ["a=b; Path=/\1"] = false,
      ["a=" .. ("x"):rep(4096)] = false, ["a=" .. ("x"):rep(4095)] = "a=" .. ("x"):rep(4095),
      ["a=b; Path=/" .. ("x"):rep(1024)] = "a=b",
    } do
      jar = http.cookiejar()
      assert.equal(expected and true or false, set("http://h.x/", text), text)
      assert.equal(expected or nil, get "http://h.x/", text)
    end
  end)

  it("has bounds, and throws away what was not used for longest", function()
    for i = 1, 50 do
      set("http://h.x/", "c" .. i .. "=1; Path=/" .. i)
    end
    assert.equal("c1=1", get "http://h.x/1")
    set("http://h.x/", "more=1; Path=/more")
    assert.equal("c1=1", get "http://h.x/1")
    assert.is_nil(get "http://h.x/2")
    assert.equal("c3=1", get "http://h.x/3")
    for i = 1, 60 do
      for j = 1, 50 do
        set(("http://h%d.x/"):format(i), ("c%d=1"):format(j))
      end
    end
    local count = 0
    for host in pairs {["h.x"] = true, ["h1.x"] = true, ["h2.x"] = true, ["h60.x"] = true} do
      local _, n = (get("http://" .. host .. "/") or ""):gsub("=", "")
      count = count + n
    end
    assert.equal(150, count)
    assert.is_nil(get "http://h.x/3")
    assert.equal(3000, jar.count)
    local kept = 0
    for _, list in pairs(jar.domains) do
      kept = kept + #list
    end
    assert.equal(3000, kept)
    assert.is_nil(jar.domains["h.x"])
  end)

  it("makes room by what is over", function()
    for i = 1, 60 do
      for j = 1, 50 do
        set(("http://h%d.x/"):format(i), ("c%d=1%s"):format(j, i == 2 and "; Max-Age=1" or ""))
      end
    end
    set("http://h.x/", "a=1", NOW + 2)
    assert.equal(2951, jar.count)
  end)

  it("raises for what is no URL", function()
    for _, at in ipairs {"/x", "h.x", "mailto:x", 7, {}, "http:///x", "http://h x/"} do
      for _, name in ipairs {"get", "set"} do
        local _, why = pcall(function()
          local result = jar[name](jar, at, name == "set" and "a=b" or nil)
          return result
        end)
        assert.matches("^spec/http_cookies_spec.lua:%d+: bad argument #1 to '" .. name, why)
      end
    end
    assert.is_false(pcall(jar.set, jar, "http://h/", 7))
    assert.is_false(pcall(jar.set, jar, "http://h/", "a=b", "now"))
    assert.is_false(pcall(jar.get, jar, "http://h/", "now"))
  end)
end)

local address = require "neap.packet.address"
local json = require "neap.json"
local process = require "neap.process"
local url = require "neap.url"

local function parts_of(text)
  local u = assert(url.parse(text))
  assert.equal("neap.Url", getmetatable(u).__name)
  return setmetatable(u, nil)
end

--- Refused, with this in the message, and without the text.
local function refused(text, why)
  local u, err = url.parse(text)
  assert.is_nil(u, text)
  assert.equal("EBADMSG", err.code)
  assert.matches(why or "", err.message, 1, true)
  assert.is_nil(err.message:find("secret", 1, true))
end

describe("url.parse", function()
  it("takes a URL apart, and tostring puts it together", function()
    for text, parts in pairs {
      ["http://example.com"] = {scheme = "http", host = "example.com", path = ""},
      ["https://u:p@example.com:8443/a/b?c=d&e#f?/g"] = {scheme = "https", userinfo = "u:p", host = "example.com",
      port = 8443,
        path = "/a/b", query = "c=d&e", fragment = "f?/g"},
      ["http://127.0.0.1:0/"] = {scheme = "http", host = "127.0.0.1", port = 0, path = "/"},
      ["http://[::1]/?#"] = {scheme = "http", host = "::1", path = "/", query = "", fragment = ""},
      ["ws://[2001:db8::1]:65535"] = {scheme = "ws", host = "2001:db8::1", port = 65535, path = ""},
      ["http://[fe80::1%25eth0]:80/"] = {scheme = "http", host = "fe80::1%eth0", port = 80, path = "/"},
      ["file:///etc/motd"] = {scheme = "file", host = "", path = "/etc/motd"},
      ["mailto:a@b.example"] = {scheme = "mailto", path = "a@b.example"},
      ["urn:isbn:0-395-36341-1"] = {scheme = "urn", path = "isbn:0-395-36341-1"},
      ["x+y-z.1:"] = {scheme = "x+y-z.1", path = ""},
      ["redis://:pass@h_1.local:6379/0"] = {scheme = "redis", userinfo = ":pass", host = "h_1.local", port = 6379,
      path = "/0"},
      ["http://@h/"] = {scheme = "http", userinfo = "", host = "h", path = "/"},
      ["http://h./a//b/../%2F%00?a=b?c/d"] = {scheme = "http", host = "h.", path = "/a//b/../%2F%00",
      query = "a=b?c/d"},
      ["http://a%40b:c%3ad@h"] = {scheme = "http", userinfo = "a%40b:c%3ad", host = "h", path = ""},
      ["http://h/!$&'()*+,;=:@-._~"] = {scheme = "http", host = "h", path = "/!$&'()*+,;=:@-._~"},
    } do
      assert.same(parts, parts_of(text))
      assert.equal(text, tostring(url.parse(text)))
      assert.equal(text, url.build(parts))
    end
  end)

  it("writes schemes and hosts in their one form", function()
    for text, printed in pairs {
      ["HTTP://EXAMPLE.Com/A"] = "http://example.com/A", ["http://[0:0::0001]:80"] = "http://[::1]:80",
      ["http://h:/x"] = "http://h/x",
      ["http://[FE80::A%25Eth0]"] = "http://[fe80::a%25Eth0]",
    } do
      assert.equal(printed, tostring(assert(url.parse(text))))
      assert.equal(printed, tostring(assert(url.parse(printed))))
    end
  end)

  it("refuses what is none, and repairs nothing", function()
    for text, why in pairs {
      [""] = "a scheme", ["//h/"] = "a scheme", ["/a"] = "a scheme", ["1http://h"] = "a scheme",
      [" http://h"] = "a scheme",
      ["ht tp://h"] = "a scheme", ["://h"] = "a scheme", ["http\t://h"] = "a scheme",
      ["http:"] = "http://host is expected", ["http:/h"] = "http://host is expected",
      ["http:h"] = "http://host is expected",
      ["http://"] = "host is expected", ["http:///p"] = "host is expected", ["https://?q"] = "host is expected",
      ["http://:80/"] = "a host is expected", ["http://secret@/"] = "a host is expected",
      ["x://u@"] = "a host is expected",
      ["http://h\\@e/"] = "a backslash cannot be in a URL's userinfo",
      ["http:\\\\h\\"] = "http://host",
      ["http://h/\\e"] = "a backslash", ["http://h /"] = "a blank cannot be in a URL's host",
      ["http://h/ "] = "a blank",
      ["http://h/\n"] = "a control character", ["http://h\r\n/"] = "a control character",
      ["http://h\0.e/"] = "a control character",
      ["http://h/\x7f"] = "a control character", ["http://h/é"] = "not ASCII", ["http://exämple.com/"] = "not ASCII",
      ["http://h?a b"] = "a blank", ["http://h#a#b"] = "# cannot be in a URL's fragment",
      ["http://h/a[b]"] = "[ cannot be in a URL's path",
      ["http://h/<"] = "< cannot", ['http://h/"'] = '" cannot', ["http://h/{a}"] = "{ cannot",
      ["http://h/a|b"] = "| cannot", ["http://h/^"] = "^",
      ["http://h/`"] = "` cannot", ["http://h/%"] = "% without", ["http://h/%4"] = "% without",
      ["http://h/%zz"] = "% without",
      ["http://h/?%%41"] = "% without", ["http://h/#%a"] = "% without", ["http://se%zzcret@h/"] = "% without",
      ["http://a%62.com/"] = "% cannot be in a URL's host", ["http://a@b@c/"] = "@ cannot",
      ["http://good.com:80@secret@evil.com/"] = "@ cannot",
      ["http://good.com:80:90/"] = "a port is", ["http://h:65536/"] = "a port is", ["http://h:-1/"] = "a port is",
      ["http://h:080/"] = "a port is",
      ["http://h:8o/"] = "a port is", ["http://h:+80/"] = "a port is",
      ["http://h:99999999999999999999/"] = "a port is", ["http://::1/"] = "a port is",
      ["http://*/"] = "* cannot", ["http://a,b/"] = ", cannot", ["http://a!b/"] = "! cannot",
      ["http://[::1"] = "cannot be in a URL's host",
      ["http://[::1]x/"] = "a port is", ["http://[::1]:80x/"] = "a port is", ["http://[]/"] = "only an IPv6",
      ["http://[127.0.0.1]/"] = "only an IPv6",
      ["http://[v1.x]/"] = "only an IPv6", ["http://[::1%25lo]/"] = "a zone is",
      ["http://[fe80::1%eth0]/"] = "only an IPv6",
      ["http://[fe80::1%25]/"] = "only an IPv6", ["http://[fe80::1%25e%2f]/"] = "a zone is",
      ["http://[:::1]/"] = "only an IPv6",
      ["http://[1:2:3:4:5:6:7:8:9]/"] = "only an IPv6", ["http://127.1/"] = "neither a name",
      ["http://0x7f000001/"] = "neither a name",
      ["http://2130706433/"] = "neither a name", ["http://0177.0.0.1/"] = "neither a name",
      ["http://1.2.3.256/"] = "neither a name",
      ["http://1.2.3.4.5/"] = "neither a name", ["http://1.2.3.4./"] = "neither a name", ["http://a..b/"] = "empty",
      ["http://./"] = "empty",
    } do
      refused(text, why)
    end
    refused("http://" .. ("a"):rep(64) .. ".com/", "63")
    refused("http://" .. ("a."):rep(127) .. "com/", "253")
    for _, value in ipairs {1, true, {}} do
      assert.is_false(pcall(url.parse, value))
    end
    assert.is_false(pcall(url.parse))
  end)

  it("gives user and password decoded", function()
    for text, want in pairs {
      ["http://h/"] = {n = 2}, ["http://u@h/"] = {"u", n = 2}, ["http://@h/"] = {"", n = 2}, ["http://u:@h/"] = {"u",
      "", n = 2},
      ["http://:p@h/"] = {"", "p", n = 2}, ["http://a%3Ab:c:d%40@h/"] = {"a:b", "c:d@", n = 2},
    } do
      assert.same(want, table.pack(url.parse(text):credentials()))
    end
  end)
end)

describe("url.build", function()
  it("raises for parts that would be something else where they stand", function()
    for _, parts in ipairs {
      {host = "a@b"}, {host = "a:80"}, {host = "a/b"}, {host = "a?b"}, {host = "a#b"}, {host = "a b"},
      {host = "[::1]"}, {host = ""}, {},
      {host = "h", userinfo = "a@b"}, {host = "h", userinfo = "a/b"}, {host = "h", path = "x"}, {host = "h",
      path = "/a?b"},
      {host = "h", path = "/a#b"}, {host = "h", path = "/a b"}, {host = "h", path = "/%"}, {host = "h",
      query = "a#b"},
      {host = "h", fragment = "a#b"}, {host = "h", port = 65536}, {host = "h", port = -1}, {host = "h", port = 80.5},
      {host = "h", port = "80"},
      {host = "h", nosuch = 1}, {host = 1}, {host = "h", query = 1}, {host = "h", query = {{}}}, {host = "h",
      query = {[true] = 1}},
      {host = "::1%lo"}, {host = "h\r\nX: y"}, {host = "h", path = "/\r\nX: y"}, {scheme = "h t"}, {scheme = "http:"},
      {scheme = "x", path = "//h"},
      {scheme = "http://e/?", host = "h"}, {scheme = "", host = "h"}, {scheme = "x", userinfo = "u"}, {scheme = "x",
      port = 1},
    } do
      parts.scheme = parts.scheme or "http"
      local ok, message = pcall(url.build, parts)
      assert.is_false(ok, message)
      assert.matches("build: ", message, 1, true)
    end
    local http = "http"
    for part, parts in pairs {host = {scheme = http, host = "a@b"}, path = {scheme = http, host = "h", path = "/?"}} do
      local _, message = pcall(url.build, parts)
      assert.matches(("build: the %s would not be read as it is given"):format(part), message, 1, true)
    end
    assert.is_false(pcall(url.build, "http://h"))
    assert.is_false(pcall(url.build, {host = "h"}))
  end)

  it("takes a query by its fields, and the parts of a parsed one", function()
    assert.equal("http://h?a=1&b=x+y", url.build {scheme = "http", host = "h", query = {b = "x y", a = 1}})
    local u = url.parse "https://u@[fe80::1%25eth0]:1/p?q#f"
    assert.equal(tostring(u), url.build(u))
    assert.equal("http://example.com/", url.build {scheme = "HTTP", host = "Example.COM", path = "/"})
  end)
end)

describe("url.resolve", function()
  -- RFC 3986, 5.4.1 and 5.4.2; of "http:g", see below.
  local table_of = [[
    g:h g:h | g http://a/b/c/g | ./g http://a/b/c/g | g/ http://a/b/c/g/ | /g http://a/g | //g http://g
    ?y http://a/b/c/d;p?y | g?y http://a/b/c/g?y | #s http://a/b/c/d;p?q#s | g#s http://a/b/c/g#s
    g?y#s http://a/b/c/g?y#s | ;x http://a/b/c/;x | g;x http://a/b/c/g;x | g;x?y#s http://a/b/c/g;x?y#s
    . http://a/b/c/ | ./ http://a/b/c/ | .. http://a/b/ | ../ http://a/b/ | ../g http://a/b/g | ../.. http://a/
    ../../ http://a/ | ../../g http://a/g | ../../../g http://a/g | ../../../../g http://a/g | /./g http://a/g
    /../g http://a/g | g. http://a/b/c/g. | .g http://a/b/c/.g | g.. http://a/b/c/g.. | ..g http://a/b/c/..g
    ./../g http://a/b/g | ./g/. http://a/b/c/g/ | g/./h http://a/b/c/g/h | g/../h http://a/b/c/h
    g;x=1/./y http://a/b/c/g;x=1/y | g;x=1/../y http://a/b/c/y | g?y/./x http://a/b/c/g?y/./x
    g?y/../x http://a/b/c/g?y/../x | g#s/./x http://a/b/c/g#s/./x | g#s/../x http://a/b/c/g#s/../x
  ]]

  it("follows the table of RFC 3986", function()
    local base = "http://a/b/c/d;p?q"
    local n = 0
    for reference, want in table_of:gmatch "([^%s|]+) ([^%s|]+)" do
      assert.equal(want, tostring(url.resolve(base, reference)), reference)
      assert.equal(want, tostring(url.resolve(url.parse(base), reference)), reference)
      n = n + 1
    end
    assert.equal(40, n)
    assert.equal(base, tostring(url.resolve(base, "")))
  end)

  it("resolves beside other bases", function()
    for _, row in ipairs {
      {"http://a", "b", "http://a/b"}, {"http://a", "../b", "http://a/b"}, {"http://a?q", "", "http://a?q"},
      {"http://a?q#f", "#g", "http://a?q#g"},
      {"http://u:p@a:1/x", "/y", "http://u:p@a:1/y"}, {"http://u:p@a:1/x", "//b/y/../z", "http://b/z"},
      {"http://[fe80::1%25e]/", "x", "http://[fe80::1%25e]/x"},
      {"https://a/", "http://b/./c", "http://b/c"}, {"http://a/b/", "c//../d", "http://a/b/c/d"}, {"http://a/b//c",
      "../d", "http://a/b/d"},
      {"file:///a/b", "../../c", "file:///c"}, {"x:a/b", "../../c", "x:/c"}, {"urn:a", "b", "urn:b"},
      {"http://a/%2e%2e/b", "c", "http://a/%2e%2e/c"},
    } do
      assert.equal(row[3], tostring(assert(url.resolve(row[1], row[2]))), row[2])
    end
  end)

  it("refuses what would be none, or somebody else's", function()
    for _, row in ipairs {
      {"http://a/", "http:g"}, {"http://a/", "http:///e"}, {"http://a/", "\\\\e/"}, {"http://a/", "/\\e"},
      {"http://a/", "//e\\x"},
      {"http://a/", "a b"}, {"http://a/", "é"}, {"http://a/", "%"}, {"http://a/", "//u@v@w"}, {"x:/a", ".//e"},
      {"x:a/b", "..//e"},
      {"nourl", "g"}, {"http://a/", "x y:z"}, {"http://a/", "//"},
    } do
      local u, err = url.resolve(row[1], row[2])
      assert.is_nil(u, row[2])
      assert.same({"EBADMSG", "resolve"}, {err.code, err.op})
    end
    assert.is_false(pcall(url.resolve, 1, "g"))
    assert.is_false(pcall(url.resolve, "http://a/"))
    assert.is_false(pcall(url.resolve, {}, "g"))
  end)
end)

describe("percent codes", function()
  it("are made by part, and read back", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    all = table.concat(all)
    for _, part in ipairs {"segment", "path", "query", "fragment"} do
      local text = url.encode(all, part)
      assert.equal(all, url.decode(text))
      assert.is_nil(text:find "[^A-Za-z0-9%-._~!$&'()*+,;=:@/?%%]")
      if part == "path" or part == "segment" then
        assert.equal("/" .. text, assert(url.parse("http://h/" .. text)).path)
      else
        assert.equal(text, url.parse(("http://h/%s%s"):format(part == "query" and "?" or "#", text))[part])
      end
    end
    assert.equal(all, url.decode(url.encode(all)))
    assert.is_nil(url.encode(all):find "[^A-Za-z0-9%-._~%%]")
    assert.equal("a%2Fb/c?", url.encode("a/b", "segment") .. url.encode("/c", "path") .. url.encode("?", "query"))
    for _, text in ipairs {"%", "a%", "%4", "%4g", "%g4", "%%41", "%-1", "% 1", "%0x"} do
      local bytes, err = url.decode(text)
      assert.same({nil, "EBADMSG"}, {bytes, err and err.code}, text)
    end
    assert.is_false(pcall(url.encode, "x", "nosuch"))
    assert.is_false(pcall(url.encode, 1))
    assert.is_false(pcall(url.decode))
  end)
end)

describe("forms", function()
  it("keep the order of their fields, also of equal names", function()
    local form = url.formdecode "b=1&a=2&b=3&&c&=d&e=f=g&h%20i=%26+%2B&&"
    local list = {}
    for i, pair in ipairs(form) do
      list[i] = pair[1] .. ":" .. pair[2]
    end
    assert.same({"b:1", "a:2", "b:3", "c:", ":d", "e:f=g", "h i:& +"}, list)
    assert.same({"1", {"1", "3"}, nil, {}}, {form:get "b", form:all "b", form:get "x", form:all "x"})
    assert.equal("b=1&a=2&b=3&c=&=d&e=f%3Dg&h+i=%26+%2B", url.formencode(form))
    assert.equal(0, #url.formdecode "")
    for _, text in ipairs {"a=%", "%=a", "a=1&b=%4", "a%zz"} do
      local _, err = url.formdecode(text)
      assert.equal("EBADMSG", err.code)
    end
  end)

  it("carry any bytes, and numbers and booleans as text", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    all = table.concat(all)
    assert.same({{all, all}}, setmetatable(url.formdecode(url.formencode {{all, all}}), nil))
    assert.equal("a=1&b=true&c=x&c=2.5", url.formencode {c = {"x", 2.5}, b = true, a = 1})
    assert.equal("", url.formencode {})
    for _, fields in ipairs {{a = {{}}}, {a = print}, {{"a"}}, {"a"}, {{"a", {}}}, {[true] = "x"}} do
      local ok, message = pcall(url.formencode, fields)
      assert.is_false(ok)
      assert.matches("formencode: ", message, 1, true)
    end
    assert.is_false(pcall(url.formencode, "a=1"))
  end)
end)

describe("of what neap takes for a URL, others say the same", function()
  --- Texts around those that are ones, made of pieces that matter.
  local function texts()
    local random = require "spec.support.random" (11)
    local pieces = {
      "http://", "https://", "ws://", "a", "b.c", "127.0.0.1", "[::1]", "[2001:DB8::ffff]", "[::ffff:1.2.3.4]", "@",
      ":", "u", "p%40", "80", "8080", ":443",
      "/", "/x", "//", "..", "?", "q=1", "#", "f", "\\", "%2F", "%", ".", "-", "_", "EXAMPLE.com", "0x7f", "1", "1.2",
      "é", " ", "\t", "&", ";",
      ",", "[", "]", "xn", "127.1", "*", "'", "|",
    }
    local list = {}
    for i = 1, 6000 do
      local text = pieces[1 + random(3)] .. pieces[4 + random(#pieces - 3)]
      for _ = 1, random(7) do
        text = text .. pieces[4 + random(#pieces - 3)]
      end
      list[i] = text
    end
    return list
  end

  --- Those that are accepted, with what is told of them by a program that gets them as JSON.
  local function compare(command)
    local asked, ours = {}, {}
    for _, text in ipairs(texts()) do
      local u = url.parse(text)
      if u then
        asked[#asked + 1], ours[#ours + 1] = text, u
      end
    end
    assert.is_true(#asked > 200 and #asked < 5000, #asked)
    command.input = json.encode(asked)
    local result, err = process.run(command)
    if not result then
      pending(tostring(err))
    end
    assert.equal("", result.stderr)
    local theirs = json.decode(result.stdout)
    assert.equal(#asked, #theirs)
    for i, u in ipairs(ours) do
      local host, port = theirs[i][1], theirs[i][2]
      host = host:match "^%[(.*)%]$" or host
      local ip = address.to_ipv6(host)
      local default = ({http = 80, https = 443, ws = 80})[u.scheme]
      assert.equal(u.host, ip and address.ipv6(ip) or host, asked[i])
      assert.equal(u.port or default, port ~= json.null and port or default, asked[i])
    end
  end

  it("node", function()
    compare {"node", "-e", [[
      const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
      console.log(JSON.stringify(texts.map((text) => {
        const u = new URL(text);
        return [u.hostname, u.port === "" ? null : Number(u.port)];
      })));]]}
  end)

  it("python", function()
    compare {"python3", "-c", [[
import json, sys
from urllib.parse import urlsplit
parts = [urlsplit(text) for text in json.load(sys.stdin)]
print(json.dumps([[p.hostname, p.port] for p in parts]))]]}
  end)
end)

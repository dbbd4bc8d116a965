-- neap.http's client: what it asks, and what it makes of what servers say.

local errors = require "neap.error"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local url = require "neap.url"
local zlib = require "neap.zlib"
local await = require "spec.support.tasks".await
local linear = require "spec.support.linear"

local listener, server, client, heads, accepted

--- A server of neap's own; what it was asked is in `heads`.
local function serve(handler, opts)
  opts = opts or {}
  opts.log = function(request)
    heads[#heads + 1] = request.method .. " " .. request.target
  end
  opts.onerror = function() end
  server = task.spawn(http.serve, listener, handler, opts)
end

--- A server that answers heads by what `answer(head, n, connection)` gives: bytes, and whether it closes
--- then. `n` counts the heads, `accepted` the connections.
local function raw(answer)
  server = task.spawn(listener.serve, listener, function(stream)
    accepted = accepted + 1
    local connection = accepted
    while true do
      local head = stream:readuntil "\r\n\r\n"
      if not head then
        return
      end
      heads[#heads + 1] = head
      local text, closes = answer(head, #heads, connection, stream)
      if text then
        stream:write(text)
      end
      if closes then
        return
      end
    end
  end)
end

local function ok(body, fields)
  return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(#body, fields or "", body)
end

--- The answer's body, or the code of what failed.
local function get(path, opts)
  local response, err = client:get("http://web" .. path, opts)
  if not response then
    return nil, err.code, err
  end
  local text, why = response:read "a"
  if not text then
    return nil, why.code, why
  end
  return text, response
end

--- The code of what fails.
local function fails(path)
  local text, code = get(path)
  assert.is_nil(text)
  return code
end

describe("http's client", function()
  before_each(function()
    heads, accepted = {}, 0
    listener = assert(net.listen "mem:client")
    client = http.client {endpoint = "mem:client", timeout = {idle = 20, header = 20}}
  end)

  after_each(function()
    client:close()
    if server then
      server:cancel()
      server:join()
      server = nil
    end
    listener:close()
  end)

  it("asks, and reads what is answered", function()
    serve(function(request)
      return http.response(201, {["x-a"] = {"1", "2"}},
        request.method .. " " .. request.target .. " " .. (request:header "user-agent"))
    end)
    local response = assert(client:get "http://web/a?b=c#d")
    assert.same({201, "Created", "1.1", true, "http://web/a?b=c"},
      {response.status, response.reason, response.version, response.ok, (response.url:gsub("#.*", ""))})
    assert.same({"1", "2"}, response.headers:all "X-A")
    assert.matches("^GET /a%?b=c neap/%d", response:read "a")
    assert.is_nil((response:recv()))
  end)

  it("keeps its connection for the next request", function()
    raw(function(_, n)
      return ok(tostring(n))
    end)
    for n = 1, 5 do
      assert.equal(tostring(n), (get "/"))
    end
    assert.equal(1, accepted)
  end)

  it("does not keep one that is to be closed", function()
    raw(function(_, n)
      return n == 1 and ok("1", "Connection: close\r\n") or "HTTP/1.1 200 OK\r\n\r\nuntil the end", true
    end)
    assert.equal("1", (get "/"))
    assert.equal("until the end", (get "/"))
    assert.equal(2, accepted)
  end)

  it("has a connection for each of those who ask at once", function()
    local gate = task.event()
    raw(function(_, n)
      if n == 3 then
        gate:set()
      end
      gate:wait()
      return ok "x"
    end)
    task.all {
      function() get "/1" end, function() get "/2" end, function() get "/3" end,
    }
    assert.equal(3, accepted)
    get "/4"
    assert.equal(3, accepted)
  end)

  it("keeps so many as it may", function()
    client:close()
    client = http.client {endpoint = "mem:client", pool = {origin = 1}}
    local gate, closed = task.event(), 0
    raw(function(_, n, _, stream)
      if n == 2 then
        gate:set()
      end
      gate:wait()
      stream:write(ok "x")
      if not stream:peek(1) then
        closed = closed + 1
      end
    end)
    task.all {function() get "/1" end, function() get "/2" end}
    assert.is_true(await(function()
      return closed == 1
    end))
  end)

  it("closes what nobody asks for in time", function()
    client:close()
    client = http.client {endpoint = "mem:client", pool = {idle = 0.02}}
    raw(function()
      return ok "x"
    end)
    get "/"
    task.sleep(0.05)
    get "/"
    assert.equal(2, accepted)
  end)

  describe("whose kept connection was closed (P14)", function()
    before_each(function()
      raw(function(_, n)
        if n == 2 then
          return nil, true
        end
        return ok(tostring(n))
      end)
      get "/"
    end)

    it("asks once more where the method allows it", function()
      assert.equal("3", (get "/"))
      assert.equal(2, accepted)
    end)

    it("does not repeat a POST", function()
      local response, err = client:post("http://web/", {body = "x"})
      assert.is_nil(response)
      assert.equal("ECONNRESET", err.code)
      assert.matches("may have been done", err.message)
      assert.equal(2, #heads)
    end)

    it("does not repeat a body that is read already", function()
      local response, err = client:request {url = "http://web/", method = "PUT", body = function() end}
      assert.is_nil(response)
      assert.equal("ECONNRESET", err.code)
    end)
  end)

  it("does not ask again on a connection that is new", function()
    raw(function()
      return nil, true
    end)
    assert.equal("ECONNRESET", fails "/")
    assert.equal(1, #heads)
  end)

  it("sees that a kept connection is closed before it asks", function()
    local first
    raw(function(_, n, _, stream)
      first = first or stream
      return ok(tostring(n))
    end)
    get "/"
    first:close()
    local response = assert(client:post("http://web/", {body = ""}))
    assert.equal("2", response:read "a")
  end)

  describe("refuses (P12)", function()
    local bad = {
      ["a body that is framed twice"] = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      ["two lengths"] = "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      ["a length below 0"] = "Content-Length: -3\r\n\r\nabc",
      ["a folded field"] = "A: b\r\n c\r\n\r\n",
      ["a name with a blank"] = "A : b\r\n\r\n",
      ["another coding"] = "Transfer-Encoding: gzip\r\n\r\n",
    }
    for name, text in pairs(bad) do
      it(name, function()
        raw(function()
          return "HTTP/1.1 200 OK\r\n" .. text, true
        end)
        assert.equal("EBADMSG", fails "/")
      end)
    end

    for _, line in ipairs {"HTTP/2 200 OK", "SSH-2.0-x", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "\0\1\2"} do
      it(("the status line %q"):format(line), function()
        raw(function()
          return line .. "\r\nContent-Length: 0\r\n\r\n", true
        end)
        assert.equal("EBADMSG", fails "/")
      end)
    end

    it("more interim answers than 20", function()
      raw(function()
        return ("HTTP/1.1 103 Early Hints\r\n\r\n"):rep(21) .. ok "x"
      end)
      assert.equal("EBADMSG", fails "/")
    end)

    it("a head without an end", function()
      local written = 0
      raw(function(_, _, _, stream)
        while stream:write("A: " .. ("x"):rep(1000) .. "\r\n") do
          written = written + 1
        end
      end)
      assert.equal("EBADMSG", fails "/")
      assert.is_true(written < 2000)
    end)

    it("to take a whole body that is longer than it may be", function()
      raw(function(_, _, _, stream)
        stream:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while stream:write("400\r\n", ("x"):rep(1024), "\r\n") do
          task.yield()
        end
        return nil, true
      end)
      local _, code = get("/", {limits = {body = 10000}})
      assert.equal("EMSGSIZE", code)
    end)
  end)

  it("passes over interim answers, and a body that is none", function()
    raw(function(head)
      local answers = {
        ["/1"] = ("HTTP/1.1 102 Wait\r\nA: b\r\n\r\n"):rep(20) .. ok "one",
        ["/2"] = "HTTP/1.1 204 No Content\r\n\r\n", ["/3"] = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ["/4"] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
      }
      return answers[head:match " (%S+)"]
    end)
    assert.equal("one", (get "/1"))
    assert.equal("", (get "/2"))
    assert.equal("", (get "/3"))
    local response = assert(client:request {method = "HEAD", url = "http://web/4"})
    assert.same({200, "9"}, {response.status, response.headers["content-length"]})
    assert.is_nil((response:read "l"))
    assert.equal(1, accepted)
  end)

  it("tells that a body was cut", function()
    raw(function(head)
      return head:find "/length" and "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
        or "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true
    end)
    assert.equal("ENODATA", fails "/length")
    assert.equal("ENODATA", fails "/chunks")
  end)

  it("reads pieces, lines and trailers", function()
    raw(function()
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\nbc\r\n1\r\n\n\r\n0\r\nX-Sum: 7\r\n\r\n"
    end)
    local response, lines = assert(client:get "http://web/"), {}
    for line in response:lines() do
      lines[#lines + 1] = line
    end
    assert.same({"a", "bc"}, lines)
    assert.equal("7", response.trailers["x-sum"])
    get "/"
    assert.equal(1, accepted)
  end)

  describe("sends a body", function()
    before_each(function()
      serve(function(request)
        return http.json {request.method, request:header "content-type" or "", request:header "content-length" or "",
          request:header "transfer-encoding" or "", request:read "a"}
      end)
    end)

    local function send(opts)
      opts.url = "http://web/"
      return assert(client:request(opts)):json()
    end

    it("that is a text, JSON, or a form", function()
      assert.same({"POST", "", "2", "", "ab"}, send {body = "ab"})
      assert.same({"POST", "text/x", "2", "", "ab"}, send {body = "ab", headers = {["content-type"] = "text/x"}})
      assert.same({"PUT", "application/json", "7", "", '{"a":1}'}, send {json = {a = 1}, method = "PUT"})
      assert.same({"POST", "application/x-www-form-urlencoded", "11", "", "a=b+%26&c=d"},
        send {form = {{"a", "b &"}, {"c", "d"}}})
      assert.same({"POST", "", "0", "", ""}, send {method = "POST"})
      assert.same({"GET", "", "", "", ""}, send {})
    end)

    it("of pieces", function()
      local n = 0
      local function pieces()
        n = n + 1
        return n <= 3 and ("x"):rep(n) or nil
      end
      assert.same({"POST", "", "", "chunked", "xxxxxx"}, send {body = pieces})
      n = 0
      assert.same({"POST", "", "6", "", "xxxxxx"}, send {body = pieces, headers = {["content-length"] = 6}})
      assert.same({"POST", "", "", "chunked", "abc"}, send {body = http.body {"a", "bc"}})
    end)

    it("with files", function()
      local found = send {multipart = {{name = "a", value = "1"}, {name = "f", filename = "x.txt", body = "data"}}}
      assert.matches("^multipart/form%-data; boundary=", found[2])
      assert.matches('name="f"; filename="x.txt"', found[5], nil, true)
    end)

    it("that is large, while the answer comes", function()
      server:cancel()
      server:join()
      serve(function(request, response)
        response:start(200)
        for bytes in request:chunks() do
          response:write(bytes)
        end
      end)
      local text = ("0123456789"):rep(300000)
      local response = assert(client:post("http://web/", {body = text}))
      assert.is_true(response:read "a" == text)
    end)

    it("that is a long text in a time that grows as it does", function()
      server:cancel()
      server:join()
      serve(function(request)
        for _ in request:chunks() do end
        return ""
      end, {limits = {body = math.huge}})
      linear(function(n)
        assert.equal("", assert(client:post("http://web/", {body = ("x"):rep(n * 1024)})):read "a")
      end, 6 * 1024)
    end)

    it("but not past its length, nor before it", function()
      local n = 0
      local function pieces()
        n = n + 1
        return n <= 3 and "xx" or nil
      end
      for _, length in ipairs {5, 7} do
        n = 0
        local good, err = pcall(client.post, client, "http://web/",
          {body = pieces, headers = {["content-length"] = length}})
        assert.is_false(good)
        assert.matches("length says: " .. length, err)
      end
    end)

    it("and raises what its function raises", function()
      local mine = {}
      local good, err = pcall(client.post, client, "http://web/", {body = function()
        error(mine)
      end})
      assert.same({false, mine}, {good, err})
      assert.equal(mine, err)
    end)

    it("and raises it by whoever reads meanwhile", function()
      server:cancel()
      server:join()
      local go, n = task.event(), 0
      raw(function(_, _, _, stream)
        stream:write "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
        go:wait()
      end)
      local response = assert(client:post("http://web/", {body = function()
        n = n + 1
        if n == 2 then
          go:wait()
          error("no more", 0)
        end
        return "x"
      end}))
      assert.equal("01234", response:recv())
      local reader = task.spawn(pcall, response.recv, response)
      task.yield()
      go:set()
      assert.same({false, "no more"}, {reader:join()})
    end)

    it("once the server wants it", function()
      assert.same({"POST", "", "2", "", "ab"}, send {body = "ab", expect = true})
      server:cancel()
      server:join()
      serve(function()
        return http.response(403, {}, "no")
      end, {limits = {body = 1}})
      local response = assert(client:post("http://web/", {body = "ab", expect = true}))
      assert.equal(413, response.status)
    end)
  end)

  it("sends a body unasked when a server does not know 100-continue", function()
    raw(function(_, _, _, stream)
      return ok(stream:readexactly(2))
    end)
    local response = assert(client:post("http://web/", {body = "ab", expect = true}))
    assert.equal("ab", response:read "a")
  end)

  it("reads an answer that comes before the body was taken", function()
    raw(function()
      return "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", true
    end)
    local response = assert(client:post("http://web/", {body = ("x"):rep(5000000)}))
    assert.same({413, "no"}, {response.status, response:read "a"})
  end)

  it("takes no head, name or value that would be two (P11)", function()
    for field, value in pairs {["a\r\nb"] = "x", ["a b"] = "x", a = "x\r\nb: c", b = "x\0"} do
      assert.is_false((pcall(client.get, client, "http://web/", {headers = {[field] = value}})))
    end
    assert.is_false((pcall(client.request, client, {url = "http://web/", method = "GET /\r\n"})))
    assert.is_false((pcall(client.get, client, "http://web/", {headers = {["transfer-encoding"] = "chunked"}})))
    assert.is_false((pcall(client.get, client, "http://web/", {upgrade = "a\r\nb: c"})))
    assert.equal("EBADMSG", fails "/a\r\nb")
    for _, query in ipairs {"a\r\nb: c", "a b", "a#b", "\xff"} do
      assert.equal("EBADMSG", select(2, get("/", {query = query})))
    end
    local changed = url.parse "http://web/"
    changed.path = "/ HTTP/1.1\r\nb: c"
    assert.equal("EBADMSG", select(2, client:get(changed)).code)
    assert.equal(0, #heads)
  end)

  it("says what is wrong with its options, at the caller's line", function()
    local wrong = {
      ["unknown option 'header'"] = {headers = {}, header = {}},
      ["unknown option 'timeout.idel'"] = {timeout = {idel = 1}},
      ["option 'timeout': seconds above 0"] = {timeout = 0},
      ["option 'redirects': a count"] = {redirects = -1},
      ["options 'body' and 'json'"] = {body = "", json = 1},
      ["option 'body': a string, a function"] = {body = true},
      ["option 'auth': "] = {auth = {"a:b", "c"}},
    }
    for words, opts in pairs(wrong) do
      local line
      for _, call in ipairs {
        function()
          line = debug.getinfo(1, "l").currentline + 1
          return (client:get("http://web/", opts))
        end,
        function()
          line = debug.getinfo(1, "l").currentline + 1
          return (http.post("http://web/", opts))
        end,
      } do
        local good, err = pcall(call)
        assert.is_false(good)
        assert.matches(words, err, nil, true)
        assert.matches(("http_client_spec.lua:%d:"):format(line), err, nil, true)
      end
    end
    local _, err = pcall(function()
      return (http.client {bas = ""})
    end)
    assert.matches("http_client_spec.lua:%d+: client: unknown option 'bas'", err)
  end)

  describe("in time", function()
    it("waits for a head only so long", function()
      raw(function() end)
      local _, code, err = get("/", {timeout = {header = 0.02}})
      assert.equal("ETIMEDOUT", code)
      assert.matches("no answer in time", err.message)
    end)

    it("waits for a body only so long, and no longer for all of it", function()
      raw(function(_, _, _, stream)
        stream:write "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        while stream:write "x" do
          task.sleep(0.005)
        end
      end)
      local response = assert(client:get("http://web/", {timeout = 0.05}))
      local text, err = response:read "a"
      assert.same({nil, "ETIMEDOUT"}, {text, err and err.code})
      text, err = response:read "a" -- which is not the end of it
      assert.same({nil, "ETIMEDOUT"}, {text, err and err.code})
    end)

    it("goes on behind a wait that was too long, decoded or not", function()
      for _, coding in ipairs {"identity", "gzip"} do
        local plain = ("0123456789"):rep(100)
        local body = coding == "gzip" and zlib.compress(plain, {format = "gzip"}) or plain
        local go = task.event()
        raw(function(_, _, _, stream)
          stream:write(("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s")
            :format(coding, #body, body:sub(1, 12)))
          go:wait()
          return body:sub(13), true
        end)
        local response = assert(client:get("http://web/", {timeout = {idle = 0.02}}))
        assert.equal("ETIMEDOUT", select(2, response:read "a").code)
        go:set()
        local text
        repeat
          text = response:read "a"
        until text
        assert.equal(plain, text)
        server:cancel()
        server:join()
      end
    end)

    it("ends all of it, redirects too", function()
      raw(function(_, n)
        task.sleep(0.01)
        return ("HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n"):format(n)
      end)
      local _, code = get("/", {timeout = 0.05, redirects = 1000})
      assert.equal("ETIMEDOUT", code)
    end)

    it("is cancelled, and its connection with it", function()
      local gone
      raw(function(_, _, _, stream)
        gone = not stream:read "a"
        gone = true
        return nil, true
      end)
      local t = task.spawn(pcall, client.get, client, "http://web/")
      assert.is_true(await(function()
        return #heads == 1
      end))
      t:cancel()
      assert.is_true(await(function()
        return gone
      end))
    end)
  end)

  it("ends an answer that is not read to its end", function()
    raw(function(_, n)
      return n == 1 and "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc" or ok "2"
    end)
    do
      local response <close> = assert(client:get "http://web/")
      assert.equal("abc", response:recv())
    end
    assert.equal("2", (get "/"))
    assert.equal(2, accepted)
  end)

  it("changes to another protocol when it was asked to", function()
    serve(function(_, response)
      local stream = assert(response:upgrade {upgrade = "echo"})
      stream:write(stream:read "L")
    end)
    local response = assert(client:get("http://web/", {upgrade = "echo"}))
    assert.equal(101, response.status)
    response.stream:write "hi\n"
    assert.equal("hi", response.stream:read())
    response.stream:close()
  end)

  it("has an error for a change of protocol unasked", function()
    raw(function()
      return "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    end)
    assert.equal("EBADMSG", fails "/")
  end)

  it("knows base, headers, credentials and a query", function()
    serve(function(request)
      return http.json {request.target, request:header "authorization" or "", request:header "x-a" or "",
        request:header "host"}
    end)
    client:close()
    client = http.client {
      endpoint = "mem:client", base = "http://web:81/v1/", headers = {["X-A"] = "1"}, auth = {"me", "p"},
    }
    assert.same({"/v1/b?c=1&d=x+y", "Basic bWU6cA==", "1", "web:81"},
      assert(client:get("b?c=1", {query = {d = "x y"}})):json())
    assert.same({"/", "Bearer t", "2", "other"},
      assert(client:get("http://other", {auth = "Bearer t", headers = {["x-a"] = 2}})):json())
    client:close()
    client = http.client {endpoint = "mem:client"}
    assert.equal("Basic bWU6cEBz", assert(client:get "http://me:p%40s@web/"):json()[2])
  end)

  it("keeps cookies, over redirects and by origin, where it is told to", function()
    serve(function(request)
      if request.path == "/login" then
        return http.response(302, {location = "/", ["set-cookie"] = {"a=1; Path=/", "b=2; Path=/only", "c=3"}})
      end
      return (request:header "cookie" or "none") .. " " .. request:header "host"
    end)
    client:close()
    client = http.client {endpoint = "mem:client", cookies = true}
    assert.equal("a=1; c=3 web", (get "/login"))
    assert.equal("b=2; a=1; c=3 web", (get "/only"))
    assert.equal("none other", client:get "http://other/":read "a")
    assert.equal("a=1; c=3 web", (get "/"))
    assert.equal("mine web", (get("/", {headers = {cookie = "mine"}})))
    local other <close> = http.client {endpoint = "mem:client"}
    assert.equal("none web", other:get "http://web/":read "a")
  end)

  it("says who it is only where its base is", function()
    serve(function(request)
      return (request:header "authorization" or "-") .. (request:header "cookie" or "-")
        .. (request:header "x-a" or "-")
    end)
    client:close()
    client = http.client {
      endpoint = "mem:client", base = "http://api/", auth = "Bearer t", headers = {cookie = "c", ["x-a"] = "1"},
    }
    assert.equal("Bearer tc1", client:get "x":read "a")
    assert.equal("Bearer tc1", client:get "http://api:80/x":read "a")
    for _, other in ipairs {"http://evil/x", "//evil/x", "http://api:81/"} do
      assert.equal("--1", client:get(other):read "a")
    end
    assert.equal("own-1", client:get("http://evil/", {auth = "own"}):read "a")
  end)

  it("returns the errors of connecting", function()
    listener:close()
    local response, err = client:get "http://web/"
    assert.is_nil(response)
    assert.is_true(errors.is(err))
    assert.equal("ECONNREFUSED", err.code)
  end)
end)

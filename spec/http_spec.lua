-- neap.http's server: what clients get, whatever they and the handlers do.

local errors = require "neap.error"
local http = require "neap.http"
local json = require "neap.json"
local net = require "neap.net"
local task = require "neap.task"
local await = require "spec.support.tasks".await
local child = require "spec.support.child"

local listener, server, failures, answered

--- What handlers raised is in `failures`, not on stderr.
local function serve(handler, opts)
  listener = assert(net.listen "mem:http")
  opts = opts or {}
  opts.onerror = opts.onerror or function(err, request, traceback)
    failures[#failures + 1] = {err, request.path, traceback}
  end
  opts.log = function(request, response)
    answered[#answered + 1] = request.method .. " " .. request.path .. " " .. response.status
  end
  server = task.spawn(http.serve, listener, handler, opts)
end

local function connect()
  return assert(net.connect(listener.endpoint))
end

--- All that the server says to these bytes, and then closes; dates left out.
local function talk(text, keeps)
  local client = connect()
  client:write(text)
  if not keeps then
    client:shutdown()
  end
  local all = assert(client:read "a")
  client:close()
  return (all:gsub("date: [^\r]*\r\n", ""))
end

local function get(path, fields, version)
  return ("GET %s HTTP/%s\r\nHost: here\r\n%s\r\n"):format(path, version or "1.1", fields or "")
end

local function post(path, body, fields)
  return ("POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n%s\r\n%s"):format(path, #body, fields or "", body)
end

local function status_of(text)
  return tonumber(text:match "^HTTP/1.1 (%d+) ")
end

local function body_of(text)
  return text:match "\r\n\r\n(.*)$"
end

describe("http.serve", function()
  before_each(function()
    failures, answered = {}, {}
  end)
  after_each(function()
    listener:close()
    server:cancel()
    server:join()
  end)

  it("says 100 Continue before a head, and never behind it", function()
    serve(function(request, response)
      if request.path == "/sent" then
        response:send(200, {}, "sent")
        request:read "a"
        return
      end
      response:start(200)
      for bytes in request:chunks() do
        response:write(bytes)
      end
    end)
    local expects = "POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
    local continue = "HTTP/1.1 100 Continue\r\n\r\n"
    assert.equal(continue .. "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      (talk(expects:format "/")))
    assert.equal("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsent",
      (talk(expects:format "/sent")))
  end)

  it("answers once, also while what is coded lets others run", function()
    serve(function(_, response)
      task.scope(function(scope)
        scope:spawn(response.send, response, 200, {["content-type"] = "text/plain"}, ("a"):rep(500000))
        scope:spawn(pcall, response.send, response, 503, {}, "late")
      end)
    end, {compress = true})
    local all = talk("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
    assert.matches("^HTTP/1.1 200 OK\r\n", all)
    assert.is_nil(all:find("503", 1, true))
  end)

  it("has no body where there can be none, however it is written", function()
    serve(function(request, response)
      response:start(tonumber(request.path:sub(2)))
      response:write "x"
    end)
    for _, status in ipairs {204, 304} do
      assert.is_nil(talk(get("/" .. status)):find("transfer-encoding", 1, true))
    end
  end)

  it("closes behind a body that is too long to begin with", function()
    serve(function() return "x" end, {limits = {body = 3}})
    local all = talk(post("/", "abcd") .. get "/next")
    assert.equal(413, status_of(all))
    assert.equal(1, select(2, all:gsub("HTTP/1.1 ", "")))
  end)

  it("tells what a handler raises behind a body that failed, and not to the client", function()
    serve(function(request)
      request:read "a"
      error(errors.new {code = "EACCES", message = "secret", op = "x"}, 0)
    end)
    local all = talk "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert.equal(400, status_of(all))
    assert.is_nil(all:find("secret", 1, true))
    assert.equal("secret", failures[1][1].message)
  end)

  it("takes nothing for a request behind a CONNECT that it has granted", function()
    serve(function(request)
      return request.method ~= "CONNECT" and "x" or http.response(request.target == "a:1" and 200 or 407)
    end)
    talk("CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n" .. "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" .. get "/in")
    assert.same({"CONNECT b:1 407", "CONNECT a:1 200"}, answered)
  end)

  it("gives the body of a request to none that was answered already", function()
    local first, late
    serve(function(request)
      if not first then
        first = request
        return "one"
      end
      late = {first:read "a"}
      return request:read "a"
    end)
    assert.matches("one.*two$", talk(post("/1", "1") .. post("/2", "two")))
    assert.same({nil, "EBADF"}, {late[1], late[2].code})
  end)

  it("has nothing to tell when a handler closes the stream", function()
    serve(function() end)
    local result = child.run [[
      local http, net, task = require "neap.http", require "neap.net", require "neap.task"
      local l = net.listen "mem:closing"
      local server = task.spawn(http.serve, l, function(request, response)
        response:send(200, nil, "x")
        request.stream:close()
      end)
      local client = net.connect "mem:closing"
      client:write "GET / HTTP/1.1\r\nHost: here\r\n\r\n"
      print(client:read "a":match "x$")
      server:cancel()
      l:close()
    ]]
    assert.same({"x\n", ""}, {result.stdout, result.stderr})
  end)

  it("answers with what a handler returns", function()
    serve(function(request)
      if request.path == "/text" then
        return "hello\n"
      elseif request.path == "/json" then
        return http.json {a = 1}
      elseif request.path == "/empty" then
        return http.response(204)
      end
      return http.response(404, {["x-id"] = 7, ["set-cookie"] = {"a=1", "b=2"}}, "no\n")
    end)
    assert.equal("HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 6\r\n\r\nhello\n",
      talk(get "/text"))
    assert.equal("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n{\"a\":1}\n",
      talk(get "/json"))
    assert.equal("HTTP/1.1 204 No Content\r\n\r\n", talk(get "/empty"))
    assert.equal("HTTP/1.1 404 Not Found\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-id: 7\r\n" ..
      "content-length: 3\r\n\r\nno\n",
      talk(get "/"))
    assert.same({}, failures)
  end)

  it("answers in order, also what comes in one piece, cut anywhere (P7)", function()
    serve(function(request)
      return request.path .. ":" .. request:read "a"
    end)
    local text, expected = "", {}
    for i = 1, 100 do
      text = text .. (i % 3 == 0 and post("/" .. i, ("x"):rep(i)) or get("/" .. i))
      expected[i] = "/" .. i .. ":" .. (i % 3 == 0 and ("x"):rep(i) or "")
    end
    local whole = talk(text)
    local found = {}
    for body in whole:gmatch "(/%d+:x*)" do
      found[#found + 1] = body
    end
    assert.same(expected, found)
    for cut = 1, 700, 13 do
      local client = connect()
      client:write(text:sub(1, cut))
      task.yield()
      task.yield()
      client:write(text:sub(cut + 1))
      client:shutdown()
      assert.equal(whole, (client:read "a":gsub("date: [^\r]*\r\n", "")), cut)
      client:close()
    end
  end)

  it("keeps the connection as the client asks (P8)", function()
    serve(function()
      return "x"
    end)
    local function closes(fields, version)
      local client = connect()
      client:write(get("/", fields, version))
      local head = client:readuntil "\r\n\r\n"
      client:readexactly(1)
      local closed = task.timeout(0.02, client.read, client, 1) == nil and not client:wait("r", 0) == false
      client:close()
      return closed, head:match "connection: ([%a-]+)"
    end
    assert.same({false, nil}, {closes()})
    assert.same({true, "close"}, {closes "Connection: close\r\n"})
    assert.same({true, "close"}, {closes("", "1.0")})
    assert.same({false, "keep-alive"}, {closes("Connection: keep-alive\r\n", "1.0")})
    local rest = talk(get("/", "Connection: close\r\n") .. get "/", true)
    assert.equal(1, select(2, rest:gsub("HTTP/1.1 200", "")))
  end)

  it("closes connections that nothing is asked of (P8)", function()
    serve(function()
      return "x"
    end, {timeout = {first = 0.02, idle = 0.03, header = 0.04}})
    assert.equal("", talk("", true))
    assert.equal(200, status_of(talk(get "/", true)))
    assert.equal(408, status_of(talk("GET / HTT", true)))
    assert.matches("\r\n\r\nxHTTP/1.1 408", talk(get "/" .. "GET", true), 1, true)
  end)

  it("says 100 Continue once, when the body is asked for (P10)", function()
    serve(function(request)
      return request.path == "/read" and request:read "a" or "unread"
    end)
    local client = connect()
    client:write "POST /read HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    assert.equal("HTTP/1.1 100 Continue", client:readuntil "\r\n\r\n")
    client:write "abc"
    assert.matches("^HTTP/1.1 200 OK", client:readuntil "\r\n\r\n")
    assert.equal("abc", client:readexactly(3))
    client:close()
    local said = talk("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", true)
    assert.matches("^HTTP/1.1 200 OK.*connection: close.*unread$", said)
    assert.equal(417, status_of(talk(get("/", "Expect: x\r\n"), true)))
  end)

  it("answers HEAD without a body", function()
    serve(function(request, response)
      if request.path == "/stream" then
        response:start(200)
        response:write "abc"
        return
      end
      return "hello"
    end)
    local said = talk("HEAD / HTTP/1.1\r\nHost: here\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: here\r\n\r\n" .. get "/")
    assert.matches("^HTTP/1.1 200 OK\r\n[^\n]+\r\ncontent%-length: 5\r\n\r\n" ..
      "HTTP/1.1 200 OK\r\ntransfer%-encoding: chunked\r\n\r\n" ..
      "HTTP/1.1 200 OK\r\n[^\n]+\r\ncontent%-length: 5\r\n\r\nhello$", said)
  end)

  it("streams both ways", function()
    serve(function(request, response)
      if request.path == "/lines" then
        response:start(200, {["content-type"] = "text/x"})
        for line in request:lines() do
          response:write(line:upper(), "\n")
        end
        response:finish {["x-sum"] = "1"}
      elseif request.path == "/length" then
        response:start(200, {["content-length"] = 6})
        response:write "abc"
        response:write("d", 1, 2)
      elseif request.path == "/back" then
        return http.response(200, {}, request)
      elseif request.path == "/function" then
        local n = 0
        response:send(200, {}, function()
          n = n + 1
          return n < 4 and tostring(n) or nil
        end)
      end
    end)
    local chunked = "POST %s HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "4\r\na\nb\n\r\n1\r\nc\r\n0\r\n\r\n"
    assert.equal("HTTP/1.1 200 OK\r\ncontent-type: text/x\r\ntransfer-encoding: chunked\r\n\r\n" ..
      "2\r\nA\n\r\n2\r\nB\n\r\n2\r\nC\n\r\n0\r\nx-sum: 1\r\n\r\n", talk(chunked:format "/lines"))
    assert.matches("content%-length: 6\r\n\r\nabcd12$", talk(get "/length"))
    assert.matches("\r\n\r\n5\r\na\nb\nc\r\n0\r\n\r\n$", talk(chunked:format "/back"))
    assert.matches("\r\n\r\n1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n0\r\n\r\n$", talk(get "/function"))
    assert.matches("connection: close\r\n\r\n123$", talk(get("/function", "", "1.0")))
  end)

  it("gives what a request says", function()
    local seen
    serve(function(request)
      seen = {
        request.method, request.target, request.path, request.query, request.version,
        request.headers["x-a"], request.headers:all "X-A", request:header "x-A", request.length,
      }
      if request.path == "/form" then
        return http.json(request:form())
      elseif request.path == "/json" then
        return http.json(request:json())
      end
      return ""
    end)
    talk(get("/a%20b/%2F?x=1&y=%26&x=2", "X-A: 1\r\nX-a: 2\r\n"))
    assert.same({"GET", "/a%20b/%2F?x=1&y=%26&x=2", "/a b/%2F", {x = "1", y = "&"}, "1.1", "1", {"1", "2"}, "1"}, seen)
    talk(get "http://other/x?y")
    assert.same({"/x", {y = ""}}, {seen[3], seen[4]})
    assert.same({a = "b c", d = ""}, json.decode(body_of(talk(post("/form", "a=b+c&d&a=2")))))
    assert.same({1, 2}, json.decode(body_of(talk(post("/json", "[1,2]")))))
    assert.equal(9, seen[9] + 4)
  end)

  it("tells whose handlers fail, and goes on (P20)", function()
    local late
    serve(function(request, response)
      late = response
      if request.path == "/raise" then
        error "oops"
      elseif request.path == "/object" then
        error(errors.new {code = "EPROTO", message = "not so"})
      elseif request.path == "/nothing" then
        error()
      elseif request.path == "/begun" then
        response:start(200, {["content-length"] = 6})
        response:write "abc"
        error "oops"
      elseif request.path == "/chunks" then
        response:start(200)
        response:write "abc"
        error "oops"
      elseif request.path == "/more" then
        response:start(200, {["content-length"] = 2})
        response:write "abc"
      elseif request.path == "/less" then
        response:start(200, {["content-length"] = 4})
        response:write "abc"
      elseif request.path == "/silent" then
        return nil
      elseif request.path == "/number" then
        return 5
      elseif request.path == "/twice" then
        response:send(200, {}, "one")
        return "two"
      elseif request.path == "/again" then
        response:send(200, {}, "one")
        response:send(200, {}, "two")
      end
      return "fine"
    end)
    for _, path in ipairs {"/raise", "/object", "/nothing", "/silent", "/number"} do
      local said = talk(get(path))
      assert.equal(500, status_of(said), path)
      assert.matches("connection: close", said, 1, true)
      assert.is_nil(said:find("oops", 1, true))
      assert.equal(path, failures[#failures][2])
    end
    assert.matches("oops", failures[1][1], 1, true)
    assert.matches("http_spec", failures[1][3], 1, true)
    assert.equal("EPROTO", failures[2][1].code)
    assert.is_nil(failures[2][3])
    assert.matches("\r\n\r\nabc$", talk(get "/begun"))
    assert.matches("\r\n\r\n3\r\nabc\r\n$", talk(get "/chunks"))
    assert.matches("\r\n\r\n$", talk(get "/more"))
    assert.matches("\r\n\r\nabc$", talk(get "/less"))
    assert.matches("\r\n\r\none$", talk(get "/twice"))
    assert.matches("\r\n\r\none$", talk(get "/again"))
    assert.equal(11, #failures)
    assert.equal("fine", body_of(talk(get "/")))
    assert.has_error(function()
      late:write "x"
    end, "this answer is finished already")
    assert.equal("GET /raise 500", answered[1])
  end)

  it("sends nothing of what would split an answer (P11)", function()
    local made = {}
    serve(function(_, response)
      for _, fields in ipairs {
        {["x"] = "a\r\nb: c"}, {["x"] = "a\nb"}, {["x"] = "a\0"}, {["x\r\ny"] = "a"}, {["x y"] = "a"},
        {[""] = "a"}, {x = {}, y = 1.5}, {["content-length"] = "x"}, {["transfer-encoding"] = "chunked"},
        {x = true}, {[1] = "a"}, {connection = "upgrade"},
      } do
        made[#made + 1] = pcall(response.start, response, 200, fields)
      end
      made[#made + 1] = pcall(response.send, response, 200, {["content-length"] = "x"})
      for _, status in ipairs {"200", 99, 100, 600, 200.5, "200 OK\r\n"} do
        made[#made + 1] = pcall(response.send, response, status)
      end
      return "fine"
    end)
    local said = talk(get "/")
    assert.equal(200, status_of(said))
    assert.equal("fine", body_of(said))
    assert.equal(19, #made)
    for i, ok in ipairs(made) do
      assert.is_false(ok, i)
    end
  end)

  it("tells of what a handler raises, be it like what a request has failed by", function()
    serve(function(request)
      local _, err = request:read "a"
      if request.path == "/own" then
        error(errors.new {code = err.code, op = err.op, message = err.message}, 0)
      end
      error(err, 0)
    end, {limits = {body = 3}})
    for _, path in ipairs {"/own", "/its"} do
      assert.equal(413, status_of(talk("POST " .. path .. " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "4\r\nabcd\r\n0\r\n\r\n")))
    end
    assert.equal(1, #failures)
    assert.equal("/own", failures[1][2])
  end)

  it("bounds bodies (P5)", function()
    serve(function(request)
      return tostring(#request:read "a")
    end, {limits = {body = 1000}, timeout = {body = 0.05}})
    assert.equal("1000", body_of(talk(post("/", ("x"):rep(1000)))))
    assert.equal(413, status_of(talk(post("/", ("x"):rep(1001)))))
    assert.equal(413, status_of(talk("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" ..
      ("x"):rep(1001) .. "\r\n0\r\n\r\n")))
    assert.equal(400, status_of(talk("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefg")))
    assert.equal(400, status_of(talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")))
    assert.equal(408, status_of(talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc", true)))
    assert.same({}, failures)
  end)

  it("passes over what a handler did not read", function()
    serve(function(request)
      return request:recv(1) or "none"
    end)
    assert.equal(2, select(2, talk(post("/", ("x"):rep(10000)) .. get "/"):gsub("HTTP/1.1 200", "")))
    assert.equal(1, select(2, talk(post("/", ("x"):rep(1000000)) .. get "/"):gsub("HTTP/1.1 200", "")))
  end)

  it("answers what is no request, and closes (P1)", function()
    serve(function()
      return "x"
    end)
    assert.matches("^HTTP/1.1 400 .*connection: close", talk("nonsense\r\n\r\n", true))
    assert.equal(501, status_of(talk("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", true)))
    assert.equal(505, status_of(talk("GET / HTTP/3.0\r\nHost: a\r\n\r\n", true)))
    assert.equal(431, status_of(talk("GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("a"):rep(9000) .. "\r\n\r\n", true)))
    assert.equal(414, status_of(talk("GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\n\r\n", true)))
    assert.matches("HTTP/1.1 200.*\r\n\r\nxHTTP/1.1 400", talk(get "/" .. "GET / HTTP/1.1\n\n", true))
  end)

  it("hands a connection over", function()
    serve(function(request, response)
      local stream = assert(response:upgrade {upgrade = "echo"})
      for line in stream:lines() do
        stream:write(request.path, line, "\n")
      end
    end)
    assert.equal("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n/xa\n/xb\n",
      talk(get("/x", "Connection: upgrade\r\nUpgrade: echo\r\n") .. "a\nb\n"))
  end)

  it("ends well when the program drains", function()
    local begun, go = task.event(), task.event()
    serve(function()
      begun:set()
      go:wait()
      return "done"
    end, {drain = 5})
    local busy, silent = connect(), connect()
    busy:write(get("/", "Connection: close\r\n"))
    begun:wait()
    listener:close()
    go:set()
    assert.matches("\r\n\r\ndone$", busy:read "a")
    busy:close()
    silent:close()
    await(function()
      return server.status == "dead"
    end)
  end)

  it("says what options there are", function()
    serve(function() end)
    for message, opts in pairs {
      ["unknown option 'timeout.idel'"] = {timeout = {idel = 1}},
      ["option 'timeout.idle': seconds"] = {timeout = {idle = 0}},
      ["option 'limits.body': a count"] = {limits = {body = 0}}, ["option 'log': a function"] = {log = 1},
      ["unknown option 'maxx'"] = {maxx = 1}, ["option 'timeout': a table"] = {timeout = 5},
    } do
      local ok, err = pcall(http.serve, listener, print, opts)
      assert.is_false(ok)
      assert.matches(message, tostring(err), 1, true)
    end
    assert.has_error(function()
      http.serve(listener, "x")
    end, "http.serve: a function expected, got string")
    local ok, err = pcall(http.serve, "tcp://192.0.2.1:1", print)
    assert.same({false, "EADDRNOTAVAIL"}, {ok, err.code})
  end)
end)

-- Server-sent events: what a client reads, and that nobody sends to who is gone.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local await = require "spec.support.tasks".await

local listener, server, failures, logged

local function serve(handler, opts)
  listener = assert(net.listen(opts and opts.endpoint or "mem:events_spec"))
  failures, logged = {}, {}
  server = task.spawn(http.serve, listener, handler, {
    onerror = function(err)
      failures[#failures + 1] = tostring(err)
    end,
    log = function(request, response)
      logged[#logged + 1] = request.path .. " " .. response.status
    end,
  })
end

local function ask(fields, method)
  local client = assert(net.connect(listener.endpoint))
  client:write(method or "GET", " / HTTP/1.1\r\nHost: here\r\n", fields or "", "\r\n")
  return client, assert(client:readuntil "\r\n\r\n")
end

--- The events in a body in chunks.
local function events_of(bytes)
  local parts = {}
  for size, at in bytes:gmatch "(%x+)\r\n()" do
    parts[#parts + 1] = bytes:sub(at, at + tonumber(size, 16) - 1)
  end
  return table.concat(parts)
end

local function stop()
  listener:close()
  server:cancel()
  server:join()
end

describe("response:events", function()
  after_each(stop)

  it("sends events, in lines", function()
    serve(function(_, response)
      local events = assert(response:events {headers = {["x-a"] = "b"}})
      for _, event in ipairs {
        "text", "a\nb\r\nc\rd\n", "", 7, {data = 1.5}, {id = 3}, {event = "kind", id = "x", retry = 100, data = "y"},
      } do
        assert.equal(events, events:send(event))
      end
    end)
    local client, head = ask "Connection: close\r\n"
    assert.matches("^HTTP/1.1 200 OK\r\n", head)
    assert.matches("content%-type: text/event%-stream", head)
    assert.matches("cache%-control: no%-cache", head)
    assert.matches("x%-a: b", head)
    assert.equal("data: text\n\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\ndata: \n\ndata: 7\n\ndata: 1.5\n\n"
      .. "id: 3\n\nevent: kind\nid: x\nretry: 100\ndata: y\n\n", events_of(client:read "a"))
    client:close()
    assert.same({}, failures)
  end)

  it("refuses what would be another field, or another event", function()
    local errors = {}
    local call = assert(load("local f, self, a = ...\nlocal result = f(self, a)\nreturn result", "=caller"))
    serve(function(_, response)
      local events = response:events()
      for i, event in ipairs {
        {id = "a\nb"}, {id = "a\rb"}, {id = "a\0b"}, {event = "a\n\ndata: b", data = "x"}, {retry = "1"}, {retry = -1},
        {data = {}}, {}, {name = "x"}, {id = {}},
      } do
        local ok, err = pcall(call, events.send, events, event)
        errors[i] = ok or err
      end
    end)
    local client = ask()
    client:shutdown()
    assert.equal("", events_of(client:read "a"))
    client:close()
    assert.equal(10, #errors)
    for _, err in ipairs(errors) do
      assert.matches("^caller:2: an event", err)
    end
  end)

  it("goes on to the next request behind it", function()
    serve(function(request, response)
      if request.query.plain then
        return "plain"
      end
      response:events():send "x"
    end)
    local client <close> = ask()
    assert.equal("9\r\ndata: x\n\n\r\n0\r\n\r\n", client:readexactly(19))
    client:write "GET /?plain=1 HTTP/1.1\r\nHost: here\r\n\r\n"
    assert.matches("^HTTP/1.1 200", client:readuntil "\r\n\r\n")
    assert.equal("plain", client:readexactly(5))
  end)

  it("takes requests that come meanwhile, behind it", function()
    local go = task.event()
    serve(function(request, response)
      if request.query.plain then
        return "plain"
      end
      local events = response:events {keepalive = 0.005}
      go:wait()
      events:send "x"
    end)
    local client <close> = ask()
    client:write "GET /?plain=1 HTTP/1.1\r\nHost: here\r\n\r\n"
    assert.equal(":\n", client:readuntil "\n\r\n":match ":\n")
    go:set()
    assert.matches("data: x.*0\r\n\r\nHTTP/1.1 200 OK.*plain$", client:readuntil "plain" .. "plain")
    assert.same({}, failures)
  end)

  it("says something while nothing is sent", function()
    serve(function(_, response)
      response:events {keepalive = 0.005}
      task.sleep(60)
    end)
    local client <close> = ask()
    for _ = 1, 3 do
      assert.equal("3\r\n:\n\n\r\n", client:readexactly(8))
    end
  end)

  for what, leave in pairs {
    ["an end"] = function(client)
      client:shutdown()
      assert.equal("", events_of(client:read "a"))
      client:close()
    end,
    ["a reset"] = function(client)
      client:reset()
    end,
    ["a close"] = function(client)
      client:close()
    end,
  } do
    for _, endpoint in ipairs {"mem:events_spec", "tcp://127.0.0.1:0"} do
      it(("ends whatever the handler waits for, by %s (%s)"):format(what, endpoint:match "^%a+"), function()
        local left
        serve(function(_, response)
          local _ <close> = setmetatable({}, {__close = function()
            left = true
          end})
          response:events()
          task.channel():recv()
        end, {endpoint = endpoint})
        local client = ask()
        leave(client)
        assert(await(function()
          return left and #logged == 1
        end))
        assert.same({"/ 200"}, logged)
        assert.same({}, failures)
      end)
    end
  end

  it("tells who sends on that its client is gone", function()
    local result
    serve(function(_, response)
      local events = response:events()
      local ok, err
      repeat
        ok, err = events:send(("x"):rep(10000))
      until not ok
      result = err
    end)
    local client = ask()
    client:reset()
    assert(await(function()
      return #logged == 1
    end))
    assert(result == nil or result.code == "EPIPE" or result.code == "ECONNRESET", tostring(result))
    assert.same({}, failures)
  end)

  it("has nothing to say to HEAD", function()
    local code
    serve(function(_, response)
      local _, err = response:events():send "x"
      code = err.code
    end)
    local client <close>, head = ask("", "HEAD")
    assert.matches("text/event%-stream", head)
    client:shutdown()
    assert.equal("", client:read "a")
    assert.equal("EPIPE", code)
  end)

  it("leaves what a handler raises a failure", function()
    serve(function(_, response)
      response:events():send "x"
      error("broken", 0)
    end)
    local client <close> = ask()
    assert.equal("9\r\ndata: x\n\n\r\n", client:read "a")
    assert.same({"broken"}, failures)
  end)

  it("is for a request whose body was read", function()
    serve(function(_, response)
      response:events()
    end)
    local client, head = ask("Content-Length: 3\r\n", "POST")
    client:close()
    assert.matches("^HTTP/1.1 500", head)
    assert.matches("body of the request is to be read first", failures[1])
  end)

  it("puts none into what another task writes", function()
    serve(function(_, response)
      local events = assert(response:events())
      task.all {
        function() response:write(("x"):rep(1000000)) end,
        function() events:send "here" end,
      }
    end)
    local client = ask "Connection: close\r\n"
    local rest, found, sizes = client:read "a", {}, 0
    client:close()
    while rest ~= "0\r\n\r\n" do
      local digits, at = rest:match "^(%x+)\r\n()"
      local size = tonumber(digits, 16)
      local chunk = rest:sub(at, at + size - 1)
      assert.equal("\r\n", rest:sub(at + size, at + size + 1))
      rest, sizes = rest:sub(at + size + 2), sizes + size
      found[chunk:find "^x+$" and "x" or chunk] = true
    end
    assert.same({x = true, ["data: here\n\n"] = true}, found)
    assert.equal(1000000 + #"data: here\n\n", sizes)
  end)
end)

-- Clients that are gone: their handlers are cancelled, if http.serve was told so.

local gone = require "neap.http.gone"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local await = require "spec.support.tasks".await

local LOOK = gone.LOOK
local listener, server, failures, logged, left, answers

--- Serve what waits, of "/slow" until `go` is set.
local function serve(endpoint, cancel, go)
  listener = assert(net.listen(endpoint))
  failures, logged, left = {}, {}, 0
  answers = setmetatable({}, {__mode = "k"})
  server = task.spawn(http.serve, listener, function(request, response)
    answers[response] = true
    if request.path ~= "/slow" and request.path ~= "/upgrade" then
      return "quick"
    end
    local _ <close> = setmetatable({}, {__close = function()
      left = left + 1
    end})
    go:wait()
    if request.path == "/upgrade" then
      local stream = assert(response:upgrade {upgrade = "echo"})
      stream:write(stream:read "L")
      return
    end
    return "slow"
  end, {
    cancel = cancel,
    onerror = function(err)
      failures[#failures + 1] = tostring(err)
    end,
    log = function(request)
      logged[#logged + 1] = request.path
    end,
  })
end

local function ask(path, fields)
  local client = assert(net.connect(listener.endpoint))
  client:write("GET ", path, " HTTP/1.1\r\nHost: here\r\n", fields or "", "\r\n")
  return client
end

--- Long enough that each look was had.
local function rest()
  task.sleep(10 * gone.LOOK)
end

describe("a client that is gone", function()
  before_each(function()
    gone.LOOK = 0.005
  end)

  after_each(function()
    gone.LOOK = LOOK
    listener:close()
    server:cancel()
    server:join()
  end)

  for _, endpoint in ipairs {"tcp://127.0.0.1:0", "mem:gone"} do
    it(("by a reset ends its handler (%s)"):format(endpoint:match "^%a+"), function()
      serve(endpoint, "reset", task.event())
      local client = ask "/slow"
      rest()
      assert.equal(0, left)
      client:reset()
      assert(await(function()
        return #logged == 1
      end))
      assert.equal(1, left)
      assert.same({}, failures)
    end)
  end

  it("by its end does so, if that is meant", function()
    serve("tcp://127.0.0.1:0", "end", task.event())
    local client = ask "/slow"
    client:shutdown()
    assert.equal("", client:read "a")
    client:close()
    assert(await(function()
      return #logged == 1
    end))
    assert.same({1, {}}, {left, failures})
  end)

  it("does not by its end, if that is not meant", function()
    local go = task.event()
    serve("tcp://127.0.0.1:0", "reset", go)
    local client <close> = ask "/slow"
    client:shutdown()
    rest()
    go:set()
    assert.matches("slow$", client:read "a")
  end)

  it("is none that asks for more", function()
    local go = task.event()
    serve("tcp://127.0.0.1:0", "end", go)
    local client <close> = ask "/slow"
    rest()
    client:write "GET /quick HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    rest()
    go:set()
    assert.matches("slowHTTP/1.1 200 .*quick$", client:read "a")
    assert.same({"/slow", "/quick"}, logged)
  end)

  it("is looked for no more once its handler has answered, or taken the connection", function()
    local go = task.event()
    serve("tcp://127.0.0.1:0", "end", go)
    local clients = {ask "/slow", ask "/quick", ask("/upgrade", "Connection: upgrade\r\nUpgrade: echo\r\n")}
    rest()
    go:set()
    for i, text in ipairs {"slow", "quick"} do
      assert(clients[i]:readuntil "\r\n\r\n")
      assert.equal(text, clients[i]:readexactly(#text))
      clients[i]:write "GET /quick HTTP/1.1\r\nHost: here\r\n\r\n"
      assert(clients[i]:readuntil "\r\n\r\n")
      assert.equal("quick", clients[i]:readexactly(5))
      clients[i]:close()
    end
    assert(clients[3]:readuntil "\r\n\r\n")
    rest()
    clients[3]:write "echo\n"
    assert.equal("echo", clients[3]:read "l")
    clients[3]:close()
    assert.same({}, failures)
  end)

  it("is not looked for while its body is to be read", function()
    local go = task.event()
    listener = assert(net.listen "mem:gone")
    server = task.spawn(http.serve, listener, function(request)
      go:wait()
      return request:read "a"
    end, {cancel = "end"})
    local client <close> = assert(net.connect "mem:gone")
    client:write "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n"
    rest()
    go:set()
    client:write "12345"
    assert(client:readuntil "\r\n\r\n")
    assert.equal("12345", client:readexactly(5))
  end)

  it("leaves nothing behind of a handler that was cancelled with its server", function()
    serve("mem:gone", "end", task.event())
    local _ <close> = ask("/slow", "Content-Length: 5\r\n") -- its body is not read
    rest()
    assert.is_truthy(next(answers))
    server:cancel()
    server:join()
    rest()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(answers))
  end)

  it("is an option that is checked", function()
    serve("mem:gone", nil, task.event())
    local ok, err = pcall(http.serve, listener, print, {cancel = true})
    assert.is_false(ok)
    assert.matches("option 'cancel': 'reset' or 'end' expected", err)
  end)
end)

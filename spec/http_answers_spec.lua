-- What neap.http's client makes of answers that are late, early, too long, or left half read.

local exchange = require "neap.http.exchange"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"
local await = require "spec.support.tasks".await
local closing = require "spec.support.tasks".closing

local listener, server, client, heads, gone

--- A server that answers the n-th head by what `answer(n, stream)` writes, until that is true; `gone`
--- counts those whose clients have left.
local function raw(answer)
  server = task.spawn(listener.serve, listener, function(stream)
    local _ <close> = closing(function()
      gone = gone + 1
    end)
    local head = stream:readuntil "\r\n\r\n"
    while head do
      heads[#heads + 1] = head
      if answer(#heads, stream) then
        return
      end
      head = stream:readuntil "\r\n\r\n"
    end
  end)
end

local function ok(body)
  return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body)
end

--- The line above that of who calls it.
local function line_above()
  return debug.getinfo(2, "l").currentline - 1
end

describe("http's client", function()
  before_each(function()
    heads, gone = {}, 0
    listener = assert(net.listen "mem:answers")
    client = http.client {endpoint = "mem:answers", timeout = {idle = 20, header = 20}}
  end)

  after_each(function()
    collectgarbage "restart"
    client:close()
    server:cancel()
    server:join()
    listener:close()
  end)

  it("ends a connection whose body is longer than it may be", function()
    raw(function(_, stream)
      stream:write "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
      stream:write(("x"):rep(20000))
    end)
    local response = assert(client:get("http://web/", {limits = {body = 10000}}))
    collectgarbage "stop" -- which would end it, too
    assert.equal("EMSGSIZE", select(2, response:read "a").code)
    assert.equal("EMSGSIZE", select(2, response:read "a").code)
    assert.is_true(await(function()
      return gone == 1
    end))
  end)

  it("ends the connection of a redirect when it is cancelled", function()
    raw(function(_, stream)
      stream:write "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 1000\r\n\r\nabc"
    end)
    collectgarbage "stop"
    local asking = task.spawn(pcall, client.get, client, "http://web/")
    assert.is_true(await(function()
      return #heads == 1
    end))
    for _ = 1, 10 do
      task.yield()
    end
    asking:cancel()
    assert.is_true(await(function()
      return gone == 1
    end))
  end)

  it("has no body behind a change of the protocol", function()
    raw(function(_, stream)
      stream:write "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nmore"
    end)
    local response = assert(client:get("http://web/", {upgrade = "x"}))
    assert.same({"", nil}, {response:read "a"})
    assert.is_nil((response:recv()))
    assert.is_nil((response:read "l"))
    assert.equal("more", response.stream:readexactly(4))
    response.stream:close()
  end)

  it("does not ask again for what the server has begun to do", function()
    for _, begun in ipairs {"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1."} do
      heads = {}
      raw(function(n, stream)
        stream:write(n == 2 and begun or ok "1")
        return n == 2
      end)
      client:get "http://web/":read "a"
      local response = client:request {method = "DELETE", url = "http://web/"}
      assert.is_nil(response)
      assert.equal(2, #heads)
      server:cancel()
      server:join()
    end
  end)

  it("takes no answer that lies there before it has asked", function()
    server = task.spawn(task.yield)
    local ours, theirs = net.socketpair()
    theirs:write(ok "mine")
    local response, err = exchange.ask({stream = ours}, {
      method = "GET", list = {}, target = "/", host = "web", idle = 20, header = 20, url = "http://web/", history = {},
    })
    assert.is_nil(response)
    assert.equal("request: the server answers before it was asked (EBADMSG)", tostring(err))
    ours:close()
    assert.is_nil((theirs:read(1)))
  end)

  it("says whose line it is that reads what another task reads", function()
    raw(function(_, stream)
      stream:write "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    end)
    local response = assert(client:get "http://web/")
    local reader = task.spawn(pcall, response.read, response, "a")
    task.yield()
    for _, read in ipairs {
      function() return response:recv(), line_above() end,
      function() return response:read "a", line_above() end,
      function() return response:readexactly(7), line_above() end,
    } do
      local line = debug.getinfo(read, "S").linedefined
      local good, err = pcall(read)
      assert.is_false(good)
      assert.matches(("http_answers_spec.lua:%d: another task reads this stream"):format(line), err, nil, true)
    end
    reader:cancel()
    response:close()
  end)

  describe("in time", function()
    it("has its head, whatever comes before that", function()
      raw(function(_, stream)
        for _ = 1, 20 do
          task.sleep(0.03)
          stream:write "HTTP/1.1 102 Processing\r\n\r\n"
        end
        stream:write(ok "late")
      end)
      local response, err = client:get("http://web/", {timeout = {header = 0.1}})
      assert.same({nil, "ETIMEDOUT"}, {response, err and err.code})
    end)

    it("has it anew when the server wants the body", function()
      raw(function(_, stream)
        task.sleep(0.6)
        stream:write "HTTP/1.1 100 Continue\r\n\r\n"
        task.sleep(0.6)
        stream:write(ok "there")
      end)
      local response = assert(client:get("http://web/", {timeout = {header = 1}}))
      assert.equal("there", response:read "a")
    end)

    it("gets through a proxy, or does not", function()
      server = task.spawn(task.yield)
      for _, answer in ipairs {"", "HTTP/1.1 200 OK\r\n\r\n"} do
        local proxy <close> = assert(net.listen "tcp://127.0.0.1:0")
        local proxying = task.spawn(proxy.serve, proxy, function(stream)
          stream:readuntil "\r\n\r\n"
          stream:write(answer)
          stream:read "a"
        end)
        local through <close> = http.client {
          proxy = "http://127.0.0.1:" .. proxy.port, timeout = {connect = 0.1, header = 20},
        }
        local began = time.now()
        local response, err = through:get "https://web/"
        assert.is_nil(response)
        assert.equal("request: no connection through the proxy within 0.1 seconds (ETIMEDOUT)", tostring(err))
        assert.is_true(time.now() - began < 10)
        proxying:cancel()
        proxying:join()
      end
    end)
  end)
end)

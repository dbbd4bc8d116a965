-- Clients that take their time, by whom nobody else is held up (P6).

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local CLIENTS = 20

describe("a server of HTTP (P6)", function()
  local listener, server, called, client

  before_each(function()
    called = 0
    listener = assert(net.listen "tcp://127.0.0.1:0")
    server = task.spawn(http.serve, listener, function(request)
      called = called + 1
      assert(request:read "a")
      return request.path == "/large" and ("x"):rep(8 << 20) or "here"
    end, {timeout = {first = 0.4, header = 0.4, body = 0.4, write = 0.4}, onerror = function() end})
    client = http.client {base = "http://" .. tostring(listener.address)}
  end)

  after_each(function()
    client:close()
    server:cancel()
    server:join()
    listener:close()
  end)

  --- So many clients do this at once, beside one who asks in earnest; how long each took, and
  --- how often the other was answered.
  local function beside(slow)
    local over, answered = {}, 0
    task.scope(function(scope)
      local busy = CLIENTS
      for i = 1, CLIENTS do
        scope:spawn(function()
          local stream <close> = assert(net.connect(listener.endpoint))
          local began = time.now()
          slow(stream)
          over[i] = time.now() - began
          busy = busy - 1
        end)
      end
      while busy > 0 do
        assert.equal("here", assert(client:get "/"):read "a")
        answered = answered + 1
        task.sleep(0.001)
      end
    end)
    return over, answered
  end

  --- Each was ended by the server, behind its time, and the other had answers all the while.
  local function ended(over, answered)
    assert.equal(CLIENTS, #over)
    for _, seconds in ipairs(over) do
      assert.is_true(seconds > 0.3)
    end
    assert.is_true(answered > 1, tostring(answered))
  end

  --- A byte now and then, until the server has closed.
  local function dribble(stream, text)
    for i = 1, #text do
      if not stream:write(text:sub(i, i)) or stream:wait("r", 0.02) then
        break
      end
    end
    return stream:read "a"
  end

  it("ends who never gets on with a head", function()
    local late = 0
    ended(beside(function(stream)
      local told = dribble(stream, "GET / HTTP/1.1\r\nHost: a\r\nX-A: " .. ("x"):rep(1000))
      late = late + (told and told:find "^HTTP/1.1 408" and 1 or 0)
    end))
    assert.equal(CLIENTS, late)
  end)

  it("ends who never gets on with a body", function()
    local before = 0
    ended(beside(function(stream)
      stream:write "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
      local told = dribble(stream, ("x"):rep(1000))
      before = before + (told and told:find "^HTTP/1.1 408" and 1 or 0)
    end))
    assert.equal(CLIENTS, before)
  end)

  it("does not end who takes long for much", function()
    local from <close> = assert(net.listen "tcp://127.0.0.1:0")
    local large = task.spawn(http.serve, from, function()
      return ("x"):rep(8 << 20)
    end, {timeout = {write = 1.5}})
    local stream <close> = assert(net.connect(from.endpoint))
    local began, count = time.now(), 0
    stream:write "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for bytes in stream:chunks() do
      count = count + #bytes
      task.sleep(0.035)
    end
    assert.is_true(time.now() - began > 3) -- twice the time of a write
    assert.is_true(count > 8 << 20)
    large:cancel()
    large:join()
  end)

  it("ends who says nothing at all", function()
    ended(beside(function(stream)
      assert.equal("", stream:read "a")
    end))
    assert.is_true(called > 0)
  end)

  it("ends who does not read", function()
    local cut = 0
    ended(beside(function(stream)
      stream:write "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
      stream:readexactly(1)
      for _ = 1, 1000 do -- until it is reset, which shows without reading
        if select(2, stream:write "x") then
          cut = cut + 1
          break
        end
        task.sleep(0.02)
      end
    end))
    assert.equal(CLIENTS, cut)
  end)
end)

--- What holds of the connections of every protocol that the kernel has: rows for
--- the specs of those that are not on every machine.

local assert = require "luassert"
local net = require "neap.net"
local task = require "neap.task"
local transports = require "spec.support.transports"

local connections, pattern = {}, transports.pattern

--- A variable to close that closes these streams.
---@param ... neap.Stream
function connections.closing(...)
  local streams = {...}
  return setmetatable({}, {__close = function()
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end})
end

local closing = connections.closing

--- A connected pair: the client, and what the listener accepted.
---@param endpoint string
---@param options? table  of both
---@return neap.Stream client
---@return neap.Stream server
function connections.pair(endpoint, options)
  local listener <close> = assert(net.listen(endpoint, options))
  local client = assert(net.connect(listener.endpoint, options))
  return client, assert(listener:accept())
end

--- A protocol to test.
---@class spec.Protocol
---@field name string  as `stream.protocol` has it
---@field endpoint string  where to listen, with port 0
---@field options table?  to listen and connect with
---@field at (fun(listener: neap.Listener): string)?  where to connect to
---@field half_close boolean  may one end talk on behind the other's end?
---@field abort string|boolean  does reset tell the peer so? By which code, if not ECONNRESET

--- The code of a reset; nil: it is told as an end.
local function reset_code(protocol)
  return protocol.abort and (protocol.abort == true and "ECONNRESET" or protocol.abort) or nil
end

local function dial(protocol, listener, options)
  local at = protocol.at and protocol.at(listener) or listener.endpoint
  return assert(net.connect(at, options or protocol.options))
end

--- Options besides the protocol's own are given to both ends when they are made.
local function pair(protocol, more)
  local options = {}
  for _, list in ipairs {protocol.options or {}, more or {}} do
    for name, value in pairs(list) do
      options[name] = value
    end
  end
  local listener <close> = assert(net.listen(protocol.endpoint, options))
  local both = task.all { -- each may wait for the other's handshake
    function() return dial(protocol, listener, options) end,
    function() return assert(assert(listener:accept()):handshake()) end,
  }
  return both[1], both[2]
end

local function bytes_both_ways(it, protocol)
  it("carries bytes both ways", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    assert.equal(protocol.name, client.protocol)
    assert.equal(protocol.name, server.protocol)
    assert.equal("stream", client.type)
    client:write("one\ntwo", "\n", 3, " rest")
    assert.equal("one", server:read())
    assert.same({"two", 3}, {server:read("l", "n")})
    server:pack(">I2 s4", 7, "body")
    assert.same({7, "body"}, {client:unpack ">I2 s4"})
    client:write "\0\255 a:b;"
    assert.equal(" rest\0\255 a", server:readuntil ":")
    assert.equal("b;", server:peek(2))
    client:close()
    assert.same({"b;", nil}, {server:read("a", 1)})
    assert.is_nil(server:recv())
  end)
end

local function backpressure(it, protocol)
  it("carries a megabyte both ways at once, and waits for who reads slowly", function()
    local client, server = pair(protocol, {sndbuf = 131072, rcvbuf = 131072})
    local _ <close> = closing(client, server)
    local bytes = pattern(1 << 20)
    local written = false
    task.all {
      function()
        assert(client:write(bytes))
        assert(client:flush())
        written = true
      end,
      function()
        task.sleep(0.02)
        assert.is_false(written)
        local got = assert(server:read(#bytes))
        assert(server:write(got))
        assert(server:flush())
      end,
      function()
        assert.is_true(bytes == client:read(#bytes))
      end,
    }
    assert.is_true(written)
  end)

  it("loses nothing of many small writes and large ones in turn", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    client:set {sndbuf = 16384}
    local sent = {}
    local got
    local function write()
      for i = 1, 200 do
        local piece = ("%d "):format(i):rep(i % 7 == 0 and 9000 or i % 5)
        sent[i] = piece
        assert(client:write(piece, "|", piece))
        if i % 3 == 0 then
          client:flush()
        end
      end
      client:close()
    end
    task.all {write, function() got = assert(server:read "a") end}
    for i, piece in ipairs(sent) do
      sent[i] = piece .. "|" .. piece
    end
    assert.is_true(table.concat(sent) == got)
  end)
end

local function ends(it, protocol)
  it("tells the end behind what was written, by close", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    client:write(pattern(100000))
    client:close()
    assert.equal(100000, #server:read "a")
    assert.is_nil(server:read())
  end)

  it("tells the end by shutdown", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    client:write "question"
    client:shutdown()
    assert.equal("EPIPE", select(2, client:write "more").code)
    assert.equal("question", server:read "a")
    if protocol.half_close then
      assert(server:write "answer")
      server:close()
      assert.equal("answer", client:read "a")
    else
      local ok, err = server:write "answer"
      ok, err = ok and server:flush(), err
      assert.equal("EPIPE", not ok and err and err.code or select(2, server:flush()).code)
      assert.is_nil(client:read())
    end
  end)

  it("gives the answer to who writes on while the other closes", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    local writer = task.spawn(pcall, function()
      for _ = 1, 100 do
        if not client:write(("x"):rep(10000)) then
          break
        end
        task.sleep(0.0005)
      end
    end)
    assert.equal(5, #server:read(5))
    server:write(pattern(20000))
    server:close()
    assert.equal(20000, #client:read(20000))
    writer:join()
  end)

  it("fails a writer when its peer closes, and then gives the reader the end", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    local writer = task.spawn(function()
      while true do
        local ok, err = client:write(("x"):rep(100000))
        if not ok then
          return err.code
        end
      end
    end)
    assert.equal(5, #server:read(5))
    server:close()
    local code = writer:join()
    assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
    local got, err = client:read()
    assert.is_nil(got)
    assert.is_true(err == nil or err.code == "ECONNRESET")
  end)

  it("tells a reset", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    client:write "before"
    client:flush()
    assert.equal("before", server:read(6))
    client:reset()
    local got, err = server:read()
    assert.is_nil(got)
    assert.equal(reset_code(protocol), err and err.code)
  end)

  it("wakes a reader when its stream is closed under it", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    local reader = task.spawn(function()
      return select(2, server:read()).code
    end)
    task.yield()
    server:close()
    assert.equal("ECANCELED", reader:join())
    assert.is_nil((client:read()))
  end)

  it("waits no longer than it is told", function()
    local client, server = pair(protocol)
    local _ <close> = closing(client, server)
    local _, err = client:settimeout(0.01):read()
    assert.equal("ETIMEDOUT", err.code)
    server:write "late\n"
    assert.equal("late", client:settimeout(5):read())
  end)
end

local function serves(it, protocol)
  it("serves many connections side by side", function()
    local listener = assert(net.listen(protocol.endpoint, protocol.options))
    local server = task.spawn(function()
      listener:serve(function(stream)
        for line in stream:lines "L" do
          stream:write(line)
        end
      end)
    end)
    local answered = 0
    task.scope(function(scope)
      for i = 1, 60 do
        scope:spawn(function()
          local stream <close> = dial(protocol, listener)
          for j = 1, 5 do
            stream:write(i, " ", j, "\n")
            assert.equal(i .. " " .. j, stream:read())
            answered = answered + 1
          end
        end)
      end
    end)
    assert.equal(300, answered)
    listener:close()
    server:join()
  end)

  it("gives its connections to who iterates over them", function()
    local listener = assert(net.listen(protocol.endpoint, protocol.options))
    local count = 0
    local acceptor = task.spawn(function()
      for stream in listener:accepts() do
        count = count + 1
        stream:write(count, "\n")
        stream:close()
      end
    end)
    for i = 1, 5 do
      local stream <close> = dial(protocol, listener)
      assert.equal(tostring(i), stream:read())
    end
    listener:close()
    acceptor:join()
  end)
end

local function relays(it, protocol)
  for _, kind in ipairs {"tcp", "mem", "itself"} do
    it("is relayed to " .. kind .. " and back, in bulk", function()
      local bytes = pattern(2 << 20)
      local client, a = pair(protocol)
      local _ <close> = closing(client, a)
      local b, server
      if kind == "tcp" then
        b, server = connections.pair "tcp://127.0.0.1:0"
      elseif kind == "mem" then
        b, server = net.socketpair "mem"
      else
        b, server = pair(protocol)
      end
      local relay = task.spawn(net.relay, a, b)
      task.all {
        function()
          client:write(bytes)
          client:flush()
        end,
        function()
          assert.is_true(bytes == server:read(#bytes))
          server:write(bytes)
          server:flush()
        end,
        function()
          assert.is_true(bytes == client:read(#bytes))
        end,
      }
      server:close()
      assert.is_nil(client:read())
      client:close()
      assert.same({#bytes, #bytes}, {relay:join()})
      b:close()
    end)
  end
end

local function interrupts(it, protocol)
  it("is relayed now and then, and loses nothing", function()
    local bytes = pattern(1 << 20)
    local client, a = pair(protocol)
    local b, server = pair(protocol)
    local _ <close> = closing(client, a, b, server)
    local times, done = 0, 0
    local function read_all(stream)
      local parts = {}
      local size = 0
      while size < #bytes do
        local part = assert(stream:recv())
        parts[#parts + 1] = part
        size = size + #part
        if #parts % 5 == 0 then
          task.sleep(0.0003)
        end
      end
      done = done + 1
      assert.is_true(bytes == table.concat(parts))
    end
    task.all {
      function() assert(client:write(bytes)) end,
      function() assert(server:write(bytes)) end,
      function() read_all(client) end,
      function() read_all(server) end,
      function()
        repeat
          local _, err = task.timeout(0.0005 * (times % 7), net.relay, a, b)
          assert.equal("timeout", err.op)
          times = times + 1
          task.yield()
        until done == 2
      end,
    }
    assert.is_true(times > 1)
  end)

  it("is left by a relay with its reset still to be told", function()
    local client, a = pair(protocol)
    local b, server = net.socketpair()
    local _ <close> = closing(client, a, b, server)
    local relay = task.spawn(net.relay, a, b)
    client:write "words"
    assert.equal("words", server:read(5))
    client:reset()
    if protocol.abort then
      local ok, err = relay:join()
      assert.is_nil(ok)
      assert.equal(reset_code(protocol), err.code)
      assert.equal(reset_code(protocol), select(2, a:recv()).code)
    else
      assert.is_nil(server:read())
      server:close()
      relay:join()
    end
  end)
end

--- The rows, for one protocol.
---@param it function  busted's
---@param protocol spec.Protocol
function connections.rows(it, protocol)
  bytes_both_ways(it, protocol)
  backpressure(it, protocol)
  ends(it, protocol)
  serves(it, protocol)
  relays(it, protocol)
  interrupts(it, protocol)
end

return connections

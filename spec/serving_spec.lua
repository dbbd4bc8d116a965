-- What a server says of its clients, and how many it lets in.

local errors = require "neap.error"
local net = require "neap.net"
local serving = require "neap.net.serving"
local task = require "neap.task"
local time = require "neap.time"
local aside = require "spec.support.aside"
local await = require "spec.support.tasks".await
local child = require "spec.support.child"

describe("Listener:serve", function()
  local listener
  before_each(function()
    listener = assert(net.listen "tcp://127.0.0.1:0")
  end)
  after_each(function()
    listener:close()
  end)

  local function connect()
    return assert(net.connect(listener.endpoint))
  end

  it("gives what a handler raises to onerror, and where it began", function()
    local seen = {}
    local server = task.spawn(listener.serve, listener, function(stream)
      local word = stream:read()
      if word == "error" then
        error(errors.new {code = "EPROTO", message = "not so"})
      elseif word == "nothing" then
        error()
      elseif word == "wait" then
        stream:read()
      elseif word ~= "good" then
        error(word)
      end
    end, {onerror = function(err, stream, traceback)
      seen[#seen + 1] = {err, traceback}
      stream:write "sorry\n"
    end})
    for word, answer in pairs {mistake = "sorry", error = "sorry", good = false, nothing = "sorry"} do
      local client <close> = connect()
      client:write(word, "\n")
      assert.equal(answer or nil, (client:read()))
      if answer then
        local row = table.remove(seen)
        if word == "error" then
          assert.equal("EPROTO", row[1].code)
          assert.is_nil(row[2])
        elseif word == "mistake" then
          assert.matches("serving_spec.lua:%d+: mistake$", row[1])
          assert.matches("^[^\n]*mistake\nstack traceback:\n.*serving_spec.lua", row[2])
        end
      end
    end
    local waiting <close> = connect()
    waiting:write "wait\n"
    task.sleep(0.01)
    server:cancel()
    server:join()
    assert.same({}, seen) -- who is cancelled has not failed
  end)

  it("counts what clients do, and tells it in one line", function()
    local result = child.run [[
      local serving = require "neap.net.serving"
      local listener = assert(net.listen "mem:counted")
      local errors = require "neap.error"
      serving.INTERVAL = 1
      local server = task.spawn(listener.serve, listener, function(stream)
        error(errors.new {code = stream:read(), message = "as asked", endpoint = "there"})
      end)
      local function fail(code, n)
        for _ = 1, n do
          local client <close> = assert(net.connect "mem:counted")
          client:write(code, "\n")
          client:read()
        end
      end
      fail("ECONNRESET", 20)
      fail("EPIPE", 1)
      fail("ENODATA", 3)
      task.sleep(1.2) -- told once
      fail("EPIPE", 2)
      listener:close()
      server:join()
    ]]
    assert.equal("", result.stdout)
    local lines = {}
    for line in result.stderr:gmatch "[^\n]+" do
      lines[#lines + 1] = line:gsub(" %(task.*", "")
    end
    assert.same({
      "neap: there: as asked (ECONNRESET)",
      "neap: there: as asked (EPIPE)",
      "neap: there: as asked (ENODATA)",
      "neap: mem:counted: 21 more connections failed: ECONNRESET 19, ENODATA 2",
      "neap: there: as asked (EPIPE)",
      "neap: mem:counted: 1 more connections failed: EPIPE 1",
    }, lines)
    assert.equal(0, result.code)
  end)

  it("tells each mistake of the script, with its traceback", function()
    local result = child.run [[
      local listener = assert(net.listen "mem:mistaken")
      local server = task.spawn(listener.serve, listener, function() error "broken" end)
      for _ = 1, 3 do
        local client <close> = assert(net.connect "mem:mistaken")
        client:read()
      end
      listener:close()
      server:join()
    ]]
    assert.equal(3, child.count_lines(result.stderr, "broken"))
    assert.equal(3, child.count_lines(result.stderr, "stack traceback"))
  end)

  it("lets in so many of one peer", function()
    local result = child.run [[
      local listener = assert(net.listen "tcp://*:0")
      local port = listener.port
      local server = task.spawn(listener.serve, listener, function(stream)
        stream:write "in\n"
        stream:read()
      end, {per_peer = 2})
      local function connect(from)
        local client = assert(net.connect("tcp://" .. from .. ":" .. port, {localaddr = from}))
        return client, client:read() or "out"
      end
      local a, said_a = connect "127.0.0.1"
      local _, said_b = connect "127.0.0.1"
      local _, said_c = connect "127.0.0.1"
      local _, said_d = connect "127.0.0.2"
      print(said_a, said_b, said_c, said_d)
      a:close()
      task.sleep(0.02)
      print((select(2, connect "127.0.0.1")), (select(2, connect "127.0.0.1")))
      server:cancel()
    ]]
    assert.equal("in\tin\tout\tin\nin\tout\n", result.stdout)
    assert.matches("^neap: tcp://[^\n]+: a connection from 127.0.0.1 is one more than 2, and was closed\n"
      .. "neap: tcp://[^\n]+: 1 more connections failed: per_peer 1\n$", result.stderr)
  end)

  it("counts nobody of a peer that has no address", function()
    local unix = assert(net.listen "unix:@")
    local served = 0
    local server = aside(unix.serve, unix, function(stream)
      served = served + 1
      stream:read()
    end, {per_peer = 1})
    local clients = {}
    for i = 1, 3 do
      clients[i] = assert(net.connect(unix.endpoint))
    end
    assert.is_true(await(function() return served == 3 end))
    for _, client in ipairs(clients) do
      client:close()
    end
    unix:close()
    server:join()
  end)

  it("accepts so many a second, after a burst of one second's", function()
    local times, start = {}, time.now()
    local server = aside(listener.serve, listener, function()
      times[#times + 1] = time.now() - start
    end, {rate = 20})
    for _ = 1, 24 do
      connect():close()
    end
    assert.is_true(await(function() return #times == 24 end))
    assert.is_true(times[24] >= 3 / 20, times[24])
    listener:close()
    server:join()
  end)

  it("lets connections go on for drain seconds when it is cancelled", function()
    local outcome = {}
    local server = task.spawn(listener.serve, listener, function(stream)
      local name = stream:read()
      local ok, err = pcall(stream.read, stream)
      outcome[name] = ok or err.code
    end, {drain = 0.3, max = 10})
    local quick <close> = connect()
    local slow <close> = connect()
    quick:write "quick\n"
    slow:write "slow\n"
    task.sleep(0.02)
    local before = time.now()
    server:cancel()
    task.yield()
    assert.equal("waiting", server.status)
    quick:write "more\n"
    assert.equal("ECANCELED", select(2, server:join()).code)
    assert.same({quick = true, slow = "ECANCELED"}, outcome)
    assert.is_true(time.now() - before >= 0.29)
  end)

  it("drains no longer than it has connections", function()
    local server = task.spawn(listener.serve, listener, function(stream) stream:read() end, {drain = 100})
    local client = connect()
    task.sleep(0.01)
    local before = time.now()
    server:cancel()
    client:close()
    server:join()
    assert.equal("cancelled", server.status)
    assert.is_true(time.now() - before < 50)
  end)

  it("drains at SIGINT, and lets a second one end it", function()
    local script = [[
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      print(listener.endpoint)
      io.stdout:flush()
      listener:serve(function(stream)
        stream:write "hello\n"
        stream:write(stream:read() or "nothing", "\n")
      end, {drain = 100})
    ]]
    local process = require "neap.process"
    local p <close> = assert(process.spawn {child.neap, "-e", script, stdout = "pipe", stderr = "pipe"})
    local client <close> = assert(net.connect(p.stdout:read()))
    assert.equal("hello", client:read())
    p:kill "SIGINT"
    task.sleep(0.05)
    client:write "answer\n"
    assert.equal("answer", client:read())
    p:wait()
    assert.equal("SIGINT", p.signal or select(2, p:wait()))
  end)

  it("raises for options that it does not have, and for wrong values", function()
    for expected, options in pairs {
      ["option 'max': a count of 1 or more expected"] = {max = 0},
      ["option 'per_peer': a count of 1 or more expected"] = {per_peer = 1.5},
      ["option 'rate': a number above 0 expected"] = {rate = 0},
      ["option 'drain': seconds expected"] = {drain = "1"},
      ["option 'onerror': a function expected"] = {onerror = {}},
      ["unknown option 'per_pear'"] = {per_pear = 1},
    } do
      local ok, err = pcall(function()
        listener:serve(print, options)
      end)
      assert.is_false(ok)
      assert.matches("^[^:]*serving_spec.lua:%d+: serve: ", err)
      assert.matches(expected, err, 1, true)
    end
    assert.equal(60, serving.INTERVAL)
  end)
end)

local core = require "neap.net.core"
local host = require "neap.host"
local child = require "spec.support.child"
local net = require "neap.net"
local task = require "neap.task"
local aside = require "spec.support.aside"
local code_of = require "spec.support.code_of"

--- A port of 127.0.0.1 where nobody listens.
local function closed_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.port
end

--- A listener that answers nobody any more: its queue is full, so the kernel
--- drops every further request.
local function hole(endpoint)
  local listener = assert(net.listen(endpoint or "tcp://127.0.0.1:0", {backlog = 0}))
  local waiting = {listener}
  for _ = 1, 10 do
    local stream = net.connect(listener.endpoint, {timeout = 0.02})
    if not stream then
      break
    end
    waiting[#waiting + 1] = stream
  end
  return listener, setmetatable(waiting, {__close = function()
    for _, it in ipairs(waiting) do
      it:close()
    end
  end})
end

--- Seconds that f(...) takes, and its results.
local function descriptors()
  task.sleep(0.001)
  return host.stats().descriptors
end

describe("net.connect", function()
  it("A1: says ECONNREFUSED at once, and the next one may succeed", function()
    local before = descriptors()
    local port = closed_port()
    local endpoint = "tcp://127.0.0.1:" .. port
    local took, waited, stream, err = child.timed(net.connect, endpoint)
    assert.is_true(took - waited < 0.5, took)
    assert.is_nil(stream)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("connect", err.op)
    assert.equal(endpoint, err.endpoint)
    assert.is_nil(err.attempts)
    assert.equal(("connect %s: connection refused (ECONNREFUSED)"):format(endpoint), tostring(err))
    assert.equal(before, descriptors())
    local listener <close> = assert(net.listen(endpoint))
    local again <close> = assert(net.connect(listener.endpoint))
    assert.equal(port, again.remoteaddr.port)
  end)

  it("A1: says ECONNREFUSED a thousand times, and leaves nothing", function()
    local before = descriptors()
    local endpoint = "tcp://127.0.0.1:" .. closed_port()
    for _ = 1, 1000 do
      assert(code_of(net.connect(endpoint)) == "ECONNREFUSED")
    end
    assert.equal(before, descriptors())
  end)

  it("A2: waits no longer than its timeout", function()
    local listener, waiting <close> = hole()
    task.sleep(0.001)
    local before = host.stats()
    for _, seconds in ipairs {0.02, 0.1} do
      local took, waited, stream, err = child.timed(net.connect, listener.endpoint, {timeout = seconds})
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("connect", err.op)
      assert.equal(listener.endpoint, err.endpoint)
      assert.is_true(took >= seconds and took - waited < seconds + 0.1, took)
    end
    assert.is_truthy(waiting)
    task.sleep(1.1) -- the kernel would try again after a second
    assert.same(before, host.stats())
  end)

  it("A2: waits no longer than task.timeout", function()
    local listener, waiting <close> = hole()
    local before = descriptors()
    local took, waited, stream, err = child.timed(task.timeout, 0.02, net.connect, listener.endpoint)
    assert.is_nil(stream)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(took >= 0.02 and took - waited < 0.12, took)
    assert.equal(before, descriptors())
    assert.is_truthy(waiting)
  end)

  it("A3: ends with its task, once", function()
    local listener, waiting <close> = hole()
    local before = descriptors()
    local ended = 0
    local pending = task.spawn(function()
      local guard <close> = setmetatable({}, {__close = function() -- luacheck: ignore 211
        ended = ended + 1
      end})
      net.connect(listener.endpoint)
    end)
    task.sleep(0.002)
    assert.equal("waiting", pending.status)
    pending:cancel()
    local result, err = pending:join()
    assert.is_nil(result)
    assert.equal("ECANCELED", err.code)
    assert.equal(1, ended)
    assert.equal(before, descriptors())
    assert.is_truthy(waiting)
  end)

  it("I8: fails at the earlier of its timeout and the task's", function()
    local listener, waiting <close> = hole()
    local took, waited, _, err = child.timed(task.timeout, 0.02, net.connect, listener.endpoint, {timeout = 5})
    assert.equal("timeout", err.op)
    assert.is_true(took - waited < 1)
    took, waited, _, err = child.timed(task.timeout, 5, net.connect, listener.endpoint, {timeout = 0.02})
    assert.equal("connect", err.op)
    assert.is_true(took - waited < 1)
    assert.is_truthy(waiting)
  end)

  it("comes from the local address that it is given", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local stream <close> = assert(net.connect(listener.endpoint, {localaddr = "127.0.0.2:0"}))
    assert.equal("127.0.0.2", stream.localaddr.ip)
    assert.equal("127.0.0.2", assert(listener:accept()).remoteaddr.ip)
    local function code_from(address)
      return code_of(net.connect(listener.endpoint, {localaddr = address}))
    end
    assert.equal("EADDRNOTAVAIL", code_from "192.0.2.1:0")
    assert.equal("EADDRINUSE", code_from(listener.address))
  end)

  it("UV15: is refused where the only one to answer is itself", function()
    local address = "127.0.0.1:" .. closed_port()
    local stream, err = net.connect("tcp://" .. address, {localaddr = address})
    assert.is_nil(stream)
    assert.equal("ECONNREFUSED", err.code)
  end)

  it("O1: raises for what is wrong, naming it", function()
    for _, case in ipairs {
      {"timeout", {timeout = 0}}, {"timeout", {timeout = -1}}, {"timeout", {timeout = 0 / 0}},
      {"timeout", {timeout = "soon"}}, {"localaddr", {localaddr = 1}}, {"timeuot", {timeuot = 1}},
      {"nodelay", {nodelay = "yes"}}, {"table", 5}, {"table", "x"},
    } do
      for _, endpoint in ipairs {"tcp://127.0.0.1:1", "tcp://localhost:1"} do
        local ok, message = pcall(net.connect, endpoint, case[2])
        assert.is_false(ok)
        assert.matches(case[1], message)
      end
    end
    for _, endpoint in ipairs {
      "", "127.0.0.1:80", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:80.5",
      "tcp://127.0.0.1:65536", "tcp://[::1:80", "nosuch://x:1", "unix:", "mem:",
      "fd:", "fd:x", "fd:-1", "tcp://a\0b:1",
    } do
      local ok, message = pcall(net.connect, endpoint)
      assert.is_false(ok, endpoint)
      assert.is_string(message)
    end
    for _, wrong in ipairs {1, true, {}, print} do
      assert.is_false(pcall(net.connect, wrong))
    end
  end)

  it("I7: takes any timeout above 0", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    for _, seconds in ipairs {1, 1e9, 1e300, math.huge, 2 ^ 63} do
      assert(net.connect(listener.endpoint, {timeout = seconds})):close()
    end
    local port = closed_port()
    assert.is_nil((net.connect("tcp://127.0.0.1:" .. port, {timeout = 1e-300})))
  end)
end)

-- Names whose addresses are chosen here, in the place of the resolver's.
describe("net.connect to a name", function()
  local resolve = core.resolve
  local addresses, lookups

  before_each(function()
    lookups = {}
    core.resolve = function(name, family)
      lookups[#lookups + 1] = {name, family}
      local list = {}
      for i, text in ipairs(addresses) do
        list[i] = net.address(text)
      end
      return list
    end
  end)

  after_each(function()
    core.resolve = resolve
  end)

  it("A16: goes to the second address when the first refuses", function()
    addresses = {"::1", "127.0.0.1"}
    local listener <close> = assert(net.listen "tcp4://127.0.0.1:0")
    local before = descriptors()
    local took, waited, stream = child.timed(net.connect, "tcp://two.test:" .. listener.port)
    assert.equal("127.0.0.1", assert(stream).remoteaddr.ip)
    assert.is_true(took - waited < 0.2, took)
    assert.same({{"two.test"}}, lookups)
    assert.equal("tcp://127.0.0.1:" .. listener.port, tostring(stream):match "%((.*)%)")
    stream:close()
    assert.equal(before, descriptors())
  end)

  it("A16: asks for one family where the endpoint says so", function()
    addresses = {"127.0.0.1"}
    local listener <close> = assert(net.listen "tcp4://127.0.0.1:0")
    assert(net.connect("tcp4://four.test:" .. listener.port)):close()
    net.connect("tcp6://six.test:" .. closed_port())
    assert.same({{"four.test", "inet"}, {"six.test", "inet6"}}, lookups)
  end)

  it("A16: tries the next after 250 ms when the first does not answer", function()
    local silent, waiting <close> = hole()
    local listener <close> = assert(net.listen("tcp://127.0.0.2:" .. silent.port))
    addresses = {"127.0.0.1", "127.0.0.2"}
    local before = descriptors()
    local took, waited, stream = child.timed(net.connect, "tcp://two.test:" .. listener.port)
    assert.equal("127.0.0.2", assert(stream).remoteaddr.ip)
    assert.is_true(took >= 0.25 and took - waited < 0.4, took)
    stream:close()
    assert.equal(before, descriptors())
    assert.is_truthy(waiting)
  end)

  it("A16: takes the first after all, if it answers before the second", function()
    local silent, waiting <close> = hole()
    local second, waiting_too <close> = hole("tcp://127.0.0.2:" .. silent.port)
    addresses = {"127.0.0.1", "127.0.0.2"}
    local server = aside(function()
      task.sleep(0.3)
      while true do
        silent:accept():close()
      end
    end)
    local before = descriptors()
    local stream = net.connect("tcp://two.test:" .. silent.port, {timeout = 8})
    assert.equal("127.0.0.1", assert(stream).remoteaddr.ip)
    stream:close()
    server:cancel()
    assert.is_true(descriptors() <= before)
    assert.is_truthy(waiting, waiting_too, second)
  end)

  it("A16: lists every attempt when all fail", function()
    addresses = {"127.0.0.3", "::1", "127.0.0.4"}
    local port = closed_port()
    local before = descriptors()
    local took, waited, stream, err = child.timed(net.connect, "tcp://three.test:" .. port)
    assert.is_nil(stream)
    assert.is_true(took - waited < 0.2, took)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("connect", err.op)
    assert.equal("tcp://three.test:" .. port, err.endpoint)
    local tried = {}
    for i, attempt in ipairs(err.attempts) do
      tried[i] = attempt.endpoint
      assert.equal("ECONNREFUSED", attempt.code)
      assert.equal("connect", attempt.op)
      assert.matches(attempt.endpoint, err.message, 1, true)
    end
    assert.same({
      "tcp://127.0.0.3:" .. port, "tcp://[::1]:" .. port, "tcp://127.0.0.4:" .. port,
    }, tried)
    assert.equal(before, descriptors())
  end)

  it("A16: takes the families in turns", function()
    addresses = {"::1", "::2", "::3", "127.0.0.3", "127.0.0.4"}
    local port = closed_port()
    local _, err = net.connect("tcp://five.test:" .. port)
    local tried = {}
    for i, attempt in ipairs(err.attempts) do
      tried[i] = attempt.endpoint:match "//(.*):"
    end
    assert.same({"[::1]", "127.0.0.3", "[::2]", "127.0.0.4", "[::3]"}, tried)
  end)

  it("A16: has one timeout for all attempts", function()
    local silent, waiting <close> = hole()
    addresses = {"127.0.0.1", "127.0.0.1", "127.0.0.1"}
    local before = descriptors()
    local endpoint = "tcp://three.test:" .. silent.port
    local took, waited, stream, err = child.timed(net.connect, endpoint, {timeout = 0.3})
    assert.is_nil(stream)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("connect", err.op)
    assert.equal(endpoint, err.endpoint)
    assert.is_true(took >= 0.3 and took - waited < 0.45, took)
    assert.equal(before, descriptors())
    assert.is_truthy(waiting)
  end)

  it("A3: ends with its task, and so do its attempts", function()
    local silent, waiting <close> = hole()
    addresses = {"127.0.0.1", "127.0.0.1"}
    task.sleep(0.001)
    local before = host.stats()
    local pending = task.spawn(net.connect, "tcp://two.test:" .. silent.port)
    task.sleep(0.26)
    assert.is_true(host.stats().tasks >= before.tasks + 3)
    pending:cancel()
    local result, err = pending:join()
    assert.is_nil(result)
    assert.equal("ECANCELED", err.code)
    task.sleep(0.001)
    assert.same(before, host.stats())
    assert.is_truthy(waiting)
  end)

  it("A16: cancelled in the moment of success keeps nothing open", function()
    addresses = {"127.0.0.1", "127.0.0.1"}
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local before = descriptors()
    collectgarbage "stop"
    for turns = 0, 12 do
      local pending = task.spawn(net.connect, "tcp://two.test:" .. listener.port)
      for _ = 1, turns do
        task.yield()
      end
      pending:cancel()
      local stream = pending:join()
      if stream then
        stream:close()
      end
      task.timeout(0.001, function()
        while true do
          listener:accept():close()
        end
      end)
      assert.equal(before, descriptors(), turns)
    end
    collectgarbage "restart"
  end)

  it("passes the resolver's failure on, as its own", function()
    core.resolve = resolve
    local _, err = net.connect "tcp://no-such-host.invalid:80"
    assert.matches("^EAI_", err.code)
    assert.equal("connect", err.op)
    assert.equal("tcp://no-such-host.invalid:80", err.endpoint)
  end)

  it("applies the options to every attempt", function()
    addresses = {"127.0.0.3", "127.0.0.1"}
    local listener <close> = assert(net.listen "tcp4://127.0.0.1:0")
    local stream <close> = assert(net.connect("tcp://two.test:" .. listener.port, {
      nodelay = false, localaddr = "127.0.0.9:0", timeout = 5,
    }))
    assert.is_false(stream:get "nodelay")
    assert.equal("127.0.0.9", stream.localaddr.ip)
  end)
end)

describe("net.listen at a name", function()
  local resolve = core.resolve

  after_each(function()
    core.resolve = resolve
  end)

  it("takes its first address", function()
    core.resolve = function()
      return {net.address "127.0.0.5", net.address "127.0.0.6"}
    end
    local listener <close> = assert(net.listen "tcp://two.test:0")
    assert.equal("127.0.0.5", listener.address.ip)
    assert.equal("tcp://127.0.0.5:" .. listener.port, listener.endpoint)
  end)

  it("passes the resolver's failure on", function()
    local _, err = net.listen "tcp://no-such-host.invalid:0"
    assert.matches("^EAI_", err.code)
    assert.equal("listen", err.op)
  end)
end)

it("with fastopen_connect a client that reads, shuts or closes first is connected", function()
  local out = child.isolated("echo 3 > /proc/sys/net/ipv4/tcp_fastopen", [[
    local net, task = require "neap.net", require "neap.task"
    local listener = assert(net.listen("tcp://127.0.0.1:0", {fastopen = 5}))
    local served = task.spawn(function()
      for stream in listener:accepts() do
        stream:settimeout(5)
        stream:write "hello\n"
        stream:flush()
        stream:write((stream:read "a"))
        stream:close()
      end
    end)
    local function connect(port)
      return assert(net.connect("tcp://127.0.0.1:" .. (port or listener.port), {fastopen_connect = true}))
        :settimeout(5)
    end
    -- The first one gets the cookie, and the others defer their SYN.
    for i = 1, 3 do
      local a = connect()
      print(a:read "l")
      assert(a:write("bye " .. i))
      assert(a:shutdown())
      print(a:read "a")
      a:close()
    end
    local b = connect()
    assert(b:shutdown())
    print(b:read "a")
    b:close()
    local c = connect()
    assert(c:write "first")
    assert(c:shutdown())
    print(c:read "a")
    c:close()
    local d = connect()
    task.sleep(0.05)
    assert(d:write "late")
    assert(d:shutdown())
    print(d:read "a")
    d:close()
    local port = listener.port
    listener:close()
    served:join()
    print(select(2, connect(port):read "l").code)
  ]])
  assert.equal("hello\nbye 1\nhello\nbye 2\nhello\nbye 3\nhello\n\nhello\nfirst\nhello\nlate\nECONNREFUSED\n", out)
end)

-- stream:detach(): the descriptor goes to somebody else, and what was read with it.

local host = require "neap.host"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local connections = require "spec.support.connections"

local closing = connections.closing
local has_luasocket, luasocket = pcall(require, "socket")

--- A stream of what was detached, to go on with and to close.
local function again(fd)
  return assert(net.connect("fd:" .. fd))
end

local makers = {
  tcp = function()
    return connections.pair "tcp://127.0.0.1:0"
  end,
  unix = function()
    return net.socketpair()
  end,
}

for name, pair in pairs(makers) do
  describe("detach of " .. name, function()
    it("gives the descriptor, and what was not taken", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local number = a.fd
      assert(b:write("one\n", "two\n", "rest"))
      assert.equal("one", a:read())
      local fd, unread = a:detach()
      assert.equal(number, fd)
      assert.equal("two\nrest", unread)
      assert.matches("closed", tostring(a))
      for _, method in ipairs {"read", "recv", "write", "flush", "shutdown", "detach"} do
        assert.equal("EBADF", code_of(a[method](a)), method)
      end
      assert.is_true(a:close())
      local c <close> = again(fd)
      assert(b:write "more\n")
      assert.equal("more", c:read())
      assert(c:write "answer\n")
      assert.equal("answer", b:read())
    end)

    it("gives an empty string where nothing is unread", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local fd, unread = a:detach()
      assert.equal("", unread)
      local c <close> = again(fd)
      b:close()
      assert.equal("", c:read "a")
    end)

    it("waits until all has left", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local size = 8 * 1024 * 1024
      local got
      local reader = task.spawn(function()
        task.sleep(0.01)
        got = b:read "a"
      end)
      a:write "small "
      local writer = task.spawn(a.write, a, ("x"):rep(size))
      task.yield()
      local fd, unread = a:detach()
      assert.equal("", unread)
      local c = again(fd)
      c:close()
      reader:join()
      writer:join()
      assert.equal("small ", got:sub(1, 6))
      assert.equal(size + 6, #got)
    end)

    it("stays open when its time is up, or it is cancelled", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local size = 8 * 1024 * 1024
      local writer = task.spawn(a.write, a, ("x"):rep(size))
      task.yield()
      a:settimeout(0.01)
      assert.equal("ETIMEDOUT", code_of(a:detach()))
      a:settimeout(nil)
      assert.equal("ETIMEDOUT", code_of(task.timeout(0.01, a.detach, a)))
      assert.equal(size, #b:read(size))
      writer:join()
      assert(a:write "end")
      assert.equal("end", b:read(3))
    end)

    it("ends what others wait for in it", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      local reader = task.spawn(a.read, a)
      task.yield()
      local c <close> = again(a:detach())
      assert.equal("ECANCELED", code_of(reader:join()))
      assert.is_truthy(c)
    end)

    it("is told why a write has failed", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      b:reset()
      local code
      for _ = 1, 100 do
        a:write "x"
        a:flush()
        code = code_of(a:detach())
        if code then
          break
        end
        task.sleep(0.01)
      end
      assert(code == "EPIPE" or code == "ECONNRESET", code)
    end)

    it("gives what has ended, too", function()
      local a, b = pair()
      local _ <close> = closing(a, b)
      b:write "last"
      b:close()
      assert.equal("last", a:peek(4))
      task.sleep(0.01)
      local fd, unread = a:detach()
      assert.equal("last", unread)
      local c <close> = again(fd)
      assert.equal("", c:read "a")
    end)
  end)
end

it("detach gives pipes", function()
  local cat <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
  assert(cat.stdin:write "through\nand on")
  local input = assert(cat.stdin:detach())
  assert.equal("through", cat.stdout:read())
  local output, unread = cat.stdout:detach()
  local stdin <close> = again(input)
  local stdout <close> = again(output)
  stdin:close()
  assert.equal("and on", unread .. stdout:read "a")
  cat:wait()
end)

it("detach closes the descriptors that nobody took", function()
  local a, b = net.socketpair()
  local _ <close> = closing(a, b)
  a:recvfd(0)
  local before = host.stats().descriptors
  assert(b:sendfd("x", {b}))
  b:flush()
  assert.equal("x", a:peek(1))
  local fd = assert(a:detach())
  assert.equal(before, host.stats().descriptors)
  again(fd):close()
end)

describe("detach is refused", function()
  it("where there is no descriptor", function()
    local a, b = net.socketpair "mem"
    local _ <close> = closing(a, b)
    assert.equal("EOPNOTSUPP", code_of(a:detach()))
    assert(a:write "on")
    assert.equal("on", b:read(2))
    a:close()
    assert.equal("EBADF", code_of(a:detach()))
  end)

  it("of a file", function()
    local file <close> = assert(io.tmpfile())
    local script = [[print(select(2, require "neap.stdio".stdin:detach()).code)]]
    local result = assert(process.run {child.neap, "-e", script, stdin = file})
    assert.equal("EOPNOTSUPP\n", result.stdout, result.stderr)
  end)

  it("of a stream that is relayed", function()
    local a, b = net.socketpair()
    local c, d = net.socketpair()
    local _ <close> = closing(a, b, c, d)
    local relay = task.spawn(pcall, net.relay, b, c)
    task.yield()
    local ok, message = pcall(b.detach, b)
    assert.is_false(ok)
    assert.matches("being relayed", message)
    relay:cancel()
    relay:join()
  end)

  it("for another object", function()
    local a, b = net.socketpair()
    local _ <close> = closing(a, b)
    assert.is_false((pcall(a.detach, {})))
  end)
end)

it("a C library goes on with what was detached", function()
  if not has_luasocket then
    pending "lua-socket is not installed"
  end
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local theirs = assert(luasocket.connect("127.0.0.1", listener.port))
  local own = again(math.tointeger(theirs:getfd()))
  local a, b = connections.pair "tcp://127.0.0.1:0"
  local _ <close> = closing(own, b)
  assert(b:write "first\nsec")
  assert.equal("first", a:read())
  local fd, unread = a:detach()
  theirs:setfd(fd)
  theirs:settimeout(0)
  assert(b:write "ond\n")
  assert.equal("r", net.wait(fd))
  assert.equal("second", theirs:receive("*l", unread))
  assert.equal(7, theirs:send "answer\n")
  assert.equal("answer", b:read())
  theirs:close()
  assert.equal("", b:read "a")
end)

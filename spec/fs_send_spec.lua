-- Files that are sent over streams: by the kernel where it can, else copied.

local fs = require "neap.fs"
local host = require "neap.host"
local net = require "neap.net"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"
local transports = require "spec.support.transports"

local SIZE = child.sanitized and 700000 or 8000000

--- Bytes of which no part looks like another.
local function bytes(n)
  local parts = {}
  for i = 1, n // 8 do
    parts[i] = ("%08x"):format(i)
  end
  return table.concat(parts) .. ("x"):rep(n % 8)
end

local text = bytes(SIZE)

for _, kind in ipairs {"tcp", "unix", "mem", "tls:tcp"} do
  describe(("sendfile (%s)"):format(kind), function()
    local a, b, file

    before_each(function()
      folder.make()
      a, b = transports.pair(kind)
      file = assert(fs.open(folder.write("f", text)))
    end)

    after_each(function()
      a:reset()
      b:reset()
      file:close()
      folder.remove()
    end)

    --- What b gets of what f writes.
    local function got(f)
      local all
      task.all {
        function()
          all = assert(b:read "a")
        end,
        function()
          f()
          a:shutdown()
        end,
      }
      return all
    end

    it("sends all of it, between what is written before and behind", function()
      local all = got(function()
        a:write "before "
        assert.equal(SIZE, a:sendfile(file))
        a:write " behind"
      end)
      assert.is_true(all == "before " .. text .. " behind")
      assert.equal(0, file:seek())
    end)

    it("sends parts, and at the end what there is", function()
      local all = got(function()
        assert.equal(10, a:sendfile(file, 5, 10))
        assert.equal(300000, a:sendfile(file, SIZE - 400000, 300000))
        assert.equal(100, a:sendfile(file, SIZE - 100, 1000))
        assert.equal(0, a:sendfile(file, SIZE))
        assert.equal(0, a:sendfile(file, SIZE * 2))
        assert.equal(0, a:sendfile(file, 0, 0))
      end)
      assert.is_true(all == text:sub(6, 15) .. text:sub(SIZE - 399999, SIZE - 100000) .. text:sub(-100))
    end)

    it("waits for a slow peer, and gives up in time", function()
      local total = 0
      repeat
        local sent, err = task.timeout(0.05, a.sendfile, a, file)
        total = total + (sent or 0)
      until not sent and err.code == "ETIMEDOUT"
      assert.is_true(total < 100 * SIZE)
    end)

    it("ends where the peer does", function()
      local err
      task.all {
        function()
          b:read(100000)
          b:reset()
        end,
        function()
          repeat
            local sent
            sent, err = a:sendfile(file)
          until not sent
        end,
      }
      assert(err.code == "EPIPE" or err.code == "ECONNRESET" or err.code == "ETLSCUT", tostring(err))
      assert(math.type(err.accepted) == "integer")
    end)

    it("tells of a file that is cut meanwhile", function()
      a:reset()
      b:reset()
      a, b = transports.narrow_pair(kind)
      local sent, err
      task.all {
        function()
          assert(b:readexactly(128 * 1024)) -- by then its size was looked at
          assert(fs.write(folder.path .. "/f", text:sub(1, SIZE // 2), {atomic = false, sync = false}))
          while b:recv() do end
        end,
        function()
          sent, err = a:sendfile(file)
          a:shutdown()
        end,
      }
      assert.is_nil(sent)
      assert.equal("ENODATA", err.code)
      assert(err.accepted < SIZE)
      assert.matches(("^the file was cut, to %d bytes of %d$"):format(err.accepted, SIZE), err.message)
    end)

    it("ends where its stream is closed", function()
      task.scope(function(scope)
        scope:spawn(function()
          task.sleep(0.02)
          a:close()
          b:reset()
        end)
        repeat
          local sent, err = a:sendfile(file)
          assert(sent or err.code == "EBADF" or err.code == "ECANCELED" or err.code == "EPIPE", tostring(err))
        until not sent
      end)
      assert.equal("EBADF", code_of(a:sendfile(file)))
    end)
  end)
end

describe("sendfile", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("asks the kernel, but for a small file, and while a trace looks", function()
    local path = folder.write("f", text)
    local small = folder.write("small", "few")
    local function calls(setup, from)
      return child.strace({"-f", "-e", "trace=sendfile"}, ([[
        local fs, net, task, trace = require "neap.fs", require "neap.net", require "neap.task", require "neap.trace"
        %s
        local a, b = net.socketpair()
        task.spawn(function() b:read "a" end)
        a:sendfile(fs.open(%q))
        a:close()
      ]]):format(setup, from)).calls
    end
    assert(#calls("", path) > 0)
    assert.same({}, calls("", small))
    assert.same({}, calls("local tracer = trace.events()", path))
  end)

  it("leaves a reset to be read, too", function()
    local a, b = transports.pair "tcp"
    local file <close> = assert(fs.open(folder.write("f", text)))
    local err
    task.all {
      function()
        b:recv(1000)
        b:reset()
      end,
      function()
        repeat
          local sent
          sent, err = a:sendfile(file)
        until not sent
      end,
    }
    assert.equal("ECONNRESET", err.code)
    assert.equal("ECONNRESET", code_of(a:read "a"))
    a:close()
  end)

  it("leaves no copy of a descriptor behind where it gave up before its turn", function()
    local file <close> = assert(fs.open(folder.write("f", text)))
    local pairs_of = {}
    for i = 1, 64 do
      pairs_of[i] = {net.socketpair()}
    end
    local before = #fs.list "/proc/self/fd"
    collectgarbage "stop"
    task.scope(function(scope)
      for _, both in ipairs(pairs_of) do
        scope:spawn(both[1].sendfile, both[1], file)
      end
      task.yield()
      scope:cancel()
    end)
    local now
    for _ = 1, 200 do
      now = #fs.list "/proc/self/fd"
      if now == before then
        break
      end
      task.sleep(0.02)
    end
    collectgarbage "restart"
    for _, both in ipairs(pairs_of) do
      both[1]:reset()
      both[2]:reset()
    end
    assert.equal(before, now)
  end)

  it("counts what it sent", function()
    local path = folder.write("f", text)
    local a, b = net.socketpair()
    local file <close> = assert(fs.open(path))
    task.all {
      function() assert.equal(SIZE, #b:read "a") end,
      function()
        assert.equal(SIZE, a:sendfile(file))
        local sent
        repeat -- what the socket had no room for goes out behind the call
          task.yield()
          for _, socket in ipairs(host.sockets()) do
            sent = socket.fd == a.fd and socket.sent or sent
          end
        until sent >= SIZE
        assert.equal(SIZE, sent)
        a:close()
      end,
    }
    b:close()
  end)

  it("is of a file", function()
    local a, b = net.socketpair()
    for _, what in ipairs {a, "path", 5} do
      local ok, err = pcall(a.sendfile, a, what)
      assert.is_false(ok)
      assert(err:find("bad argument #1 to 'sendfile' (an open file expected)", 1, true), err)
    end
    local file = assert(fs.open(folder.write("f", "x")))
    for i, arguments in ipairs {{-1}, {0, "5"}} do
      local ok, err = pcall(a.sendfile, a, file, table.unpack(arguments))
      assert.is_false(ok)
      assert(err:find(("bad argument #%d to 'sendfile' (a number of bytes expected)"):format(i + 1), 1, true), err)
    end
    file:close()
    assert.is_false(pcall(a.sendfile, a, file))
    a:close()
    b:close()
  end)
end)

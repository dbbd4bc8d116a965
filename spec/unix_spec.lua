-- Unix sockets: names, permissions, full queues.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local code = require "spec.support.child".code
local missing = require "spec.support.child".missing
local neap = require "spec.support.child".neap
local run_as_nobody = require "spec.support.child".run_as_nobody
local timed = require "spec.support.child".timed
local code_of = require "spec.support.failed"
local folder = require "spec.support.folder"
local unix = require "spec.support.unix"

local assert_meet, child = unix.assert_meet, unix.child
local connected, exists, is_root, sh = unix.connected, unix.exists, unix.is_root, unix.sh
local write_file = unix.write_file

--- The lines of /proc/net/unix that end in a name.
local function kernel_names()
  local names = {}
  for line in io.lines "/proc/net/unix" do
    local name = line:match "^%S+ %S+ %S+ %S+ %S+ %S+ +%d+ (.+)$"
    if name then
      names[name] = true
    end
  end
  return names
end

describe("a unix socket", function()
  before_each(folder.make)
  after_each(folder.remove)

  describe("at a path", function()
    it("of 107 bytes is there, and nowhere else (F1)", function()
      local path = folder.path .. "/" .. ("p"):rep(107 - #folder.path - 1)
      assert.equal(107, #path)
      do
        local listener <close> = assert(net.listen("unix:" .. path))
        assert.equal(path, listener.address.path)
        assert.equal("unix:" .. path, listener.endpoint)
        assert.is_true(exists(path))
        assert_meet(listener)
        assert.equal("ENOENT", code_of(net.connect("unix:" .. path:sub(1, 106))))
      end
      assert.is_false(exists(path))
    end)

    for _, length in ipairs {108, 200, 5000} do
      it(("of %d bytes is refused, not cut short (F1)"):format(length), function()
        local path = folder.path .. "/" .. ("p"):rep(length - #folder.path - 1)
        for _, open in ipairs {net.listen, net.connect} do
          local none, err = open("unix:" .. path)
          assert.equal("ENAMETOOLONG", code_of(none, err))
        end
        assert.equal("", sh('ls -A "$1"', folder.path))
      end)
    end

    it("that is empty or has a zero in it is a mistake (F1)", function()
      for text, why in pairs {
        ["unix:"] = "the path is empty",
        ["unix:" .. folder.path .. "/a\0b"] = "zero byte",
        ["unix:\0" .. folder.path] = "zero byte",
      } do
        for _, open in ipairs {net.listen, net.connect} do
          assert.error_matches(function()
            open(text)
          end, why)
        end
      end
      assert.equal("", sh('ls -A "$1"', folder.path))
    end)

    it("may be relative, and hold any byte but zero", function()
      local name = "r\xff \n:%" .. process.pid
      local listener = assert(net.listen("unix:./../../../../../../../.." .. folder.path .. "/" .. name))
      assert.is_true(exists(folder.path .. "/" .. name))
      assert_meet(listener, "unix:" .. folder.path .. "/" .. name)
      listener:close()
      assert.is_false(exists(folder.path .. "/" .. name))
    end)

    it("has the path as its address at all ends but the client's own", function()
      local path = folder.path .. "/ends"
      local listener <close> = assert(net.listen("unix:" .. path))
      local a, b = connected(listener)
      assert.equal(path, tostring(a.remoteaddr))
      assert.equal(path, tostring(b.localaddr))
      assert.equal("unnamed", tostring(b.remoteaddr))
      assert.equal("unix", a.family)
      assert.equal("unix", b.protocol)
      assert.is_nil(listener.port)
      a:close()
      b:close()
    end)

    it("is not made where there is no folder, or no permission", function()
      assert.equal("ENOENT", code_of(net.listen("unix:" .. folder.path .. "/none/x")))
      write_file(folder.path .. "/plain", "")
      assert.equal("ENOTDIR", code_of(net.listen("unix:" .. folder.path .. "/plain/x")))
      assert.equal("EADDRINUSE", code_of(net.listen("unix:" .. folder.path)))
    end)
  end)

  describe("with an abstract name", function()
    local name = "@neap" .. process.pid

    it("is distinct from those that begin or end otherwise (F6)", function()
      local names = {
        name .. "1", name .. "2", name, name .. "\0", name .. "\0\0", name .. "\0x",
        name .. "1 ", "@\0" .. name, "@\0\0" .. name,
      }
      local listeners = {}
      for i, each in ipairs(names) do
        listeners[i] = assert(net.listen("unix:" .. each))
      end
      for i, listener in ipairs(listeners) do
        local a = assert(net.connect("unix:" .. names[i]))
        a:write(i, "\n")
        local b = assert(listener:accept())
        assert.equal(tostring(i), b:read())
        assert.equal(a.remoteaddr, b.localaddr)
        assert.equal(listener.address, a.remoteaddr)
        a:close()
        b:close()
      end
      for _, listener in ipairs(listeners) do
        assert.equal("EADDRINUSE", code_of(net.listen(listener.endpoint)))
        listener:close()
      end
    end)

    it("has exactly the length that was given (F6)", function()
      local listener <close> = assert(net.listen("unix:" .. name))
      local inner <close> = assert(net.listen("unix:" .. name .. "a\0b"))
      local names = kernel_names()
      assert.is_true(names[name])
      assert.is_true(names[name .. "a@b"]) -- how the kernel prints the zero
      assert.is_nil(names[name .. "@"])
      assert.equal(name .. "a\\x00b", inner.address.path)
      assert.equal("unix:" .. name .. "a\\x00b", inner.endpoint)
      assert_meet(inner)
      assert_meet(listener)
    end)

    it("may have any bytes, up to 107 (F6, F1)", function()
      local full = name .. ("\xff"):rep(108 - #name)
      local listener <close> = assert(net.listen("unix:" .. full))
      assert_meet(listener)
      assert_meet(listener, "unix:" .. full)
      assert.equal("ENAMETOOLONG", code_of(net.listen("unix:" .. full .. "x")))
      assert.equal("ENAMETOOLONG", code_of(net.connect("unix:" .. full .. "x")))
      assert.equal("ECONNREFUSED", code_of(net.connect("unix:" .. full:sub(1, -2))))
    end)

    it("is free again as soon as its listener is closed, and makes no file (F6)", function()
      for _ = 1, 10 do
        local listener = assert(net.listen("unix:" .. name, {mode = 511, unlink_stale = true}))
        listener:close()
        assert.equal("ECONNREFUSED", code_of(net.connect("unix:" .. name)))
      end
    end)

    it("is chosen by the kernel where none is given (F6)", function()
      local seen = {}
      local listeners = {}
      for i = 1, 20 do
        local listener = assert(net.listen "unix:@")
        assert.matches("^@%x%x%x%x%x$", listener.address.path)
        assert.is_nil(seen[listener.endpoint])
        seen[listener.endpoint] = true
        assert.is_true(kernel_names()[listener.address.path])
        listeners[i] = listener
      end
      for _, listener in ipairs(listeners) do
        assert_meet(listener)
        listener:close()
      end
    end)

    it("must be given to connect (F6)", function()
      local stream, err = net.connect "unix:@"
      assert.is_nil(stream)
      assert.is_truthy(err.code == "EINVAL" or err.code == "ECONNREFUSED", tostring(err))
    end)
  end)

  describe("that is connected to", function()
    local path, endpoint

    before_each(function()
      path = folder.path .. "/to"
      endpoint = "unix:" .. path
    end)

    --- What nobody gets from connecting.
    local function as_nobody(where)
      local result = run_as_nobody {
        "-e", code([[
          local stream, err = net.connect(...)
          io.write(stream and stream:read "a" or err.code)
        ]], where),
      }
      assert.equal("", result.stderr)
      return result.stdout
    end

    it("may be missing (F7)", function()
      local stream, err = net.connect(endpoint)
      assert.is_nil(stream)
      assert.equal("ENOENT", err.code)
      assert.equal("connect", err.op)
      assert.equal(endpoint, err.endpoint)
      assert.equal("ENOENT", code_of(net.connect(endpoint .. "/further")))
      sh('ln -s "$2" "$1"', path, missing())
      assert.equal("ENOENT", code_of(net.connect(endpoint)))
    end)

    it("may be no socket (F7)", function()
      write_file(path, "")
      assert.equal("ECONNREFUSED", code_of(net.connect(endpoint)))
      assert.equal("ENOTDIR", code_of(net.connect(endpoint .. "/further")))
      assert.equal("ECONNREFUSED", code_of(net.connect("unix:" .. folder.path)))
    end)

    it("may be reached through a link", function()
      local listener <close> = assert(net.listen(endpoint))
      sh('ln -s "$1" "$1.link"', path)
      assert_meet(listener, endpoint .. ".link")
    end)

    it("may not be permitted (F7)", function()
      if not is_root then
        pending "only root can become another user"
      end
      local listener = assert(net.listen(endpoint, {mode = tonumber("600", 8)}))
      assert.equal("EACCES", as_nobody(endpoint))
      assert.equal("ENOENT", as_nobody(endpoint .. "x"))
      sh('mkdir -m 700 "$1"', path .. ".d")
      local hidden <close> = assert(net.listen(endpoint .. ".d/x", {mode = 511}))
      assert.equal("EACCES", as_nobody(hidden.endpoint))
      assert.equal("EACCES", as_nobody(endpoint .. ".d/none"))
      listener:close()
    end)

    it("knows who connects (F11, F7)", function()
      if not is_root then
        pending "only root can become another user"
      end
      local listener <close> = assert(net.listen(endpoint, {mode = tonumber("666", 8)}))
      local server = task.spawn(function()
        local stream <close> = assert(listener:accept())
        local who = stream.peercred
        stream:write(who.uid, " ", who.gid, " ", tostring(who.pid ~= process.pid))
      end)
      assert.equal("65534 65534 true", as_nobody(endpoint))
      server:join()
    end)

    it("knows who serves: pid, uid and gid (F11)", function()
      local p <close> = child(([[
        local listener = assert(net.listen(%q))
        print "ready"
        io.stdout:flush()
        listener:accept():recv()
      ]]):format(endpoint))
      local stream <close> = assert(net.connect(endpoint))
      local function number(flag)
        return tonumber((sh("id " .. flag)))
      end
      assert.same({pid = p.pid, uid = number "-u", gid = number "-g"}, stream.peercred)
    end)

    it("knows both ends of a pair (F11)", function()
      local a, b = net.socketpair()
      assert.equal(process.pid, a.peercred.pid)
      assert.same(a.peercred, b.peercred)
      a:close()
      assert.is_nil(a.peercred)
      b:close()
    end)

    it("knows a peer of another pid namespace by uid and gid (F11)", function()
      local allowed = process.run {"unshare", "--pid", "--fork", "true"}
      if not allowed or allowed.code ~= 0 then
        pending "no pid namespaces here (unshare --pid)"
      end
      for scheme, listener in pairs {
        unix = assert(net.listen(endpoint)),
        seqpacket = assert(net.listen("seqpacket:" .. path .. ".messages")),
      } do
        local result = assert(process.run {
          "unshare", "--pid", "--fork", neap, "-e", code([[
            local who = assert(net.connect(...)).peercred
            io.write(who.pid, " ", who.uid, " ", who.gid)
          ]], listener.endpoint),
        })
        assert.equal("0 " .. sh "id -u" .. " " .. sh "id -g", result.stdout, scheme)
        listener:close()
      end
    end)

    it("knows the ends of a pair of message sockets, and that others have no peer (F11)", function()
      for _, kind in ipairs {"unixgram", "seqpacket"} do
        local a, b = net.socketpair(kind)
        assert.equal(process.pid, a.peercred.pid)
        a:close()
        b:close()
      end
      local bound <close> = assert(net.bind("unixgram:" .. path .. ".bound"))
      local other <close> = assert(net.connect(bound.endpoint))
      assert.is_nil(bound.peercred)
      assert.is_nil(other.peercred)
    end)

    it("is the only one that knows (F11)", function()
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      for _, stream in ipairs {connected(listener)} do
        assert.is_nil(stream.peercred)
        stream:close()
      end
      for _, stream in ipairs {net.socketpair "mem"} do
        assert.is_nil(stream.peercred)
        stream:close()
      end
    end)
  end)

  describe("with a full queue", function()
    local listener, waiting

    before_each(function()
      listener = assert(net.listen("unix:@", {backlog = 0}))
      waiting = assert(net.connect(listener.endpoint))
    end)

    after_each(function()
      listener:close()
      waiting:close()
    end)

    it("lets connect wait until the deadline (F9)", function()
      local took, waited, stream, err = timed(net.connect, listener.endpoint, {timeout = 0.2})
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal(listener.endpoint, err.endpoint)
      assert.is_true(took >= 0.2 and took - waited < 0.4, took)
    end)

    it("lets connect wait until there is room (F9)", function()
      local connecting = task.spawn(function()
        return net.connect(listener.endpoint, {timeout = 5})
      end)
      task.sleep(0.1)
      assert(listener:accept()):close()
      local accepted <close> = assert(listener:accept())
      local stream <close> = assert(connecting:join())
      stream:write "in\n"
      assert.equal("in", accepted:read())
    end)

    it("lets connect be cancelled, and leaves nothing in it (F9)", function()
      local connecting = task.spawn(pcall, net.connect, listener.endpoint)
      task.sleep(0.03)
      connecting:cancel()
      connecting:join()
      assert(listener:accept()):close()
      assert.is_nil((task.timeout(0.15, listener.accept, listener)))
    end)

    it("refuses who waits when it is closed (F9)", function()
      local connecting = task.spawn(net.connect, listener.endpoint)
      task.sleep(0.03)
      listener:close()
      local stream, err = connecting:join()
      assert.is_nil(stream)
      assert.equal("ECONNREFUSED", err.code)
    end)

    it("serves all who wait, while the rest of the program goes on (F9)", function()
      local n, done, ticks = 20, 0, 0
      task.scope(function(scope)
        for i = 1, n do
          scope:spawn(function()
            local stream <close> = assert(net.connect(listener.endpoint, {timeout = 8}))
            stream:write(i, "\n")
            assert.equal(tostring(i), stream:read())
            done = done + 1
          end)
        end
        scope:spawn(function()
          while done < n do
            task.sleep(0.01)
            ticks = ticks + 1
          end
        end)
        assert(listener:accept()):close()
        for _ = 1, n do
          task.sleep(0.002)
          local stream = assert(listener:accept())
          scope:spawn(function()
            local mine <close> = stream
            mine:write(mine:read "L")
          end)
        end
      end)
      assert.equal(n, done)
      assert.is_true(ticks > 5, ticks)
    end)
  end)
end)

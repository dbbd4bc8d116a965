-- Unix sockets: names, files, permissions, full queues, and inherited ones.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local worker = require "neap.worker"

local code = require "spec.support.child".code
local missing = require "spec.support.child".missing
local run_as_nobody = require "spec.support.child".run_as_nobody

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"

local function sh(line, ...)
  local result = assert(process.run {"sh", "-c", line, "sh", ...})
  return (result.stdout:gsub("\n$", "")), result.code
end

local is_root = sh "id -u" == "0"

local function exists(path)
  return select(2, sh('[ -e "$1" ] || [ -L "$1" ]', path)) == 0
end

local function mode_of(path)
  return sh('stat -c %a "$1"', path)
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- A child that runs Lua, once it has told that it is ready.
local function child(script, options)
  options = options or {}
  options[1], options[2], options[3] = neap, "-e", script
  options.stdin, options.stdout = options.stdin or "pipe", "pipe"
  local p = assert(process.spawn(options))
  assert.equal("ready", p.stdout:read "l")
  return p
end

local function kill(p)
  p:kill "SIGKILL"
  p:wait()
  p:close()
end

--- A connection through a listener.
local function connected(listener, endpoint)
  local a = assert(net.connect(endpoint or listener.endpoint))
  return a, assert(listener:accept())
end

--- Do the two ends meet?
local function assert_meet(listener, endpoint)
  local a, b = connected(listener, endpoint)
  a:write "hello\n"
  assert.equal("hello", b:read())
  b:write "you\n"
  assert.equal("you", a:read())
  a:close()
  b:close()
end

local function code_of(ok, err)
  assert.is_nil(ok)
  return err.code
end

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

local folder

describe("a unix socket", function()
  setup(function()
    folder = sh "mktemp -d /tmp/neapXXXXXX"
    assert(os.execute("chmod 755 " .. folder))
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  describe("at a path", function()
    it("of 107 bytes is there, and nowhere else (F1)", function()
      local path = folder .. "/" .. ("p"):rep(107 - #folder - 1)
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
        local path = folder .. "/" .. ("p"):rep(length - #folder - 1)
        for _, open in ipairs {net.listen, net.connect} do
          local none, err = open("unix:" .. path)
          assert.equal("ENAMETOOLONG", code_of(none, err))
        end
        assert.equal("", sh('ls -A "$1"', folder))
      end)
    end

    it("that is empty or has a zero in it is a mistake (F1)", function()
      for text, why in pairs {
        ["unix:"] = "the path is empty",
        ["unix:" .. folder .. "/a\0b"] = "zero byte",
        ["unix:\0" .. folder] = "zero byte",
      } do
        for _, open in ipairs {net.listen, net.connect} do
          assert.error_matches(function()
            open(text)
          end, why)
        end
      end
      assert.equal("", sh('ls -A "$1"', folder))
    end)

    it("may be relative, and hold any byte but zero", function()
      local name = "r\xff \n:%" .. process.pid
      local listener = assert(net.listen("unix:./../../../../../../../.." .. folder .. "/" .. name))
      assert.is_true(exists(folder .. "/" .. name))
      assert_meet(listener, "unix:" .. folder .. "/" .. name)
      listener:close()
      assert.is_false(exists(folder .. "/" .. name))
    end)

    it("has the path as its address at all ends but the client's own", function()
      local path = folder .. "/ends"
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
      assert.equal("ENOENT", code_of(net.listen("unix:" .. folder .. "/none/x")))
      write_file(folder .. "/plain", "")
      assert.equal("ENOTDIR", code_of(net.listen("unix:" .. folder .. "/plain/x")))
      assert.equal("EADDRINUSE", code_of(net.listen("unix:" .. folder)))
      os.remove(folder .. "/plain")
    end)
  end)

  describe("'s file", function()
    local path, endpoint

    before_each(function()
      path = folder .. "/file"
      endpoint = "unix:" .. path
    end)

    after_each(function()
      os.execute(("rm -rf %s/*"):format(folder))
    end)

    --- Leave a socket's file whose owner was killed.
    local function leave_stale()
      kill(child(([[
        local listener = assert(net.listen(%q))
        print "ready"
        io.stdout:flush()
        listener:accept()
      ]]):format(endpoint)))
      assert.is_true(exists(path))
    end

    it("is removed when the listener is closed (F4)", function()
      net.listen(endpoint):close()
      assert.is_false(exists(path))
    end)

    it("is removed when the listener is collected (F4)", function()
      assert(net.listen(endpoint))
      collectgarbage()
      collectgarbage()
      assert.is_false(exists(path))
    end)

    for how, ending in pairs {
      ["ends"] = "",
      ["fails"] = "error 'on purpose'",
      ["exits and closes"] = "os.exit(3, true)",
    } do
      it("is removed when its program " .. how .. " (F4)", function()
        local result = assert(process.run {neap, "-e", ([[
          listener = assert(net.listen(%q))
          print(io.popen("[ -S %s ] && echo there"):read())
          %s
        ]]):format(endpoint, path, ending)})
        assert.matches("^there\n", result.stdout)
        assert.is_false(exists(path))
      end)
    end

    it("is removed when its program is asked to end (F4)", function()
      local p = child(([[
        local listener <close> = assert(net.listen(%q))
        print "ready"
        io.stdout:flush()
        listener:accept()
      ]]):format(endpoint))
      p:kill "SIGINT"
      p:wait()
      p:close()
      assert.is_false(exists(path))
    end)

    it("stays when it is another one by then (F4, F5)", function()
      local old = assert(net.listen(endpoint))
      os.remove(path)
      local new <close> = assert(net.listen(endpoint))
      old:close()
      assert.is_true(exists(path))
      assert_meet(new)
    end)

    it("stays when a file has taken its place (F4)", function()
      local old = assert(net.listen(endpoint))
      os.remove(path)
      write_file(path, "precious")
      old:close()
      assert.equal("precious", read_file(path))
    end)

    it("stays when a newer socket was renamed over it (F5)", function()
      local old = assert(net.listen(endpoint))
      local new = assert(net.listen(endpoint .. ".new"))
      assert(os.rename(path .. ".new", path))
      old:close()
      assert.is_true(exists(path))
      assert_meet(new, endpoint)
      new:close()
      assert.is_true(exists(path)) -- under this name it was not made
    end)

    it("may be gone when the listener is closed (F4)", function()
      local listener = assert(net.listen(endpoint))
      os.remove(path)
      assert.is_true(listener:close())
    end)

    it("of a live server is in use, unlink_stale or not (F2)", function()
      local listener <close> = assert(net.listen(endpoint))
      for _, options in ipairs {{}, {unlink_stale = false}, {unlink_stale = true}} do
        local none, err = net.listen(endpoint, options)
        assert.equal("EADDRINUSE", code_of(none, err))
        assert.equal(endpoint, err.endpoint)
        assert.equal("listen", err.op)
      end
      -- Looking whether somebody listens may have left connections behind.
      local probe = task.timeout(0.05, listener.accept, listener)
      if probe then
        assert.is_nil(probe:recv())
        probe:close()
      end
      assert_meet(listener)
    end)

    it("of a live server with a full queue is in use, too (F2, F9)", function()
      local listener <close> = assert(net.listen(endpoint, {backlog = 0}))
      local client <close> = assert(net.connect(endpoint))
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint, {unlink_stale = true})))
      assert.is_true(exists(path))
      local stream <close> = assert(listener:accept())
      client:write "on\n"
      assert.equal("on", stream:read())
    end)

    it("of a dead server is in use (F2)", function()
      leave_stale()
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint)))
      assert.is_true(exists(path))
      assert.equal("ECONNREFUSED", code_of(net.connect(endpoint)))
    end)

    it("of a dead server is replaced with unlink_stale (F2)", function()
      leave_stale()
      local listener <close> = assert(net.listen(endpoint, {unlink_stale = true}))
      assert_meet(listener)
    end)

    it("need not be there for unlink_stale (F2)", function()
      local listener <close> = assert(net.listen(endpoint, {unlink_stale = true}))
      assert_meet(listener)
    end)

    it("is left alone by unlink_stale when it is no socket (F2)", function()
      write_file(path, "precious")
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint, {unlink_stale = true})))
      assert.equal("precious", read_file(path))
      os.remove(path)
      sh('ln -s "$1.to" "$1"; : >"$1.to"', path)
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint, {unlink_stale = true})))
      assert.is_true(exists(path) and exists(path .. ".to"))
    end)

    it("is left alone by unlink_stale when another sort of socket is bound to it (F2)", function()
      local p <close> = assert(process.spawn {
        "perl", "-MSocket", "-e", [[
          $| = 1;
          socket(S, AF_UNIX, SOCK_DGRAM, 0) && bind(S, sockaddr_un($ARGV[0])) && print "ready\n";
          <STDIN>;
        ]], path, stdin = "pipe", stdout = "pipe",
      })
      assert.equal("ready", p.stdout:read "l")
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint, {unlink_stale = true})))
      assert.equal("EPROTOTYPE", code_of(net.connect(endpoint)))
      assert.is_true(exists(path))
      p.stdin:close()
      p:wait()
      local listener <close> = assert(net.listen(endpoint, {unlink_stale = true}))
      assert_meet(listener)
    end)

    it("is left alone by unlink_stale when its server does not listen yet (F2)", function()
      local p <close> = assert(process.spawn {
        "perl", "-MSocket", "-e", [[
          $| = 1;
          socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) && print "ready\n";
          <STDIN>;
          listen(S, 5) && print "listens\n";
          <STDIN>;
        ]], path, stdin = "pipe", stdout = "pipe",
      })
      assert.equal("ready", p.stdout:read "l")
      assert.equal("EADDRINUSE", code_of(net.listen(endpoint, {unlink_stale = true})))
      p.stdin:write "\n"
      assert.equal("listens", p.stdout:read "l")
      assert(net.connect(endpoint)):close()
      p.stdin:close()
      p:wait()
    end)

    --- Leave one at once: a listener whose file has another name by the time
    --- that it is closed.
    local function drop_stale(scheme)
      local make = scheme == "unixgram" and net.bind or net.listen
      local left = assert(make(scheme .. ":" .. path .. "+"))
      assert(os.rename(path .. "+", path))
      left:close()
    end

    for scheme, verb in pairs {unix = "listen", seqpacket = "listen", unixgram = "bind"} do
      it("of a dead " .. scheme .. " socket has one of four starters for its owner", function()
        local starters = {}
        for i = 1, 4 do
          starters[i] = child(([[
            print "ready"
            io.stdout:flush()
            while io.read() do
              local owner, err = net.%s(%q, {unlink_stale = true, mode = 384})
              print(owner and "owner" or err.code)
              io.stdout:flush()
              io.read()
              if owner then owner:close() end
              print "closed"
              io.stdout:flush()
            end
          ]]):format(verb, scheme .. ":" .. path), {stdin = "pipe"})
        end
        local function tell_all()
          local told = {}
          for i = 1, 4 do
            starters[i].stdin:write "go\n"
          end
          for i = 1, 4 do
            told[#told + 1] = starters[i].stdout:read()
          end
          table.sort(told)
          return table.concat(told, " ")
        end
        for _ = 1, 500 do
          drop_stale(scheme)
          assert.equal("EADDRINUSE EADDRINUSE EADDRINUSE owner", tell_all())
          assert(net.connect(scheme .. ":" .. path)):close()
          assert.equal("closed closed closed closed", tell_all())
          assert.is_nil(os.rename(path, path))
        end
        for i = 1, 4 do
          starters[i].stdin:close()
          starters[i]:wait()
        end
        assert.equal("", sh("ls -A " .. folder))
      end)
    end

    it("has the mode that was asked for, umask or not", function()
      for _, digits in ipairs {"600", "660", "666", "777", "0", "200"} do
        local listener <close> = assert(net.listen(endpoint, {mode = tonumber(digits, 8)}))
        assert.equal(digits, mode_of(path))
        assert.is_true(listener:close())
        assert.is_false(exists(path))
      end
      local listener = assert(net.listen(endpoint))
      assert.equal(("%o"):format(0x1ff & ~tonumber(sh "umask", 8)), mode_of(path))
      listener:close()
    end)

    it("has that mode where there is no /proc, too", function()
      local line = 'mount -t tmpfs none /proc || exit 9; umask 027; exec "$0" -e "$1"'
      local result = assert(process.run {
        "unshare", "-rm", "sh", "-c", line, neap, ([[
          local endpoint, path = %q, %q
          for _, mode in ipairs {438, 504, 128} do
            local listener = assert(net.listen(endpoint, {mode = mode}))
            io.write(io.popen("stat -c %%a " .. path):read(), " ")
            listener:close()
          end
          io.open(path, "w"):close()
          print(io.popen("stat -c %%a " .. path):read())
        ]]):format(endpoint, path),
      })
      if result.stderr:find "^unshare:" or result.code == 9 then
        pending "no mount namespaces here"
        return
      elseif result.stderr:find "Sanitizer" then
        pending "the sanitizer needs /proc"
        return
      end
      assert.same({stdout = "666 770 200 640\n", stderr = "", code = 0}, result)
    end)

    it("is not left where descriptors are too few to make the socket", function()
      local result = assert(process.run {
        "sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', neap, ([[
          local path, stale = %q, %q
          local left = net.listen("unix:" .. stale .. "+")
          os.rename(stale .. "+", stale)
          left:close()
          local hold = {}
          local function spare(n)
            local more
            repeat
              more = io.open "/dev/null"
              hold[#hold + 1] = more
            until not more
            for _ = 1, n do table.remove(hold):close() end
          end
          local function exists(name) return os.rename(name, name) == true end
          local function try(make, endpoint, options)
            local socket, err = make(endpoint, options)
            if socket then socket:close() end
            return socket and "ok" or err.code
          end
          for free = 0, 4 do
            for scheme, make in pairs {unix = net.listen, seqpacket = net.listen, unixgram = net.bind} do
              spare(free)
              local codes = {}
              for i, options in ipairs {{}, {mode = 511}, {unlink_stale = true}} do
                codes[i] = try(make, scheme .. ":" .. path, options)
                assert(not exists(path))
              end
              local expected = free == 0 and "EMFILE" or "ok"
              assert(table.concat(codes, " ") == (expected .. " "):rep(3):sub(1, -2), table.concat(codes, " "))
              if free < 4 then
                local code = try(make, scheme .. ":" .. stale, {unlink_stale = true})
                assert(code == "EMFILE", code)
                assert(exists(stale) and not exists(stale .. ".takeover"))
              end
            end
          end
          assert(try(net.listen, "unix:" .. stale, {unlink_stale = true}) == "ok")
          print "so"
        ]]):format(path, path .. ".stale"),
      })
      assert.same({stdout = "so\n", stderr = "", code = 0}, result)
    end)

    it("has a mode of permissions only, or it is a mistake", function()
      for _, mode in ipairs {-1, 512, 1.5, "rw", true, 1 << 40} do
        assert.error_matches(function()
          net.listen(endpoint, {mode = mode})
        end, "option 'mode': a whole number from 0 to 511 expected")
      end
      assert.error_matches(function()
        net.listen(endpoint, {unlink_stale = 1})
      end, "option 'unlink_stale': true or false expected")
      assert.is_false(exists(path))
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
      path = folder .. "/to"
      endpoint = "unix:" .. path
    end)

    after_each(function()
      os.execute(("rm -rf %s/*"):format(folder))
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
      assert.equal("ECONNREFUSED", code_of(net.connect("unix:" .. folder)))
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
      local start = time.now()
      local stream, err = net.connect(listener.endpoint, {timeout = 0.2})
      local took = time.now() - start
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal(listener.endpoint, err.endpoint)
      assert.is_true(took >= 0.2 and took < 0.4, took)
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

describe("a descriptor from outside", function()
  --- Let perl make a socket, and run neap with it as descriptor 3.
  local function activated(made, script, ...)
    return assert(process.spawn {
      "perl", "-MSocket", "-e", ([[
        $^F = 255;
        open(my $save, ">&", 0);
        %s
        $ENV{LISTEN_FDS} = 1;
        $ENV{LISTEN_PID} = $$;
        exec(@ARGV) or die;
      ]]):format(made), neap, "-e", code(script, ...), stdin = "pipe", stdout = "pipe",
    })
  end

  local listening_tcp = [[
    close($save);
    socket(S, AF_INET, SOCK_STREAM, 0) && bind(S, sockaddr_in(0, INADDR_LOOPBACK))
      && listen(S, 5) && fileno(S) == 3 or die;
  ]]

  local serve_one = [[
    assert(os.getenv "LISTEN_FDS" == "1" and tonumber(os.getenv "LISTEN_PID") == process.pid)
    local listener <close> = assert(net.listen "fd:3")
    print(listener.address)
    io.stdout:flush()
    listener:serve(function(stream)
      stream:write("served by ", process.pid, "\n")
      stream:flush()
      listener:close()
    end)
  ]]

  it("is a listener (socket activation, tcp)", function()
    local p <close> = activated(listening_tcp, serve_one)
    local where = p.stdout:read "l"
    local stream <close> = assert(net.connect("tcp://" .. where))
    assert.equal("served by " .. p.pid, stream:read())
    assert.equal(0, (p:wait()))
  end)

  it("is a listener (socket activation, unix), whose file is another's", function()
    local path = sh "mktemp -u /tmp/neapXXXXXX"
    local p <close> = activated(([[
      close($save);
      socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("%s")) && listen(S, 5)
        && fileno(S) == 3 or die;
    ]]):format(path), serve_one)
    assert.equal(path, p.stdout:read "l")
    local stream <close> = assert(net.connect("unix:" .. path))
    assert.equal("served by " .. p.pid, stream:read())
    assert.equal(0, (p:wait()))
    assert.is_true(exists(path))
    os.remove(path)
  end)

  it("is told by its address and options, and does not block", function()
    local p <close> = activated(listening_tcp, [[
      local listener <close> = assert(net.listen "fd:3")
      print(listener:get "acceptconn", listener.endpoint, listener.fd, listener.port > 0)
      print(select(2, task.timeout(0.02, listener.accept, listener)).code)
    ]])
    assert.equal("true\tfd:3\t3\ttrue\nETIMEDOUT\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("is a stream", function()
    local p <close> = activated([[
      close($save);
      socketpair(S, T, AF_UNIX, SOCK_STREAM, 0) && fileno(S) == 3 or die;
      syswrite(T, "from perl\n");
      shutdown(T, 1);
    ]], [[
      local stream = assert(net.connect "fd:3")
      print(stream:read(), stream:read(), stream.protocol, stream.fd)
      local child = assert(process.run {"readlink", "/proc/self/fd/3"})
      print(child.code)
    ]])
    assert.equal("from perl\tnil\tunix\t3\n1\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("is left open and as it is when it is of the wrong sort", function()
    local p <close> = activated(listening_tcp, [[
      local function flags()
        return io.open "/proc/self/fdinfo/3":read("l", "l")
      end
      local _, before = flags()
      print(select(2, net.connect "fd:3").code, select(2, flags()) == before)
      local listener <close> = assert(net.listen "fd:3")
      print(select(2, net.listen "fd:0").code, io.read "l")
      local ours, theirs = net.socketpair()
      print(select(2, net.listen("fd:" .. ours.fd)).code)
      ours:write "still open\n"
      print(theirs:read())
    ]])
    p.stdin:write "input\n"
    assert.equal("EINVAL\ttrue\nEINVAL\tinput\nEBUSY\nstill open\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("is not taken from a socket of ours that has it, nor from a Descriptor", function()
    local function refused(fd)
      for _, open in ipairs {net.connect, net.listen, net.bind} do
        assert.equal("EBUSY", code_of(open("fd:" .. fd)))
      end
    end
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local stream = assert(net.connect(listener.endpoint))
    local accepted = assert(listener:accept())
    local datagram = assert(net.bind "udp://127.0.0.1:0")
    local a, b = net.socketpair()
    local p = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    b:recvfd(0)
    a:sendfd("x", {stream})
    local _, fds = b:recvfd()
    for _, each in ipairs {
      listener, stream, accepted, datagram, a, p.stdin, p.stdout, fds[1],
    } do
      refused(each.fd)
    end
    assert.same({"EBUSY", "EBUSY", "EBUSY"}, worker.run(function(fd)
      local theirs = require "neap.net"
      local codes = {}
      for i, open in ipairs {theirs.connect, theirs.listen, theirs.bind} do
        codes[i] = select(2, open("fd:" .. fd)).code
      end
      return codes
    end, stream.fd))
    stream:write "still mine\n"
    assert.equal("still mine", accepted:read())
    local fd = fds[1]:take()
    local copy = assert(net.connect("fd:" .. fd))
    refused(fd)
    copy:write "and the copy\n"
    assert.equal("and the copy", accepted:read())
    copy:close()
    assert.equal("EBADF", code_of(net.connect("fd:" .. fd)))
    for _, each in ipairs {listener, stream, accepted, datagram, a, b, p} do
      each:close()
    end
  end)

  it("is an error where it is none, or no stream", function()
    local p <close> = activated([[
      close($save);
      socket(S, AF_INET, SOCK_DGRAM, 0) && fileno(S) == 3 or die;
      socket(T, AF_INET, SOCK_STREAM, 0) && fileno(T) == 4 or die;
      open(D, "<", "/") && fileno(D) == 5 or die;
    ]], [[
      for _, fd in ipairs {3, 4, 5, 999, 2147483647} do
        for _, open in ipairs {net.connect, net.listen} do
          local ok, err = open("fd:" .. fd)
          assert(not ok and err.endpoint == "fd:" .. fd)
          io.write(err.code, " ")
        end
      end
    ]])
    assert.equal("EPROTOTYPE EPROTOTYPE ENOTCONN ENOTCONN EISDIR EISDIR EBADF EBADF EBADF EBADF ",
      p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

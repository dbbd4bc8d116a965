-- The file of a unix socket: who makes it, and who takes it away.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local neaps = require "spec.support.child"
local code_of = require "spec.support.failed"
local folder = require "spec.support.folder"
local unix = require "spec.support.unix"

local assert_meet, child, exists = unix.assert_meet, unix.child, unix.exists
local kill, mode_of, read_file, sh = unix.kill, unix.mode_of, unix.read_file, unix.sh
local neap = neaps.neap
local write_file = unix.write_file

describe("a unix socket", function()
  before_each(folder.make)
  after_each(folder.remove)

  describe("'s file", function()
    local path, endpoint

    before_each(function()
      path = folder.path .. "/file"
      endpoint = "unix:" .. path
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
        for _ = 1, neaps.kind == "release" and 500 or 50 do
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
        assert.equal("", sh("ls -A " .. folder.path))
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

    it("has that mode where no thread, or none with an umask of its own, is to be had", function()
      for _, refused in ipairs {"unshare:error=EPERM", "clone3,clone:error=EAGAIN"} do
        local options = {"-f", "-e", "trace=" .. refused:match "[^:]*", "-e", "inject=" .. refused}
        local result = neaps.strace(options, ([[
          local listener = assert(net.listen(%q, {mode = 511}))
          assert(os.rename(%q, %q)) -- so it stays
          listener:close()
        ]]):format(endpoint, path, path .. ".kept"))
        assert.same({0, ""}, {result.code, result.stderr})
        assert.matches("INJECTED", table.concat(result.calls, "\n"))
        assert.equal("777", mode_of(path .. ".kept"))
      end
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
end)

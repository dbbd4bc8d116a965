-- Descriptors that neap has from its beginning.

local net = require "neap.net"
local process = require "neap.process"
local worker = require "neap.worker"
local child = require "spec.support.child"
local code_of = require "spec.support.failed"
local unix = require "spec.support.unix"

local code, neap = child.code, child.neap
local exists, sh = unix.exists, unix.sh

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
      print(listener:get "acceptconn", listener.endpoint == "tcp://127.0.0.1:" .. listener.port, listener.fd)
      print(select(2, task.timeout(0.02, listener.accept, listener)).code)
    ]])
    assert.equal("true\ttrue\t3\nETIMEDOUT\n", p.stdout:read "a")
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

  it("is not taken from what neap has for itself: loop, signals, children, relays", function()
    local result = process.run {neap, "-e", code [[
      local p <close> = process.spawn {"cat", stdin = "pipe"}
      local a, b = net.socketpair()
      local c, d = net.socketpair()
      task.spawn(net.relay, b, c)
      a:write "x\n"
      d:read()
      local codes = {}
      for fd = 3, 40 do
        for _, open in ipairs {net.connect, net.listen, net.bind} do
          local taken, err = open("fd:" .. fd)
          codes[taken and fd or err.code] = true
        end
      end
      a:write "y\n"
      print(d:read(), codes.EBUSY, codes.EBADF, next(codes, next(codes, next(codes))))
      os.exit(0)
    ]]}
    assert.same({"y\ttrue\ttrue\tnil\n", "", 0}, {result.stdout, result.stderr, result.code})
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

-- Files as streams: regular ones with a position, FIFOs, serial lines.

local fs = require "neap.fs"
local host = require "neap.host"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local trace = require "neap.trace"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"

local function at(name)
  return folder.path .. "/" .. name
end

describe("a file as a stream", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("is read and written as io does", function()
    local file <close> = assert(fs.open(at "f", "w"))
    assert.equal(file, file:write("one\n", "two\n", 3, "\n"))
    assert.equal(file, file:flush())
    assert.equal("one\ntwo\n3\n", fs.read(at "f"))
    local again <close> = assert(fs.open(at "f"))
    assert.equal("one", again:read "l")
    assert.equal("two\n", again:read "L")
    assert.equal(3, again:read "n")
    assert.equal("\n", again:read "a")
    assert.is_nil(again:read "l")
    assert(again:write "x")
    assert.equal("EBADF", code_of(again:flush()))
    again:close()
    assert.equal("EBADF", code_of(again:read "l"))
  end)

  it("is opened in each mode", function()
    assert.equal("ENOENT", code_of(fs.open(at "f")))
    assert.equal("ENOENT", code_of(fs.open(at "f", "r+")))
    local function write(mode, bytes, opts)
      local file <close> = assert(fs.open(at "f", mode, opts))
      assert(file:write(bytes))
      assert(file:flush())
      return fs.read(at "f")
    end
    assert.equal("abc", write("w", "abc", {mode = tonumber("600", 8)}))
    assert.equal(tonumber("600", 8), fs.stat(at "f").mode)
    assert.equal("abcd", write("a", "d"))
    assert.equal("Xbcd", write("r+", "X"))
    assert.equal("XbcdY", write("a+", "Y"))
    assert.equal("Z", write("w+", "Z"))
    assert.equal("EEXIST", code_of(fs.open(at "f", "w", {new = true})))
    assert.equal("EISDIR", code_of(fs.open(folder.path, "w")))
    assert.equal("EISDIR", code_of(fs.open(folder.path)))
  end)

  it("seeks, also behind what was read ahead and what is written", function()
    local file <close> = assert(fs.open(at "f", "w+"))
    for i = 1, 20000 do
      file:write(("%07d\n"):format(i))
    end
    assert.equal(160000, file:seek())
    assert.equal(0, file:seek "set")
    for i = 1, 100 do
      assert.equal(i, tonumber(file:read "l"))
    end
    assert.equal(800, file:seek())
    assert.equal("0000101", file:read "l")
    assert.equal(792, file:seek("cur", -16))
    assert.equal("0000100", file:read "l")
    assert.equal(159992, file:seek("end", -8))
    assert.equal("0020000\n", file:read "a")
    assert.is_nil(file:read "l")
    assert.equal(8, file:seek("set", 8))
    file:write "changed\n"
    assert.equal(0, file:seek "set")
    assert.equal("0000001\nchanged\n0000003\n", file:read(24))
    assert.equal("EINVAL", code_of(file:seek("set", -1)))
    assert.equal("EOVERFLOW", code_of(file:seek("end", math.maxinteger)))
    assert.equal(24, file:seek())
    assert.equal("0000004", file:read "l")
  end)

  it("of much is written and read in order", function()
    local count = child.sanitized and 300 or 3000
    local piece = ("x"):rep(1000)
    local file <close> = assert(fs.open(at "f", "w"))
    for i = 1, count do
      assert(file:write(i, piece, "\n"))
    end
    assert(file:write(("y"):rep(1000000), "\n", ("z"):rep(700000)))
    assert(file:flush())
    local again <close> = assert(fs.open(at "f"))
    local i = 0
    for line in again:lines() do
      i = i + 1
      local expected = i <= count and i .. piece or i == count + 1 and ("y"):rep(1000000) or ("z"):rep(700000)
      assert(line == expected, i)
      if i == count then
        break
      end
    end
    assert.equal(1700001, #again:read "a")
  end)

  it("that takes no more says so", function()
    local full <close> = assert(fs.open("/dev/full", "w"))
    assert(full:write "x")
    assert.equal("ENOSPC", code_of(full:flush()))
    assert.equal("ENOSPC", code_of(full:write "x"))
    local result = folder.run_sh('trap "" XFSZ; exec prlimit --fsize=8192 -- "$0" "$@"', "-e", [[
      local file = require "neap.fs".open("f", "w")
      file:write(("x"):rep(100000))
      print(select(2, file:flush()).code, select(2, file:seek()).code, require "neap.fs".stat "f".size)
    ]])
    assert.same(folder.says "EFBIG\tEFBIG\t8192\n", result)
  end)

  it("is whole when the program ends", function()
    local result = folder.run("-e", [[
      local file = require "neap.fs".open("f", "w")
      file:write(("x"):rep(1000000))
      file:write "end"
    ]])
    assert.same(folder.says "", result)
    assert.equal(1000003, fs.stat(at "f").size)
  end)

  it("is whole when it was closed", function()
    local file = assert(fs.open(at "f", "w"))
    task.spawn(function()
      file:write(("x"):rep(500000))
      file:write "end"
      file:close()
    end):join()
    repeat
      task.sleep(0.001)
    until fs.stat(at "f").size == 500003
  end)

  it("has a name, and is among the sockets and in a trace", function()
    local tracer <close> = assert(trace.events {filter = "file"})
    local file <close> = assert(fs.open(at "f", "w"))
    assert.equal("file", file.protocol)
    assert(tostring(file):find(at "f", 1, true))
    local seen
    for _, socket in ipairs(host.sockets()) do
      seen = seen or socket.endpoint == at "f"
    end
    assert.is_true(seen)
    file:write "traced"
    file:flush()
    file:close()
    tracer:stop()
    local kinds = {}
    for event in tracer do
      kinds[#kinds + 1] = event.kind
    end
    assert.same({"open", "write", "closed"}, kinds)
    assert.equal("EBADF", code_of(file:seek()))
  end)

  it("seeks only where there is a position, and nobody else reads", function()
    local a <close>, b = net.socketpair()
    assert.equal("ESPIPE", code_of(a:seek()))
    b:close()
    local null <close> = assert(fs.open("/dev/null", "r+"))
    assert.equal(0, null:seek())
    assert.is_false(pcall(null.seek, null, "nowhere"))
  end)

  it("is read by threads where the file system has it not in memory", function()
    local text = ("line\n"):rep(100000)
    folder.write("f", text)
    -- The kernel refuses to tell what is in memory, as some file systems do.
    local result = child.strace({"-f", "-e", "trace=preadv2", "-e", "inject=preadv2:error=EOPNOTSUPP"}, ([[
      local file = require "neap.fs".open(%q)
      print(#file:read "a", file:seek("set", 5), file:read "l", file:seek())
    ]]):format(at "f"))
    assert.same({"500000\t5\tline\t10\n", ""}, {result.stdout, result.stderr})
    assert(#result.calls > 1)
  end)
end)

describe("a FIFO as a stream", function()
  before_each(function()
    folder.make()
    assert(process.run({"mkfifo", at "fifo"}).code == 0)
  end)
  after_each(folder.remove)

  it("waits for the other end, and only its task does", function()
    local got
    task.all {
      function()
        local reader <close> = assert(fs.open(at "fifo"))
        got = reader:read "a"
      end,
      function()
        task.sleep(0.01)
        local writer <close> = assert(fs.open(at "fifo", "w"))
        writer:write "through "
        task.sleep(0.01)
        writer:write "a FIFO"
      end,
    }
    assert.equal("through a FIFO", got)
    task.all {
      function()
        local writer <close> = assert(fs.open(at "fifo", "w"))
        assert(writer:write(("x"):rep(300000)))
        writer:flush()
      end,
      function()
        task.sleep(0.01)
        local reader <close> = assert(fs.open(at "fifo"))
        assert.equal(300000, #reader:read "a")
      end,
    }
  end)

  it("has no reader yet, and who gives up is woken at once", function()
    -- Each has its own: what was given up may open it yet, and close it again.
    assert(process.run {"mkfifo", at "other"})
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.01, fs.open, at "fifo", "w")))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.01, fs.read, at "other")))
  end)

  it("is no socket, for which nobody waits", function()
    local listener <close> = assert(net.listen("unix:" .. at "socket"))
    assert.equal("ENXIO", code_of(fs.open(at "socket")))
    assert.equal("ENXIO", code_of(fs.write(at "socket", "x")))
    assert(listener)
  end)
end)

describe("a serial line", function()
  before_each(folder.make)
  after_each(folder.remove)

  --- The two ends of a terminal pair.
  local function pair(f)
    if process.run({"socat", "-V"}).code ~= 0 then
      pending "no socat here"
    end
    local socat <close> = assert(process.spawn {
      "socat", "pty,rawer,link=" .. at "one", "pty,rawer,link=" .. at "other",
    })
    while not (lfs.attributes(at "one") and lfs.attributes(at "other")) do
      task.sleep(0.01)
    end
    f(at "one", at "other")
    socat:kill()
    socat:wait()
  end

  it("is set, and carries bytes as they are", function()
    pair(function(one, other)
      local a <close> = assert(fs.open(one, "r+", {
        speed = 230400, bits = 7, parity = "even", stop = 2, flow = "software",
      }))
      local settings = assert(process.run {"stty", "-a", "-F", one}).stdout
      for _, word in ipairs { -- that a pair keeps, which has no bits to send
        "230400 baud", "inpck", "cstopb", "-crtscts", "ixon", "-icanon", "-echo", "clocal",
      } do
        assert(settings:find(word, 1, true), word .. ": " .. settings)
      end
      local b <close> = assert(fs.open(other, "r+", {speed = 115200}))
      settings = assert(process.run {"stty", "-a", "-F", other}).stdout
      for _, word in ipairs {"115200 baud", "-inpck", "-cstopb", "-ixon", "-opost"} do
        assert(settings:find(word, 1, true), word .. ": " .. settings)
      end
      local c <close> = assert(fs.open(one, "r+", {speed = 9600}))
      assert(c:write "\0\3\17\r\n\4\255")
      assert.equal("\0\3\17\r\n\4\255", b:read(7))
      assert(b:write "answer\r")
      assert.equal("answer", c:readuntil "\r")
      assert.equal("tty", a.protocol)
    end)
  end)

  it("is a terminal, and its options make sense", function()
    assert.equal("ENOTTY", code_of(fs.open("/dev/null", "r+", {speed = 9600})))
    for what, opts in pairs {
      ["option 'speed': bits in a second, from 1 to 20000000, expected"] = {speed = 0},
      ["option 'bits': 5, 6, 7 or 8 expected"] = {speed = 9600, bits = 9},
      ["option 'parity': 'none', 'even' or 'odd' expected"] = {speed = 9600, parity = "mark"},
      ["option 'stop': 1 or 2 expected"] = {speed = 9600, stop = 1.5},
      ["option 'flow': 'none', 'hardware' or 'software' expected"] = {speed = 9600, flow = true},
      ["a serial line's options, and no speed"] = {bits = 8},
    } do
      local ok, err = pcall(function()
        local _ = fs.open("/dev/null", "r+", opts)
      end)
      assert.is_false(ok)
      assert.equal(("bad argument #3 to 'open' (%s)"):format(what), (err:gsub("^%S*fs_open_spec.lua:%d+: ", "")))
    end
    local _, err = pcall(function()
      local _ = fs.open("/dev/null", "rw")
    end)
    assert.equal("bad argument #2 to 'open' ('r', 'w', 'a', 'r+', 'w+' or 'a+' expected)",
      (err:gsub("^%S*fs_open_spec.lua:%d+: ", "")))
  end)
end)

local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"

local neap = child.neap

local read_all = [[
  local text, err = require "neap.stdio".stdin:read "a"
  io.write(text or tostring(err))
]]

--- Run a script in a neap with these descriptors.
local function run(script, options)
  options = options or {}
  options[1], options[2], options[3] = neap, "-e", script
  return assert(process.run(options))
end

--- Run it behind a shell that redirects.
local function redirected(script, redirection)
  return assert(process.run {"sh", "-c", '"$0" -e "$1" ' .. redirection, neap, script})
end

describe("stdio.stdin", function()
  local path

  setup(function()
    path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(("line\n"):rep(50000))
  end)

  teardown(function()
    os.remove(path)
  end)

  it("reads a file (M12)", function()
    local result = redirected(read_all, "<" .. path)
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    assert.is_true(result.stdout == ("line\n"):rep(50000))
  end)

  it("reads a file where no thread can be had", function()
    local result = child.run_without_threads [[
      local size = io.stdin:seek "end"
      io.stdin:seek "set"
      local stdin = require "neap.stdio".stdin
      local first = stdin:read(1000)
      print(#first == 1000, 1000 + #stdin:read "a" == size)
    ]]
    assert.same({stdout = "true\ttrue\n", stderr = "", code = 0}, result)
  end)

  it("reads more than there is memory for: an error, behind what there was", function()
    local result = child.run_short_of_memory(64, [[
      local stdin = require "neap.stdio".stdin
      local all, err = stdin:read "a"
      local n, chunk, why = 0, nil, nil
      for _ = 1, 2^16 do
        chunk, why = stdin:recv(65536)
        if not chunk then break end
        n = n + #chunk
        assert(not chunk:find "[^x]")
      end
      print(all, err.code, n >= 1 << 20, chunk, why and why.code)
    ]], "head -c 80M /dev/zero | tr '\\0' x")
    assert.same({"nil\tENOMEM\ttrue\tnil\tENOMEM\n", 0}, {result.stdout, result.code})
  end)

  it("reads /dev/null (M12)", function()
    assert.same({stdout = "", stderr = "", code = 0}, run(read_all))
  end)

  it("reads a pipe (M12)", function()
    assert.same({stdout = "from a pipe", stderr = "", code = 0},
      run(read_all, {input = "from a pipe"}))
  end)

  it("reads a socket (M12)", function()
    local ours, theirs = net.socketpair()
    local p <close> = assert(process.spawn {neap, "-e", read_all, stdin = theirs, stdout = "pipe"})
    theirs:close()
    ours:write "from a socket"
    ours:close()
    assert.equal("from a socket", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("reads a terminal (M12)", function()
    local p <close> = assert(process.spawn {
      "script", "-qec", ("'%s' -e '%s'"):format(neap, [[
        print(require"neap.stdio".stdin:read "l")
      ]]), "/dev/null", stdin = "pipe", stdout = "pipe",
    })
    p.stdin:write "typed\n"
    local out = p.stdout:read "a"
    assert.equal(0, (p:wait()), out)
    assert.matches("typed", out)
  end)

  it("reads what is written to a terminal of which it is the other side, to its end", function()
    local result = assert(process.run {
      "perl", "-MFcntl", "-e", [[
        sysopen(M, "/dev/ptmx", O_RDWR | O_NOCTTY) or exit 9;
        my ($number, $unlocked) = (pack("i", 0), pack("i", 0));
        ioctl(M, 0x40045431, $unlocked) && ioctl(M, 0x80045430, $number) or exit 9;
        sysopen(S, "/dev/pts/" . unpack("i", $number), O_RDWR | O_NOCTTY) or exit 9;
        if (fork == 0) {
          open(STDIN, "<&M");
          exec @ARGV;
        }
        close M;
        syswrite S, "from a terminal\n";
        sleep 1;
        close S;
        wait;
        exit($? >> 8);
      ]], neap, "-e", read_all,
    })
    if result.code == 9 then
      pending "no pseudo-terminals here"
      return
    end
    assert.same({stdout = "from a terminal\r\n", stderr = "", code = 0}, result)
  end)

  it("is empty or an error where there is none (M12)", function()
    local result = redirected([[
      local ok, stream = pcall(function() return require "neap.stdio".stdin end)
      print(ok and stream:read() == nil or stream.code == "EBADF")
    ]], "<&-")
    assert.same({stdout = "true\n", stderr = "", code = 0}, result)
  end)

  describe("reads nothing ahead of who waits: a child has the rest of", function()
    local script = [[
      local stdio = require "neap.stdio"
      stdio.stdout:write(stdio.stdin:read "L")
      task.sleep(0.1)
      local got = process.run {"sh", "-c", "read x && echo child $x", stdin = "inherit"}
      stdio.stdout:write(got.stdout)
      stdio.stdout:write(stdio.stdin:read "L")
    ]]

    local function converse(output, input)
      for _, line in ipairs {"one", "two", "three"} do
        input:write(line, "\n")
        local said
        repeat
          said = assert(output:read "l")
        until said:find(line, 1, true) and (line ~= "two" or said:find "child")
      end
    end

    it("a pipe", function()
      local p <close> = assert(process.spawn {neap, "-e", script, stdin = "pipe", stdout = "pipe"})
      converse(p.stdout, p.stdin)
      assert.equal(0, (p:wait()))
    end)

    it("a socket", function()
      local ours, theirs = net.socketpair()
      local p <close> = assert(process.spawn {neap, "-e", script, stdin = theirs, stdout = "pipe"})
      theirs:close()
      converse(p.stdout, ours)
      assert.equal(0, (p:wait()))
    end)

    it("a terminal", function()
      local p <close> = assert(process.spawn {neap, "-e", script, pty = true})
      converse(p.pty, p.pty)
      assert.equal(0, (p:wait()))
    end)
  end)

  it("waits without holding up others", function()
    local p <close> = assert(process.spawn {neap, "-e", [[
      local stdio = require "neap.stdio"
      task.spawn(function()
        task.sleep(0.01)
        stdio.stdout:write "meanwhile\n"
      end)
      stdio.stdout:write(stdio.stdin:read "a")
    ]], stdin = "pipe", stdout = "pipe"})
    assert.equal("meanwhile", p.stdout:read "l")
    p.stdin:write "input"
    p.stdin:close()
    assert.equal("input", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

describe("stdio.stdout", function()
  it("writes what print said before first", function()
    local result = run [[
      io.write "first "
      require "neap.stdio".stdout:write "second"
    ]]
    assert.same({stdout = "first second", stderr = "", code = 0}, result)
  end)

  it("waits for a slow reader, and loses nothing (M12)", function()
    local p <close> = assert(process.spawn {neap, "-e", [[
      require "neap.stdio".stdout:write(("x"):rep(1 << 20))
    ]], stdout = "pipe"})
    local got = 0
    for chunk in p.stdout:chunks() do
      got = got + #chunk
    end
    assert.equal(1 << 20, got)
    assert.equal(0, (p:wait()))
  end)

  it("writes to a file", function()
    local path = os.tmpname()
    assert.equal(0, redirected([[
      require "neap.stdio".stdout:write(("x"):rep(100000))
    ]], ">" .. path).code)
    local file <close> = assert(io.open(path))
    assert.equal(100000, #file:read "a")
    os.remove(path)
  end)

  it("reports a full disk (M12)", function()
    local result = redirected([[
      local stdout = require "neap.stdio".stdout
      assert(stdout:write "x")
      assert(stdout:flush())
    ]], ">/dev/full")
    assert.equal(1, result.code)
    assert.matches("ENOSPC", result.stderr)
  end)

  it("reports a reader that has gone, without a signal (M2)", function()
    local p <close> = assert(process.spawn {neap, "-e", [[
      local stdio = require "neap.stdio"
      stdio.stdin:read()
      local ok, err = stdio.stdout:write "x"
      if ok then ok, err = stdio.stdout:flush() end
      stdio.stderr:write(err.code)
    ]], stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    p.stdout:close()
    p.stdin:write "now\n"
    assert.equal("EPIPE", p.stderr:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("leaves the descriptor to print when it is closed", function()
    local result = run [[
      local stdout = require "neap.stdio".stdout
      stdout:write "first "
      stdout:close()
      assert(require "neap.stdio".stdout == stdout)
      task.sleep(0.01)
      print "second"
    ]]
    assert.same({stdout = "first second\n", stderr = "", code = 0}, result)
  end)
end)

it("stdio has no other fields", function()
  local stdio = require "neap.stdio"
  assert.is_nil(stdio.stdinn)
  assert.is_nil(stdio[1])
end)

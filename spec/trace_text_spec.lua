-- Traces as text.

local net = require "neap.net"
local packet = require "neap.packet"
local process = require "neap.process"
local child = require "spec.support.child"
local traces = require "spec.support.traces"

local ask, conversation, echo, lines = traces.ask, traces.conversation, traces.echo, traces.lines
local traced = traces.traced

describe("trace, as text", function()
  it("has a line an event, and the bytes as hexdump", function()
    local text = traced({filter = "mem"}, function()
      local a, b = net.socketpair "mem"
      a:write "hello\n\27[31m, this is longer than a row"
      b:read(5)
      a:close()
      b:close()
    end)
    assert.same({
      "mem N open",
      "mem N open",
      "mem N -> 38 bytes",
      "  00000000  68 65 6c 6c 6f 0a 1b 5b  33 31 6d 2c 20 74 68 69  |hello..[31m, thi|",
      "  00000010  73 20 69 73 20 6c 6f 6e  67 65 72 20 74 68 61 6e  |s is longer than|",
      "  00000020  20 61 20 72 6f 77                                 | a row|",
    }, {table.unpack(lines(text), 1, 6)})
    assert.equal("mem N closed, 38 bytes in, 0 out", (table.remove(lines(text))))
    assert.is_nil(text:find("\27", 1, true))
  end)

  it("has the dumps that packet.hexdump makes, also of what is written in pieces", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[i + 1] = string.char(i)
    end
    local text = traced({bytes = 300}, function()
      local a, b = net.socketpair "mem"
      a:write(table.unpack(bytes))
      a:close()
      b:close()
    end)
    local dump = {}
    for line in text:gmatch "  (%x%x%x%x%x%x%x%x  [^\n]+)\n" do
      dump[#dump + 1] = line
    end
    assert.equal(packet.hexdump(table.concat(bytes)), table.concat(dump, "\n", 1, 16))
  end)

  it("cuts what is long, and says how much is left", function()
    local text = traced({bytes = 20}, function()
      local a, b = net.socketpair "mem"
      a:write(("x"):rep(1000))
      a:close()
      b:close()
    end)
    assert.matches("|xxxx|\n  %.%.%. 980 bytes more\n", text)
  end)

  it("tells of a TCP conversation", function()
    local text = traced({bytes = 0, filter = "tcp"}, function()
      conversation("tcp://127.0.0.1:0", echo, ask)
    end)
    local list = lines(text)
    local found = {}
    for _, line in ipairs(list) do
      found[line] = (found[line] or 0) + 1
    end
    for _, line in ipairs {
      "listener N listens at tcp://127.0.0.1:N",
      "tcp N connects 127.0.0.1:N -> 127.0.0.1:N",
      "tcp N connected",
      "tcp N accepted 127.0.0.1:N <- 127.0.0.1:N, by listener N",
      "tcp N -> end", "listener N closed",
    } do
      assert(found[line] == 1, line .. " in\n" .. text)
    end
    for _, line in ipairs {"tcp N -> 5 bytes", "tcp N <- 5 bytes", "tcp N <- end",
      "tcp N closed, 5 bytes in, 5 out"} do
      assert(found[line] == 2, line .. " in\n" .. text)
    end
  end)

  it("tells of unix sockets and of messages", function()
    local path = os.tmpname()
    os.remove(path)
    local text = traced({bytes = 0}, function()
      conversation("unix:" .. path, echo, ask)
      local a, b = assert(net.bind "udp://127.0.0.1:0"), assert(net.bind "udp://127.0.0.1:0")
      a:send("hi", b.localaddr)
      b:recv()
      a:close()
      b:close()
    end)
    assert.matches("unix %d+ +open %-> " .. path, text)
    assert.matches("accepted " .. path .. " <%- unnamed, by listener", text)
    assert.matches("udp %d+ +%-> 2 bytes to 127%.0%.0%.1:%d+", text)
    assert.matches("udp %d+ +<%- 2 bytes from 127%.0%.0%.1:%d+", text)
  end)

  it("tells errors by their code", function()
    local missing = child.missing()
    local text = traced({}, function()
      net.connect "tcp://127.0.0.1:1"
      net.connect("unix:" .. missing)
    end)
    assert.matches("tcp %d+ +connect: ECONNREFUSED\n", text)
    assert.truthy(text:find("  connect unix:" .. missing .. ": ENOENT\n", 1, true))
    assert.is_nil(text:find "reset")
  end)

  it("has colours when it is told so", function()
    local function act()
      local a, b = net.socketpair "mem"
      a:write "x"
      a:close()
      b:close()
    end
    assert.matches("\27%[32m%-> 1 byte\27%[0m\n", traced({colour = true}, act))
    assert.is_nil(traced({}, act):find("\27", 1, true))
  end)
end)

describe("neap --trace", function()
  local script = "local a, b = net.socketpair 'mem' a:write 'hello' b:read(5) print 'done'"

  local function run(...)
    local command = {child.neap, ...}
    command[#command + 1] = "-e"
    command[#command + 1] = script
    return assert(process.run(command))
  end

  it("writes to stderr, and nothing without it", function()
    assert.equal("", run().stderr)
    local result = run "--trace"
    assert.equal("done\n", result.stdout)
    assert.same({"mem N open", "mem N open", "mem N -> 5 bytes",
      "  00000000  68 65 6c 6c 6f                                    |hello|", "mem N <- 5 bytes",
      "  00000000  68 65 6c 6c 6f                                    |hello|"},
      {table.unpack(lines(result.stderr), 1, 6)})
    assert.matches("mem N closed", table.concat(lines(result.stderr), "\n"))
  end)

  it("writes a file, filters and shortens", function()
    local path = os.tmpname()
    assert.same({"", "done\n"}, {run("--trace=" .. path, "--trace-filter=tcp").stderr, "done\n"})
    assert.equal(0, #assert(io.open(path)):read "a")
    local short = run("--trace-bytes=2", "--trace-filter=mem").stderr
    assert.matches("|he|\n  %.%.%. 3 bytes more", short)
    run("--trace=" .. path, "--trace-format=pcapng")
    assert.equal("\x0a\x0d\x0d\x0a", assert(io.open(path, "rb")):read(4))
    os.remove(path)
  end)

  it("refuses what makes no sense with status 2, and a file that cannot be with 1", function()
    for option, message in pairs {
      ["--trace-filter=foo://x"] = "neap: trace: filter 'foo://x': 'foo' is no kind of socket",
      ["--trace-bytes=many"] = "neap: --trace-bytes: a whole number expected",
      ["--trace-format=xml"] = 'neap: trace.start: option \'format\': "text" or "pcapng" expected',
    } do
      local result = run(option)
      assert.same({2, message .. "\n", ""}, {result.code, result.stderr, result.stdout})
    end
    local missing = child.missing()
    local result = run("--trace=" .. missing)
    assert.same({1, "neap: trace " .. missing .. ": no such file or directory (ENOENT)\n"},
      {result.code, result.stderr})
  end)
end)

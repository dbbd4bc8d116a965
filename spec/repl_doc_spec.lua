local doc = require "neap.repl.doc"
local net = require "neap.net"
local prefix = require "neap.prefix"
local task = require "neap.task"

local function first_line(text)
  return text and text:match "^[^\n]*"
end

describe("doc", function()
  it("tells how a function is called, its first paragraph, and what it returns", function()
    local text = doc("net.connect", {net = net})
    assert.matches("^net%.connect%(endpoint, opts%?%)\n  Connect%. ", text)
    assert.matches("\n    endpoint string: ", text)
    assert.matches("\n    opts%? neap%.net%.ConnectOptions\n      broadcast boolean%?\n", text) -- its fields follow
    assert.matches("\n      nodelay boolean%?: send small segments at once", text) -- those that it extends, too
    assert.matches("\n    returns err neap%.Error%?: ECONNREFUSED", text)
    assert.matches("\n    may suspend$", text)
    for line in text:gmatch "[^\n]+" do
      assert.is_true(#line <= 80, line)
    end
  end)

  it("tells each field of options, whichever class has it", function()
    local text = doc "neap.net.ListenOptions"
    assert.matches("\n    backlog integer%?: connections that wait", text)
    assert.matches("\n    nodelay boolean%?: ", text)
    assert.is_nil(text:find("fields:", 1, true))
    assert.matches("\n      drain number%?: ", doc "listener:serve")
  end)

  it("tells what a code of errors means, and what gives it", function()
    local text = doc "ECONNREFUSED"
    assert.matches("^ECONNREFUSED: connection refused\n  nobody listens there\n", text)
    assert.matches("[ ,]net%.connect[,\n]", text)
    assert.matches("\n    net%.activated: there is no such descriptor\n", doc "EBADF")
    assert.matches("^EAI_NONAME: name or service not known\n", doc "EAI_NONAME")
    assert.matches("^ETLSVERIFY: TLS: .*\n    stream:handshake, stream:starttls$", doc "ETLSVERIFY")
    assert.matches("^EWORKER\n.*worker%.run: it raised", doc "EWORKER")
    assert.equal("EXFULL: exchange full", doc "EXFULL")
    assert.is_nil(doc "ENOSUCHCODE")
    assert.is_nil(doc "EUNKNOWN")
  end)

  it("tells how each scheme of endpoints is written", function()
    assert.matches("^unix:/path or unix:@abstract\n  a stream within this machine\n", doc "unix")
    assert.matches("^tcp://host:port\n  a stream over TCP.*\nneap.packet.Tcp\n", doc "tcp")
    local _, message = pcall(require "neap.endpoint".parse, "nosuch:x")
    for scheme in message:match "known: ([^)]*)":gmatch "%w+" do
      assert.equal(scheme .. ":", doc(scheme):match "^%w+:", scheme)
    end
  end)

  it("lists what bears a word", function()
    local text = doc "readuntil"
    assert.matches("^readuntil\n", text)
    assert.matches("\n  stream:readuntil%(delimiter, max%?, opts%?%)\n    The bytes up to", text)
    assert.matches("\n  body:readuntil", text)
    assert.matches("\n  net%.ListenOptions%.backlog: integer%?\n", doc "backlog")
    assert.equal(doc "net.portclass", doc "portclass") -- the only one
    assert.equal("print(...)", first_line(doc("readuntil", {readuntil = print}))) -- but for a variable
  end)

  it("finds by name, by value, and by a method's value", function()
    local text = assert(doc "stream.read")
    local a <close>, b = net.socketpair()
    assert.equal(text, doc "stream:read")
    assert.equal(text, doc "neap.Stream.read")
    assert.equal(text, doc(a.read))
    assert.equal(text, doc("s.read", {s = b}))
    assert.equal(text, doc("t.s:read", {t = {s = b}}))
    assert.equal(doc "net.connect", doc(net.connect))
    assert.equal("channel:send(value)", first_line(doc(task.channel().send)))
    assert.equal("prefix:contains(address)", first_line(doc(prefix.parse("::/0").contains)))
  end)

  it("goes by what a name stands for", function()
    assert.equal("task.sleep(seconds)", first_line(doc("net.connect", {net = {connect = task.sleep}})))
    assert.equal("net.connect(endpoint, opts?)", first_line(doc("connect", {connect = net.connect})))
  end)

  it("tells fields, classes, modules, objects", function()
    local a <close>, b = net.socketpair()
    assert.matches("^stream%.localaddr: neap%.Address%?\n  where it is bound", doc "stream.localaddr")
    assert.equal(doc "stream.localaddr", doc("a.localaddr", {a = b}))
    assert.equal("neap.Stream", first_line(doc "neap.Stream"))
    assert.matches("functions: chunks, close, .*\n  fields: family", doc(a))
    assert.matches("^neap%.net\n  Sockets by endpoint", doc "net")
    assert.equal(doc "net", doc(net))
  end)

  it("has a line for Lua's own functions", function()
    assert.equal("string.rep(s, n, sep?)\n  n copies of s, with sep between", doc "string.rep")
    assert.equal(doc "string.rep", doc(("x").rep))
    assert.equal("print(...)", first_line(doc "print"))
    assert.equal("file:read(...)", first_line(doc(io.stdout.read)))
  end)

  it("tells parameters and place of other functions", function()
    assert.matches("^function%(a, b, %.%.%.%)\n  .*repl_doc_spec.lua:%d+$",
      doc(function(a, b, ...) return a, b, ... end))
  end)

  it("is nil for what is not known, and calls nothing", function()
    local calls = 0
    local function called()
      calls = calls + 1
    end
    local trap = setmetatable({}, {__index = called, __call = called, __eq = called, __name = called})
    for _, what in ipairs {"nosuch", "net.nosuch", "t.x", "t.x.y", "", ".", "a b", 5, true, trap,
      "stream.nosuch"} do
      assert.is_nil(doc(what, {t = trap}))
    end
    assert.is_nil(doc(nil))
    assert.equal(0, calls)
  end)

  it("knows every function of the library that is annotated", function()
    for name, f in pairs(net) do
      if type(f) == "function" then
        assert.equal("net." .. name, doc(f):match "^[^(]*")
      end
    end
    for name, f in pairs(task) do
      if type(f) == "function" then
        assert.equal("task." .. name, doc(f):match "^[^(]*")
      end
    end
  end)
end)

-- The globals, and the standard libraries, are the script's: what it makes of them
-- does not matter to neap's own code.

local child = require "spec.support.child"
local process = require "neap.process"

--- The Lua files of the library, annotations aside: path -> text.
local function sources()
  local texts = {}
  local found = assert(process.run {"find", "lua/neap", "-name", "*.lua", "-not", "-path", "*/meta/*"}).stdout
  for path in found:gmatch "[^\n]+" do
    local file <close> = assert(io.open(path))
    texts[path] = file:read "a"
  end
  assert(next(texts))
  return texts
end

--- Its code without comments; what is in quotes stays.
local function code(text)
  return (text:gsub("%f[%-]%-%-[^\n]*", ""))
end

--- Take all away that a script can: the globals, and what is in the libraries, which
--- are the methods of strings, too, and what `require` goes by. What this file's
--- scripts use is in locals.
local devastate = [[
  local _G, next, setmetatable, error, require = _G, next, setmetatable, error, require
  local write, by_traps = io.write, ... == "by traps"
  local function say(text) write(text) end
  local libraries = {string, table, math, io, os, utf8, coroutine, debug, package, _G}
  local function trap() error "this one is the script's" end
  local function devastate()
    for i = 1, #libraries do
      for name in next, libraries[i] do
        libraries[i][name] = by_traps and trap or nil
      end
    end
  end
]]

--- Each uses the modules that it names, with no global of its own left but `say`.
local uses = {
  ["neap.net, neap.net.names"] = [[
    local net, task = require "neap.net", require "neap.task"
    devastate()
    local l = net.listen "tcp://localhost:0"
    task.spawn(l.serve, l, function(s) s:write(s:read "l", "\n") end)
    local s = net.connect("tcp://localhost:" .. l.port)
    s:write "hello\n"
    say(s:read "l")
    s:close()
    l:close()]],
  ["neap.net: a failure"] = [[
    local net = require "neap.net"
    devastate()
    local _, err = net.connect "tcp4://localhost:1"
    say(err.code == "ECONNREFUSED" and "hello")]],
  ["neap.net: endpoints and options"] = [[
    local net = require "neap.net"
    local pcall = pcall
    devastate()
    pcall(net.connect, "nosuch:x")
    pcall(net.listen, "tcp://127.0.0.1:0", {nosuch = 1})
    local s, t = net.socketpair()
    s:pack("s1", "hello")
    say(t:unpack "s1")]],
  ["neap.task"] = [[
    local task = require "neap.task"
    local pcall = pcall
    devastate()
    local words = task.all {function() return "hel" end, function() task.sleep(0) return "lo" end}
    pcall(task.scope, function(scope) scope:spawn(error, "x") end)
    task.timeout(0.001, task.sleep, 10)
    task.race {function() task.yield() end, function() task.sleep(1) end}
    local c, m, e, s = task.channel(2), task.mutex(), task.event(), task.semaphore(1)
    c:send(words[1]) c:send(words[2]) c:close()
    m:lock() m:unlock() e:set() e:wait() s:acquire() s:release()
    for word in c:each() do say(word) end]],
  ["neap.process"] = [[
    local process = require "neap.process"
    devastate()
    say(process.run {"printf", "%s", "hello"}.stdout)]],
  ["neap.worker"] = [[
    local worker = require "neap.worker"
    devastate()
    say(worker.run(function() return "hello" end))]],
  ["neap.inspect"] = [[
    local inspect = require "neap.inspect"
    devastate()
    local text = inspect {1, 2.5, "x\0\1\2yzzzzzzzzzzzzzzzzzzzz", {inspect}, say, a = {b = {}},
      [trap] = setmetatable({}, {})}
    say(text ~= "" and "hello")]],
  ["neap.prefix"] = [[
    local prefix = require "neap.prefix"
    devastate()
    say(prefix.parse "10.0.0.0/8":contains "10.1.2.3" and "hello")]],
  ["neap.args"] = [[
    local args = require "neap.args"
    devastate()
    local spec = {name = "x", {"-n, --number=N", type = "integer"}, {"--mode=MODE", choices = {"hello"}},
      commands = {{name = "go", {"[WORD...]"}}}}
    local given = args.read({"-n5", "--mode=hello", "go", "a"}, spec)
    local _, why = args.read({"--nmber"}, spec)
    say(args.help(spec) and args.completions(spec) and why and given.number == 5 and given.mode)]],
  ["neap.metrics"] = [[
    local metrics = require "neap.metrics"
    local find = string.find
    devastate()
    metrics.counter("a_total", "x", {"a"}):labels("y"):inc()
    metrics.histogram("b", "x"):time(function() end)
    metrics.gauge("c", "x"):follow(function() return 1.5 end)
    say(find(metrics.text(), "process_cpu_seconds_total") and "hello")]],
  ["neap.log"] = [[
    local log = require "neap.log"
    local setmetatable, tostring = setmetatable, tostring
    devastate()
    local function values(form)
      local text
      log.setup {to = function(line) text = line end, format = form, first = 2, fields = {a = 1}}
      log.with {b = "x y\n\xff"}:error("hello", {c = {1, {2.5}}, [3] = setmetatable({}, {__tostring = function()
        return "d"
      end})})
      return text
    end
    say(values "logfmt" ~= values "json" and values "journal")]],
  ["neap.json"] = [[
    local json, net = require "neap.json", require "neap.net"
    local pcall = pcall
    local a, b = net.socketpair "mem"
    devastate()
    pcall(json.encode, {a = say})
    pcall(json.lines, b, {nosuch = 1})
    json.decode "[1,"
    a:write(json.encode({1.5, {x = "hello"}}, {sort = true}), "\n\n",
      json.encode {"hello"}, "\n")
    a:close()
    json.encode({a = {1}}, {indent = 2})
    for value in json.lines(b, {unique = true}) do
      if value[1] == "hello" then say(value[1]) break end
    end]],
  ["neap.luasocket"] = [[
    local socket = require "neap.luasocket".install()
    local task, mime = require "neap.task", require "neap.luasocket.mime"
    local ssl, path = require "ssl", os.tmpname()
    local cert, key = require "neap.tls".selfsigned {names = {"localhost"}}
    local file = io.open(path, "w")
    file:write(cert, key)
    file:close()
    local pcall, remove = pcall, os.remove
    devastate()
    local server = socket.bind("127.0.0.1", 0)
    local host, port = server:getsockname()
    server:settimeout(0, "t")
    server:accept()
    local client = socket.tcp()
    client:settimeout(5)
    client:setoption("keepalive", true)
    client:connect(host, port)
    socket.select({server}, {client}, 1)
    local other = server:accept()
    other:send("xhel\r\nlo", 2)
    other:close()
    pcall(socket.select, 1)
    socket.protect(function() socket.try(nil, "x") end)()
    local a, b = socket.udp4(), socket.udp()
    a:setsockname("*", 0)
    b:setpeername("127.0.0.1", (socket.skip(1, a:getsockname())))
    b:send "x"
    a:receivefrom()
    socket.dns.toip "localhost"
    mime.qp("a\xff b", "c")
    local near = socket.connect(host, port)
    server:settimeout(-1, "t")
    local far = server:accept()
    near = ssl.wrap(near, {mode = "client", protocol = "any", alpn = "a", verify = "none"})
    far = ssl.wrap(far, {mode = "server", protocol = "any", key = path, certificate = path, alpn = {"a"}})
    near:sni "x"
    far:sni {}
    task.spawn(far.dohandshake, far)
    near:dohandshake()
    near:getpeercertificate()
    near:getpeerverification()
    near:info()
    near:close()
    far:close()
    remove(path)
    say(client:receive() .. client:receive "*a")]],
  ["neap.url"] = [[
    local url = require "neap.url"
    local pcall, tostring = pcall, tostring
    devastate()
    pcall(url.build, {scheme = "http", host = "a@b"})
    pcall(url.formencode, {a = {}, [1] = 2})
    url.parse "http://\\"
    local text = url.build {scheme = "http", host = "fe80::1%lo", port = 80, query = {b = 1, a = {"x y"}}}
    local u = url.resolve(text, "../hello?" .. url.encode "a b")
    say(url.formdecode(u.query):get(url.decode "a%20b") and u:credentials() == nil and tostring(u))]],
  ["neap.trace"] = [[
    local trace, net = require "neap.trace", require "neap.net"
    devastate()
    local tracer = trace.events {filter = "mem", format = "pcapng"}
    local a, b = net.socketpair "mem"
    a:write "hello"
    a:flush()
    say(tracer() and "hello")]],
  ["the prompt"] = [[
    local net, task = require "neap.net", require "neap.task"
    local Session, wire = require "neap.repl.session", require "neap.repl.wire"
    local now = require "neap.time".now
    local theirs, ours = net.socketpair "mem"
    devastate()
    local session = Session.new {stream = theirs, now = now}
    local serving = task.spawn(session.serve, session)
    local said = ""
    local function answer(kind)
      for message in wire.receive, ours do
        said = said .. (message.text or "")
        if message.kind == kind then return message end
      end
    end
    wire.send(ours, {kind = "hello", columns = 80})
    answer "ready"
    local inputs = {"1 + 1", "local x <const> = {1, 'a'} return x", "nosuch.x", "for", "'he' .. 'llo'", ":help",
      ":jobs", ":time 1",
      ":hex 'abc'", ":load /nonexistent/nonexistent", ":doc net.connect", ":ps", ":socks", ":trace unix",
      ":trace off", ":fg", ":nosuch", "task.sleep(0) &"}
    for i = 1, #inputs do
      wire.send(ours, {kind = "input", text = inputs[i]})
      answer "ready"
    end
    wire.send(ours, {kind = "complete", id = 1, text = "net.conn", cursor = 9})
    local completion = answer "completion"
    wire.send(ours, {kind = "complete", id = 2, text = "require 'neap.", cursor = 15})
    answer "completion"
    ours:close()
    serving:cancel()
    say(completion.common == "connect" and said or completion.common)]],
}

describe("neap's own code", function()
  for name, use in pairs(uses) do
    for _, how in ipairs {"by traps", "by nothing"} do
      it(("works when the script has replaced all globals %s: %s"):format(how, name), function()
        local result = child.run(devastate .. use, how)
        assert.equal("", result.stderr)
        assert.matches("hello", result.stdout)
        assert.equal(0, result.code)
      end)
    end
  end

  it("opens a place to attach to, and serves it, when the globals are gone", function()
    local runtime = os.tmpname()
    os.remove(runtime)
    assert(process.run {"mkdir", "-m", "700", runtime})
    local env = process.env()
    env.XDG_RUNTIME_DIR = runtime
    local p <close> = assert(process.spawn {child.neap, "-e", devastate .. [[
      local task, stdout = require "neap.task", io.stdout
      devastate()
      say "up\n"
      stdout:flush()
      task.sleep(60)]], stdout = "pipe", env = env})
    assert(p.stdout:read "l")
    local result = assert(process.run {child.neap, "attach", tostring(p.pid), input = "'he' .. 'llo'", env = env})
    p:kill "SIGKILL"
    p:wait()
    process.run {"rm", "-rf", runtime}
    assert.same({stdout = '"hello"\n', stderr = "", code = 0}, result)
  end)

  for _, name in ipairs {"packet_ip", "packet_icmp", "packet_link", "packet_filter", "prefix", "repl_doc"} do
    it(("calls no function of the script's libraries: %s_spec"):format(name), function()
      local result = assert(process.run {child.neap, "test", "--helper=spec/support/watched.lua",
        ("spec/%s_spec.lua"):format(name)})
      assert.matches(" 0 failures / 0 errors", result.stdout)
    end)
  end

  it("has each field that it uses of a library that is kept in part", function()
    local wrong, partly = {}, {math = true, io = true, os = true, coroutine = true}
    local _, env = debug.getupvalue(package.searchers[2] "neap.net", 1)
    for path, text in pairs(sources()) do
      for library, name in code(text):gmatch "%f[%w_.](%l+)%.(%l+)" do
        local has = pcall(function()
          return env[library][name]
        end)
        if partly[library] and not has and path ~= "lua/neap/repl/standard.lua" then
          wrong[#wrong + 1] = ("%s: %s.%s"):format(path, library, name)
        end
      end
    end
    assert.same({}, wrong)
  end)

  -- ("x"):upper() is whatever the script made of string.upper.
  it("calls no methods of strings", function()
    local wrong, methods = {}, {}
    for name in pairs(string) do
      methods[name] = true
    end
    local theirs = {["session:find"] = true, ["Stream:pack"] = true, ["Filter:match"] = true}
    for path, text in pairs(sources()) do
      for object, name in code(text):gmatch "([%w_]*[%])\"']*):(%l+)%s*[(\"'{%[]" do
        if methods[name] and not theirs[object .. ":" .. name] then
          wrong[#wrong + 1] = ("%s: %s:%s"):format(path, object, name)
        end
      end
    end
    assert.same({}, wrong)
  end)
end)

describe("the host", function()
  it("looks no global up by name, but where it opens the libraries", function()
    local found = assert(process.run {"grep", "-rlw", "-e", "lua_getglobal", "runtime"}).stdout
    local files = {}
    for path in found:gmatch "[^\n]+" do
      files[path] = true
    end
    assert.same({["runtime/host/load.c"] = true,
      ["runtime/host/traceback.c"] = true, ["runtime/net/net.c"] = true, ["runtime/sched/os.c"] = true,
      ["runtime/sim/finalizers.c"] = true, ["runtime/sim/standard.c"] = true,
      ["runtime/sys/shell.c"] = true, ["runtime/cli/program.c"] = true}, files)
  end)
end)

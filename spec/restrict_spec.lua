-- --restrict: ways around it, each of which is refused, by the option that would allow it.

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local CONNECT, LISTEN, BIND, READ, WRITE, RUN = "--allow-connect=", "--allow-listen=", "--allow-bind=",
  "--allow-read=", "--allow-write=", "--allow-run "
local CONNECT_UNIX = CONNECT .. "unix:PATH"

--- What the scripts begin with: `way(name, f)` tells what came of it. What returns nothing,
--- nil or false was refused.
local BEGIN = [==[
local net, task, fs = require "neap.net", require "neap.task", require "neap.fs"
local process, http, worker = require "neap.process", require "neap.http", require "neap.worker"
local A = {...}
local function way(name, f)
  local got = table.pack(pcall(f))
  local passed = got[1] and got[2] ~= nil and got[2] ~= false
  local text = tostring(got[got[1] and 3 or 2]):gsub("%s+", " ")
  print(name, passed and "PASSED" or "refused", text)
end
]==]

local function write(name, text)
  local path = folder.path .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

--- Run a script under rules: by way, what was said. It must have ended well.
local function run(rules, script, arguments, more)
  local command = {child.neap, "--restrict"}
  table.move(rules, 1, #rules, 3, command)
  lfs.mkdir(folder.path .. "/program")
  command[#command + 1] = write("program/script.lua", BEGIN .. script)
  table.move(arguments or {}, 1, #(arguments or {}), #command + 1, command)
  for name, value in pairs(more or {}) do
    command[name] = value
  end
  local result = assert(process.run(command))
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local said = {}
  for name, how, text in result.stdout:gmatch "([^\t\n]*)\t(%a+)\t([^\n]*)\n" do
    said[name] = {how = how, text = text}
  end
  return said, result.stdout
end

--- Were all refused, with those words?
local function all_refused(said, ways)
  for name, words in pairs(ways) do
    local one = assert(said[name], name .. " was not tried")
    assert(one.how == "refused", name .. ": " .. one.text)
    assert(one.text:find(words, 1, true), ("%s: %s, and not %s"):format(name, one.text, words))
    said[name] = nil
  end
  assert.is_nil(next(said))
end

describe("restrict", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("refuses connections but to the final address that was named (T5)", function()
    local open <close> = assert(net.listen "tcp://127.0.0.1:0")
    local shut <close> = assert(net.listen "tcp://127.0.0.1:0")
    local answers = task.background(function()
      open:serve(function(stream)
        local head = stream:readuntil "\r\n\r\n"
        if head then
          stream:write(("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n"):format(
            shut.port))
        end
      end)
    end)
    local said = run({"--allow-connect=127.0.0.1:" .. open.port, "--allow-bind=127.0.0.1"}, [==[
      local open, shut = A[1], A[2]
      local function to(endpoint, opts)
        return function() return net.connect(endpoint, opts) end
      end
      way("what is allowed", to("tcp://127.0.0.1:" .. open))
      way("v4-mapped, allowed", to("tcp://[::ffff:127.0.0.1]:" .. open))
      way("its name", to("tcp://localhost:" .. open))
      way("port", to("tcp://127.0.0.1:" .. shut))
      way("other address", to("tcp://127.0.0.2:" .. open))
      way("::1", to("tcp://[::1]:" .. open))
      way("v4-mapped", to("tcp://[::ffff:127.0.0.2]:" .. open))
      way("v4-mapped port", to("tcp://[::ffff:7f00:1]:" .. shut))
      way("0.0.0.0", to("tcp://0.0.0.0:" .. open))
      way("::", to("tcp://[::]:" .. open))
      way("localhost", to("tcp://localhost:" .. shut))
      way("localhost.", to("tcp://localhost.:" .. shut))
      way("127.1", to("tcp://127.1:" .. shut))
      way("hex", to("tcp://0x7f000001:" .. shut))
      way("decimal", to("tcp://2130706433:" .. shut))
      way("name", to("tcp://some.test:" .. open))
      way("lookup", function() return net.resolve "stolen-secret.evil.test" end)
      way("system's lookup", function() return net.resolve("stolen.evil.test", {resolver = "system"}) end)
      way("mptcp", to("tcp://127.0.0.1:" .. shut, {mptcp = true}))
      way("fast open", to("tcp://127.0.0.1:" .. shut, {fastopen_connect = true}))
      way("sctp", to("sctp://127.0.0.1:" .. shut))
      way("vsock", to("vsock://local:" .. shut))
      way("tls", to("tls://127.0.0.1:" .. shut))
      way("unix", to "unix:/run/dbus/system_bus_socket")
      way("abstract", to "unix:@/tmp/.X11-unix/X0")
      way("seqpacket", to "seqpacket:/run/udev/control")
      way("unixgram", to "unixgram:/run/systemd/journal/socket")
      way("unix listener", function() return net.listen "unix:@neap-none" end)
      way("unix bind", function() return net.bind "unixgram:@neap-none" end)
      way("udp", to("udp://127.0.0.1:" .. shut))
      way("icmp", to "icmp://127.0.0.1")
      way("raw", to "raw://127.0.0.1/icmp")
      local udp = assert(net.bind "udp://127.0.0.1:0")
      way("sendto", function() return udp:send("x", "127.0.0.1:" .. shut) end)
      way("sendmany", function() return udp:sendmany({"x", "y"}, "127.0.0.1:" .. shut) end)
      way("later connect", function() return udp:connect("127.0.0.1:" .. shut) end)
      way("no way back", function() udp:connect("127.0.0.1:" .. open) return udp:connect("127.0.0.1:" .. shut) end)
      way("dns", function() return require "neap.dns".query("a.test", "A", {server = "127.0.0.1:" .. shut}) end)
      way("http", function() return http.get("http://127.0.0.1:" .. shut .. "/") end)
      way("redirect", function() return http.get("http://127.0.0.1:" .. open .. "/") end)
      way("proxy", function() return http.client({proxy = "http://127.0.0.1:" .. shut}):get "http://a.test/" end)
      way("http, unix", function() return http.get "http://unix:/run/docker.sock:/" end)
      way("websocket", function() return require "neap.websocket".connect("ws://127.0.0.1:" .. shut .. "/") end)
      way("in a task", function()
        local t = task.spawn(function() return net.connect("tcp://127.0.0.1:" .. shut) end)
        return t:join()
      end)
      way("in a coroutine", function() return coroutine.wrap(net.connect)("tcp://127.0.0.1:" .. shut) end)
      way("in a finalizer", function()
        local got, err
        setmetatable({}, {__gc = function() got, err = net.bind("udp://127.0.0.2:0") end})
        collectgarbage() collectgarbage()
        return got, err
      end)
      way("in a worker", function()
        return worker.run(function(port)
          local s, err = require "neap.net".connect("tcp://127.0.0.1:" .. port)
          return s ~= nil, tostring(err)
        end, shut)
      end)
    ]==], {tostring(open.port), tostring(shut.port)})
    answers:cancel()
    for _, name in ipairs {"what is allowed", "v4-mapped, allowed", "its name"} do
      assert.equal("PASSED", said[name].how, said[name].text)
      said[name] = nil
    end
    all_refused(said, {
      ["port"] = CONNECT, ["other address"] = CONNECT, ["::1"] = CONNECT, ["v4-mapped"] = CONNECT,
      ["v4-mapped port"] = CONNECT, ["0.0.0.0"] = CONNECT, ["::"] = CONNECT, ["localhost"] = CONNECT,
      ["localhost."] = CONNECT, ["127.1"] = "malformed", ["hex"] = "malformed", ["decimal"] = "malformed",
      ["name"] = CONNECT .. "NAME", ["lookup"] = CONNECT .. "NAME", ["system's lookup"] = CONNECT .. "NAME",
      ["mptcp"] = CONNECT, ["fast open"] = CONNECT, ["sctp"] = CONNECT, ["vsock"] = CONNECT, ["tls"] = CONNECT,
      ["unix"] = CONNECT_UNIX, ["abstract"] = CONNECT_UNIX, ["seqpacket"] = CONNECT_UNIX,
      ["unixgram"] = CONNECT_UNIX, ["unix listener"] = LISTEN .. "unix:PATH", ["unix bind"] = BIND .. "unix:PATH",
      ["udp"] = CONNECT, ["icmp"] = CONNECT, ["raw"] = BIND, ["sendto"] = CONNECT, ["sendmany"] = CONNECT,
      ["later connect"] = CONNECT, ["no way back"] = CONNECT, ["dns"] = CONNECT, ["http"] = CONNECT,
      ["redirect"] = CONNECT, ["proxy"] = CONNECT, ["http, unix"] = CONNECT_UNIX, ["websocket"] = CONNECT,
      ["in a task"] = CONNECT, ["in a coroutine"] = CONNECT, ["in a finalizer"] = BIND,
      ["in a worker"] = CONNECT,
    })
  end)

  it("looks up what was named only, and believes no second answer (T5)", function()
    local answers = {"127.0.0.1", "127.0.0.2", "10.1.2.3", "169.254.169.254"}
    local count = 0
    local server <close> = name_server.new(function(name, type)
      local address = type == "A" and answers[count + 1]
      count = count + (address and 1 or 0)
      return {answer = address and {{name = name, type = "A", ttl = 0, address = address}} or {}}
    end)
    local open <close> = assert(net.listen "tcp://127.0.0.1:0")
    local env = process.env()
    env.NEAP_RESOLV_CONF, env.NEAP_RESOLVER = write("resolv.conf", ("nameserver [127.0.0.1]:%d\n"):format(server.port)),
      "dns"
    local said = run({"--allow-connect=good.test:" .. open.port, "--allow-connect=127.0.0.1:" .. open.port}, [==[
      local function ask(name)
        return function() return net.connect(("tcp://%s:%s"):format(name, A[1]), {cache = false}) end
      end
      way("first", ask "good.test")
      way("second", ask "good.test")
      way("third", ask "GOOD.test.")
      way("fourth", ask "good.test")
      way("other", ask "bad.good.test")
    ]==], {tostring(open.port)}, {env = env})
    assert.equal("PASSED", said.first.how, said.first.text)
    said.first = nil
    all_refused(said, {second = CONNECT, third = CONNECT, fourth = CONNECT, other = CONNECT .. "NAME"})
    assert.equal(4, count)
  end)

  it("refuses to be found but where it was named", function()
    local path = folder.path
    local said = run({"--allow-listen=127.0.0.1:0", "--allow-bind=127.0.0.1:0-9",
      "--allow-listen=unix:" .. path .. "/ours"}, [==[
      local path = A[1]
      way("listen, allowed", function() return net.listen "tcp://127.0.0.1:0" end)
      way("unix, allowed", function() return net.listen("unix:" .. path .. "/ours") end)
      way("unix, dotted", function() return net.listen("unix:" .. path .. "/../" .. path:match "[^/]+$" .. "/./ours",
        {unlink_stale = true}) or true end)
      way("bind, allowed", function() return net.bind "udp://127.0.0.1:0" end)
      way("any", function() return net.listen "tcp://*:0" end)
      way("any v6", function() return net.listen "tcp://[::]:0" end)
      way("other", function() return net.listen "tcp://127.0.0.2:0" end)
      way("port", function() return net.listen "tcp://127.0.0.1:40999" end)
      way("tls", function() return net.listen("tls://127.0.0.2:0", {selfsigned = true}) end)
      way("unix", function() return net.listen("unix:" .. path .. "/theirs") end)
      way("abstract", function() return net.listen "unix:@neap-restrict-spec" end)
      way("seqpacket", function() return net.listen("seqpacket:" .. path .. "/theirs") end)
      way("unixgram", function() return net.bind("unixgram:" .. path .. "/theirs") end)
      way("udp", function() return net.bind "udp://127.0.0.1:40999" end)
      way("udp any", function() return net.bind "udp://*:0" end)
      way("icmp", function() return net.bind "icmp://127.0.0.1" end)
      way("raw", function() return net.bind "raw://127.0.0.1/icmp" end)
      way("packet", function() return net.bind "packet://lo" end)
      way("vsock", function() return net.listen "vsock://*:4099" end)
      way("sctp", function() return net.listen "sctp://127.0.0.2:0" end)
      way("group", function() return net.bind("udp://127.0.0.1:0"):join "239.1.2.3" end)
      way("http", function() return http.serve("http://127.0.0.2:0", function() end) end)
      way("server", function() return require "neap.luasocket".tcp().bind("*", 0) end)
    ]==], {path})
    for _, name in ipairs {"listen, allowed", "unix, allowed", "unix, dotted", "bind, allowed"} do
      assert.equal("PASSED", said[name].how, said[name].text)
      said[name] = nil
    end
    said.server, said.http = nil, nil
    all_refused(said, {
      ["any"] = LISTEN, ["any v6"] = LISTEN, ["other"] = LISTEN, ["port"] = LISTEN, ["tls"] = "", ["unix"] = LISTEN,
      ["abstract"] = LISTEN, ["seqpacket"] = LISTEN, ["unixgram"] = BIND, ["udp"] = BIND, ["udp any"] = BIND,
      ["icmp"] = BIND, ["raw"] = BIND, ["packet"] = BIND, ["vsock"] = LISTEN, ["sctp"] = LISTEN, ["group"] = BIND,
    })
  end)

  it("takes no descriptor that leads elsewhere, inherited or passed (T5)", function()
    local shut <close> = assert(net.listen "tcp://127.0.0.1:0")
    local far <close> = assert(net.connect("tcp://127.0.0.1:" .. shut.port))
    local udp <close> = assert(net.bind "udp://127.0.0.1:0")
    local secret <close> = assert(io.open(write("secret", "secret")))
    local path = folder.path .. "/giver"
    local giver <close> = assert(net.listen("unix:" .. path))
    local gives = task.background(function()
      giver:serve(function(stream)
        stream:sendfd("x", {far})
        stream:read(1)
      end)
    end)
    local said = run({"--allow-connect=unix:" .. path}, [==[
      way("listener", function() return net.listen "fd:3" end)
      way("stream", function() return net.connect "fd:4" end)
      way("datagram", function() return net.bind "fd:5" end)
      way("file", function() return net.connect "fd:6" end)
      way("/dev/fd", function() return io.open "/dev/fd/6" end)
      way("/proc/self/fd", function() return fs.read "/proc/self/fd/6" end)
      way("passed", function()
        local stream = assert(net.connect("unix:" .. A[1]))
        local _, fds = stream:recvfd()
        return net.connect("fd:" .. fds[1]:take())
      end)
      way("the runtime's own", function()
        for fd = 7, 40 do
          assert(not net.connect("fd:" .. fd) and not net.listen("fd:" .. fd) and not net.bind("fd:" .. fd), fd)
        end
      end)
      way("unix beside", function() return net.connect("unix:" .. A[1] .. "/../secret") end)
    ]==], {path}, {fds = {[3] = shut, [4] = far, [5] = udp, [6] = secret}})
    gives:cancel()
    all_refused(said, {
      ["listener"] = LISTEN, ["stream"] = CONNECT, ["datagram"] = BIND, ["file"] = READ, ["/dev/fd"] = READ,
      ["/proc/self/fd"] = READ, ["passed"] = CONNECT, ["the runtime's own"] = "nil", ["unix beside"] = CONNECT_UNIX,
    })
  end)

  it("takes a pipe that was given, inherited or passed", function()
    local path = folder.path .. "/giver"
    local giver <close> = assert(net.listen("unix:" .. path))
    local one <close> = assert(process.spawn {"echo", "given", stdout = "pipe"})
    local other <close> = assert(process.spawn {"echo", "given", stdout = "pipe"})
    local gives = task.background(function()
      giver:serve(function(stream)
        stream:sendfd("x", {other.stdout})
        stream:read(1)
      end)
    end)
    local said = run({"--allow-connect=unix:" .. path}, [==[
      way("inherited", function() return assert(net.connect "fd:3"):read(5) == "given" end)
      way("passed", function()
        local stream = assert(net.connect("unix:" .. A[1]))
        local _, fds = stream:recvfd()
        return assert(net.connect("fd:" .. fds[1]:take())):read(5) == "given"
      end)
    ]==], {path}, {fds = {[3] = one.stdout}})
    gives:cancel()
    assert.equal("PASSED", said.inherited.how, said.inherited.text)
    assert.equal("PASSED", said.passed.how, said.passed.text)
  end)

  it("follows no link of a unix socket's", function()
    local path = folder.path
    local docker <close> = assert(net.listen("unix:" .. path .. "/docker"))
    assert(lfs.mkdir(path .. "/in"))
    assert(lfs.link(path .. "/docker", path .. "/in/ours", true))
    local said = run({"--allow-connect=unix:" .. path .. "/in/ours", "--allow-write=" .. path .. "/in"}, [==[
      way("link", function() return net.connect("unix:" .. A[1] .. "/in/ours") end)
      way("target", function() return net.connect("unix:" .. A[1] .. "/docker") end)
      os.remove(A[1] .. "/in/ours")
      way("not there", function() return net.connect("unix:" .. A[1] .. "/in/ours") end)
      way("datagrams", function() return net.connect("unixgram:" .. A[1] .. "/in/ours") end)
    ]==], {path})
    all_refused(said, {link = CONNECT_UNIX, target = CONNECT_UNIX, ["not there"] = "ENOENT", datagrams = "ENOENT"})
    docker:close()
  end)

  describe("files", function()
    local function make()
      for _, name in ipairs {"in", "in/sub", "out", "rest"} do
        assert(lfs.mkdir(folder.path .. "/" .. name))
      end
      write("in/file", "fine")
      write("rest/file", "fine")
      write("out/secret", "secret")
      write("out/module.lua", "return 'secret'")
      write("out/page.html", "secret")
      assert(lfs.link(folder.path .. "/out/secret", folder.path .. "/in/link", true))
      assert(lfs.link(folder.path .. "/out", folder.path .. "/in/folder", true))
      assert(lfs.link(folder.path .. "/out/new", folder.path .. "/in/dangling", true))
      assert(lfs.link("../out/secret", folder.path .. "/in/relative", true))
    end

    it("outside of what was named are not read (T4)", function()
      make()
      local said, whole = run({"--allow-read=" .. folder.path .. "/in"}, [==[
        local top = A[1]
        local out = top .. "/out/secret"
        way("allowed", function() return io.open(top .. "/in/file") end)
        way("allowed, fs", function() return fs.read(top .. "/in/sub/../file") end)
        way("allowed, lines", function() for line in io.lines(top .. "/in/file") do return line end end)
        way("not there", function() return not select(2, io.open(top .. "/in/none/such")):find "refused" end)
        way("io.open", function() return io.open(out) end)
        way("no mode", function() return io.open(top .. "/in/file", "") end)
        way("two modes", function() return io.open(top .. "/in/file", "rw") end)
        way("authorities", function()
          return require "neap.luasocket.ssl".ssl.newcontext {mode = "client", protocol = "any", cafile = out}
        end)
        way("io.lines", function() return io.lines(out) end)
        way("io.input", function() return io.input(out) end)
        way("dofile", function() return dofile(out) end)
        way("loadfile", function() return loadfile(out) end)
        way("loadfile mode", function() return loadfile(out, "bt", {}) end)
        way("require", function() package.path = top .. "/out/?.lua" return require "module" end)
        way("searchpath", function() return package.searchpath("secret", top .. "/out/?") end)
        way("fs.read", function() return fs.read(out) end)
        way("fs.open", function() return fs.open(out) end)
        way("fs.stat", function() return fs.stat(out) end)
        way("fs.lstat", function() return fs.lstat(out) end)
        way("fs.list", function() return fs.list(top .. "/out") end)
        way("fs.root", function() return fs.root(top .. "/out") end)
        way("fs.watch", function() return fs.watch(top .. "/out") end)
        way("root, link", function() return assert(fs.root(top .. "/in")):read "link" end)
        way("dots", function() return io.open(top .. "/in/sub/../../out/secret") end)
        way("many slashes", function() return io.open(top .. "//in/..///out/secret") end)
        way("/proc/self/root", function() return io.open("/proc/self/root" .. out) end)
        way("/proc/self/cwd", function() return io.open("/proc/self/cwd" .. ("/.."):rep(9) .. out) end)
        way("/proc/thread-self", function() return fs.read("/proc/thread-self/root" .. out) end)
        way("/proc/self/environ", function() return io.open "/proc/self/environ" end)
        way("/proc/self/mem", function() return io.open("/proc/self/mem", "r+") end)
        way("/proc/self/maps", function() return fs.read "/proc/self/maps" end)
        way("/etc/passwd", function() return fs.read "/etc/passwd" end)
        way("link", function() return io.open(top .. "/in/link") end)
        way("link, fs", function() return fs.read(top .. "/in/link") end)
        way("folder's link", function() return io.open(top .. "/in/folder/secret") end)
        way("relative link", function() return fs.open(top .. "/in/relative") end)
        way("prefix", function() return io.open(top .. "/in/../inn") end)
        way("existence", function() return io.open(top .. "/out/none") end)
        way("certificate", function() return require "neap.tls".context {ca = out} end)
        way("page", function() return http.files(top .. "/out") end)
        way("in a worker", function()
          return worker.run(function(path)
            local f, err = io.open(path)
            return f ~= nil, err
          end, out)
        end)
        way("coroutine", function() return coroutine.wrap(io.open)(out) end)
        way("xpcall", function() return nil, select(2, xpcall(io.lines, function(m) return m end, out)) end)
      ]==], {folder.path})
      for _, name in ipairs {"allowed", "allowed, fs", "allowed, lines", "not there"} do
        assert.equal("PASSED", said[name].how, name .. said[name].text)
        said[name] = nil
      end
      assert.is_nil(whole:find("PASSED\tsecret", 1, true))
      local ways = {
        ["root, link"] = "leads out", ["require"] = "module", ["searchpath"] = "no file",
        ["/proc/self/mem"] = "--allow-", ["no mode"] = "invalid mode", ["two modes"] = "invalid mode",
      }
      for name in pairs(said) do
        ways[name] = ways[name] or READ
      end
      all_refused(said, ways)
    end)

    it("that may only be written are not moved to where they can be read (T4)", function()
      make()
      local both = folder.path .. "/rest"
      local said = run({
        "--allow-write=" .. folder.path .. "/in", "--allow-write=" .. both, "--allow-read=" .. both,
      }, [==[
        local top = A[1]
        way("allowed", function() return os.rename(top .. "/in/file", top .. "/in/other") end)
        way("allowed, fs", function() return fs.rename(top .. "/in/other", top .. "/in/file") end)
        way("allowed, to the other", function() return os.rename(top .. "/rest/file", top .. "/in/third") end)
        way("os.rename", function() return os.rename(top .. "/in/file", top .. "/rest/mine") end)
        way("fs.rename", function() return fs.rename(top .. "/in/file", top .. "/rest/mine") end)
      ]==], {folder.path})
      for _, name in ipairs {"allowed", "allowed, fs", "allowed, to the other"} do
        assert.equal("PASSED", said[name].how, name .. said[name].text)
        said[name] = nil
      end
      all_refused(said, {["os.rename"] = READ, ["fs.rename"] = READ})
    end)

    it("outside of what was named are not changed (T4)", function()
      make()
      local said = run({"--allow-write=" .. folder.path .. "/in", "--allow-read=" .. folder.path .. "/rest"}, [==[
        local top = A[1]
        local out = top .. "/out/"
        way("allowed", function() return io.open(top .. "/in/new", "w") end)
        way("allowed, fs", function() return fs.write(top .. "/in/new2", "x") end)
        way("allowed, folder", function() return fs.mkdir(top .. "/in/a/b", {parents = true}) end)
        way("allowed, name", function() return os.rename(top .. "/in/new2", top .. "/in/new3") end)
        way("allowed, removed", function() return os.remove(top .. "/in/new3") end)
        way("io.open", function() return io.open(out .. "new", "w") end)
        way("append", function() return io.open(out .. "secret", "a") end)
        way("update", function() return io.open(out .. "secret", "r+") end)
        way("io.output", function() return io.output(out .. "new") end)
        way("os.remove", function() return os.remove(out .. "secret") end)
        way("os.rename out", function() return os.rename(top .. "/in/file", out .. "file") end)
        way("os.rename in", function() return os.rename(out .. "secret", top .. "/in/mine") end)
        way("os.rename of it", function() return os.rename(top .. "/in", top .. "/elsewhere") end)
        way("os.tmpname", function() return os.tmpname() end)
        way("io.tmpfile", function() return io.tmpfile() end)
        way("fs.write", function() return fs.write(out .. "new", "x") end)
        way("fs.write through", function() return fs.write(top .. "/in/link", "x", {atomic = false}) end)
        way("fs.append", function() return fs.append(out .. "secret", "x") end)
        way("fs.rename", function() return fs.rename(out .. "secret", top .. "/in/mine") end)
        way("fs.remove", function() return fs.remove(out .. "secret") end)
        way("fs.remove all", function() return fs.remove(top .. "/out", {recursive = true}) end)
        way("fs.mkdir", function() return fs.mkdir(out .. "folder") end)
        way("fs.lock", function() return fs.lock(out .. "lock") end)
        way("folder's link", function() return io.open(top .. "/in/folder/new", "w") end)
        way("dangling link", function() return io.open(top .. "/in/dangling", "w") or nil, "--allow-write=" end)
        way("dots", function() return io.open(top .. "/in/../out/new", "w") end)
        way("trace", function() return require "neap.trace".start {to = out .. "trace"} end)
        way("pcap", function() return require "neap.pcap".writer(out .. "new.pcap") end)
        way("to read only", function() return io.open(top .. "/rest/file", "w") end)
        way("to write only", function() return io.open(top .. "/in/file") or nil, "--allow-write=" end)
        way("read and write", function() return io.open(top .. "/rest/file", "r+") end)
      ]==], {folder.path})
      for _, name in ipairs {"allowed", "allowed, fs", "allowed, folder", "allowed, name", "allowed, removed"} do
        assert.equal("PASSED", said[name].how, name .. said[name].text)
        said[name] = nil
      end
      local ways = {["update"] = READ, ["io.tmpfile"] = READ, ["fs.lock"] = "--allow-"}
      for name in pairs(said) do
        ways[name] = ways[name] or WRITE
      end
      all_refused(said, ways)
      assert.equal("secret", assert(io.open(folder.path .. "/out/secret")):read "a")
      for name in lfs.dir(folder.path .. "/out") do
        assert((". .. secret module.lua page.html"):find(name, 1, true), name)
      end
    end)

    it("are what they were when they were looked at, though links are swapped (T4)", function()
      make()
      local top = folder.path
      local swaps <close> = assert(process.spawn {"sh", "-c", [[
        while :; do ln -sfn "$0/in" "$0/in/swap"; ln -sfn "$0/out" "$0/in/swap"; done]], top})
      local _, whole = run({"--allow-read=" .. top .. "/in"}, [==[
        local good, bad = 0, 0
        for _ = 1, 150 do
          local f = io.open(A[1] .. "/in/swap/secret")
          local text = f and f:read "a" or fs.read(A[1] .. "/in/swap/secret")
          bad = bad + (text and 1 or 0)
          good = good + (io.open(A[1] .. "/in/swap/file") and 1 or 0)
        end
        print(bad, good > 0)
      ]==], {top})
      swaps:kill "SIGKILL"
      swaps:wait()
      assert.equal("0\ttrue\n", whole)
    end)
  end)

  it("has no programs, C modules, bytecode or debugger, and no environment (T1, T2)", function()
    local env = process.env()
    env.SECRET_OF_SPEC, env.FINE_OF_SPEC = "secret", "fine"
    env.LUA_INIT = "INIT = {io.open '/etc/passwd'}"
    local said, whole = run({"--allow-env=FINE_OF_SPEC"}, [==[
      way("allowed", function() return os.getenv "FINE_OF_SPEC" end)
      way("allowed, module", function() return require "beside" end)
      way("io.popen", function() return io.popen "id" end)
      way("os.execute", function() return os.execute "id" end)
      way("a shell", function() return os.execute() or nil, "--allow-run " end)
      way("spawn", function() return process.spawn {"id"} end)
      way("process.run", function() return process.run {"id"} end)
      way("restart", function() return process.restart() end)
      way("loadlib", function() return package.loadlib("libc.so.6", "system") end)
      way("cpath", function() package.cpath = "/usr/lib/?.so;./?.so" return require "lfs" end)
      way("C searcher", function() for i = 3, 9 do assert(not package.searchers[i] or i == 3) end end)
      local function f() return 1 end
      local code = string.dump(f)
      way("load", function() return load(code) end)
      way("load b", function() return load(code, "x", "b") end)
      way("load bt", function() return load(code, "x", "bt", {}) end)
      way("load parts", function()
        local parts = {code:sub(1, 1), code:sub(2)}
        return load(function() return table.remove(parts, 1) end, "x", "bt")
      end)
      way("getregistry", function() return debug.getregistry end)
      way("getupvalue", function() return debug.getupvalue end)
      way("sethook", function() return debug.sethook end)
      way("setmetatable", function() return debug.setmetatable end)
      way("required debug", function() return require "debug".getinfo end)
      way("core", function() return require "neap.worker.core" end)
      way("core, searched", function() return type(package.searchers[2] "neap.worker.core") == "function" or nil end)
      way("core, preloaded", function() return package.loaded["neap.net.core"] end)
      way("prompt", function() return require "neap.repl.attach" end)
      way("simulation", function() return require "neap.sim" end)
      way("getenv", function() return os.getenv "SECRET_OF_SPEC" end)
      way("process.env", function() return process.env().SECRET_OF_SPEC end)
      way("LUA_INIT", function() return INIT[1], INIT[2] end)
      way("worker, code", function() return worker.run(function() return debug.getinfo ~= nil end) end)
      way("worker, program", function() return worker.run(function() return (io.popen "id") end) end)
    ]==], {}, {env = env})
    assert.is_nil(whole:find "uid=")
    local allowed = said["allowed"]
    assert.equal("PASSED", allowed.how)
    said["allowed"] = nil
    assert.equal("refused", said["allowed, module"].how) -- there is none, and so it says
    assert.truthy(said["allowed, module"].text:find("/program/beside.lua'", 1, true))
    said["allowed, module"] = nil
    all_refused(said, {
      ["io.popen"] = RUN, ["os.execute"] = RUN, ["a shell"] = RUN, ["spawn"] = RUN, ["process.run"] = RUN,
      ["restart"] = RUN, ["loadlib"] = "C modules", ["cpath"] = "not found", ["C searcher"] = "",
      ["load"] = "binary chunk", ["load b"] = "bytecode", ["load bt"] = "binary chunk", ["load parts"] = "binary chunk",
      ["getregistry"] = "", ["getupvalue"] = "", ["sethook"] = "", ["setmetatable"] = "", ["required debug"] = "",
      ["core"] = "not found", ["core, searched"] = "", ["core, preloaded"] = "", ["prompt"] = "not found",
      ["simulation"] = "not found", ["getenv"] = "", ["process.env"] = "", ["LUA_INIT"] = READ,
      ["worker, code"] = "", ["worker, program"] = "",
    })
  end)

  it("holds for -w, too, and for modules beside the script", function()
    folder.write("beside.lua", "return {open = io.open}")
    local result = assert(process.run {child.neap, "--restrict", "-w", "2", folder.write("script.lua", [[
      print(require "beside".open "/etc/passwd")
    ]])})
    assert.equal("", result.stderr)
    local _, n = result.stdout:gsub("nil\t/etc/passwd: refused by %-%-restrict: %-%-allow%-read=DIR[^\n]*\n", "")
    assert.equal(2, n)
  end)

  it("cannot be attached to", function()
    local running <close> = assert(process.spawn {child.neap, "--restrict", "-e",
      "io.write 'up\\n' io.flush() task.sleep(60)", stdout = "pipe"})
    assert.equal("up", running.stdout:read "l")
    local result = assert(process.run {child.neap, "ps", tostring(running.pid)})
    assert.not_equal(0, result.code)
    running:kill "SIGTERM"
    running:wait()
  end)

  it("is asked for rightly", function()
    local function wrong(words, ...)
      local result = assert(process.run {child.neap, ...})
      assert.equal(2, result.code)
      assert(result.stderr:find(words, 1, true), result.stderr)
    end
    wrong("--restrict is expected", "--allow-run", "-e", "")
    wrong("a script or -e CODE is expected", "--restrict")
    wrong("a script or -e CODE is expected", "--restrict", "test")
    for _, value in ipairs {"0x7f.1", "10.0.0.0/33", "[::1", "a:1-", "unix:/none/such/folder/x"} do
      wrong("--allow-connect=" .. value .. ": ", "--restrict", "--allow-connect=" .. value, "-e", "")
    end
    wrong("--allow-listen=some.name: an address", "--restrict", "--allow-listen=some.name", "-e", "")
    wrong("--allow-read=/none/such: ", "--restrict", "--allow-read=/none/such", "-e", "")
  end)

  it("has the kernel behind it", function()
    local result = assert(process.run {child.neap, "--restrict", "-e", [[
      for line in assert(io.open "/proc/self/status"):lines() do print(line) end
    ]]})
    assert.truthy(result.stderr:find("refused", 1, true))
    result = assert(process.run {child.neap, "--restrict", "--allow-read=/proc", "-e", [[
      print(io.open "/proc/self/status":read "a":match "NoNewPrivs:%s*(%d).*Seccomp:%s*(%d)")
    ]]})
    assert.equal("1\t2\n", result.stdout)
  end)
end)

describe("public_only = true", function()
  it("connects to no private address, whatever led there", function()
    local open <close> = assert(net.listen "tcp://127.0.0.1:0")
    local function refused(endpoint)
      local socket, err = net.connect(endpoint, {public_only = true})
      assert.is_nil(socket)
      assert.equal("EACCES", err.code, endpoint .. tostring(err))
    end
    for _, host in ipairs {"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "10.0.0.1",
      "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[64:ff9b::7f00:1]",
      "[2002:7f00:1::]", "[2001::1]", "224.0.0.1", "255.255.255.255"} do
      refused(("tcp://%s:%d"):format(host, open.port))
      if host ~= "localhost" then
        refused(("udp://%s:%d"):format(host, open.port))
      end
    end
    refused "unix:/run/docker.sock"
    assert(net.connect("tcp://127.0.0.1:" .. open.port, {public_only = false})):close()
    assert(net.connect("udp://9.9.9.9:9", {public_only = true})):close()
    assert.has_error(function()
      net.connect("tcp://127.0.0.1:1", {public_only = 1})
    end, "option 'public_only': true or false expected")
  end)

  it("is an option of HTTP clients, and holds for redirects", function()
    local http = require "neap.http"
    local open <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client = http.client {public_only = true}
    for _, url in ipairs {"http://127.0.0.1:%d/", "http://localhost:%d/", "https://127.0.0.1:%d/",
      "http://[::ffff:127.0.0.1]:%d/", "http://unix:/run/docker.sock:/?%d"} do
      local answer, err = client:get(url:format(open.port))
      assert.is_nil(answer)
      assert.equal("EACCES", err.code)
    end
    assert.has_error(function()
      http.client {public_only = true, proxy = "http://127.0.0.1:1"}
    end, "client: options 'public_only' and 'proxy': whom a proxy connects to is not known here")
  end)
end)

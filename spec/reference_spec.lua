-- The reference: it is up to date, it says what there is, and its examples run.

local core = require "neap.net.core"
local crypto = require "neap.crypto"
local endpoint = require "neap.endpoint"
local errors = require "neap.error"
local fs = require "neap.fs"
local json = require "neap.json"
local lfs = require "lfs"
local log = require "neap.log"
local http = require "neap.http"
local metrics = require "neap.metrics"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local process = require "neap.process"
local reference = require "docs.reference"
local signal = require "neap.signal"
local sorted = require "spec.support.keys"
local task = require "neap.task"
local tls = require "neap.tls"
local trace = require "neap.trace"
local transports = require "spec.support.transports"
local url = require "neap.url"
local worker = require "neap.worker"
local zlib = require "neap.zlib"

local pages = reference.read "."

local function read(path)
  local file <close> = assert(io.open(path, "r"))
  return file:read "a"
end

describe("the reference", function()
  it("is up to date (neap docs/reference.lua writes it)", function()
    for _, page in ipairs(reference.pages(pages)) do
      assert.equal(page.text, read(page.path))
    end
  end)

  it("has no page without a module or class", function()
    local expected = {["limits.md"] = true} -- by hand: spec/limits_spec.lua
    for _, page in ipairs(pages) do
      expected[page.name .. ".md"] = true
    end
    for name in lfs.dir "docs/reference" do
      assert(name:sub(1, 1) == "." or expected[name], name)
    end
  end)
end)


-- What is annotated: class -> name -> how often, for functions and fields.

local functions, fields, parents = {}, {}, {}

for _, page in ipairs(pages) do
  for _, class in ipairs(page) do
    if class.name then
      functions[class.name], fields[class.name] = {}, {}
      parents[class.name] = class.parent
      for _, item in ipairs(class.functions) do
        local known = functions[class.name]
        known[item.name] = (known[item.name] or 0) + 1
      end
      for _, field in ipairs(class.fields) do
        fields[class.name][field.name] = field
      end
    end
  end
end

--- All C of a folder of runtime/.
local function sources(folder)
  local texts = {}
  for name in lfs.dir("runtime/" .. folder) do
    if name:find "%.c$" then
      texts[#texts + 1] = read(("runtime/%s/%s"):format(folder, name))
    end
  end
  return table.concat(texts, "\n")
end

--- The names of a table with a value of this type, or of another.
local function names(of, is_function)
  local found = {}
  for name, value in pairs(of) do
    if (type(value) == "function") == is_function and not tostring(name):find "^__" then
      found[name] = true
    end
  end
  return sorted(found)
end

--- The methods of a userdata whose __index is a C function with their table.
local function methods_of(object)
  local index = getmetatable(object).__index
  if type(index) == "function" then
    index = select(2, debug.getupvalue(index, 1))
  end
  return index
end

describe("annotated, and there, are the functions of", function()
  for _, page in ipairs(pages) do
    if page.module then
      it(page.module.name, function()
        assert.same(names(require(page.module.name), true), sorted(functions[page.module.name]))
      end)
    end
  end

  local channel, mutex, semaphore = task.channel(), task.mutex(), task.semaphore(1)
  local classes = {
    ["neap.Stream"] = function()
      return core.Stream
    end,
    ["neap.Listener"] = function()
      return core.Listener
    end,
    ["neap.Datagram"] = function()
      return core.Datagram
    end,
    ["neap.Descriptor"] = function()
      local a, b = net.socketpair "unixgram"
      a:sendfd("", {a})
      local _, descriptors = b:recvfd()
      a:close()
      b:close()
      return methods_of(descriptors[1])
    end,
    ["neap.Task"] = function()
      return methods_of(task.current())
    end,
    ["neap.Scope"] = function()
      return task.scope(methods_of)
    end,
    ["neap.Process"] = function()
      local p = process.spawn {"true"}
      p:wait()
      return methods_of(p)
    end,
    ["neap.Channel"] = function()
      return methods_of(channel)
    end,
    ["neap.WorkerChannel"] = function()
      return methods_of(worker.channel())
    end,
    ["neap.Semaphore"] = function()
      return methods_of(semaphore)
    end,
    ["neap.Permit"] = function()
      return methods_of(semaphore:acquire())
    end,
    ["neap.Mutex"] = function()
      return methods_of(mutex)
    end,
    ["neap.Lock"] = function()
      return methods_of(mutex:lock())
    end,
    ["neap.Event"] = function()
      return methods_of(task.event())
    end,
    ["neap.Future"] = function()
      return methods_of(task.future())
    end,
    ["neap.Tracer"] = function()
      local tracer <close> = assert(trace.events())
      return methods_of(tracer)
    end,
    ["neap.Filter"] = function()
      return methods_of(packet.filter "ip")
    end,
    ["neap.Packet"] = function()
      return methods_of(packet.raw "bytes")
    end,
    ["neap.tls.Context"] = function()
      return methods_of(tls.context {})
    end,
    ["neap.Counter"] = function()
      return methods_of(metrics.counter("reference_total", "x"))
    end,
    ["neap.Gauge"] = function()
      return methods_of(metrics.gauge("reference", "x"))
    end,
    ["neap.Histogram"] = function()
      return methods_of(metrics.histogram("reference_seconds", "x"))
    end,
    ["neap.Logger"] = function()
      return methods_of(log.with {})
    end,
    ["neap.Hasher"] = function()
      return methods_of(crypto.hasher "md5")
    end,
    ["neap.zlib.Compressor"] = function()
      return methods_of(zlib.compressor())
    end,
    ["neap.zlib.Decompressor"] = function()
      return methods_of(zlib.decompressor())
    end,
    ["neap.Key"] = function()
      return methods_of(crypto.generate "ed25519")
    end,
    ["neap.fs.Watch"] = function()
      return require "neap.fs.watch".Watch
    end,
    ["neap.fs.Lock"] = function()
      local path = os.tmpname()
      local lock <close> = assert(fs.lock(path))
      os.remove(path)
      return methods_of(lock)
    end,
    ["neap.Prefix"] = function()
      return methods_of(net.prefix.parse "::/0")
    end,
    ["neap.prefix.Set"] = function()
      return methods_of(net.prefix.set())
    end,
    ["neap.http.Body"] = function()
      return methods_of(http.body {})
    end,
    ["neap.http.Headers"] = function()
      return require "neap.http.headers".Headers
    end,
    ["neap.sim.Host"] = function()
      return require "neap.sim.hosts".Host
    end,
    ["neap.sim.Message"] = function()
      return require "neap.sim.messages".Message
    end,
    ["neap.sim.Rule"] = function()
      return require "neap.sim.messages".Rule
    end,
    ["neap.http.Router"] = function()
      return getmetatable(http.router()).__index
    end,
    ["neap.http.Events"] = function()
      return require "neap.http.events".Events
    end,
    ["neap.http.CookieJar"] = function()
      return getmetatable(http.cookiejar())
    end,
    ["neap.http.Request"] = function()
      return require "neap.http.request".Request
    end,
    ["neap.http.Response"] = function()
      return require "neap.http.response".Response
    end,
    ["neap.http.Client"] = function()
      return require "neap.http.client".Client
    end,
    ["neap.http.ClientResponse"] = function()
      return require "neap.http.exchange".ClientResponse
    end,
    ["neap.Bus"] = function()
      return require "neap.bus.client".Bus
    end,
    ["neap.bus.Subscription"] = function()
      return require "neap.bus.subscription".Subscription
    end,
    ["neap.bus.Message"] = function()
      return require "neap.bus.message".Message
    end,
    ["neap.bus.JetStream"] = function()
      return require "neap.bus.jetstream".JetStream
    end,
    ["neap.bus.Consumer"] = function()
      return require "neap.bus.jetstream".Consumer
    end,
    ["neap.redis.Client"] = function()
      return require "neap.redis.client".Client
    end,
    ["neap.redis.Script"] = function()
      return require "neap.redis.script".Script
    end,
    ["neap.WebSocket"] = function()
      return require "neap.websocket.connection".WebSocket
    end,
    ["neap.Url"] = function()
      return methods_of(assert(url.parse "x:"))
    end,
    ["neap.url.Form"] = function()
      return methods_of(url.formdecode "")
    end,
    ["neap.pcap.Writer"] = function()
      local file <close> = assert(io.tmpfile())
      return methods_of(pcap.writer(file))
    end,
    ["neap.pcap.Reader"] = function()
      local file <close> = assert(io.tmpfile())
      pcap.writer(file):flush()
      file:seek "set"
      return methods_of(pcap.reader(file))
    end,
  }
  for class, methods in pairs(classes) do
    it(class, function()
      assert.same(names(methods() or {}, true), sorted(functions[class]))
    end)
  end

  it("no other class", function()
    for class, known in pairs(functions) do
      local is_module = package.loaded[class] ~= nil
      assert(is_module or classes[class] or next(known) == nil, class)
    end
  end)

  it("every one once", function()
    for class, known in pairs(functions) do
      for name, times in pairs(known) do
        assert.equal(1, times, class .. " " .. name)
      end
    end
  end)
end)


-- Fields. What has its fields in a table is asked; for what C answers by name,
-- the names are read in its source, and asked for in samples.

--- Is it a table whose fields are those of an annotated class?
local function is_table_of(class, value)
  if type(value) ~= "table" or not fields[class] then
    return false
  end
  for name in pairs(value) do
    if not fields[class][name] then
      return false
    end
  end
  return true
end

--- Does the value fit the annotated type, as far as that is easily said?
local function fits(value, annotated)
  if value == nil or annotated:find "%?$" and value == nil then
    return annotated:find "%?$" or annotated:find "nil"
  end
  local got = math.type(value) or type(value)
  local class = annotated:match "neap%.[%w.]+"
  return annotated:find "^any" or annotated:find(got, 1, true) or got == "float" and annotated:find "number"
    or type(value) == "string" and annotated:find(('"%s"'):format(value), 1, true)
    or class and (getmetatable(value) or {}).__name == class or is_table_of(class, value)
    or type(value) == "table" and annotated:find "[{]" or annotated:find "%[%]"
end

--- What failed, and what was cancelled for that.
local function failed()
  local cancelled
  local _, err = pcall(task.scope, function(s)
    s:spawn(error, errors.new {code = "E", message = "m"})
    cancelled = select(2, pcall(task.sleep, 10))
  end)
  return err, cancelled
end

local function sample_tables()
  local lack = select(2, net.connect "mem:nobody")
  local both = select(2, net.connect("tcp://localhost:1"))
  local a, b = net.socketpair()
  b:close()
  local unsent = select(2, a:write(("x"):rep(100000)))
  a:close()
  both.attempts = both.attempts or {lack}
  local mutex = task.mutex()
  local lock = mutex:lock()
  local semaphore = task.semaphore(1)
  local closed, future = task.channel(), task.future()
  closed:close "cause"
  local reading, cut = net.socketpair()
  cut:write "half"
  cut:close()
  cut = select(2, reading:readexactly(5))
  reading:close()
  future:set "result"
  return {
    ["neap.Error"] = {lack, both, unsent, cut, errors.new {code = "E", message = "m"},
      (select(2, json.decode "x")), failed()},
    ["neap.Endpoint"] = {
      endpoint.parse "tcp://localhost:80", endpoint.parse "tcp://127.0.0.1:80",
      endpoint.parse "unix:/x", endpoint.parse "mem:x", endpoint.parse "fd:3",
      endpoint.parse "raw://127.0.0.1/icmp", endpoint.parse "packet://lo",
      endpoint.parse "vsock://host:1",
    },
    ["neap.fs.Stat"] = {fs.stat "/"},
    ["neap.Url"] = {url.parse "http://u@h:1/?q#f", url.parse "x:"},
    ["neap.process.Result"] = {process.run {"echo"}, process.run {"sh", "-c", "kill $$"}},
    ["neap.metrics"] = {metrics},
    ["neap.net"] = {net},
    ["neap.task"] = {task},
    ["neap.process"] = {process},
    ["neap.signal"] = {signal},
    ["neap.Channel"] = {task.channel(), closed},
    ["neap.worker"] = {worker},
    ["neap.Mutex"] = {mutex},
    ["neap.Lock"] = {lock},
    ["neap.Semaphore"] = {semaphore},
    ["neap.Permit"] = {semaphore:acquire()},
    ["neap.Event"] = {task.event()},
    ["neap.Future"] = {task.future(), future},
    ["neap.Case"] = {closed:sending "value"},
  }
end

describe("annotated, and there, are the fields of", function()
  it("what is a table", function()
    for class, samples in pairs(sample_tables()) do
      local there = {}
      for _, sample in ipairs(samples) do
        for _, name in ipairs(names(sample, false)) do
          there[name] = true
          local field = assert(fields[class][name], class .. "." .. name)
          assert(fits(sample[name], field.type), class .. "." .. name)
        end
        for name, field in pairs(fields[class]) do
          assert(fits(sample[name], field.type), class .. "." .. name)
        end
      end
      assert.same(sorted(fields[class]), sorted(there), class)
    end
  end)

  local function connected()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    return listener, assert(net.connect(listener.endpoint)), assert(listener:accept())
  end

  --- What C gives by name: where the names are, and samples.
  local by_name = {
    ["neap.Stream"] = {"net/stream_properties.c", '{"(%l+)", push_', function()
      local listener, a, b = connected()
      local c, d = net.socketpair()
      local e, f = transports.pair "tls:mem"
      return {a, c, e}, {listener, a, b, c, d, e, f}
    end},
    ["neap.Listener"] = {"net/listener_class.c", '{"(%l+)", push_', function()
      local listener, a, b = connected()
      return {listener}, {listener, a, b}
    end},
    ["neap.Address"] = {"net/address_class.c", '{"(%l+)", push_', function()
      return {net.address "127.0.0.1:1", net.address "[fe80::1%lo]:1", net.address "/x",
        net.address "vsock:2:80"}, {}
    end},
    ["neap.Task"] = {"sched/library.c", 'strcmp%(key, "(%l+)"%)', function()
      return {task.current()}, {}
    end},
    ["neap.Key"] = {"crypto/key.c", 'strcmp%(name, "(%l+)"%)', function()
      return {crypto.generate "ed25519", crypto.generate "ec"}, {}
    end},
    ["neap.Scope"] = {"sched/scope.c", 'strcmp%(key, "(%l+)"%)', function()
      return {task.scope(function(s)
        return s
      end)}, {}
    end},
    ["neap.WorkerChannel"] = {"worker/channel_class.c", 'strcmp%(key, "(%l+)"%)', function()
      return {worker.channel(), worker.channel "named"}, {}
    end},
    ["neap.Tracer"] = {"trace/library.c", 'strcmp%(key, "(%l+)"%)', function()
      local tracer <close> = assert(trace.events())
      return {tracer}, {}
    end},
    ["neap.Process"] = {"sys/process.c", '{"(%l+)", push_', function()
      local p = process.spawn {
        pty = true,
        "sh", "-c", "kill $$", stdin = "pipe", stdout = "pipe", stderr = "pipe",
      }
      p:wait()
      return {p}, {p}
    end, "stdin stdout stderr pty"},
  }

  for class, row in pairs(by_name) do
    it(class, function()
      local path, pattern, make, more = table.unpack(row)
      local there, seen = {}, {}
      for name in read("runtime/" .. path):gmatch(pattern) do
        there[name] = true
      end
      for name in (more or ""):gmatch "%l+" do
        there[name] = true
      end
      assert(next(there), "their names are no longer in runtime/" .. path)
      assert.same(sorted(there), sorted(fields[class]))
      local samples, opened = make()
      for name, field in pairs(fields[class]) do
        for _, sample in ipairs(samples) do
          assert(fits(sample[name], field.type), class .. "." .. name)
          seen[name] = seen[name] or sample[name] ~= nil
        end
        assert(seen[name], ("%s.%s is nil in all samples"):format(class, name))
      end
      for _, object in ipairs(opened) do
        object:close()
      end
    end)
  end

  it("neap.fs.Root, which has its methods so", function()
    assert.same(names(require "neap.fs.core".Root, true), sorted(fields["neap.fs.Root"]))
  end)

  it("neap.stdio", function()
    local there = {}
    for name in read "runtime/sys/stdio.c":match "names%[%] = {(.-)}":gmatch '"(%l+)"' do
      there[name] = true
    end
    assert.same(sorted(there), sorted(fields["neap.stdio"]))
  end)
end)

describe("annotated, and known, are the options of", function()
  --- The quoted words in each of what a pattern finds in a folder.
  local function words(folder, pattern)
    local found = {}
    for list in sources(folder):gmatch(pattern) do
      local set = {}
      for name in list:gmatch '"([%w_]+)"' do
        set[name] = true
      end
      found[#found + 1] = sorted(set)
    end
    return found
  end

  it("sockets", function()
    local options = {}
    for name in sources "net":match "option option_table%[%] = {(.-)\n};":gmatch '{"([%w_]+)"' do
      options[#options + 1] = name
    end
    table.sort(options)
    local annotated = sorted(fields["neap.Options"])
    for _, name in ipairs {"acceptconn", "drops", "error", "mptcp"} do -- can only be asked for
      annotated[#annotated + 1] = name
    end
    table.sort(annotated)
    assert.same(options, annotated)
  end)

  it("net.connect and net.listen", function()
    assert.equal("neap.Options", parents["neap.net.ConnectOptions"])
    assert.equal("neap.Options", parents["neap.net.ListenOptions"])
    assert.equal("neap.Options", parents["neap.net.BindOptions"])
    local bind = sorted(fields["neap.net.BindOptions"])
    assert.same(words("net", "also%[%] = {(.-)}"), {
      {"cache", "filter", "mode", "resolver", "unlink_stale"}, -- net.bind
      -- net.connect, messages
      {"cache", "filter", "localaddr", "mode", "public_only", "resolver", "timeout", "unlink_stale"},
      sorted(fields["neap.net.ConnectOptions"]), sorted(fields["neap.net.ListenOptions"]),
    })
    assert.same({"cache", "filter", "localaddr", "mode", "public_only", "resolver", "unlink_stale"}, bind)
  end)

  it("neap.crypto", function()
    local known = {}
    for _, list in ipairs(words("crypto", "names%[%] = {(.-)}")) do
      known[table.concat(list, " ")] = true
    end
    for _, class in ipairs {"HkdfOptions", "Pbkdf2Options", "Base64Options"} do
      assert(known[table.concat(sorted(fields["neap.crypto." .. class]), " ")], class)
    end
  end)

  it("neap.json", function()
    local known = words("json", "names%[%] = {(.-)}")
    table.sort(known, function(a, b)
      return a[2] < b[2]
    end)
    assert.same(known, {sorted(fields["neap.json.EncodeOptions"]), sorted(fields["neap.json.DecodeOptions"])})
    assert.same(sorted(fields["neap.json.DecodeOptions"]), sorted(fields["neap.json.LinesOptions"]))
  end)

  it("neap.zlib", function()
    local known = words("zlib", "names%[%] = {(.-)}")
    table.sort(known, function(a, b)
      return a[2] < b[2]
    end)
    assert.same({sorted(fields["neap.zlib.CompressOptions"]), sorted(fields["neap.zlib.DecompressOptions"])}, known)
  end)

  it("process.spawn and process.run", function()
    local annotated = sorted(fields["neap.process.Options"])
    assert.equal("[integer]", table.remove(annotated, 1))
    assert.same(words("sys", "known%[%] = {(.-)}"), {annotated})
    assert.same({"input", "max"}, sorted(fields["neap.process.RunOptions"]))
  end)
end)

it("annotated, and known, are the options of log.setup", function()
  local known = {}
  for name in read "lua/neap/log.lua":match "\nlocal OPTIONS = {(.-)}":gmatch "([%l_]+) =" do
    known[#known + 1] = name
  end
  table.sort(known)
  assert.same(known, sorted(fields["neap.log.Options"]))
end)

it("annotated, and known, are the fields of descriptions for neap.args", function()
  for class, list in pairs {Entry = "ENTRY", Spec = "SPEC"} do
    local known = {}
    local text = read "lua/neap/args.lua":match("\nlocal " .. list .. " = {(.-)}")
    for name in text:gmatch "([%w%[%]]+) = [\"{]" do
      known[#known + 1] = name
    end
    known[#known + 1] = class == "Spec" and "[integer]" or nil
    table.sort(known)
    assert.same(known, sorted(fields["neap.args." .. class]), class)
  end
end)

it("the schemes of endpoints are in the reference", function()
  local _, message = pcall(endpoint.parse, "nosuch:x")
  local text = read "docs/reference/endpoint.md"
  for scheme in message:match "known: ([^)]*)":gmatch "%w+" do
    assert(text:find(("`%s`"):format(scheme), 1, true), scheme)
  end
end)

it("docs/ARCHITECTURE.md names what there is", function()
  local texts = {}
  for _, folder in ipairs {"host", "sched", "crypto", "json", "zlib", "net", "fs", "tls",
    "sys", "sim", "trace", "worker", "repl", "uv", "cli"} do
    for name in lfs.dir("runtime/" .. folder) do
      if name:find "%.[ch]$" then
        texts[#texts + 1] = read(("runtime/%s/%s"):format(folder, name))
      end
    end
  end
  local code = table.concat(texts, "\n") .. read "CMakeLists.txt"
  for name in read "docs/ARCHITECTURE.md":gmatch "`([^`\n]+)`" do
    if name:find "^%l+_[%l_]+$" then
      assert(code:find(name, 1, true), name)
    elseif name:find "^spec/[%l%d_/]+%.%l+$" or name:find "^lua/[%l_/]+%.lua$" then
      assert(lfs.attributes(name, "mode") == "file", name)
    elseif name:find "^%l+/[%l_]+%.[ch]$" then
      local path = name:find "^runtime/" and name or "runtime/" .. name
      assert(lfs.attributes(path, "mode") == "file", name)
    end
  end
end)

it("docs/scenarios.md promises what specs have tags for, and names just those specs", function()
  local found, wrong = {}, {}
  for name in lfs.dir "spec" do
    local spec = name:match "^(.*_spec)%.lua$"
    local text = spec and read("spec/" .. name) or ""
    for _, form in ipairs {"%((%u%d[%w, %%]*)%)", '"(%u%d+): '} do
      for tags in text:gmatch(form) do
        for tag in tags:gmatch "%u%d+" do
          found[tag .. " " .. spec] = true
        end
      end
    end
  end
  for tag, specs in read "docs/scenarios.md":gmatch "\n| (%u%d+) | [^|]+ | ([^|]*)|" do
    wrong[tag] = not specs:find "`" and "no spec" or nil
    for spec in specs:gmatch "`([%w_]+)`" do
      local row = tag .. " " .. spec
      wrong[row] = not found[row] and "no test" or nil
      found[row] = nil
    end
  end
  for row in pairs(found) do
    wrong[row] = "no row"
  end
  assert.same({}, wrong)
end)

it("every public module is in the reference", function()
  local internal = {["neap.host"] = true, ["neap.require"] = true, ["neap.test"] = true,
    ["neap.build"] = true, ["neap.chance"] = true, ["neap.backoff"] = true, ["neap.options"] = true}
  local known = {}
  for _, page in ipairs(pages) do
    known["neap." .. page.name] = true
  end
  local function check(name)
    assert(known[name] or internal[name] or name:find "%.core$", name)
  end
  for name in lfs.dir "lua/neap" do
    if name:find "%.lua$" then
      check("neap." .. name:match "^(.*)%.lua$")
    end
  end
  for folder in lfs.dir "runtime" do
    if lfs.attributes("runtime/" .. folder, "mode") == "directory" and folder ~= ".." then
      for module in sources(folder):gmatch 'host_module%([^,]*,%s*"(neap[%w_.]*)"' do
        check(module)
      end
    end
  end
end)


-- Examples: each is a program of its own, in an empty folder, that says what its
-- comments `--> ...` say, nothing on stderr, and ends well.

local neap = require "spec.support.child".neap

--- Run it in a new folder, which must be empty again behind it.
local function run(example)
  local folder = os.tmpname()
  assert(os.remove(folder))
  assert(lfs.mkdir(folder))
  local script = folder .. "/example.lua"
  local file = assert(io.open(script, "w"))
  assert(file:write(("\n"):rep(example.first - 1), example.code, "\n"))
  assert(file:close())
  local result, err = process.run {neap, script, cwd = folder}
  os.remove(script)
  assert(lfs.rmdir(folder))
  return assert(result, err)
end

local function words_of(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

--- The lines of comments against the lines of output; `...` stands for anything.
local function compare(code, output)
  local lines = {}
  for line in output:gmatch "[^\n]+" do
    lines[#lines + 1] = words_of(line)
  end
  local n = 0
  for comment in (code .. "\n"):gmatch "%-%->([^\n]*)\n" do
    n = n + 1
    local pattern = words_of(comment):gsub("[%^$()%%.%[%]*+?-]", "%%%0"):gsub("%%%.%%%.%%%.", ".*")
    local line = lines[n] or "nothing"
    assert(line:find("^" .. pattern .. "$"), ("line %d: %s, expected %s"):format(n, line, comment))
  end
  assert.equal(n, #lines, output)
end

describe("an example of", function()
  for _, entry in ipairs(reference.examples(pages)) do
    it(entry.name, function()
      assert(#entry.examples > 0, "there is none")
      for _, example in ipairs(entry.examples) do
        local result = run(example)
        local where = ("%s:%d\n"):format(example.path, example.first)
        assert.equal("", result.stderr, where)
        assert.equal(0, result.code, where)
        compare(example.code, result.stdout)
      end
    end)
  end
end)

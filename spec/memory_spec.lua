-- neap --memory: what a state of Lua's may have, and what happens behind that.

local child = require "spec.support.child"
local process = require "neap.process"
local task = require "neap.task"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

local function run(size, code, ...)
  return assert(process.run {neap, "--memory=" .. size, "-e", child.code(code, ...)})
end

-- Each runs out of memory, and is caught.
local ways = [[
  local json, zlib = require "neap.json", require "neap.zlib"
  local big = ("x"):rep(1 << 20)
  local function forever(f)
    return function()
      local kept = {}
      while true do
        kept[#kept + 1] = f(#kept) or kept
      end
    end
  end
  local ways = {
    array = forever(function(n) return n end),
    closures = forever(function(n) return function() return n end end),
    concat = forever(function(n) return big .. n end),
    coroutines = forever(function() return coroutine.create(print) end),
    format = forever(function(n) return ("%d%s"):format(n, big) end),
    hash = function() local t = {} for i = 1, math.huge do t["k" .. i] = i end end,
    json = function() json.decode("[" .. ("{},"):rep(1 << 18) .. "0]") end,
    load = function() load("return {" .. ("{},"):rep(1 << 18) .. "0}") (nil) end,
    finalizers = forever(function() return setmetatable({}, {__gc = function() end}) end),
    one = function() return ("x"):rep(1 << 40) end,
    rep = function() return ("x"):rep(64 << 20) end,
    stack = function() local function f(...) return f(1, ...) end return f() end,
    strings = forever(function(n) return tostring(n) end),
    table = function() return table.concat({big, big, big, big, big, big, big, big, big}) end,
    tasks = forever(function() return task.spawn(task.sleep, 1000, big .. math.random()) end),
    unpack = function() return table.pack(table.unpack({}, 1, 900000)) end,
    zlib = forever(function() return zlib.compressor() end),
  }
  local names = {}
  for name in pairs(ways) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local ok, err = task.scope(function(scope)
      local results = table.pack(pcall(ways[name]))
      scope:cancel()
      return table.unpack(results, 1, 2)
    end)
    ways[name] = nil
    print(name, ok, (tostring(err):gsub("^[^:]*:%d+: ", "")))
  end
]]

describe("neap --memory", function()
  it("is an error that a script may catch, and goes on from", function()
    local result = run("8M", ways .. "print 'on'")
    assert.equal("", result.stderr)
    local n = 0
    for name, said in result.stdout:gmatch "(%l+)\tfalse\t([^\n]*)\n" do
      local ok = said == "not enough memory" or name == "one" and said == "resulting string too large"
        or name == "stack" and said:find "^stack overflow" or name == "unpack" and said == "too many results to unpack"
      assert(ok, name .. ": " .. said)
      n = n + 1
    end
    assert.equal(17, n, result.stdout)
    assert.matches("\non\n$", result.stdout)
  end)

  it("ends a program in order that does not catch it", function()
    local result = run("4M", [[
      local _ <close> = setmetatable({}, {__close = function() print "closed" end})
      task.spawn(function()
        local kept = {}
        while true do kept[#kept + 1] = {} end
      end)
      task.sleep(1000)]])
    assert.equal(1, result.code, result.stderr)
    assert.matches("^neap: not enough memory\n", result.stderr)
    assert.equal("closed\n", result.stdout)
  end)

  it("is told to who serves, and at the prompt", function()
    local result = run("12M", [[
      local http = require "neap.http"
      local function fill() return ("x"):rep(1 << 26) end
      local function serve(where, serving)
        local listener = assert(net.listen(where))
        task.background(serving, listener)
        return assert(net.connect(where))
      end
      print(serve("mem:plain", function(listener)
        listener:serve(fill, {onerror = function(err, stream) stream:write(err) end})
      end):read())
      local function ask(where, opts)
        local client = serve(where, function(listener) http.serve(listener, fill, opts) end)
        client:write "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
        print(client:read())
      end
      ask("mem:http", {onerror = function(err) print(err) end})
      ask("mem:told")]])
    assert.same({"neap: GET /x: not enough memory\n", "not enough memory\nnot enough memory\n" ..
      ("HTTP/1.1 500 Internal Server Error\r\n"):rep(2)}, {result.stderr, result.stdout})
    local typed = assert(process.run {neap, "--memory=12M", "-i",
      input = "('x'):rep(1 << 26)\n_err\n"}).stdout
    assert.matches("> error: not enough memory\n.*> \"not enough memory\"\n", typed)
  end)

  it("is not asked for what a finalizer may spend that no task runs", function()
    local result = run("8M", [[
      local spend = require "neap.prompt.core".spend
      KEPT = setmetatable({}, {__gc = function() print(pcall(spend, true)) end})]])
    assert.same({"true\n", ""}, {result.stdout, result.stderr})
  end)

  it("keeps some for the prompt, which goes on", function()
    local typed = task.timeout(60, process.run, {neap, "--memory=16M", "-i", input = [[
local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end
t
t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end
#t > 1000
#("x"):rep(4 << 20)
t = nil
#("x"):rep(4 << 20)
]]})
    local said = {}
    for line in assert(typed, "it hangs").stdout:gmatch "> (%l[^\n>]*)\n" do
      said[#said + 1] = line
    end
    assert.same({"error: not enough memory", "nil", "error: not enough memory", "true",
      "error: not enough memory"}, said)
    assert.matches("> 4194304\n", typed.stdout)
    assert.equal(0, typed.code)
  end)

  it("is each worker's own", function()
    local result = run("16M", [[
      local worker = require "neap.worker"
      local function fill(mib)
        local kept = {}
        for i = 1, mib do kept[i] = ("x"):rep(1 << 20) .. i end
        return #kept
      end
      local kept = ("x"):rep(6 << 20)
      print(worker.run(fill, 11))
      print(worker.run(fill, 16))
      print(#kept)]])
    assert.matches("^11\nnil\t[^\n]*not enough memory[^\n]*\n6291456\n$", result.stdout)
  end)

  it("collects what is garbage before it refuses", function()
    local result = run("4M", [[
      collectgarbage "stop"
      for i = 1, 20 do local _ = ("x"):rep(1 << 20) .. i end
      print(collectgarbage "count" < 4096)]])
    assert.same({"true\n", ""}, {result.stdout, result.stderr})
  end)

  it("is told of", function()
    local result = run("32M", [[
      print(require "neap.metrics".text():match "\n(neap_lua_memory_limit_bytes %d+)\n")]])
    assert.equal("neap_lua_memory_limit_bytes 33554432\n", result.stdout)
    assert.matches("^nil\n", assert(process.run {neap, "-e",
      "print(require 'neap.metrics'.text():match 'memory_limit')"}).stdout)
    local p <close> = assert(process.spawn {neap, "--memory=1G", "-e",
      "print 'up' io.stdout:flush() task.sleep(1000)", env = env(), stdout = "pipe"})
    assert.equal("up", p.stdout:read "l")
    assert.matches("of Lua [%d.]+ %w+ of 1.0 GiB ", assert(process.run {neap, "top", "--once",
      tostring(p.pid), env = env()}).stdout)
    p:kill()
    p:wait()
  end)

  it("wants to be told a size", function()
    for _, bad in ipairs {"", "x", "0", "1K", "-1G", "64MB", "1048575", "99999999999G", " 4M", "4 M"} do
      local result = assert(process.run {neap, "--memory=" .. bad, "-e", ""})
      assert.equal(2, result.code, bad)
      assert.equal("neap: --memory: a size of 1M at least expected, as 64M or 2G\n", result.stderr)
    end
    for _, size in ipairs {"4096K", "1G"} do
      assert.equal("1\n", run(size, "print(1)").stdout, size)
    end
  end)
end)

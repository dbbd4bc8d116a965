-- What a host's Lua is held to: finalizers, the standard library, memory.

local task = require "neap.task"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local run, run_script, says = folder.run, folder.run_script, folder.says

before_each(folder.make)
after_each(folder.remove)

describe("an error in __gc", function()
  it("is a warning, which is off until it is asked for", function()
    local result = run_script [[
      local function drop() setmetatable({}, {__gc = function() error "gone" end}) end
      drop()
      collectgarbage()
      warn("@no such")
      warn "@on"
      drop()
      collectgarbage()
      warn "@off"
      drop()
      collectgarbage()
      warn "@on"
      warn("one ", "warning")
      drop()
    ]]
    assert.equal(0, result.code)
    assert.equal([[
Lua warning: error in __gc (script.lua:1: gone)
Lua warning: one warning
Lua warning: error in __gc (script.lua:1: gone)
]], result.stderr)
  end)

  it("in a socket's life harms nothing (J5)", function()
    local result = run("-e", [[
      local guard = {__gc = function() error(setmetatable({}, {__tostring = error})) end}
      for i = 1, 50 do
        local a, b = net.socketpair()
        setmetatable({a}, guard)
        b:write(i)
      end
      collectgarbage()
      task.sleep(0.001)
      print "alive"
    ]])
    assert.equal("alive\n", result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("a finalizer at the end of the program", function()
  it("opens nothing any more: nobody would close it (J14)", function()
    for _, code in ipairs {
      "net.listen 'tcp://127.0.0.1:0'", "net.listen 'mem:x'", "net.bind 'udp://127.0.0.1:0'",
      "net.socketpair()", "net.socketpair 'mem'", "net.socketpair 'unixgram'",
      "stdio.stdin:close()", "process.spawn {'true', stdout = 'pipe'}", "signal.each 'SIGHUP'",
    } do
      for _, ending in ipairs {"", "os.exit(0, true)", "task.sleep(0)"} do
        local result = run("-e", ([[
          last = setmetatable({}, {__gc = function()
            local ok, message = pcall(function() %s end)
            print(ok, message)
          end})
          %s
        ]]):format(code, ending))
        assert.matches("^false\t.*the program has ended\n$", result.stdout, code)
        assert.equal("", result.stderr)
        assert.equal(0, result.code)
      end
    end
  end)

  it("may spawn and wake, which does nothing any more, and close (J14, J16)", function()
    local result = run("-e", [[
      local a, b = net.socketpair()
      local c = task.channel()
      local t = task.spawn(c.recv, c)
      task.yield()
      last = setmetatable({}, {__gc = function()
        task.spawn(print, "no")
        c:close()
        t:cancel()
        print(a:close(), b:close(), a:close())
        print(pcall(a.recv, a))
        print(pcall(task.sleep, 0))
        print(t.status, task.current())
      end})
      os.exit(0, true)
    ]])
    assert.equal("", result.stderr)
    assert.equal(table.concat({
      "true\ttrue\ttrue",
      "false\trecv: only a task can wait",
      "false\tsleep: only a task can wait",
      "cancelled\tnil\n",
    }, "\n"), result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("the standard library", function()
  it("has time and chance from the world, as Lua documents them", function()
    local result = run_script [[
      print(math.type(os.time()), os.time {year = 2020, month = 1, day = 1, hour = 12} > 0)
      print(os.date("!%Y-%m-%d", 0), type(os.date()), os.date("*t").year == tonumber(os.date "%Y"))
      print(pcall(os.date, "%Ez"))
      print(math.type(os.clock()), os.clock() < 10)
      math.randomseed(42)
      local a = math.random(1 << 40)
      math.randomseed(42)
      print(a == math.random(1 << 40), select("#", math.randomseed()))
      print(pcall(os.time, {}))
    ]]
    assert.equal("", result.stderr)
    assert.equal([[
integer	true
1970-01-01	string	true
false	bad argument #1 to 'os.date' (invalid conversion specifier '%Ez')
float	true
true	2
false	field 'year' missing in date table
]], result.stdout)
    assert.is_true(run_script("print(math.random(1 << 40))").stdout ~=
      run_script("print(math.random(1 << 40))").stdout)
  end)

  it("sorts what was made to be slow for another process", function()
    local values = assert(child.run [[
      local n, solid, candidate = 1000, 0, 0
      local unset, values, places = n + 1, {}, {}
      for i = 1, n do
        values[i], places[i] = unset, i
      end
      table.sort(places, function(x, y)
        if values[x] == unset and values[y] == unset then
          solid = solid + 1
          values[x == candidate and x or y] = solid
        end
        if values[x] == unset then
          candidate = x
        elseif values[y] == unset then
          candidate = y
        end
        return values[x] < values[y]
      end)
      print(table.concat(values, " "))
    ]].stdout)
    local list, compared = {}, 0
    for value in values:gmatch "%d+" do
      list[#list + 1] = tonumber(value)
    end
    table.sort(list, function(a, b)
      compared = compared + 1
      return a < b
    end)
    assert.equal(1000, #list)
    assert.is_true(compared < 60000, compared)
  end)

  it("opens no library for one coroutine only", function()
    assert.same(says "true\ttrue\n", run_script [[
      print(coroutine == package.loaded.coroutine, require "coroutine" == coroutine)
    ]])
  end)
end)

describe("many tasks", function()
  it("cost less than two kilobytes each, and give them back (K1) #slow", function()
    local result = run("-e", child.code([[
      local n = tonumber(...)
      local function rss()
        local f <close> = io.open "/proc/self/statm"
        return tonumber(f:read "a":match "%d+ (%d+)") * 4096
      end
      task.scope(function(scope) -- the coroutines that are kept for the next tasks
        for _ = 1, 100 do
          scope:spawn(task.sleep, 0)
        end
      end)
      collectgarbage()
      local before, count = rss(), collectgarbage "count"
      local tasks = {}
      for i = 1, n do
        tasks[i] = task.spawn(task.sleep, 0.3)
      end
      task.yield()
      local each = (rss() - before) // n
      for i = 1, n do
        tasks[i]:join()
      end
      tasks = nil
      collectgarbage()
      collectgarbage()
      print(each < 2048 and "small" or each, (collectgarbage "count" - count) * 1024 // n < 32)
    ]], child.stress and "200" or "50000"))
    if not child.sanitized then -- sanitizers need more
      assert.matches("^small\t", result.stdout)
    end
    assert.matches("true\n$", result.stdout)
    assert.equal(0, result.code)
    assert.equal(task.current(), task.current())
  end)
end)

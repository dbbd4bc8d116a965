-- Waits inside a script's own coroutines, and where there can be none.

local net = require "neap.net"
local task = require "neap.task"
local child = require "spec.support.child"
local closing = require "spec.support.tasks".closing

describe("a wait inside coroutines", function()
  it("suspends the task, and yields stay the script's (J7)", function()
    local log = {}
    local other = task.spawn(function()
      for i = 1, 5 do
        log[#log + 1] = "other " .. i
        task.yield()
      end
    end)
    local generator = coroutine.wrap(function(a)
      local x = a
      for _ = 1, 3 do
        task.yield()
        x = coroutine.yield(x * 2)
      end
      return "done"
    end)
    assert.equal(2, generator(1))
    assert.equal(10, generator(5))
    assert.equal(14, generator(7))
    assert.equal("done", generator(0))
    other:join()
    assert.equal(5, #log)
  end)

  it("works three generators deep, inside pcall inside for (J7)", function()
    local ours, theirs <close> = net.socketpair()
    local _ <close> = ours
    local writer = task.spawn(function()
      for i = 1, 5 do
        theirs:write(i, "\n")
        theirs:flush()
        task.sleep(0.0005)
      end
      theirs:shutdown()
    end)
    local lines = coroutine.wrap(function()
      for line in ours:lines() do
        coroutine.yield(tonumber(line))
      end
    end)
    local squares = coroutine.wrap(function()
      for n in lines do
        task.sleep(0)
        coroutine.yield(n * n)
      end
    end)
    local sums = coroutine.wrap(function()
      local sum = 0
      local ok, err = pcall(function()
        for square in squares do
          sum = sum + square
          coroutine.yield(sum)
        end
      end)
      assert(ok, err)
    end)
    local seen = {}
    for sum in sums do
      seen[#seen + 1] = sum
    end
    assert.same({1, 5, 14, 30, 55}, seen)
    writer:join()
  end)

  it("works in whatever Lua can suspend (J7)", function()
    local meta = {}
    for _, name in ipairs {
      "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl",
      "shr", "bnot", "concat", "len", "eq", "lt", "le", "call", "index",
    } do
      meta["__" .. name] = function()
        task.sleep(0)
        return name
      end
    end
    local assigned
    meta.__newindex = function(_, key, value)
      task.sleep(0)
      assigned = key .. value
    end
    meta.__pairs = function()
      task.sleep(0)
      return function(_, i)
        task.sleep(0)
        return i < 3 and i + 1 or nil
      end, nil, 0
    end
    local a, b = setmetatable({}, meta), setmetatable({}, meta)
    local function check()
      assert.same({"add", "sub", "mul", "div", "mod", "pow", "unm", "idiv"},
        {a + 1, a - 1, a * 1, a / 1, a % 1, a ^ 1, -a, a // 1})
      assert.same({"band", "bor", "bxor", "shl", "shr", "bnot"},
        {a & 1, a | 1, a ~ 1, a << 1, a >> 1, ~a})
      assert.same({"concat", "len", "call", "index"}, {a .. 1, #a, a(1), a.field})
      assert.is_true(a == b and a < b and a <= b)
      assert.is_false(a ~= b)
      a.key = "value"
      assert.equal("keyvalue", assigned)
      local n = 0
      for i in pairs(a) do
        n = n + i
      end
      assert.equal(6, n)
      assert.same({true, 1}, {pcall(function()
        task.sleep(0)
        return 1
      end)})
      assert.same({false, "handled"}, {xpcall(function()
        task.sleep(0)
        error "x"
      end, function() return "handled" end)})
    end
    check()
    coroutine.wrap(check)()
    coroutine.wrap(function()
      coroutine.wrap(check)()
    end)()
    task.timeout(10, check)
  end)

  it("works in <close>, when a block ends, breaks, returns and fails (J7)", function()
    local closed = 0
    local function open()
      return closing(function()
        task.sleep(0)
        closed = closed + 1
      end)
    end
    local function check()
      do
        local _ <close> = open()
      end
      while true do -- luacheck: ignore 512
        local _ <close> = open()
        break
      end
      assert.equal("returned", (function()
        local _ <close> = open()
        return "returned"
      end)())
      assert.is_false(pcall(function()
        local _ <close> = open()
        error "x"
      end))
      for _ in function() end, nil, nil, open() do end -- luacheck: ignore 542
    end
    check()
    assert.equal(5, closed)
    coroutine.wrap(check)()
    assert.equal(10, closed)
  end)

  it("in one that fails closes what was open, which may wait (J7)", function()
    local order = {}
    local co = coroutine.create(function()
      local ok, err = pcall(function()
        local _ <close> = closing(function()
          task.sleep(0)
          order[#order + 1] = "closed"
        end)
        task.sleep(0)
        error("inside", 0)
      end)
      order[#order + 1] = err
      coroutine.yield(ok)
      task.sleep(0)
      error("outside", 0)
    end)
    assert.same({true, false}, {coroutine.resume(co)})
    assert.same({"closed", "inside"}, order)
    assert.same({false, "outside"}, {coroutine.resume(co)})
  end)

  it("is cancelled with its task, at any depth", function()
    local order = {}
    local t = task.spawn(function()
      local _ <close> = closing(function() order[#order + 1] = "task" end)
      coroutine.wrap(function()
        local _ <close> = closing(function() order[#order + 1] = "outer" end)
        local co = coroutine.create(function()
          local _ <close> = closing(function()
            order[#order + 1] = "inner"
          end)
          task.sleep(10)
        end)
        local ok, err = coroutine.resume(co)
        order[#order + 1] = err.code
        assert(not ok)
        coroutine.close(co)
        error(err)
      end)()
    end)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.same({"ECANCELED", "inner", "outer", "task"}, order)
  end)

  it("is of the task that resumed it, whoever made it", function()
    local made = coroutine.wrap(function()
      local names = {}
      while true do
        task.sleep(0)
        names[#names + 1] = task.current().name
        coroutine.yield(names)
      end
    end)
    made()
    local t = task.spawn(function()
      return made()
    end)
    t.name = "second"
    assert.equal("second", t:join()[2])
    assert.equal(3, #made())
  end)

  it("lets no other task resume it meanwhile", function()
    local generator = coroutine.create(function()
      task.sleep(0.005)
      coroutine.yield "first"
      task.sleep(0)
      return "second"
    end)
    local waiter = task.spawn(coroutine.resume, generator)
    task.yield()
    assert.equal("normal", coroutine.status(generator))
    assert.same({false, "cannot resume non-suspended coroutine"}, {coroutine.resume(generator)})
    assert.is_false(pcall(coroutine.close, generator))
    assert.same({true, "first"}, {waiter:join()})
    assert.equal("suspended", coroutine.status(generator))
    assert.same({true, "second"}, {coroutine.resume(generator)})
  end)

  it("keeps to the timeouts of the task that entered them", function()
    -- A generator enters a timeout in one task and goes on in another.
    local generator = coroutine.wrap(function()
      return task.timeout(0.005, function()
        coroutine.yield "inside"
        task.sleep(0.02)
        return "finished"
      end)
    end)
    local first = task.spawn(function()
      generator()
      task.sleep(0.05)
      return "undisturbed"
    end)
    task.yield()
    assert.equal("finished", generator())
    assert.equal("undisturbed", first:join())
  end)

  it("ends well when the task that entered its scope has ended", function()
    local generator = coroutine.wrap(function()
      return task.scope(function(s)
        s:spawn(task.sleep, 10)
        coroutine.yield "inside"
        task.sleep(0)
        return "finished"
      end)
    end)
    assert.equal("inside", task.spawn(generator):join())
    assert.is_true(pcall(generator))
    collectgarbage()
  end)

  it("leaves a generator that is dropped while suspended to the collector", function()
    local weak = setmetatable({}, {__mode = "k"})
    for _ = 1, 100 do
      local co = coroutine.create(function()
        task.timeout(10, function()
          task.sleep(0)
          coroutine.yield()
        end)
      end)
      coroutine.resume(co)
      weak[co] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    task.sleep(0)
  end)

  it("goes a hundred thousand times through a chain without growing", function()
    local function chain(n)
      if n == 0 then
        return function()
          task.yield()
          return true
        end
      end
      local f = chain(n - 1)
      return coroutine.wrap(function()
        while true do
          coroutine.yield(f())
        end
      end)
    end
    local f = chain(5)
    f()
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, child.stress and 100 or 20000 do
      f()
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 16)
  end)
end)

describe("where Lua cannot suspend", function()
  local function wait()
    task.sleep(0)
  end

  local places = {
    ["a comparison of table.sort"] = function()
      table.sort({3, 1, 2}, function(a, b)
        wait()
        return a < b
      end)
    end,
    ["a replacement of string.gsub"] = function() return (("x"):gsub("x", wait)) end,
    ["__tostring"] = function() tostring(setmetatable({}, {__tostring = wait})) end,
    ["a reader of load"] = function() assert(load(wait)) end,
    ["__index under table.concat"] = function()
      table.concat(setmetatable({}, {__index = wait, __len = function() return 2 end}))
    end,
    ["a coroutine inside a comparison"] = function()
      table.sort({3, 1, 2}, coroutine.wrap(function()
        wait()
      end))
    end,
    ["two coroutines inside a replacement"] = function()
      return (("x"):gsub("x", function()
        coroutine.wrap(function()
          coroutine.wrap(wait)()
        end)()
      end))
    end,
    ["a timeout inside a comparison"] = function()
      table.sort({3, 1, 2}, function() task.timeout(1, wait) end)
    end,
    ["a scope inside a comparison"] = function()
      table.sort({3, 1, 2}, function() task.scope(wait) end)
    end,
    ["a debug hook"] = function()
      local message
      debug.sethook(function()
        debug.sethook()
        message = select(2, pcall(wait))
      end, "l")
      local _ = 1
      error(message, 0)
    end,
  }

  for name, place in pairs(places) do
    it("says so: " .. name .. " (J10)", function()
      for _, call in ipairs {pcall, function(f) return coroutine.resume(coroutine.create(f)) end} do
        local ok, message = call(place)
        assert.is_false(ok)
        assert.matches("%l+ cannot wait here: Lua cannot suspend inside", message)
        assert.matches("do it before, and pass the result in", message)
      end
      task.sleep(0) -- it can, again
      coroutine.wrap(wait)()
    end)
  end

  it("says so in a finalizer (J10)", function()
    local message
    do
      setmetatable({}, {__gc = function() message = select(2, pcall(wait)) end})
    end
    collectgarbage()
    assert.matches("cannot wait here", message)
  end)

  it("lets methods work that need not wait (J10)", function()
    local c = task.channel(3)
    local ok, message = pcall(table.sort, {3, 1, 2}, function(a, b)
      c:send(a)
      return a < b
    end)
    assert.is_false(ok) -- whether it would have to is not asked
    assert.matches("channel send cannot wait here", message)
    local spawned
    table.sort({1, 2}, function()
      spawned = task.spawn(function() return "spawned" end)
      return false
    end)
    assert.equal("spawned", spawned:join())
  end)

  it("is not inside a module that is required (J10)", function()
    package.preload["coroutine_wait_spec.waits"] = function(name)
      task.sleep(0)
      return {name = name}
    end
    assert.equal("coroutine_wait_spec.waits", require "coroutine_wait_spec.waits".name)
    package.preload["coroutine_wait_spec.waits"] = nil
    package.loaded["coroutine_wait_spec.waits"] = nil
  end)
end)

describe("the collector", function()
  after_each(function()
    collectgarbage "restart"
    collectgarbage "incremental"
    collectgarbage("incremental", 200, 100, 13)
  end)

  for name, set in pairs {
    generational = function() collectgarbage "generational" end,
    ["incremental with a long pause"] = function() collectgarbage("incremental", 1000, 400) end,
    ["incremental in tiny steps"] = function() collectgarbage("incremental", 100, 400, 1) end,
    stopped = function() collectgarbage "stop" end,
  } do
    it("may be " .. name .. " (J18)", function()
      collectgarbage()
      set()
      local n = child.stress and 20 or 200
      local got = 0
      task.scope(function(s)
        for i = 1, n do
          s:spawn(function()
            local a, b = net.socketpair()
            local text = ("%d "):rep(20):format(table.unpack(table.pack(("x"):rep(20):byte(1, -1))))
            a:write(text, i, "\n")
            a:close()
            local generator = coroutine.wrap(function()
              task.timeout(10, function()
                coroutine.yield(b:read "l")
              end)
            end)
            if generator() == text .. i then
              got = got + 1
            end
            if i % 2 == 0 then
              b:close()
            end
          end)
          if i % 50 == 0 then
            task.sleep(0)
          end
        end
      end)
      assert.equal(n, got)
    end)
  end

  it("collects a socket and its coroutine in a cycle", function()
    local weak = setmetatable({}, {__mode = "k"})
    for _ = 1, 50 do
      local a, b = net.socketpair()
      local co
      co = coroutine.create(function()
        coroutine.yield(a, b, co)
      end)
      coroutine.resume(co)
      weak[co], weak[a] = true, true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

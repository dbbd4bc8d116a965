local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"

--- Something to declare <close>: calls f.
local function closing(f)
  return setmetatable({}, {__close = f})
end

--- Run a script in a neap of its own: what it prints and how it ends.
local function run(script)
  return assert(process.run {neap, "-e", script})
end

local function results(...)
  return {n = select("#", ...), ...}
end

-- What the manual of Lua 5.4 says of coroutines that do not wait for anything.

describe("coroutine.create and resume", function()
  it("pass values both ways, nils too", function()
    local co = coroutine.create(function(...)
      local got = results(coroutine.yield(select("#", ...), ...))
      got = results(coroutine.yield(got.n, table.unpack(got, 1, got.n)))
      return got.n, nil
    end)
    assert.equal("thread", type(co))
    assert.same({n = 5, true, 3, 1, nil, nil}, results(coroutine.resume(co, 1, nil, nil)))
    assert.same({n = 2, true, 0}, results(coroutine.resume(co)))
    assert.same({n = 3, true, 1, nil}, results(coroutine.resume(co, "x")))
    assert.same({n = 2, false, "cannot resume dead coroutine"}, results(coroutine.resume(co)))
    assert.equal("dead", coroutine.status(co))
  end)

  it("pass a thousand values", function()
    local co = coroutine.create(function(...)
      while true do
        coroutine.yield(...)
      end
    end)
    for _ = 1, 3 do
      assert.equal(1001, select("#", coroutine.resume(co, table.unpack({}, 1, 1000))))
    end
  end)

  it("say that there are too many values", function()
    local function values(n)
      return table.unpack({}, 1, n)
    end
    -- A stack holds a million
    local co = coroutine.create(function(...)
      coroutine.yield()
      return ...
    end)
    assert.same({n = 1, true}, results(coroutine.resume(co, values(600000))))
    assert.same({n = 2, false, "too many arguments to resume"},
      results(coroutine.resume(co, values(600000))))
    assert.equal("suspended", coroutine.status(co))
    local ok, message = (function(...)
      local many = coroutine.create(table.unpack)
      local ok, message = coroutine.resume(many, {}, 1, 600000)
      return ok, message, ... -- keep as many in the stack
    end)(values(450000))
    assert.is_false(ok)
    assert.equal("too many results to resume", message)
  end)

  it("give the error of whatever type, and the coroutine is dead", function()
    local object = setmetatable({}, {__tostring = function() return "object" end})
    for _, value in ipairs {object, 42, "text", false, print, io.stdout} do
      local co = coroutine.create(function()
        error(value, 0)
      end)
      assert.same({n = 2, false, value}, results(coroutine.resume(co)))
      assert.equal("dead", coroutine.status(co))
      assert.same({n = 2, false, "cannot resume dead coroutine"}, results(coroutine.resume(co)))
    end
    assert.same({n = 2, false, nil}, results(coroutine.resume(coroutine.create(error))))
  end)

  it("leave open what an error passed, for coroutine.close to close", function()
    local closed
    local co = coroutine.create(function()
      local _ <close> = closing(function(_, err) closed = err end)
      error("thrown", 0)
    end)
    assert.same({false, "thrown"}, {coroutine.resume(co)})
    assert.is_nil(closed)
    assert.same({false, "thrown"}, {coroutine.close(co)})
    assert.equal("thrown", closed)
    assert.same({true}, {coroutine.close(co)})
  end)

  it("refuse a coroutine that is not suspended", function()
    local outer, inner
    outer = coroutine.create(function()
      inner = coroutine.create(function()
        return coroutine.status(outer), coroutine.status(inner), coroutine.resume(outer)
      end)
      return select(2, coroutine.resume(inner))
    end)
    assert.same({true, "normal", "running", false, "cannot resume non-suspended coroutine"},
      {coroutine.resume(outer)})
    local co
    co = coroutine.create(function()
      return coroutine.resume(co)
    end)
    assert.same({true, false, "cannot resume non-suspended coroutine"}, {coroutine.resume(co)})
  end)

  it("raise for arguments of other types", function()
    for _, f in ipairs {
      coroutine.resume, coroutine.status, coroutine.close, coroutine.create, coroutine.wrap,
    } do
      for _, value in ipairs {1, "x", {}, true, io.stdout} do
        assert.is_false(pcall(f, value))
      end
      assert.is_false(pcall(f))
    end
    assert.is_false(pcall(coroutine.resume, print))
    assert.is_false(pcall(coroutine.create, coroutine.create(print)))
    assert.is_false(pcall(coroutine.create, setmetatable({}, {__call = print})))
    local _, message = pcall(coroutine.resume, 1)
    assert.matches("thread expected", message)
  end)

  it("take C functions", function()
    assert.same({true, 1, "x"}, {coroutine.resume(coroutine.create(select), 1, 1, "x")})
    local co = coroutine.create(coroutine.yield)
    assert.same({true, "in"}, {coroutine.resume(co, "in")})
    assert.same({true, "out"}, {coroutine.resume(co, "out")})
    local pc = coroutine.wrap(pcall)
    assert.equal(7, pc(coroutine.yield, 7))
    assert.same({true, 8}, {pc(8)})
  end)
end)

describe("coroutine.wrap", function()
  it("makes iterators", function()
    local seen = {}
    for i, square in coroutine.wrap(function()
      for i = 1, 4 do
        coroutine.yield(i, i * i)
      end
    end) do
      seen[i] = square
    end
    assert.same({1, 4, 9, 16}, seen)
  end)

  it("raises errors, strings with the position of the caller", function()
    local object = {}
    local f = coroutine.wrap(function() error(object) end)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal(object, err)
    local line
    ok, err = pcall(function()
      line = debug.getinfo(1, "l").currentline + 1
      coroutine.wrap(function() error("thrown", 0) end)()
    end)
    assert.is_false(ok)
    assert.equal(("spec/coroutine_spec.lua:%d: thrown"):format(line), err)
  end)

  it("raises when it is dead", function()
    local f = coroutine.wrap(function() return 1 end)
    assert.equal(1, f())
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.matches("cannot resume dead coroutine", err)
  end)

  it("closes what an error passed, and gives the error of that", function()
    local order = {}
    local f = coroutine.wrap(function()
      local _ <close> = closing(function(_, err)
        order[#order + 1] = err
        error("in closing", 0)
      end)
      local _ <close> = closing(function(_, err)
        order[#order + 1] = err
      end)
      coroutine.yield()
      error("thrown", 0)
    end)
    f()
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.matches("in closing$", err)
    assert.same({"thrown", "thrown"}, order)
  end)
end)

describe("coroutine.status, running and isyieldable", function()
  it("know a task's own coroutine as a main one", function()
    local co, main = coroutine.running()
    assert.is_true(main)
    assert.equal("running", coroutine.status(co))
    assert.is_false(coroutine.isyieldable())
    assert.is_false(coroutine.isyieldable(co))
    local ok, err = pcall(coroutine.yield)
    assert.is_false(ok)
    assert.matches("attempt to yield from outside a coroutine", err)
  end)

  it("know the coroutines of a script", function()
    local outer = coroutine.running()
    local co
    co = coroutine.create(function()
      local me, main = coroutine.running()
      assert(me == co and not main)
      assert(coroutine.status(outer) == "normal")
      assert(coroutine.isyieldable() and coroutine.isyieldable(co))
      assert(not coroutine.isyieldable(outer))
      assert(not coroutine.resume(outer))
      table.sort({1, 2}, function()
        assert(not coroutine.isyieldable())
        return false
      end)
      coroutine.yield()
    end)
    assert.equal("suspended", coroutine.status(co))
    assert.same({true}, {coroutine.resume(co)})
    assert.equal("suspended", coroutine.status(co))
    assert.is_true(coroutine.isyieldable(co))
    assert.same({true}, {coroutine.resume(co)})
    assert.equal("dead", coroutine.status(co))
  end)

  it("know a task that waits, and let nobody touch its coroutine", function()
    local base
    local t = task.spawn(function()
      base = coroutine.running()
      task.sleep(0.005)
      return "unharmed"
    end)
    task.yield()
    assert.equal("normal", coroutine.status(base))
    assert.same({false, "cannot resume non-suspended coroutine"}, {coroutine.resume(base)})
    local ok, err = pcall(coroutine.close, base)
    assert.is_false(ok)
    assert.matches("cannot close a normal coroutine", err)
    assert.equal("unharmed", t:join())
    assert.equal("dead", coroutine.status(base))
    assert.same({false, "cannot resume dead coroutine"}, {coroutine.resume(base)})
    assert.is_true(coroutine.close(base))
  end)
end)

describe("coroutine.close", function()
  it("closes the pending variables, last opened first", function()
    local order = {}
    local co = coroutine.create(function()
      local _ <close> = closing(function(_, e) order[#order + 1] = {"outer", e} end)
      local _ <close> = closing(function(_, e) order[#order + 1] = {"inner", e} end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.same({true}, {coroutine.close(co)})
    assert.same({{"inner"}, {"outer"}}, order)
    assert.equal("dead", coroutine.status(co))
    assert.same({true}, {coroutine.close(co)})
    assert.same({true}, {coroutine.close(coroutine.create(print))})
  end)

  it("gives the error of a closing, which the later ones see", function()
    local seen
    local co = coroutine.create(function()
      local _ <close> = closing(function(_, e) seen = e end)
      local _ <close> = closing(function() error("first", 0) end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.same({n = 2, false, "first"}, results(coroutine.close(co)))
    assert.equal("first", seen)
    assert.same({true}, {coroutine.close(co)})
  end)

  it("raises for one that runs or is normal", function()
    local ok, err = pcall(coroutine.close, (coroutine.running()))
    assert.is_false(ok)
    assert.matches("cannot close a running coroutine", err)
    local co
    co = coroutine.create(function()
      return coroutine.wrap(function()
        return pcall(coroutine.close, co)
      end)()
    end)
    assert.same({true, false, "cannot close a normal coroutine"}, {coroutine.resume(co)})
  end)

  it("does not let its handlers yield or wait (J10)", function()
    local messages = {}
    local co = coroutine.create(function()
      local _ <close> = closing(function()
        messages[1] = select(2, pcall(task.sleep, 0))
        messages[2] = select(2, pcall(coroutine.yield))
        messages[3] = select(2, pcall(coroutine.wrap(function() task.yield() end)))
        messages[4] = coroutine.wrap(function() return coroutine.yield "inside" end)()
      end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.matches("sleep cannot wait here", messages[1])
    assert.matches("attempt to yield across a C%-call boundary", messages[2])
    assert.matches("yield cannot wait here", messages[3])
    assert.equal("inside", messages[4])
  end)

  it("of a chain of 100,000 is an error, not a crash (J11)", function()
    local result = run [[
      local deepest, failed = 0
      local co
      for i = 1, 100000 do
        local inner = co
        co = coroutine.create(function()
          local c <close> = setmetatable({}, {__close = function()
            if inner then
              local ok, err = coroutine.close(inner)
              if not ok then
                failed = failed or err
                error(err, 0)
              end
            end
          end})
          coroutine.yield()
        end)
        coroutine.resume(co)
      end
      print(coroutine.close(co))
      print(failed)
    ]]
    assert.equal("", result.stderr)
    assert.matches("^false\t.-C stack overflow\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("of a chain through errors of wrap is an error, not a crash (J11)", function()
    local result = run [[
      local f
      for i = 1, 10000 do
        local inner = f
        f = coroutine.wrap(function()
          local c <close> = setmetatable({}, {__close = function()
            if inner then inner() end
          end})
          error "x"
        end)
      end
      print(pcall(f))
    ]]
    assert.equal("", result.stderr)
    assert.matches("^false", result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("depth", function()
  it("of nested resumes ends with an error (J12)", function()
    local result = run [[
      local function nest(n)
        return coroutine.wrap(function() return n + nest(n + 1) end)()
      end
      print(pcall(nest, 1))
      local function pnest(n)
        local ok, e = coroutine.resume(coroutine.create(pnest), n + 1)
        return ok and e or n
      end
      print(pnest(1) > 150)
      local function waits(n)
        return coroutine.wrap(function()
          task.sleep(0)
          return waits(n + 1)
        end)()
      end
      print(pcall(waits, 1))
    ]]
    assert.equal("", result.stderr)
    assert.matches("^false\t[^\n]*C stack overflow\ntrue\nfalse\t[^\n]*C stack overflow",
      result.stdout)
    assert.equal(0, result.code)
  end)

  it("of other calls through C ends with an error (J12)", function()
    local result = run [[
      local function gsub(n) return (("x"):gsub("x", function() return gsub(n + 1) end)) end
      local function text(n) return tostring(setmetatable({}, {__tostring = function()
        return text(n + 1) end})) end
      local function sort(n) table.sort({1, 2, 3}, function() sort(n + 1) return false end) end
      local function timeout(n) return task.timeout(10, timeout, n + 1) end
      local function shield(n) return task.shield(shield, n + 1) end
      local function scope(n) return task.scope(function() return scope(n + 1) end) end
      local function protected(n) return select(2, pcall(protected, n + 1)) end
      local function index(n)
        return setmetatable({}, {__index = function() return index(n + 1) end}).x
      end
      local function loading(n)
        return assert(load(function() return loading(n + 1) end))()
      end
      local function message(n) error(n) end
      for _, f in ipairs {gsub, text, sort, timeout, shield, scope, index, loading} do
        for _, run in ipairs {
          function() return pcall(f, 1) end,
          function() return task.spawn(pcall, f, 1):join() end,
          function() return coroutine.resume(coroutine.create(f), 1) end,
        } do
          local ok, err = run()
          assert(not ok and tostring(err):find "overflow", err)
        end
      end
      print(protected(1))
      print(xpcall(message, message, 1))
      task.sleep(0)
      print "alive"
    ]]
    assert.equal("", result.stderr)
    assert.matches("alive\n$", result.stdout)
    assert.equal(0, result.code)
  end)

  it("of waits in nested timeouts and scopes is bounded only by that (J12)", function()
    local function timeouts(n)
      if n == 0 then
        task.sleep(0)
        return "deepest"
      end
      return task.timeout(10, timeouts, n - 1)
    end
    assert.equal("deepest", timeouts(60))
    local function scopes(n)
      return task.scope(function(s)
        if n == 0 then
          s:spawn(task.sleep, 0)
          task.yield()
          return "deepest"
        end
        return scopes(n - 1)
      end)
    end
    assert.equal("deepest", scopes(30))
    local function coroutines(n)
      if n == 0 then
        task.sleep(0)
        return "deepest"
      end
      return coroutine.wrap(coroutines)(n - 1)
    end
    assert.equal("deepest", coroutines(100))
  end)

  it("of a recursion ends with an error, in every task (J13)", function()
    local result = run [[
      local function recurse(n) return 1 + recurse(n + 1) end
      task.scope(function(s)
        for i = 1, 4 do
          s:spawn(function()
            task.yield()
            local ok, err = pcall(recurse, 1)
            assert(not ok and err:find "stack overflow", err)
            task.yield()
            collectgarbage()
          end)
        end
      end)
      print "alive"
      recurse(1)
    ]]
    assert.equal("alive\n", result.stdout)
    assert.matches("^neap: %(command line%):1: stack overflow", result.stderr)
    assert.equal(1, result.code)
  end)
end)

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
    for _ = 1, neap:find "stress" and 100 or 20000 do
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
    package.preload["coroutine_spec.waits"] = function(name)
      task.sleep(0)
      return {name = name}
    end
    assert.equal("coroutine_spec.waits", require "coroutine_spec.waits".name)
    package.preload["coroutine_spec.waits"] = nil
    package.loaded["coroutine_spec.waits"] = nil
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
      local n = neap:find "stress" and 20 or 200
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

describe("a script that replaces globals", function()
  it("disturbs nothing of neap's (J19)", function()
    local result = run [[
      local print, exit, net, task, time = print, os.exit, net, task, time
      local process, signal, assert = process, signal, assert
      local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
      local require, setmetatable, collectgarbage = require, setmetatable, collectgarbage
      for _, library in ipairs {string, table, math, coroutine, os, io, utf8, debug} do
        for name in pairs(library) do
          library[name] = nil
        end
      end
      getmetatable("").__index = nil
      local globals = _G
      for name in next, globals do
        globals[name] = nil
      end

      local listener = assert(net.listen "tcp://127.0.0.1:0")
      local server = task.spawn(function()
        listener:serve(function(stream)
          for line in stream:lines() do
            assert(stream:write(line, "\n"))
          end
        end)
      end)
      local co = create(function()
        local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. listener.port))
        stream:write "hello\n"
        yield(stream:read "l")
      end)
      local _, line = resume(co)
      print(line)
      resume(co) -- closes the stream
      listener:close()
      server:join()
      local c, m, s, e = task.channel(), task.mutex(), task.semaphore(1), task.event()
      local r = task.all {
        function() c:send "sent" e:set() end,
        function()
          e:wait()
          local l <close> = m:lock()
          local p <close> = s:acquire()
          return c:recv()
        end,
      }
      print(r[2])
      print(task.race {function() return "raced" end, function() task.sleep(10) end})
      print((task.timeout(0.001, task.sleep, 10)))
      print(process.run({"echo", "run"}).stdout)
      for tick in time.every(0.001) do
        print(tick >= 1)
        break
      end
      task.spawn(signal.raise, "SIGUSR1")
      print(signal.wait "SIGUSR1")
      print(require "neap.stdio" ~= nil)
      collectgarbage()
      task.spawn(function() local x = 1 + nil end)
    ]]
    assert.equal("hello\nsent\nraced\nnil\nrun\n\ntrue\nSIGUSR1\ntrue\n", result.stdout)
    assert.matches("attempt to perform arithmetic", result.stderr)
    assert.equal(1, result.code)
  end)
end)


describe("the coroutine of a task", function()
  local function nothing() end

  --- Spawn and end so many tasks, which may use coroutines again.
  local function churn()
    for _ = 1, 10 do
      task.spawn(nothing):join()
    end
  end

  local function current()
    return (coroutine.running())
  end

  it("is no other task's, once a script has seen it", function()
    local seen = {}
    for _ = 1, 50 do
      churn()
      local co = task.spawn(current):join()
      assert.is_nil(seen[co])
      assert.equal("dead", coroutine.status(co))
      seen[co] = true
    end
    for co in pairs(seen) do
      assert.equal("dead", coroutine.status(co))
    end
  end)

  it("is no other's either when the registry or a user value showed it", function()
    for _, reveal in ipairs {
      "shown[debug.getuservalue(t, 1)] = true",
      [[
        local function look(list, depth)
          for _, value in pairs(list) do
            if type(value) == "thread" then
              shown[value] = true
            elseif type(value) == "table" and depth > 0 then
              look(value, depth - 1)
            end
          end
        end
        look(debug.getregistry(), 3)
      ]],
    } do
      local result = run([[
        local function nothing() end
        local function several()
          task.scope(function(s) for _ = 1, 20 do s:spawn(nothing) end end)
        end
        several()
        local t, shown = task.spawn(nothing), {}
      ]] .. reveal .. [[
        assert(next(shown))
        t:join()
        for _ = 1, 100 do
          several()
          assert(not shown[task.spawn(function() return (coroutine.running()) end):join()])
        end
        print(debug.getuservalue(t, 1))
        print(debug.getuservalue(t, 9))
        print(debug.getuservalue(1), debug.getuservalue(t, 1 << 40))
        print(pcall(debug.getuservalue, t, "x"))
      ]])
      assert.equal("", result.stderr)
      assert.matches("^thread: 0x%x+\ttrue\nnil\nnil\tnil\n"
        .. "false\tbad argument #2 to '[^']+' %(number expected, got string%)\n$", result.stdout)
    end
  end)

  it("takes no hook of one task to another", function()
    local result = run [[
      local lines = 0
      local function work() local x = 1 x = x + 1 return x end
      task.spawn(function() debug.sethook(function() lines = lines + 1 end, "l") work() end):join()
      local before = lines
      for _ = 1, 100 do
        task.spawn(work):join()
        assert(debug.gethook() == nil)
      end
      print(before > 0, lines - before)
    ]]
    assert.equal("", result.stderr)
    assert.equal("true\t0\n", result.stdout)
  end)

  it("serves the next task as a new one would", function()
    local function deep(n)
      return n == 0 and 0 or 1 + deep(n - 1)
    end
    local function of(...)
      return select("#", ...), ...
    end
    for round = 1, 20 do
      assert.equal(5000, task.spawn(deep, 5000):join())
      assert.same({0}, {task.spawn(of):join()})
      assert.same({2, round, "x"}, {task.spawn(of, round, "x"):join()})
      local t = task.spawn(task.sleep, 10)
      task.yield()
      t:cancel()
      assert.equal("ECANCELED", select(2, t:join()).code)
      assert.equal(250, (task.spawn(of, table.unpack({}, 1, 250)):join()))
    end
  end)
end)

describe("a coroutine that a C library resumes by itself", function()
  local library = os.tmpname()

  setup(function()
    local built = assert(process.run {
      "cc", "-x", "c", "-shared", "-fPIC", "-o", library, "-", input = [[
        typedef struct lua_State lua_State;
        lua_State *lua_newthread(lua_State *L);
        void lua_pushvalue(lua_State *L, int index);
        void lua_pushinteger(lua_State *L, long long n);
        void lua_xmove(lua_State *from, lua_State *to, int n);
        int lua_gettop(lua_State *L);
        int lua_resume(lua_State *L, lua_State *from, int nargs, int *nres);

        /* resume(f) : status, what is on top of the coroutine */
        int resume(lua_State *L) {
          int n;
          lua_State *co = lua_newthread(L);
          lua_pushvalue(L, 1);
          lua_xmove(L, co, 1);
          lua_pushinteger(L, lua_resume(co, L, 0, &n));
          if (lua_gettop(co) == 0)
            return 1;
          lua_xmove(co, L, 1);
          return 2;
        }
      ]],
    })
    assert.equal(0, built.code, built.stderr)
  end)

  teardown(function()
    os.remove(library)
  end)

  --- What a program prints in which `resume` is that of the library.
  local function foreign(script)
    local result = assert(task.timeout(20, process.run, {
      neap, "-e",
      ("local resume = assert(package.loadlib(%q, 'resume'))\n"):format(library) .. script,
    }))
    assert.same({"", 0}, {result.stderr, result.code})
    return result.stdout
  end

  it("says that nothing can wait there, and leaves the socket free", function()
    assert.matches("^2\t[^\n]-: recv cannot wait here: .*\nhello\n$", foreign [[
      local a, b = net.socketpair()
      print(resume(function() a:recv() end))
      b:write "hello"
      print(task.timeout(5, a.recv, a))
    ]])
  end)

  it("says so whatever else was resumed before or between", function()
    assert.equal(("2\ttrue\n"):rep(4), foreign [[
      local function says(status, message)
        print(status, message:find "cannot wait here" ~= nil)
      end
      says(resume(function() coroutine.wrap(function() end)() task.sleep(0) end))
      says(resume(function() coroutine.wrap(function() task.yield() end)() end))
      says(resume(function() coroutine.close(coroutine.create(print)) task.channel():recv() end))
      coroutine.wrap(function()
        says(resume(function() task.timeout(1, print) end))
        task.sleep(0.001)
      end)()
    ]])
  end)

  it("yields to its library what the script yields", function()
    assert.equal("1\tvalue\n", foreign [[
      print(resume(function() coroutine.yield "value" end))
    ]])
  end)

  it("may end the process", function()
    assert.equal("ending\n", foreign [[
      print "ending"
      resume(function() os.exit(0, true) end)
      print "not reached"
    ]])
  end)
end)

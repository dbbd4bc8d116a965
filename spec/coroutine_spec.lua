-- What the manual of Lua 5.4 says of coroutines that do not wait for anything, and how
-- deep they go.

local task = require "neap.task"
local run = require "spec.support.child".run
local closing = require "spec.support.tasks".closing

local function results(...)
  return {n = select("#", ...), ...}
end

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

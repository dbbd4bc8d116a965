-- The coroutines that tasks run in, one after the other.

local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"

local neap, run = child.neap, child.run

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

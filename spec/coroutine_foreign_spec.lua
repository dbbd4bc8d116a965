-- Coroutines that a C library makes and resumes, without coroutine.resume.

local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"

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
      child.neap, "-e",
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

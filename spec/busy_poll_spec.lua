-- neap --busy-poll looks for news without sleeping, for so long and no longer.

local child = require "spec.support.child"
local process = require "neap.process"

--- Run code with options; the waits that strace saw, if it is there.
local function run(...)
  return assert(process.run {child.neap, ...})
end

local function waits(option, code)
  local path = os.tmpname()
  local env = process.env()
  env.ASAN_OPTIONS = "detect_leaks=0" -- not under ptrace
  assert(process.run {
    "strace", "-qq", "-e", "trace=/epoll_p?wait", "-o", path, child.neap, option, "-e", code,
    env = env,
  })
  local looks, sleeps = 0, 0
  for line in io.lines(path) do
    if line:find "epoll_wait%(.*, 0%)" then
      looks = looks + 1
    elseif line:find "epoll_" then
      sleeps = sleeps + 1
    end
  end
  os.remove(path)
  return looks, sleeps
end

describe("neap --busy-poll", function()
  it("looks again and again before it sleeps", function()
    if process.run({"sh", "-c", "command -v strace"}).code ~= 0 then
      pending "strace is not installed"
      return
    end
    local looks, sleeps = waits("--busy-poll=20000", "task.sleep(0.05)")
    assert.is_true(looks >= 10, looks .. " looks")
    assert.is_true(sleeps >= 1, sleeps .. " sleeps")
    looks = waits("--busy-poll=0", "task.sleep(0.05)")
    assert.is_true(looks <= 5, looks .. " looks with 0")
  end)

  it("lets no timer come early, and reads what comes in between", function()
    local result = run("--busy-poll=2000", "-e", [[
      local l = assert(net.listen "tcp://127.0.0.1:0")
      task.spawn(function()
        l:serve(function(stream) for line in stream:lines() do stream:write(line, "\n") end end)
      end)
      local stream = assert(net.connect(l.endpoint))
      for i = 1, 100 do
        stream:write(i, "\n")
        assert(stream:read "l" == tostring(i))
      end
      for _, seconds in ipairs {0.0005, 0.002, 0.01} do
        local start = time.now()
        task.sleep(seconds)
        assert(time.now() - start >= seconds)
      end
      local ok, err = task.timeout(0.005, stream.read, stream, "l")
      print(ok, err.code)
      l:close() stream:close()
    ]])
    assert.same({0, "nil\tETIMEDOUT\n"}, {result.code, result.stdout}, result.stderr)
  end)

  it("sleeps when nothing came for so long", function()
    local result = run("--busy-poll=1000", "-e", [[
      local before = os.clock()
      task.sleep(0.3)
      print(os.clock() - before < 0.1)
    ]])
    assert.equal("true\n", result.stdout)
  end)

  it("holds for workers, too", function()
    local result = run("--busy-poll=100", "-w", "2", "-e", "task.sleep(0.01) print 'done'")
    assert.same({0, "done\ndone\n"}, {result.code, result.stdout})
  end)

  it("wants a number of microseconds", function()
    for _, bad in ipairs {"x", "-1", "", "1000001", "1.5"} do
      local result = run("--busy-poll=" .. bad, "-e", "")
      assert.equal(2, result.code)
      assert.equal("neap: --busy-poll: microseconds from 0 to 1000000 expected\n", result.stderr)
    end
    assert.matches("MICROSECONDS is expected", run("--busy-poll", "-e", "").stderr)
  end)
end)

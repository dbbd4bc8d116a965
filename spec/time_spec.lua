local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"

describe("time.now", function()
  it("goes forward with what task.sleep waits for", function()
    local before = time.now()
    assert.equal("float", math.type(before))
    task.sleep(0.02)
    local took = time.now() - before
    assert.is_true(took >= 0.02 and took < 1, took)
  end)
end)

it("time.wall is the time of day", function()
  local before = os.time()
  local wall = time.wall()
  assert.equal("float", math.type(wall))
  assert.is_true(wall >= before and wall < os.time() + 1)
end)

describe("time.every", function()
  it("ticks first after one period, and never early", function()
    local start = time.now()
    for tick in time.every(0.01) do
      assert.is_true(time.now() - start >= tick * 0.01)
      if tick >= 5 then
        break
      end
    end
    assert.is_true(time.now() - start < 1)
  end)

  it("does not drift with what the body takes", function()
    local start = time.now()
    local ticks, last = 0, 0
    for tick in time.every(0.02) do
      ticks, last = ticks + 1, tick
      task.sleep(0.015)
      if tick >= 10 then
        break
      end
    end
    local took = time.now() - start
    assert.is_true(took >= last * 0.02 + 0.015, took)
    assert.is_true(took < last * 0.02 + 0.1, took)
    assert.is_true(ticks >= 8, ticks)
  end)

  it("does not make up for missed ticks, and numbers what comes", function()
    local seen = {}
    for tick in time.every(0.02) do
      seen[#seen + 1] = tick
      if #seen == 1 then
        task.sleep(0.09)
      elseif #seen == 3 then
        break
      end
    end
    assert.is_true(seen[2] >= seen[1] + 4, seen[2])
    assert.is_true(seen[3] > seen[2])
  end)

  it("lets others run even when its body always takes too long", function()
    local ran = 0
    local other = task.spawn(function()
      while true do
        ran = ran + 1
        task.yield()
      end
    end)
    for tick in time.every(1e-9) do
      if tick > 0 and ran >= 3 then
        break
      end
    end
    other:cancel()
    other:join()
  end)

  it("can be cancelled (I1)", function()
    local result, err = task.timeout(0.01, function()
      for _ in time.every(math.huge) do
        error "ticked"
      end
    end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("ends with the error of its body, and the loop lives (I14)", function()
    local ok, message = pcall(function()
      for _ in time.every(0.001) do
        error "thrown"
      end
    end)
    assert.is_false(ok)
    assert.matches("thrown", message)
    task.sleep(0.005)
  end)

  it("raises for what is no period", function()
    for _, value in ipairs {0, -1, -math.huge, 0 / 0, 1e-10, "x", {}} do
      assert.is_false(pcall(time.every, value), tostring(value))
    end
    assert.has_error(time.every)
  end)
end)

-- The wall clock of a child stands ten days off, forward and back, from the
-- second time that it is read: a library put before libc's does that.
local shim = [[
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t) {
  static int n;
  int r = (int)syscall(SYS_clock_gettime, clock, t);
  if (clock == CLOCK_REALTIME && n++ > 0)
    t->tv_sec += n % 2 ? 864000 : -864000;
  return r;
}
]]

it("sleeps and ticks by the monotonic clock when the wall clock jumps (I12)", function()
  local env <close> = child.preloading(shim)
  local result = assert(process.run {
    child.neap, "-e", [[
      local wall, start = time.wall(), time.now()
      assert(math.abs(time.wall() - wall) > 800000)
      assert(math.abs(time.wall() - wall) > 800000)
      task.sleep(0.02)
      for tick in time.every(0.01) do
        if tick >= 3 then break end
      end
      local took = time.now() - start
      assert(took >= 0.05 and took < 2, took)
    ]], env = env,
  })
  assert.same({code = 0, stdout = "", stderr = ""}, result)
end)

-- What lets tasks wait for each other.

local task = require "neap.task"
local failure_of = require "spec.support.tasks".failure_of

--- Two wait for it; the first is given it, and is cancelled before it runs.
local function assert_passes_on(lock, wait, give)
  local first, second = task.spawn(wait, lock), task.spawn(wait, lock)
  task.yield()
  give(lock)
  first:cancel()
  first:join()
  assert.equal("cancelled", first.status)
  assert.is_table((task.timeout(1, second.join, second)))
end

describe("task.semaphore", function()
  it("bounds how many do something at once", function()
    local slots = task.semaphore(3)
    local now, most = 0, 0
    task.scope(function(s)
      for _ = 1, 20 do
        s:spawn(function()
          local _ <close> = slots:acquire()
          now = now + 1
          most = math.max(most, now)
          task.sleep(0.0005)
          now = now - 1
        end)
      end
    end)
    assert.equal(3, most)
    assert.equal(3, slots.count)
  end)

  it("serves its waiters in order, before those who come later", function()
    local slots = task.semaphore(0)
    local order = {}
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          slots:acquire()
          order[#order + 1] = i
          slots:release()
        end)
      end
      task.yield()
      slots:release()
      slots:acquire()
      order[#order + 1] = "late"
    end)
    assert.same({1, 2, 3, "late"}, order)
  end)

  it("keeps what a cancelled waiter would have got", function()
    local slots = task.semaphore(0)
    local first, second = task.spawn(slots.acquire, slots), task.spawn(slots.acquire, slots)
    task.yield()
    first:cancel()
    slots:release()
    first:join()
    second:join()
    assert.equal("done", second.status)
    assert.equal(0, slots.count)
  end)

  it("passes on what a waiter was given that is cancelled before it runs", function()
    local slots = task.semaphore(0)
    assert_passes_on(slots, slots.acquire, slots.release)
    local third = task.spawn(slots.acquire, slots)
    task.yield()
    slots:release()
    third:cancel()
    third:join()
    assert.equal(1, slots.count)
  end)

  it("gives permits back once", function()
    local slots = task.semaphore(1)
    do
      local permit <close> = slots:acquire()
      permit:release()
      permit:release()
    end
    assert.equal(1, slots.count)
    for _, value in ipairs {-1, 1.5, "x", {}} do
      assert.is_false(pcall(task.semaphore, value))
    end
    assert.is_false(pcall(task.semaphore))
  end)
end)

describe("task.mutex", function()
  it("lets one task in, and passes on in order", function()
    local m = task.mutex()
    local order, inside = {}, 0
    task.scope(function(s)
      for i = 1, 5 do
        s:spawn(function()
          local _ <close> = m:lock()
          inside = inside + 1
          assert(inside == 1 and m.owner == task.current())
          order[#order + 1] = i
          task.sleep(0.0005)
          inside = inside - 1
        end)
      end
    end)
    assert.same({1, 2, 3, 4, 5}, order)
    assert.is_nil(m.owner)
  end)

  it("is not taken between its handing over and the next owner's turn", function()
    local m = task.mutex()
    local order = {}
    m:lock()
    task.scope(function(s)
      s:spawn(function()
        local _ <close> = m:lock()
        order[#order + 1] = "waiter"
      end)
      task.yield()
      m:unlock()
      local _ <close> = m:lock()
      order[#order + 1] = "latecomer"
    end)
    assert.same({"waiter", "latecomer"}, order)
  end)

  it("is unlocked by the <close> of a task that is cancelled or fails (L1)", function()
    local m = task.mutex()
    local holder = task.spawn(function()
      local _ <close> = m:lock()
      task.sleep(10)
    end)
    task.yield()
    local next_one = task.spawn(function()
      local _ <close> = m:lock()
      return "got it"
    end)
    task.yield()
    holder:cancel()
    assert.equal("got it", next_one:join())
    failure_of(function(s)
      s:spawn(function()
        local _ <close> = m:lock()
        error "inside"
      end)
    end)
    local lock <close> = m:lock()
    assert.is_table(lock)
  end)

  it("survives a waiter that is cancelled, before or after it was handed over (L1)", function()
    local m = task.mutex()
    for _, when in ipairs {"before", "after"} do
      m:lock()
      local waiter = task.spawn(function()
        local _ <close> = m:lock()
        task.yield()
      end)
      task.yield()
      if when == "before" then
        waiter:cancel()
        m:unlock()
      else
        m:unlock()
        waiter:cancel()
      end
      waiter:join()
      assert.equal("cancelled", waiter.status)
      local lock <close> = task.timeout(1, m.lock, m)
      assert.is_table(lock)
    end
  end)

  it("goes to the next one where the first is cancelled before it runs", function()
    local m = task.mutex()
    m:lock()
    assert_passes_on(m, m.lock, m.unlock)
  end)

  it("raises for a second lock by its owner, and an unlock by another", function()
    local m = task.mutex()
    assert.is_false(pcall(m.unlock, m))
    do
      local _ <close> = m:lock()
      assert.is_false(pcall(m.lock, m))
      local ok = task.spawn(pcall, m.unlock, m):join()
      assert.is_false(ok)
      m:unlock()
      m:lock()
    end
    assert.equal(task.current(), m.owner) -- the first lock is not this one
    m:unlock()
  end)
end)

describe("task.event", function()
  it("wakes all, and keeps nobody who comes later", function()
    local e = task.event()
    local n = 0
    task.scope(function(s)
      for _ = 1, 3 do
        s:spawn(function()
          e:wait()
          n = n + 1
        end)
      end
      task.yield()
      assert.equal(0, n)
      e:set()
      e:set()
    end)
    assert.equal(3, n)
    assert.is_true(e.is_set)
    e:wait()
    e:clear()
    assert.equal("ETIMEDOUT", select(2, task.timeout(0.001, e.wait, e)).code)
  end)

  it("wakes those who waited, even if it is cleared before their turn", function()
    local e = task.event()
    local woken
    local t = task.spawn(function()
      e:wait()
      woken = true
    end)
    task.yield()
    e:set()
    e:clear()
    t:join()
    assert.is_true(woken)
  end)
end)

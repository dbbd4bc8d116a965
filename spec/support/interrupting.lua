--- Ways to interrupt a wait, and tests that leave nothing behind.

local assert = require "luassert"
local host = require "neap.host"
local it = require "busted".it
local net = require "neap.net"
local task = require "neap.task"

local await = require "spec.support.tasks".await

local interrupting = {}

--- Seconds until a wait is interrupted.
local SOON = 0.001
interrupting.SOON = SOON

--- What the stats count beyond `before`, once what was closed is gone.
local function left_since(before)
  local left
  for i = 1, 200 do
    left = {}
    for kind, count in pairs(host.stats()) do
      if count > before[kind] then
        left[#left + 1] = ("%s: %d, was %d"):format(kind, count, before[kind])
      end
    end
    if #left == 0 then
      break
    end
    if i > 20 then
      collectgarbage()
    end
    task.sleep(i * 1e-4)
  end
  return table.concat(left, ", ")
end

--- A test that leaves nothing behind.
function interrupting.case(name, f)
  it(name, function()
    local before = host.stats()
    f()
    assert.equal("", left_since(before))
  end)
end

--- Let all that is ready run, and what the kernel has ready come in.
function interrupting.settle()
  task.sleep(SOON)
end

function interrupting.read_all(stream)
  return assert(stream:read "a")
end

--- Some bytes both ways.
function interrupting.assert_usable(a, b)
  assert(a:write "ping\n")
  assert.equal("ping", b:read "l")
  assert(b:write "pong\n")
  assert.equal("pong", a:read "l")
end

--- `f(...)` between two variables to close; `closed` gets their names, in order.
function interrupting.guarded(closed, f, ...)
  local function guard(name)
    return setmetatable({}, {__close = function() closed[#closed + 1] = name end})
  end
  local outer <close> = guard "outer"
  local inner <close> = guard "inner"
  return select(3, outer, inner, f(...))
end

function interrupting.assert_closed(closed)
  assert.same({"inner", "outer"}, closed)
end

-- How a wait is interrupted: each way calls wait() in a task, and checks how that
-- ends there.

local ways = {}

ways["task:cancel"] = function(wait)
  local closed = {}
  local t, result, err
  task.scope(function(s)
    t = s:spawn(interrupting.guarded, closed, wait)
    interrupting.settle()
    -- where a wait is made of many short ones, it may be between two
    assert.is_true(await(function() return t.status == "waiting" end))
    t:cancel()
    result, err = t:join()
  end)
  assert.is_nil(result)
  assert.equal("ECANCELED", err.code)
  assert.equal("cancelled", err.message)
  assert.equal("cancelled", t.status)
  interrupting.assert_closed(closed)
end

ways["task:cancel, seen by a pcall"] = function(wait)
  local closed = {}
  local ok, err, again
  task.scope(function(s)
    local t = s:spawn(function()
      ok, err = pcall(interrupting.guarded, closed, wait)
      again = select(2, pcall(task.sleep, 1))
    end)
    interrupting.settle()
    t:cancel "enough"
    t:join()
    assert.equal("done", t.status) -- it returned
  end)
  assert.is_false(ok)
  assert.equal("enough", err.message)
  assert.equal(err, again)
  interrupting.assert_closed(closed)
end

ways["task.timeout"] = function(wait)
  local closed = {}
  local result, err = task.timeout(SOON, interrupting.guarded, closed, wait)
  assert.is_nil(result)
  assert.equal("ETIMEDOUT", err.code)
  assert.equal("timeout", err.op)
  interrupting.assert_closed(closed)
end

ways["task.timeout, inside a coroutine"] = function(wait)
  local closed, outside = {}, {}
  local result, err = task.timeout(SOON, interrupting.guarded, outside, coroutine.wrap(function()
    return interrupting.guarded(closed, wait)
  end))
  assert.is_nil(result)
  assert.equal("ETIMEDOUT", err.code)
  interrupting.assert_closed(closed)
  interrupting.assert_closed(outside)
end

ways["its scope's cancel"] = function(wait)
  local closed = {}
  local t
  local result, err = task.scope(function(s)
    t = s:spawn(interrupting.guarded, closed, wait)
    interrupting.settle()
    s:cancel()
    task.sleep(10)
  end)
  assert.is_nil(result)
  assert.equal("ECANCELED", err.code)
  assert.equal("cancelled", t.status)
  interrupting.assert_closed(closed)
end

ways["task.race, which another wins"] = function(wait)
  local closed = {}
  assert.equal("won", task.race {
    function() return interrupting.guarded(closed, wait) end,
    function()
      interrupting.settle()
      return "won"
    end,
  })
  interrupting.assert_closed(closed)
end

ways["a sibling's failure"] = function(wait)
  local closed = {}
  local ok, err = pcall(task.all, {
    function() return interrupting.guarded(closed, wait) end,
    function()
      interrupting.settle()
      error("broken", 0)
    end,
  })
  assert.is_false(ok)
  assert.equal("broken", err)
  interrupting.assert_closed(closed)
end

local way_names = {}
for name in pairs(ways) do
  way_names[#way_names + 1] = name
end
table.sort(way_names)

--- For each way: begin() gives the wait, and what is to hold behind it.
function interrupting.interrupts(what, begin)
  for _, name in ipairs(way_names) do
    interrupting.case(("I1: %s: %s"):format(what, name), function()
      local wait, check = begin()
      ways[name](wait)
      if check then
        check()
      end
    end)
  end
end

--- What each reader is given before and after the interruption, and takes then.
interrupting.readers = {
  {"recv", function(s) return s:recv() end, "", "bytes", "bytes"},
  {"recv of a few", function(s) return s:recv(3) end, "", "bytes", "byt"},
  {"read 'l'", function(s) return s:read() end, "half ", "a line\nrest", "half a line"},
  {"read 'L'", function(s) return s:read "L" end, "half ", "a line\nrest", "half a line\n"},
  {"read 'n'", function(s) return s:read "n" end, " 12", "34 rest", 1234},
  {"read of a count", function(s) return s:read(10) end, "12345", "67890rest", "1234567890"},
  {"read of 0", function(s) return s:read(0) end, "", "rest", ""},
  {"read of several", function(s) return s:read("l", 4) end, "one\ntw", "o more", "one"},
  {"read 'a'", function(s) return s:read "a" end, "some ", "more", "some more", true},
  {"lines", function(s) return s:lines()() end, "half ", "a line\nrest", "half a line"},
  {"chunks", function(s) return s:chunks()() end, "", "bytes", "bytes"},
  {"readuntil", function(s) return s:readuntil "\r\n\r\n" end, "a\r\n\r", "\nb", "a"},
  {"readuntil, strictly", function(s) return s:readuntil("\r\n\r\n", nil, {strict = true}) end,
    "a\r\n\r", "\nb", "a"},
  {"readexactly", function(s) return s:readexactly(10) end, "12345", "67890rest", "1234567890"},
  {"read 'l', crlf", function(s) return s:read("l", {crlf = true}) end, "half ", "a line\r\nrest",
    "half a line"},
  {"peek", function(s) return s:peek(6) end, "abc", "defg", "abcdef"},
  {"unpack", function(s) return s:unpack "<s2" end, "\5\0abc", "defg", "abcde"},
  {"wait", function(s) return s:wait() end, "", "bytes", "r"},
  {"unpack of a number", function(s) return s:unpack ">I4" end, "\0\1", "\0\2rest", 65538},
}

--- What comes next runs while the news of a wait are delivered.
function interrupting.with_news()
  local a <close>, b = net.socketpair()
  b:write "news"
  b:close()
  assert.equal("news", a:read(4))
end

return interrupting

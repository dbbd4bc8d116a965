-- neap --watchdog: who keeps all others waiting is named while he does.

local child = require "spec.support.child"
local process = require "neap.process"

local neap = child.neap

--- Start code under a watchdog: its standard input stays open.
local function start(option, code)
  return assert(process.spawn {
    neap, "--watchdog=" .. option, "-e", code, stdin = "pipe", stdout = "pipe", stderr = "pipe",
  })
end

--- The lines of one report: the first, which names the task, and its stack, of so many.
local function report(p, frames)
  local lines = {}
  for i = 1, frames + 1 do
    lines[i] = assert(p.stderr:read "l")
  end
  return table.concat(lines, "\n")
end

local function stop(p)
  p:kill "SIGKILL"
  p:wait()
end

local HELD = " has kept all others waiting for (%d+%.%d) s"

describe("neap --watchdog", function()
  it("names the task that computes, and where, again and again", function()
    local p <close> = start("0.2", [[
      local function inner() while true do end end
      task.current().name = "busy"
      coroutine.wrap(function() inner() end)()]])
    local first = report(p, 5)
    assert.matches("^neap: watchdog: task 1 busy" .. HELD .. "\n"
      .. "\t%(command line%):1: in inner\n\t%(command line%):3: in .-"
      .. "\n\twhich a coroutine runs in:\n\t%[C%]: in [^\n]*\n\t%(command line%):3: in the main chunk$", first)
    local second
    repeat
      second = p.stderr:read("l"):match(HELD)
    until second
    assert(tonumber(second) > tonumber(first:match(HELD)), second)
    stop(p)
  end)

  it("reads the stack of who waits in a call of the system, and does not end the call", function()
    local p <close> = start("0.2", "task.spawn(function() print(io.read()) end).name = 'reader'")
    assert.matches("^neap: watchdog: task %d+ reader" .. HELD .. "\n\t%[C%]: in io.read\n"
      .. "\t%(command line%):1: in ", report(p, 2))
    p.stdin:write "typed\n"
    assert.equal("typed\n", p.stdout:read "a")
    assert.equal(0, p:wait())
  end)

  it("names who computes in C", function()
    local p <close> = start("0.2", "string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40))")
    assert.matches("^neap: watchdog: task 1 main" .. HELD .. ", in C or in what C has called$", report(p, 0))
    stop(p)
  end)

  it("says nothing of who waits, or gives way", function()
    local result = assert(process.run {neap, "--watchdog=3", "-e", [[
      task.sleep(2.9)
      local stop = time.now() + 0.3
      repeat task.yield() until time.now() > stop
      print 'over']]})
    assert.same({"over\n", "", 0}, {result.stdout, result.stderr, result.code})
  end)

  it("ends what does not end, in C, too", function()
    for _, code in ipairs {"while true do end", "string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40))"} do
      local result = assert(process.run {"sh", "-c", 'ulimit -c 0; exec "$0" "$@"', neap,
        "--watchdog=0.1,0.5", "-e", "pcall(function() " .. code .. " end)"})
      assert.equal("SIGABRT", result.signal)
      assert.matches("^neap: watchdog: task 1 main" .. HELD, result.stderr)
      local last = result.stderr:match ".*\n(neap: watchdog: task .*)$"
      local stack = "\n\t%(command line%):1: in [^\n]*\n\t%[C%]: in pcall\n\t%(command line%):1: in the main chunk\n"
      assert.matches(HELD .. (code:find "while" and stack or ", in C or in what C has called\n"), last)
      assert.matches("\nneap: watchdog: that was too long: the process ends\n$", result.stderr)
    end
  end)

  it("watches workers, each by itself", function()
    local p <close> = start("0.2", [[
      require "neap.worker".run(function() while true do end end)]])
    assert.matches("^neap: worker 1: watchdog: task 1 main" .. HELD .. "\n\t%(command line%):1: in ", report(p, 1))
    assert.matches("^neap: worker 1: watchdog: ", p.stderr:read "l") -- and no frames of what runs it
    stop(p)
  end)

  it("wants to be told of seconds, and not of so few that there is time for nothing else", function()
    for _, bad in ipairs {"0", "1e-7", "0.0009", "x", "1x", "-1", "1,", "5,1", "1,2,3", "inf", "nan"} do
      local result = assert(process.run {neap, "--watchdog=" .. bad, "-e", ""})
      assert.equal(2, result.code, bad)
      assert.equal("neap: --watchdog: seconds expected, 0.001 at least, or two numbers of them, as 5,60\n",
        result.stderr)
    end
  end)
end)

-- Traces of a process that is attached to.

local child = require "spec.support.child"
local process = require "neap.process"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

local talk = [[
  local a, b = net.socketpair "unix"
  function say() a:write "hello" return b:read(5) end
  print "up" io.stdout:flush()
  task.sleep(1000)]]

local function attach(p, code)
  return assert(process.run {neap, "attach", tostring(p.pid), input = code, env = env()})
end

local function visitor(p)
  return assert(process.spawn {
    neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = env(),
  })
end

local function stop(p)
  p:kill "SIGTERM"
  p:wait()
end

describe("an attached prompt's trace", function()
  it("is shown to who asked for it, and ends with the visit", function()
    local p <close> = visited.start(env(), talk)
    local result = attach(p, ":trace\n:trace on unix\nreturn say()\n:trace\n")
    assert.equal(0, result.code)
    assert.matches('^no trace runs\nthe trace is on.*"hello"\n', result.stdout)
    assert.matches("unix %d+ +%-> 5 bytes\n", result.stdout)
    assert.matches("\n1  text for a script or a prompt, %d+ events\n", result.stdout)
    assert.same({stdout = "no trace runs\n", stderr = "", code = 0}, attach(p, ":trace"))
    stop(p)
  end)

  it("ends with a visitor that is killed, and a later one ends another's", function()
    local p <close> = visited.start(env(), talk)
    local one <close> = visitor(p)
    one.stdin:write ":trace on\ntask.sleep(1000)\n"
    one.stdin:close()
    assert.equal("the trace is on; :trace off ends it", one.stdout:read "l")
    assert.equal("the trace is off\n", attach(p, ":trace off").stdout)
    assert.equal("no trace runs\n", attach(p, ":trace").stdout)
    one:kill "SIGTERM"
    one:wait()
    local two <close> = visitor(p)
    two.stdin:write ":trace on\ntask.sleep(1000)\n"
    two.stdin:close()
    two.stdout:read "l"
    assert.matches("^1  text", attach(p, ":trace").stdout)
    two:kill "SIGKILL"
    two:wait()
    for _ = 1, 50 do
      if attach(p, ":trace").stdout == "no trace runs\n" then
        return stop(p)
      end
    end
    error "it goes on"
  end)

  it("is one of all that run in the process, each of which can be ended", function()
    local path = os.tmpname()
    local p <close> = visited.start(env(), "tracer = require 'neap.trace'.events {filter = 'tcp'} " .. talk,
      "--trace=" .. path, "--trace-filter=unix")
    local result = attach(p, ":trace\n:trace off\n")
    assert.equal(("1  text to %s, %s events\n2  events for a script or a prompt, 0 events\n%s"):format(path,
      result.stdout:match "(%d+) events", "there are several: :trace lists them, :trace off N ends one\n"),
      result.stdout)
    assert.equal(1, result.code)
    assert.equal(1, attach(p, ":trace off 3").code)
    assert.equal("the trace is off\ntrue  false\n",
      attach(p, ":trace off 2\nreturn tracer.stopped, tracer() ~= nil").stdout)
    assert.equal("the trace is on; :trace off ends it\nthe trace is off\n",
      attach(p, ":trace on udp\n:trace off").stdout)
    assert.matches("^1  text to", attach(p, ":trace").stdout)
    assert.equal("the trace is off\nno trace runs\n", attach(p, ":trace off\n:trace off").stdout)
    stop(p)
    os.remove(path)
  end)
end)

-- Connections and lookups that are interrupted, at either end (see cancel_spec).

local host = require "neap.host"
local net = require "neap.net"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local interrupting = require "spec.support.interrupting"
local transports = require "spec.support.transports"

local await = require "spec.support.tasks".await

local assert_closed = interrupting.assert_closed
local assert_usable, case = interrupting.assert_usable, interrupting.case
local guarded, interrupts = interrupting.guarded, interrupting.interrupts
local settle = interrupting.settle

local listeners = {
  tcp = "tcp://127.0.0.1:0", unix = "unix:@", mem = "mem:cancel_spec", mptcp = "tcp://127.0.0.1:0",
  sctp = "sctp://127.0.0.1:0", vsock = "vsock://local:0",
}

for _, kind in ipairs(transports.listening) do
  describe(("interrupting a server (%s)"):format(kind), function()
    local function assert_accepts(listener)
      local a <close> = assert(net.connect(listener.endpoint))
      local b <close> = assert(listener:accept())
      assert_usable(a, b)
    end

    for name, wait in pairs {
      accept = function(l) return l:accept() end,
      wait = function(l) return l:wait() end,
      accepts = function(l) return l:accepts()() end,
      serve = function(l) return l:serve(print) end,
    } do
      interrupts(name, function()
        local listener = assert(net.listen(listeners[kind]))
        return function()
          return wait(listener)
        end, function()
          assert_accepts(listener)
          listener:close()
        end
      end)
    end

    case("A6: a close wakes all who accept, in their order", function()
      local listener = assert(net.listen(listeners[kind]))
      local order, endpoint = {}, listener.endpoint
      task.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            local stream, err = listener:accept()
            assert.is_nil(stream)
            assert.equal("accept", err.op)
            order[i] = err.code
            order[#order + 1] = i == #order + 1 and "in turn" or nil
          end)
        end
        s:spawn(function()
          for _ in listener:accepts() do
            error "nobody connects"
          end
          order.accepts = "over"
        end)
        s:spawn(function()
          listener:serve(error)
          order.serve = "over"
        end)
        settle()
        listener:close()
        task.yield()
        assert.equal("ECANCELED", order[1])
        assert.equal("ECANCELED", order[2])
        assert.equal("ECANCELED", order[3])
        assert.equal("over", order.accepts)
      end)
      assert.equal("over", order.serve)
      assert.equal("EBADF", code_of(listener:accept()))
      assert.equal("ECONNREFUSED", code_of(net.connect(endpoint)))
      assert(net.listen(endpoint)):close() -- it is free at once
    end)

    case("the others go on to accept when one of them is interrupted", function()
      local listener <close> = assert(net.listen(listeners[kind]))
      local got = {}
      task.scope(function(s)
        local acceptors = {}
        for i = 1, 4 do
          acceptors[i] = s:spawn(function()
            local stream <close> = assert(listener:accept())
            got[i] = stream:read "l"
          end)
        end
        settle()
        acceptors[1]:cancel()
        acceptors[3]:cancel()
        for i = 1, 2 do
          local stream <close> = assert(net.connect(listener.endpoint))
          stream:write(i, "\n")
        end
      end)
      assert.same({[2] = "1", [4] = "2"}, got)
    end)

    case("I5: a connection in the turn of the interruption is not lost", function()
      for round = 1, 20 do
        local listener <close> = assert(net.listen(listeners[kind]))
        local accepted
        local client <close> = task.scope(function(s)
          local t = s:spawn(function()
            accepted = listener:accept()
          end)
          settle()
          local stream = assert(net.connect(listener.endpoint))
          if round % 2 == 0 then
            task.sleep(round * 1e-6)
          end
          t:cancel()
          return stream
        end)
        accepted = accepted or assert(task.timeout(1, listener.accept, listener))
        assert_usable(client, accepted)
        accepted:close()
      end
    end)

    case("serve: its cancelling cancels the handlers, and leaves the listener", function()
      local listener <close> = assert(net.listen(listeners[kind]))
      local closed, ends = {}, {}
      local clients = {}
      task.scope(function(s)
        local server = s:spawn(function()
          listener:serve(function(stream)
            guarded(closed, stream.recv, stream)
          end)
        end)
        for i = 1, 3 do
          clients[i] = assert(net.connect(listener.endpoint))
        end
        settle()
        server:cancel()
        server:join()
        assert.equal("cancelled", server.status)
      end)
      for i, client in ipairs(clients) do
        ends[i] = client:read "a"
        client:close()
      end
      assert.same({"", "", ""}, ends)
      assert.equal("inner outer inner outer inner outer", table.concat(closed, " "))
      assert_accepts(listener)
    end)

    case("serve: a close lets the connections go on; drain bounds that", function()
      for _, drain in ipairs {false, 0.01} do
        local listener = assert(net.listen(listeners[kind]))
        local answered
        local client <close> = assert(net.connect(listener.endpoint))
        task.scope(function(s)
          local server = s:spawn(function()
            listener:serve(function(stream)
              answered = stream:read "l"
              stream:write "ok\n"
            end, {drain = drain or nil})
          end)
          settle()
          listener:close()
          if drain then
            assert.is_true(await(function() return server.status == "done" end))
          else
            settle()
            assert.equal("waiting", server.status)
          end
          client:write "go\n"
          assert.equal(not drain and "ok" or nil, (client:read "l"))
        end)
        assert.equal(not drain and "go" or nil, answered)
      end
    end)
  end)
end

describe("interrupting a connect", function()
  --- A listener whose queue is full, so that a connect to it waits, and those that
  --- fill the queue.
  local function full(kind)
    local listener = assert(net.listen(listeners[kind], {backlog = 0}))
    local queued = {}
    repeat
      local stream, err = task.timeout(0.02, net.connect, listener.endpoint)
      queued[#queued + 1] = stream
    until err
    return listener, queued
  end

  local function release(listener, queued)
    for _, stream in ipairs(queued) do
      assert(listener:accept()):close()
      stream:close()
    end
  end

  for _, kind in ipairs {"tcp", "unix"} do
    interrupts(kind, function()
      local listener, queued = full(kind)
      return function() return net.connect(listener.endpoint) end, function()
        release(listener, queued)
        local a <close> = assert(net.connect(listener.endpoint))
        local b <close> = assert(listener:accept())
        assert_usable(a, b)
        listener:close()
      end
    end)

    case(("A2: %s: its own timeout is told as connect's"):format(kind), function()
      local listener <close>, queued = full(kind)
      local before = host.stats().descriptors
      local took, waited, stream, err = child.timed(net.connect, listener.endpoint, {timeout = 0.02})
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("connect", err.op)
      assert.equal(listener.endpoint, err.endpoint)
      assert.is_true(took >= 0.02 and took - waited < 0.2)
      assert.equal(before, host.stats().descriptors)
      release(listener, queued)
    end)
  end

  interrupts("a name", function()
    local listener, queued = full "tcp"
    local endpoint = "tcp4://localhost:" .. listener.port
    return function() return net.connect(endpoint) end, function()
      release(listener, queued)
      assert(net.connect(endpoint)):close()
      listener:close()
    end
  end)

  interrupts("a name, with a timeout of its own", function()
    local listener, queued = full "tcp"
    local endpoint = "tcp4://localhost:" .. listener.port
    return function() return net.connect(endpoint, {timeout = 5}) end, function()
      release(listener, queued)
      listener:close()
    end
  end)

  case("unix: it goes through when the queue has room again", function()
    local listener <close>, queued = full "unix"
    task.scope(function(s)
      local waiting = {}
      for i = 1, 3 do
        waiting[i] = s:spawn(net.connect, listener.endpoint)
      end
      settle()
      table.remove(waiting, 2):cancel()
      release(listener, queued)
      -- Any of them may find the room first, also the one that is cancelled.
      for _ = 1, #waiting do
        assert(listener:accept()):close()
      end
      for _, t in ipairs(waiting) do
        local a <close> = assert(t:join())
        assert.equal("unix", a.protocol)
      end
    end)
  end)

  case("unix: it is refused when the listener closes", function()
    local listener, queued = full "unix"
    task.scope(function(s)
      local t = s:spawn(net.connect, listener.endpoint)
      settle()
      listener:close()
      local stream, err = t:join()
      assert.is_nil(stream)
      assert.equal("ECONNREFUSED", err.code)
    end)
    for _, stream in ipairs(queued) do
      stream:close()
    end
  end)
end)

describe("interrupting a lookup", function()
  local name = "no-such-host.invalid" -- what the hosts file has is there at once

  --- Until it was; a lookup that had ended before proves nothing.
  local function until_interrupted(f)
    for _ = 1, 50 do
      if f() then
        return
      end
    end
    error "never interrupted"
  end

  case("I1: resolve: task:cancel", function()
    until_interrupted(function()
      local closed, t = {}, nil
      task.scope(function(s)
        t = s:spawn(guarded, closed, net.resolve, name)
        task.yield()
        assert.equal("waiting", t.status)
        t:cancel()
      end)
      assert_closed(closed)
      assert.equal("cancelled", t.status)
      return true
    end)
    assert.is_truthy(net.resolve "localhost")
  end)

  case("I1: resolve: task.timeout", function()
    until_interrupted(function()
      local closed = {}
      local found, err = task.timeout(0, guarded, closed, net.resolve, name)
      assert_closed(closed)
      return not found and err.code == "ETIMEDOUT"
    end)
    assert.is_truthy(net.resolve "localhost")
  end)

  case("I1: resolve: others for the same name are answered", function()
    task.scope(function(s)
      local asking = {}
      for i = 1, 12 do
        asking[i] = s:spawn(net.resolve, name, {family = "inet"})
      end
      task.yield()
      for i = 1, 12, 2 do
        asking[i]:cancel()
      end
      for i = 2, 12, 2 do
        assert.matches("^EAI_", select(2, asking[i]:join()).code)
      end
    end)
  end)
end)

local run = require "spec.support.tested".run

-- What a test leaves behind, fails by, and waits for: looked at in a second neap.

describe("a test of neap test", function()
  it("fails for the tasks and sockets that it leaves, and these are ended", function()
    local out, status = run [[
      local net, task = require "neap.net", require "neap.task"
      local gone = {}
      it("leaves", function()
        local a, b = net.socketpair()
        local l = net.listen "mem:left"
        debug.getregistry().kept = {a, b, l}
        task.spawn(function()
          local _ <close> = setmetatable({}, {__close = function() gone.task = true end})
          a:read(1)
        end).name = "reader"
      end)
      it("finds nothing", function()
        assert.is_true(gone.task)
        local kept = debug.getregistry().kept
        assert.equal("closed", tostring(kept[1]):match "closed")
        assert(net.listen "mem:left"):close()
      end)
    ]]
    assert.matches("^not ok 1 %- leaves\n# [^\n]*lua @ 3\n", out)
    assert.matches(":3: leaves behind:\n", out)
    assert.matches('task %d+ "reader" spawned at [^\n]*:7, waits for read of stream %d+ at [^\n]*:9\n', out)
    assert.matches("listener %d+ %(mem:left%) opened at [^\n]*:5\n", out)
    assert.matches("stream %d+ opened at [^\n]*:4\n", out)
    assert.matches("\nok 2 %- finds nothing\n", out)
    assert.equal(1, status)
  end)

  it("names what its tasks have opened, and what was accepted", function()
    local out = run [[
      local net, task = require "neap.net", require "neap.task"
      it("leaves", function()
        local l = net.listen "mem:left"
        task.spawn(l.serve, l, function(stream)
          stream:read(1)
        end)
        local a = net.connect "mem:left"
        debug.getregistry().kept = a
      end)
    ]]
    assert.matches("listener %d+ %(mem:left%) opened at [^\n]*:3\n", out)
    assert.matches("task %d+ spawned at [^\n]*:4, waits for accept", out)
    assert.matches("stream %d+ [^\n]*opened at [^\n]*:7\n", out)
    assert.matches("stream %d+ [^\n]*opened at [^\n]*:4\n", out)
  end)

  it("may leave what it has closed, told to end, forgotten, or given to finally", function()
    local out, status = run [[
      local net, task = require "neap.net", require "neap.task"
      it("has closed it", function()
        local l = net.listen "tcp://127.0.0.1:0"
        task.spawn(l.serve, l, function(stream) stream:read "a" end)
        local a = net.connect("tcp://127.0.0.1:" .. l.port)
        a:close()
        l:close()
      end)
      it("has told it to end", function()
        local t = task.spawn(function()
          pcall(task.sleep, 60)
          task.shield(task.sleep, 0.02)
        end)
        task.yield()
        t:cancel()
      end)
      it("has forgotten it", function()
        net.socketpair()
      end)
      it("has given it", function()
        local a, b = net.socketpair()
        debug.getregistry().kept = {a, b}
        finally(function() a:close() b:close() end)
      end)
      local a, b
      after_each(function()
        if a then a:close() b:close() end
      end)
      it("leaves it to after_each", function()
        a, b = net.socketpair()
      end)
    ]]
    assert.equal(0, status, out)
  end)

  it("may leave background tasks, which go on until the end of its file", function()
    local out, status = run [[
      local task = require "neap.task"
      local t
      it("begins one", function()
        t = task.background(task.sleep, 60)
      end)
      it("finds it", function()
        assert.equal("waiting", t.status)
        debug.getregistry().task = t
      end)
    ]]
    assert.equal(0, status, out)
  end)

  it("may leave the connections that an HTTP client keeps", function()
    local out, status = run [[
      local http, net, task = require "neap.http", require "neap.net", require "neap.task"
      local where
      setup(function()
        local l = net.listen "tcp://127.0.0.1:0"
        where = ("http://127.0.0.1:%d/"):format(l.port)
        task.spawn(http.serve, l, function() return "hello" end)
      end)
      for i = 1, 2 do
        it("asks", function()
          assert.equal("hello", assert(http.get(where)):read "a")
        end)
      end
    ]]
    assert.equal(0, status, out)
  end)

  it("has what setup and before_each open until that is over", function()
    local out, status = run [[
      local net, task = require "neap.net", require "neap.task"
      local each, all, ours = {}, {}
      describe("with fixtures", function()
        setup(function()
          all.a, all.b = net.socketpair()
          all.task = task.spawn(task.sleep, 60)
        end)
        before_each(function()
          each[#each + 1] = task.spawn(task.sleep, 60)
          ours = {net.socketpair()}
        end)
        for i = 1, 2 do
          it("has them", function()
            assert.equal(i, #each)
            task.yield()
            assert.equal("waiting", each[i].status)
            assert.equal("waiting", all.task.status)
            assert(ours[1]:write "x")
            assert(all.a:write "x")
            assert.equal(i == 2 and "cancelled" or nil, i == 2 and each[1].status or nil)
          end)
        end
      end)
      it("has none any more", function()
        assert.equal("cancelled", each[2].status)
        assert.equal("cancelled", all.task.status)
        assert.equal("EBADF", select(2, all.a:write "x").code)
      end)
    ]]
    assert.equal(0, status, out)
  end)

  it("is told what a task of its fixtures failed with", function()
    local out, status = run [[
      local task = require "neap.task"
      local go = task.channel()
      setup(function()
        task.spawn(function()
          go:recv()
          error "broken"
        end)
      end)
      it("meets it", function()
        go:send(true)
        task.sleep(5)
      end)
      it("does not", function() task.sleep(0.001) end)
    ]]
    assert.matches("^not ok 1 %- meets it\n[^\n]*\n[^\n]*:6: broken\n", out)
    assert.matches("\nok 2 %- does not\n", out)
    assert.equal(1, status)
  end)

  it("fails with the traceback of the task that has failed, and with each of several", function()
    local out = run([[
      local task = require "neap.task"
      it("waits", function()
        task.spawn(function()
          error "broken"
        end)
        task.spawn(error, require "neap.error".new {code = "EIO", message = "the second"})
        task.sleep(5)
      end)
    ]], "--verbose")
    assert.matches("Failure message: [^\n]*:4: broken\n", out)
    assert.matches("# and: the second", out)
    assert.matches("stack traceback:\n[^\n]*\n[^\n]*:4: in function", out)
    assert.matches("task %d+ spawned at [^\n]*:3\n", out)
    assert.is_nil(out:find("\n[^#\n]*stack traceback"))
  end)

  it("fails for a task that fails while it is ended, too", function()
    local out, status = run [[
      local task = require "neap.task"
      it("swallows", function()
        task.spawn(function()
          local _ <close> = setmetatable({}, {__close = function() error "while closing" end})
          task.sleep(60)
        end)
        task.yield()
      end)
      it("goes on", function() task.sleep(0.001) end)
    ]]
    assert.matches("^not ok 1 %- swallows\n", out)
    assert.matches("leaves behind", out)
    assert.matches("\nok 2 %- goes on\n", out)
    assert.equal(1, status)
  end)

  it("that hangs tells what each of its tasks waits for", function()
    local out, status = run([[
      local net, task = require "neap.net", require "neap.task"
      it("hangs", function()
        local a, b = net.socketpair()
        task.scope(function(s)
          s:spawn(function()
            a:read "l"
          end).name = "reader"
          s:spawn(function()
            task.channel():recv()
            b:close()
          end)
        end)
      end)
      it("goes on", function() end)
    ]], "--timeout=0.1")
    assert.matches("^not ok 1 %- hangs\n", out)
    assert.matches(":4: not done after 0.1 s\n", out)
    assert.matches("the test waits for scope at [^\n]*:4\n", out)
    assert.matches('task %d+ "reader" spawned at [^\n]*:5, waits for read of stream %d+ at [^\n]*:6\n', out)
    assert.matches("task %d+ spawned at [^\n]*:8, waits for channel recv at [^\n]*:9\n", out)
    assert.matches("\nok 2 %- goes on\n", out)
    assert.equal(1, status)
  end)

  it("that computes, or blocks in C, tells where", function()
    local out, status = run([[
      local task = require "neap.task"
      it("computes", function()
        while true do end
      end)
      it("catches", function()
        while true do
          pcall(function() while true do end end)
        end
      end)
      it("has a task that computes", function()
        task.spawn(function()
          while true do end
        end).name = "busy"
        task.sleep(60)
      end)
      it("blocks", function()
        os.execute "exec sleep 3 >/dev/null 2>&1"
      end)
      it("goes on", function() task.sleep(0.001) end)
    ]], "--timeout=0.1")
    assert.matches("^not ok 1 %- computes\n[^\n]*\n[^\n]*:3: not done after 0.1 s\n", out)
    assert.matches("\n# *the test is at [^\n]*:3\n", out)
    assert.matches("\nnot ok 2 %- catches\n.-the test is at [^\n]*:7\n", out)
    assert.matches("\nnot ok 3 %- [^\n]*\n.-the test waits for sleep at [^\n]*:14\n" ..
      '[^\n]*task %d+ "busy" spawned at [^\n]*:11, is at [^\n]*:12\n', out)
    assert.matches("\nnot ok 4 %- blocks\n.-the test is at [^\n]*:17\n", out)
    assert.matches("\nok 5 %- goes on\n", out)
    assert.equal(1, status)
  end)

  it("in a shield that does not end is told of", function()
    local out = run([[
      local task = require "neap.task"
      it("is shielded", function()
        task.shield(function()
          local stop = os.clock() + 0.4
          while os.clock() < stop do end
        end)
      end)
    ]], "--timeout=0.1")
    assert.matches("not done after 0.1 s\n", out)
  end)

  it("tells what it has failed with as text that does nothing to a terminal", function()
    local out = run [[
      it("fails", function()
        error "\27]0;title\7\27[2J"
      end)
      it("differs", function()
        assert.equal("\27[2J", "")
      end)
    ]]
    assert.matches("%]0;title", out)
    assert.is_nil(out:find "[\7\27]")
  end)

  it("that has failed is not blamed for what it leaves", function()
    local out = run [[
      local task = require "neap.task"
      it("fails", function()
        task.spawn(task.sleep, 60)
        error "this is why"
      end)
    ]]
    assert.matches(":4: this is why\n", out)
    assert.is_nil(out:find("leaves behind", 1, true))
  end)
end)

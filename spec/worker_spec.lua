-- Workers: what crosses between them, how they end, and that nothing is left.

local errors = require "neap.error"
local host = require "neap.host"
local json = require "neap.json"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local worker = require "neap.worker"
local child = require "spec.support.child"

local root = os.tmpname() -- and what begins so
local serial = 0

--- A script with this text.
local function script(text)
  serial = serial + 1
  local path = ("%s_%d.lua"):format(root, serial)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  finally(function()
    os.remove(path)
  end)
  return path
end

local function run_neap(...)
  return assert(process.run {child.neap, ...})
end

--- A file that a worker makes when it closes what it has.
local function marker()
  serial = serial + 1
  local path = ("%s_%d"):format(root, serial)
  finally(function()
    os.remove(path)
  end)
  return path, function()
    local file <close> = io.open(path)
    return file ~= nil
  end
end

teardown(function()
  os.remove(root)
end)

describe("a worker", function()
  it("runs a function, with arguments, and gives its results", function()
    assert.same({1, "two", {3, {4}}, n = 3}, table.pack(worker.run(function(...)
      return ...
    end, 1, "two", {3, {4}})))
    assert.equal(0, select("#", worker.run(function() end)))
    assert.same({n = 3}, table.pack(worker.run(function()
      return nil, nil, nil
    end)))
  end)

  it("runs a script, which has its arguments in arg, too", function()
    local path = script "return arg[0], #arg, arg[1], ..."
    assert.same({path, 2, "a", "a", 7}, {worker.run(path, "a", 7)})
  end)

  it("finds the modules beside its script", function()
    local path = script "return 'found'"
    local name = path:match "([^/]+)%.lua$"
    local using = script(("return require %q"):format(name))
    assert.equal("found", (worker.run(using)))
  end)

  it("is another state: globals and modules are its own", function()
    rawset(_G, "leaked", 1)
    finally(function()
      rawset(_G, "leaked", nil)
    end)
    assert.same({false, true}, {worker.run(function()
      return rawget(_G, 'leaked') ~= nil, require "neap.worker".id > 0
    end)})
    assert.equal(0, worker.id)
    assert.equal(0, worker.count)
  end)

  it("does not take a function that needs locals around it, or one of C", function()
    local around = 1
    assert.error_matches(function()
      worker.run(function()
        return around
      end)
    end, "run: the function uses 'around' from around it")
    assert.error_matches(function()
      worker.run(print)
    end, "run: a Lua function expected")
    assert.error_matches(function()
      worker.run()
    end, "run: a script's path or a function expected, got nil")
  end)

  it("has sockets and tasks, while others go on here", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local server = task.spawn(listener.serve, listener, function(stream)
      for line in stream:lines() do
        stream:write(line:upper(), "\n")
      end
    end)
    assert.same({"A 1", "B 2"}, worker.run(function(endpoint)
      local neap_net, neap_task = require "neap.net", require "neap.task"
      local function ask(text)
        return function()
          local stream <close> = assert(neap_net.connect(endpoint))
          stream:write(text, "\n")
          return (stream:read())
        end
      end
      local results = neap_task.all {ask "a 1", ask "b 2"}
      return {results[1], results[2]}
    end, listener.endpoint))
    listener:close()
    server:join()
  end)

  it("ends only when all its tasks have", function()
    assert.equal("late", (worker.run(function(channel)
      require "neap.task".spawn(function()
        require "neap.task".sleep(0.02)
        channel:send "late"
      end)
      return "late"
    end, worker.channel("ends", 1))))
    assert.equal("late", worker.channel("ends", 1):recv())
  end)

  it("that raises gives what, and where the error's text is told, too (L5)", function()
    local result = run_neap("-e", [[
      local none, err = worker.run(function() error {code = 1} end)
      print(none, err.code, err.status)
      print(select(2, worker.run(function() error "on purpose" end)).message)
      print(select(2, worker.run(function() return print end)).message)
      print "alive"
    ]])
    assert.equal(table.concat({
      "nil\tEWORKER\t1", "(command line):3: on purpose",
      "a function cannot be sent to another worker", "alive\n",
    }, "\n"), result.stdout)
    assert.matches("neap: worker 2: %(command line%):3: on purpose\nstack traceback:", result.stderr)
    assert.equal(0, result.code)
  end)

  it("cannot wait where os.exit closes what it has", function()
    local channel = worker.channel()
    worker.run(function(said)
      local tasks = require "neap.task"
      local _ <close> = setmetatable({}, {__close = function()
        for _, f in ipairs {tasks.shield, tasks.timeout} do
          said:try_send(tostring(select(2, pcall(f, f == tasks.timeout and 1 or print, print))))
        end
      end})
      os.exit(0)
    end, channel)
    for _ = 1, 2 do
      assert.matches("only a task can wait", (channel:recv()))
    end
  end)

  it("that calls os.exit ends alone, and closes what it has (L5)", function()
    local path, closed = marker()
    local _, err = worker.run(function(name)
      local tasks = require "neap.task"
      local _ <close> = setmetatable({}, {__close = function()
        io.open(name, "w"):close()
      end})
      tasks.spawn(tasks.sleep, 100)
      os.exit(7)
    end, path)
    assert.equal("EWORKER", err.code)
    assert.equal(7, err.status)
    assert.is_true(closed())
    assert.equal(0, select("#", worker.run(function()
      os.exit(true)
    end)))
    assert.matches("os.exit: a worker cannot end from here", (worker.run(function()
      return select(2, pcall(table.sort, {1, 2}, function()
        os.exit(1)
      end))
    end)))
  end)

  it("that cannot be loaded says so", function()
    local result = child.run([[
      print(select(2, worker.run(arg[1])).message)
      print(select(2, worker.run(arg[2])).message)
    ]], child.missing(), script "return return")
    assert.matches("^cannot open /.-/none: No such file.-\n.-:1: unexpected symbol near 'return'\n$",
      result.stdout)
  end)

  it("is cancelled with its caller, and its <close> variables run (I1)", function()
    local path, closed = marker()
    local result, err = task.timeout(0.1, worker.run, function(name)
      local _ <close> = setmetatable({}, {__close = function()
        io.open(name, "w"):close()
      end})
      require "neap.task".sleep(100)
    end, path)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(closed())
    local t = task.spawn(worker.run, function()
      require "neap.task".sleep(100)
    end)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
  end)

  -- With a call of C in it, for the thread sanitizer delivers no signal elsewhere.
  local busy = [[
    local function busy()
      while true do
        os.clock()
      end
    end
  ]]

  --- Run it, and end it by force if it does not end.
  local function run_bounded(code, ...)
    return assert(process.run {"timeout", "-s", "KILL", "9", child.neap, "-e", child.code(code, ...)})
  end

  for what, body in pairs {
    [""] = "busy()",
    [" in a coroutine"] = "coroutine.wrap(busy)()",
    [" and catches that"] = "while true do pcall(busy) end",
    [" in a task of its own"] = [[
      require "neap.task".scope(function(scope)
        scope:spawn(function()
          while true do pcall(busy) end
        end)
      end)
    ]],
    [" in a worker of its own"] = ([[require "neap.worker".run(function() %s busy() end)]]):format(busy),
  } do
    it("that computes is ended with its caller" .. what, function()
      local result = run_bounded([[
        local body, path = ...
        local function run(text, name)
          local _ <close> = setmetatable({}, {__close = function()
            io.open(name, "w"):close()
          end})
          load(text)()
        end
        print(select(2, task.timeout(0, worker.run, run, body, path)).code)
        local _, err = task.timeout(0.1, worker.run, run, body, path)
        print(err.code, io.open(path) ~= nil, require "neap.host".stats().handles)
      ]], busy .. body, (marker()))
      assert.equal("", result.stderr)
      assert.equal("ETIMEDOUT\nETIMEDOUT\ttrue\t0\n", result.stdout)
    end)
  end

  for what, body in pairs {
    [""] = "require 'neap.task'.sleep(100)",
    [" where they compute"] = "busy()",
    [" where they go on"] = "while true do pcall(busy) end",
  } do
    it("that ends before its own workers ends them, too, and waits for them" .. what, function()
      local result = run_bounded([[
        print(select(2, worker.run(function(text)
          local task, worker = require "neap.task", require "neap.worker"
          local started = worker.channel()
          task.spawn(worker.run, function(c, body)
            c:send(true)
            load(body)()
          end, started, text)
          started:recv()
          os.exit(3)
        end, ...)).status)
      ]], busy .. body)
      assert.equal("", result.stderr)
      assert.equal("3\n", result.stdout)
      assert.equal(0, result.code)
    end)
  end

  for what, body in pairs {
    ["is waited for by os.execute"] = "os.execute('exec ' .. command)",
    ["is read by io.popen"] = "local f <close> = io.popen(command) f:read 'a'",
    ["runs"] = "process.spawn {'sh', '-c', command, stdin = 'inherit'} task.sleep(100)",
  } do
    it("that is ended leaves the command that " .. what .. ", which is reaped at its end", function()
      if child.kind == "threads" and what ~= "runs" then
        pending "the thread sanitizer puts handlers of signals off while a call blocks"
      end
      local begun = marker()
      local p <close> = assert(process.spawn {"timeout", "-s", "KILL", "60", child.neap, "-e",
        child.code([[
          local begun = ...
          local function soon(holds)
            local give_up = time.now() + 5
            while not holds() and time.now() < give_up do task.sleep(0.01) end
            return holds()
          end
          local function there() return io.open(begun) ~= nil end
          local function commands()
            local all, found = process.run {"sh", "-c", "cat /proc/$PPID/task/*/children; echo $$"}.stdout, 0
            local own = all:match "(%d+)\n$"
            for pid in all:gmatch "%d+" do found = found + (pid ~= own and 1 or 0) end
            return found
          end
          task.race {function()
            worker.run(function(body, path)
              local process, task = require "neap.process", require "neap.task"
              local command = ("sh -c ': >%s; exec cat'"):format(path)
              load("local command, process, task = ... " .. body)(command, process, task)
            end, ]] .. ("%q"):format(body) .. [[, begun)
          end, function() return soon(there) end}
          print(commands())
          io.stdout:flush()
          print(soon(function() return commands() == 0 end))
        ]], begun), stdin = "pipe", stdout = "pipe"})
      assert.equal("1", p.stdout:read "l")
      p.stdin:close()
      assert.equal("true\n", p.stdout:read "a")
      assert.equal(0, (p:wait()))
    end)
  end

  it("has a stack for Lua's deepest nesting in C (J11, J12)", function()
    local results = {worker.run(function()
      local function nested(f)
        return select(2, pcall(f, f, 0)):match "C stack overflow" or "no error"
      end
      local texts = {
        nested(function(f, n)
          return (("x"):gsub("x", function()
            return f(f, n + 1)
          end))
        end),
        nested(function(f, n)
          return tostring(setmetatable({}, {__tostring = function()
            return f(f, n + 1)
          end}))
        end),
        nested(function(f, n)
          return coroutine.wrap(f)(f, n + 1)
        end),
        nested(function(f, n)
          table.sort({1, 2, 3}, function()
            return f(f, n + 1)
          end)
        end),
      }
      local inner = coroutine.create(coroutine.yield)
      for _ = 1, 20000 do
        local outer = coroutine.create(function(co)
          local _ <close> = setmetatable({}, {__close = function()
            coroutine.close(co)
          end})
          coroutine.yield()
        end)
        coroutine.resume(outer, inner)
        inner = outer
      end
      texts[#texts + 1] = pcall(coroutine.close, inner) and "closed" or "error"
      return table.unpack(texts)
    end)}
    assert.same({
      "C stack overflow", "C stack overflow", "C stack overflow", "C stack overflow", "closed",
    }, results)
  end)

  it("that finds no descriptor, or may not watch any, says so (D12)", function()
    local file = script [[
      local worker = require "neap.worker"
      local files = {}
      for file in function() return (io.open "/dev/null") end do
        files[#files + 1] = file
      end
      print((select(2, pcall(require, "no.such")):match "cannot open [^\n]*such.lua: [^\n]*"))
      for _ = 1, 4 do
        print(select(2, worker.run(function() end)).code)
        table.remove(files):close()
      end
      local kept = #files
      for file in function() return (io.open "/dev/null") end do
        files[#files + 1] = file
      end
      print(#files - kept)
    ]]
    local result = assert(process.run {"sh", "-c", 'ulimit -n 30; exec "$0" "$1"', child.neap, file})
    assert.equal("", result.stderr)
    assert.matches("^cannot open .*/such.lua: Too many open files\n", result.stdout)
    assert.equal(("EMFILE\n"):rep(4) .. "4\n", result.stdout:match "\n(.*)") -- and keeps none
    local results = child.unwatched "assert(not select(2, worker.run(function() end)))"
    assert.is_true(#results >= 3)
    for _, refused in ipairs(results) do
      assert.same({1, "neap: cannot start: No space left on device (ENOSPC)\n"},
        {refused.code, refused.stderr})
    end
  end)

  it("for which no thread can be had says so (D12)", function()
    local result = child.run_without_threads [[
      for _ = 1, 2 do
        local err = select(2, require "neap.worker".run(function() end))
        print(err.code, err)
      end
    ]]
    assert.same({"", 0}, {result.stderr, result.code})
    assert.matches("^EAGAIN\t([^\n]*EAGAIN[^\n]*\n)EAGAIN\t%1$", result.stdout)
  end)

  it("that finds no memory to begin with leaves nothing (D12)", function()
    if child.kind == "threads" then
      pending "the thread sanitizer's malloc is not to be replaced"
      return
    end
    local env <close> = child.preloading [[
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <stdlib.h>
      #include <unistd.h>
      static __attribute__((tls_model("initial-exec"))) _Thread_local int thread;
      static _Atomic int threads;
      static long count;
      /* In the second thread, one of them fails. */
      void *malloc(size_t n) {
        static void *(*next)(size_t);
        if (next == NULL)
          next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
        if (thread == 0)
          thread = gettid() == getpid() ? -1 : ++threads;
        if (thread == 2 && ++count == atol(getenv("FAILING")))
          return NULL;
        return next(n);
      }
    ]]
    env.ASAN_OPTIONS = "verify_asan_link_order=0" -- with a look for leaks
    local found = {}
    for k = 1, 8 do
      env.FAILING = k
      local result = assert(process.run {
        child.neap, "-e", [[
          local count = require "neap.host".stats
          worker.run(function() end)
          local before = count().descriptors
          local _, err = worker.run(function() end)
          print(err and err.code, count().descriptors - before)
        ]], env = env,
      })
      if result.signal ~= "SIGABRT" then -- what is not Lua's
        assert.equal(0, result.code, result.stderr)
        local code, more = result.stdout:match "^(%w+)\t(%d+)\n$"
        assert.equal("0", more)
        found[code] = true
      end
    end
    assert.is_true(found.ENOMEM)
  end)

  it("takes no message for which there is no memory", function()
    local result = child.run_short_of_memory(128, [[
      local text, big = ("x"):rep(3 << 20), {}
      for i = 1, 40 do
        big[i] = text
      end
      local c = worker.channel()
      print(pcall(worker.run, function() end, big))
      print(pcall(c.send, c, big))
      print(worker.run(function(...) return ... end, "small"))
    ]])
    assert.equal(0, result.code)
    assert.matches("^false\t[^\n]*not enough memory\nfalse\tnot enough memory\nsmall\n$", result.stdout)
  end)

  it("may have workers of its own", function()
    assert.equal(6, (worker.run(function()
      local inner = require "neap.worker"
      return 2 * inner.run(function()
        return 3
      end)
    end)))
  end)

  it("waits for signals, as its main program does (L12)", function()
    local signal = require "neap.signal"
    local ready, got = worker.channel(), worker.channel()
    local function waits(channel, results)
      local tasks, signals = require "neap.task", require "neap.signal"
      tasks.spawn(function()
        tasks.sleep(0.01)
        channel:send(true)
      end)
      results:send(signals.wait("SIGUSR1", "SIGHUP"))
    end
    task.scope(function(scope)
      scope:spawn(worker.run, waits, ready, got)
      scope:spawn(worker.run, waits, ready, got)
      local here = scope:spawn(signal.wait, "SIGHUP")
      assert(ready:recv() and ready:recv())
      signal.raise "SIGHUP"
      assert.equal("SIGHUP", (here:join()))
      assert.same({"SIGHUP", "SIGHUP"}, {got:recv(), got:recv()})
    end)
    assert.same({nil, "ETIMEDOUT", nil, "EBUSY"}, {worker.run(function()
      local tasks, signals = require "neap.task", require "neap.signal"
      local none, err = tasks.timeout(0.01, signals.wait, "SIGUSR1")
      local ok, other = signals.ignore "SIGUSR1"
      return none, err.code, ok, other.code
    end)})
    signal.default "SIGHUP"
    signal.default "SIGUSR1"
  end)

  it("is started and ended often, and nothing is left (L10)", function()
    local rounds = tonumber(os.getenv "NEAP_WORKERS" or 10)
    local before = host.stats()
    for _ = 1, rounds do
      task.scope(function(scope)
        for i = 1, 10 do
          scope:spawn(function()
            assert(i == worker.run(function(n)
              return n
            end, i))
          end)
        end
      end)
    end
    local after = host.stats()
    assert.equal(before.handles, after.handles)
    assert.equal(before.tasks, after.tasks)
    assert.equal(before.descriptors, after.descriptors)
  end)
end)

describe("a message between workers", function()
  local function echo(value)
    local channel <close> = worker.channel()
    channel:send(value)
    return (channel:recv())
  end

  it("is a copy of each kind of value (L7)", function()
    local nan = echo(0 / 0)
    assert.is_true(nan ~= nan)
    for _, value in ipairs {
      true, false, 0, -1, math.maxinteger, math.mininteger, 0.5, -0.0, math.huge, "", "a\0b",
      ("x"):rep(100000),
    } do
      assert.equal(value, echo(value))
      assert.equal(math.type(value), math.type(echo(value)))
    end
    local value = {1, 2, {x = {y = "z"}}, [0.5] = true, [false] = "no", [-3] = {}}
    local copy = echo(value)
    assert.same(value, copy)
    assert.is_false(rawequal(value, copy))
    local shared = {}
    copy = echo {shared, shared}
    assert.is_false(rawequal(copy[1], copy[2]))
  end)

  it("keeps an error object one", function()
    local err = echo(select(2, net.connect "mem:nobody-here"))
    assert.is_true(errors.is(err))
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("connect mem:nobody-here: connection refused (ECONNREFUSED)", tostring(err))
  end)

  it("keeps JSON's arrays and null what they are", function()
    for _, text in ipairs {'{"a":[[],{},null,[1]],"b":null}', "null", "[]"} do
      assert.equal(text, json.encode(echo(json.decode(text)), {sort = true}))
    end
    assert.same({"[]", {}}, {worker.run(function(value) -- in which nothing has made an array before
      return require "neap.json".encode(value), value
    end, json.array())})
  end)

  it("holds nothing else, and says what (L7)", function()
    local channel <close> = worker.channel()
    local cycle = {}
    cycle.cycle = cycle
    local deep = {}
    for _ = 1, 180 do
      deep = {deep}
    end
    for expected, value in pairs {
      ["a function cannot be sent to another worker"] = print,
      ["a thread cannot be sent to another worker"] = coroutine.create(print),
      ["a table with a metatable cannot be sent"] = setmetatable({}, {}),
      ["at most 180 tables inside each other"] = {deep, cycle},
      ["cannot be sent to another worker"] = io.stdout,
      ["a value expected, got nil"] = "nil",
    } do
      if value == "nil" then
        value = nil
      end
      assert.error_matches(function()
        channel:send(value)
      end, expected)
    end
    assert.error_matches(function()
      channel:send(cycle)
    end, "is one in itself")
    assert.equal(0, #channel)
    channel:send "still good"
    assert.equal("still good", channel:recv())
  end)

  it("leaves no memory behind, however large it was", function()
    local result = child.run_lean [[
      local function used()
        collectgarbage()
        collectgarbage()
        return io.open "/proc/self/statm":read "a":match "^%d+ (%d+)" * 4096 // 2 ^ 20
      end
      local SIZE = 2 ^ 23
      local before = used()
      local channel = worker.channel()
      channel:send(("x"):rep(SIZE))
      assert(#channel:recv() == SIZE)
      print(used() - before < 6)
      print(pcall(channel.send, channel, {("x"):rep(SIZE), print}))
      print(used() - before < 6)
      local code = string.dump(function(text)
        return text
      end)
      local w = require "neap.worker.core".start(nil, 0, 2, "large", code, ("x"):rep(SIZE))
      w:wait()
      print(#w:results())
      print(used() - before < 6) -- also while the worker's handle is kept
      print(select("#", w:results()))
    ]]
    assert.equal("", result.stderr)
    assert.matches("^true\nfalse\ta function cannot be sent.-\ntrue\n8388608\ntrue\n0\n$", result.stdout)
  end)

  it("has a limit", function()
    local channel <close> = worker.channel()
    local part = ("x"):rep(64 * 1024 * 1024)
    assert.error_matches(function()
      channel:send {part, part, part, part}
    end, "a message has at most 256 MiB")
  end)
end)

describe("neap -w", function()
  it("runs a script in workers that share a port", function()
    local path = script [[
      local net, worker = require "neap.net", require "neap.worker"
      local listener = assert(net.listen("tcp://127.0.0.1:" .. ...))
      worker.channel "ready":send(worker.id)
      listener:serve(function(stream)
        stream:write(worker.id, " of ", worker.count, "\n")
      end)
    ]]
    local probe = assert(net.listen("tcp://127.0.0.1:0", {reuseport = true}))
    local port = probe.port
    probe:close()
    local p = assert(process.spawn {
      child.neap, "-w", "3", path, tostring(port), stderr = "pipe",
    })
    local by = {}
    local function ask()
      local stream <close> = net.connect("tcp://127.0.0.1:" .. port)
      local line = stream and stream:read()
      if not line then
        return task.sleep(0.01)
      end
      local id, count = line:match "^(%d+) of (%d+)$"
      assert(count == "3", line)
      by[tonumber(id)] = true
    end
    for _ = 1, 500 do
      ask()
      if #by == 3 then
        break
      end
    end
    assert.same({true, true, true}, by)
    p:kill "SIGTERM"
    assert.equal("", p.stderr:read "a")
    p:wait()
    assert.equal(143, p.code)
  end)

  it("ends its workers at the first signal, also while they compute", function()
    local path = script [[
      local worker = require "neap.worker"
      worker.channel "busy":send(worker.id)
      print "busy"
      while true do
        os.clock()
      end
    ]]
    local p = assert(process.spawn {"timeout", "-s", "KILL", "9", child.neap, "-w", "2", path,
      stdout = "pipe", stderr = "pipe"})
    assert.same({"busy", "busy"}, {p.stdout:read("l", "l")})
    local group = assert(io.open(("/proc/%d/task/%d/children"):format(p.pid, p.pid)))
    os.execute("kill -TERM " .. group:read "a")
    group:close()
    assert.equal("", p.stderr:read "a")
    p:wait()
    assert.is_true(p.code == 143 or p.signal == "SIGTERM", p.code)
  end)

  it("tells of a worker that fails, and starts it again", function()
    local result = run_neap("-w", "2", script [[
      local worker = require "neap.worker"
      local lives = worker.channel("lives", 10)
      if worker.id == 2 then
        lives:send(1)
        if #lives == 1 then
          error "the first time"
        end
      end
    ]])
    assert.matches("neap: worker 2: .-:6: the first time\n", result.stderr)
    assert.matches("neap: worker 2 ended with status 1; it starts again in 0.1 s\n", result.stderr)
    assert.equal(0, result.code)
  end)

  it("runs code, which has the short names", function()
    local result = run_neap("-w", "2", "-e", "print(worker.count, net ~= nil)")
    assert.equal("2\ttrue\n2\ttrue\n", result.stdout)
  end)

  it("runs each -e and -l, and then the script, in each worker", function()
    local result = run_neap("-w", "2", "-e", "x = worker == nil", "-l", "L=lfs",
      script "print(x, L == require 'lfs', arg[1], ...)", "y")
    assert.equal("true\ttrue\ty\ty\ntrue\ttrue\ty\ty\n", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("ends with the error of what comes before the program, which is not begun again", function()
    local good, bad = script "", script "syntax error"
    for what, arguments in pairs {
      ["missing"] = {"-l", "missing", good}, ["broken"] = {"-e", "error 'broken'", good},
      ["late"] = {"-e", "task = require 'neap.task' task.sleep(0.01) error 'late'", "-W", good},
      ["gone"] = {"-l", "gone", "-e", "task.sleep(0.01)"}, ["torn"] = {"-e", "error 'torn'", "-e", ""},
      ["syntax error near"] = {"-e", "", bad},
    } do
      local p <close> = assert(process.spawn {
        child.neap, "-w", "2", stderr = "pipe", table.unpack(arguments),
      })
      local code = task.timeout(8, p.wait, p)
      if not code then
        p:kill "SIGKILL"
      end
      local told = p.stderr:read "a"
      assert.equal(1, code, what)
      assert.matches("^neap: worker %d: [^\n]*" .. what, told)
      assert.is_nil(told:find("it starts again", 1, true))
    end
  end)

  it("starts the last -e again, which is the program", function()
    local result = run_neap("-w", "1", "-e", "local c = worker.channel('lives', 10)", "-W", "-e", [[
      local lives = worker.channel("lives", 10)
      lives:send(1)
      if #lives == 1 then
        error "the first time"
      end
    ]], "-W")
    assert.matches("neap: worker 1 ended with status 1; it starts again in 0.1 s\n", result.stderr)
    assert.equal(0, result.code)
  end)

  it("is refused where there is nothing that workers could run", function()
    for _, word in ipairs {"attach", "test", "-v"} do
      local result = run_neap("-w", "2", word)
      assert.equal(2, result.code)
      assert.matches("^neap: a script or %-e CODE is expected behind %-w %(", result.stderr)
    end
  end)

  it("ends at once when there is nothing to run", function()
    local result = run_neap("-w", "2", child.missing())
    assert.equal(2, result.code)
    assert.matches("cannot open /%S+/none: No such file", result.stderr)
    for _, bad in ipairs {"0", "-1", "x", "1x", "1025", ""} do
      result = run_neap("-w", bad, "-e", "")
      assert.equal(2, result.code)
      assert.matches("%-w: a number of workers from 1 to 1024 expected", result.stderr)
    end
  end)
end)

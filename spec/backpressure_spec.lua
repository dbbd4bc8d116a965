-- Who is faster waits for who is slower: memory stays bounded, nobody starves,
-- and what the kernel refuses is an error, not a spin.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"

local neap = child.neap

local MiB = 1 << 20

--- How much of the full number a slower build does.
local scale = child.stress and 0.02 or child.kind == "check" and 0.2 or 1

--- Found by each script below. The peak of memory is the kernel's own, from
--- when it was last reset.
local measures = [[
  local MiB = 1 << 20

  local function status(field)
    local file <close> = assert(io.open "/proc/self/status")
    return tonumber(file:read "a":match(field .. ":%s+(%d+) kB")) * 1024
  end

  local base

  local function start_measuring()
    collectgarbage()
    local file <close> = assert(io.open("/proc/self/clear_refs", "w"))
    file:write "5"
    file:close()
    base = status "VmRSS"
  end

  --- Growth at its highest, and now, in MiB.
  local function growth()
    local peak = status "VmHWM" - base
    collectgarbage()
    return peak / MiB, (status "VmRSS" - base) / MiB
  end

  --- Two ends of a connection whose kernel buffers have this size, at most.
  local function pair(size)
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", {rcvbuf = size}))
    local a = assert(net.connect(listener.endpoint, {sndbuf = size}))
    return a, assert(listener:accept())
  end

]]

--- Freed memory that a sanitizer keeps would count as ours.
local function env()
  local all = process.env()
  all.ASAN_OPTIONS = "detect_leaks=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0"
  return all
end

--- Run a script in a neap of its own; the numbers that it prints.
local function numbers(script, ...)
  local result = assert(process.run {neap, "-e", child.code(measures .. script, ...), env = env()})
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local list = {}
  for word in result.stdout:gmatch "%S+" do
    list[#list + 1] = tonumber(word)
  end
  return table.unpack(list)
end

local function connected()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local a = assert(net.connect(listener.endpoint))
  return a, assert(listener:accept())
end

describe("a writer", function()
  for how, write in pairs {
    ["large strings"] = "a:write(('x'):rep(65536), i)",
    ["small strings"] = "a:write(('x'):rep(100), i)",
    ["many pieces"] = "a:write(table.unpack(pieces))",
  } do
    it("of " .. how .. " waits for a reader that never reads (C1)", function()
      local accepted, stopped, peak = numbers([[
        local pieces = {}
        for i = 1, 200 do
          pieces[i] = ("p"):rep(300) .. i
        end
        local a, b = pair(262144)
        local count, size = 0
        start_measuring()
        task.spawn(function()
          for i = 1, 1 << 30 do
            if not ]] .. write .. [[ then
              return
            end
            count = count + 1
          end
        end)
        local before
        for _ = 1, 50 do -- until it stands still
          before = count
          task.sleep(0.1)
          if count == before and count > 0 then
            break
          end
        end
        print(count, count - before, (growth()))
        a:reset()
        b:reset()
      ]])
      assert.is_true(accepted > 0)
      assert.equal(0, stopped)
      assert.is_true(peak < 8, peak)
    end)
  end

  it("whose peer lives in the same process waits, too (C1)", function()
    local count, peak = numbers [[
      local a, b = net.socketpair "mem"
      local count = 0
      start_measuring()
      task.spawn(function()
        while a:write(("x"):rep(1000)) do
          count = count + 1
        end
      end)
      task.sleep(0.2)
      print(count, (growth()))
      a:reset()
      b:reset()
    ]]
    assert.is_true(count > 10 and count < 1000, count)
    assert.is_true(peak < 4, peak)
  end)

  it("is one of a thousand, each with a bounded share (C2)", function()
    local pairs_made, rounds, peak = numbers [[
      local count = 1000
      local open, rounds = {}, 0
      for i = 1, count do
        local a, b = pair(8192)
        open[i] = {a, b}
      end
      start_measuring()
      for i, ends in ipairs(open) do
        task.spawn(function()
          local block = ("%08d"):format(i):rep(2048)
          while ends[1]:write(block, i) do
            rounds = rounds + 1
          end
        end)
        task.spawn(function()
          while ends[2]:recv(1000) do
            task.sleep(0.2)
          end
        end)
      end
      task.sleep(1)
      print(count, rounds, (growth()))
      for _, ends in ipairs(open) do
        ends[1]:reset()
        ends[2]:reset()
      end
    ]]
    assert.is_true(rounds > pairs_made, rounds)
    -- 64 KiB each way; behind them the piece that went over it, and one that gathers;
    -- the script's own block and two tasks; and what the allocator loses
    local share = (64 + 64 + 16 + 16 + 16 + 8) * (scale < 1 and 1.5 or 1.15)
    assert.is_true(peak < pairs_made * share / 1024, peak)
  end)

  it("of one large string keeps no second one (C5)", function()
    local port, got
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    port = listener.port
    local size = 64 * MiB
    local counting = task.spawn(function()
      local stream <close> = assert(listener:accept())
      got = 0
      for chunk in stream:chunks() do
        got = got + #chunk
      end
    end)
    local peak, left = numbers([[
      local stream = assert(net.connect("tcp://127.0.0.1:" .. arg[1]))
      local bytes = ("x"):rep(]] .. size .. [[)
      start_measuring()
      assert(stream:write(bytes))
      assert(stream:flush())
      stream:close()
      bytes = nil
      print(growth())
    ]], port)
    counting:join()
    assert.equal(size, got)
    assert.is_true(peak < 64 * 0.2, peak) -- beyond the string itself
    assert.is_true(left < -60, left)
  end)

  it("of one large string may be cancelled midway, and all of it arrives (C5)", function()
    local a, b = connected()
    local size = 64 * MiB
    local writing = task.spawn(pcall, function()
      a:write(("12345678"):rep(size // 8))
    end)
    task.sleep(0.05)
    writing:cancel()
    local ok, err = writing:join()
    assert.is_false(ok)
    assert.equal("ECANCELED", err.code)
    local late, why = task.timeout(0.02, a.write, a, "not in time")
    assert.is_nil(late)
    assert.equal("ETIMEDOUT", why.code)
    local got, intact = 0, true
    local reading = task.spawn(function()
      while got < size do
        local chunk = assert(b:read(65536))
        intact = intact and chunk == ("12345678"):rep(8192)
        got = got + #chunk
      end
      return b:read "a"
    end)
    assert(a:write "the end")
    a:close()
    local rest = reading:join()
    b:close()
    assert.equal(size, got)
    assert.is_true(intact)
    assert.equal("the end", rest)
  end)

  it("of one large string may close behind it, and all of it arrives (C5)", function()
    local a, b = connected()
    local size = 64 * MiB
    assert.equal("ETIMEDOUT", select(2, task.timeout(0.02, a.write, a, ("x"):rep(size))).code)
    a:close()
    local got = 0
    for chunk in b:chunks() do
      got = got + #chunk
    end
    b:close()
    assert.equal(size, got)
  end)

  for how, write in pairs {
    ["its stream's limit"] = "stream:settimeout(0.001):write(bytes)",
    ["task.timeout"] = "task.timeout(0.001, stream.write, stream, bytes)",
  } do
    for size, what in pairs {[65536] = "large", [500] = "small"} do
      it(("leaves nothing behind when %s is over, %s strings (C6)"):format(how, what), function()
        local timeouts, accepted, arrived, peak = numbers([[
          local size, wanted = ]] .. size .. [[, 200
          local stream, other = pair(16384)
          local timeouts, accepted = 0, 0
          start_measuring()
          while timeouts < wanted do
            local bytes = ("x"):rep(size)
            local ok, err = ]] .. write .. [[

            if ok then
              accepted = accepted + size
            else
              assert(err.code == "ETIMEDOUT", err)
              timeouts = timeouts + 1
              if err.accepted then
                accepted = accepted + err.accepted
              end
            end
          end
          local peak = growth()
          stream:settimeout()
          task.spawn(function()
            stream:flush()
            stream:close()
          end)
          print(timeouts, accepted, #other:read "a", peak)
        ]])
        assert.equal(200, timeouts)
        assert.is_true(peak < 4, peak)
        if how == "task.timeout" then -- whose error says nothing of the bytes
          assert.is_true(arrived >= accepted and arrived <= accepted + 2 * size,
            arrived - accepted)
        else
          assert.equal(accepted, arrived)
        end
      end)
    end
  end
end)

describe("a reader", function()
  for _, kind in ipairs {"tcp", "unix", "mem"} do
    it(("that is slow slows the sender (C3, %s)"):format(kind), function()
      local sent, later, queued, peak = numbers([[
        local kind = ]] .. ("%q"):format(kind) .. [[

        local a, b
        if kind == "tcp" then
          a, b = pair(131072)
        else
          a, b = net.socketpair(kind)
        end
        local sent, got = 0, 0
        start_measuring()
        task.spawn(function()
          local block = ("x"):rep(10000)
          while a:write(block) do
            sent = sent + #block
          end
        end)
        task.spawn(function()
          while true do
            local chunk = b:recv(1024)
            if not chunk then
              break
            end
            got = got + #chunk
            task.sleep(0.01)
          end
        end)
        task.sleep(0.2)
        local before = sent
        task.sleep(0.3)
        print(sent, sent - before, sent - got, (growth()))
        a:reset()
        b:reset()
      ]])
      assert.is_true(sent > 65536, sent)
      assert.is_true(later < 300000, later) -- 30 KB were read meanwhile
      assert.is_true(queued < 2 * MiB, queued)
      assert.is_true(peak < 4, peak)
    end)
  end

  it("that stops closes the sender's window, and opens it again (C3)", function()
    local a, b = connected()
    local size = 32 * MiB
    local sent = false
    b:settimeout(5)
    task.spawn(function()
      a:write(("x"):rep(size))
      a:flush()
      sent = true
      a:close()
    end)
    local got = #b:recv()
    task.sleep(0.3)
    assert.is_false(sent)
    for chunk in b:chunks() do
      got = got + #chunk
    end
    b:close()
    assert.equal(size, got)
    assert.is_true(sent)
  end)
end)

describe("a channel", function()
  it("keeps its producer from running ahead (C8)", function()
    local n = math.floor(1000000 * scale)
    local got, ordered, ahead, peak = numbers([[
      local n = tonumber(arg[1])
      local channel = task.channel(10)
      local made, got, ordered, ahead = 0, 0, 1, 0
      start_measuring()
      task.spawn(function()
        for i = 1, n do
          channel:send(i)
          made = i
        end
        channel:close()
      end)
      for value in channel:each() do
        got = got + 1
        ordered = value == got and ordered or 0
        ahead = math.max(ahead, made - got)
      end
      print(got, ordered, ahead, (growth()))
    ]], n)
    assert.equal(n, got)
    assert.equal(1, ordered)
    assert.is_true(ahead <= 11, ahead)
    assert.is_true(peak < 4, peak)
  end)
end)

describe("a stream at full rate", function()
  --- What it does with the connection that fires at it.
  local firehoses = {
    recv = "while stream:recv() do end",
    lines = "for _ in stream:lines() do end",
    ["single bytes"] = "while stream:read(1) do end",
    write = "while stream:write(('y'):rep(30000)) do end",
    ["small writes"] = "while stream:write 'yyyyyyyy\\n' do end",
    echo = "for chunk in stream:chunks() do stream:write(chunk) end",
    relay = "local a, b = net.socketpair() task.spawn(net.relay, stream, a)"
      .. " while b:recv() do end",
  }

  --- The time in which 99 of 100 lines come back to fifty clients.
  local function ninety_ninth(endpoint)
    local took = {}
    task.scope(function(scope)
      for _ = 1, 50 do
        scope:spawn(function()
          local stream <close> = assert(net.connect(endpoint, {timeout = 5}))
          stream:write "quiet\nfirst\n" -- until it is accepted
          assert.equal("first", stream:read())
          local stop = time.now() + 0.25
          while time.now() < stop do
            local start = time.now()
            stream:write "ping\n"
            assert.equal("ping", stream:read())
            took[#took + 1] = time.now() - start
            task.sleep(0.01)
          end
        end)
      end
    end)
    table.sort(took)
    return took[math.ceil(#took * 0.99)]
  end

  for name, deed in pairs(firehoses) do
    it(("does not starve fifty others: %s (C9) #slow"):format(name), function()
      local server <close> = assert(process.spawn {
        neap, "-e", [[
          local listener = assert(net.listen "tcp://127.0.0.1:0")
          print(listener.port)
          io.stdout:flush()
          listener:serve(function(stream)
            if stream:read() == "fire" then
              ]] .. deed .. [[
            else
              for line in stream:lines "L" do
                stream:write(line)
              end
            end
          end)
        ]], stdout = "pipe",
      })
      local endpoint = "tcp://127.0.0.1:" .. server.stdout:read()
      local hose <close> = assert(process.spawn {
        neap, "-e", child.code([[
          local stream = assert(net.connect(arg[1]))
          stream:write "fire\n"
          local block = ("x\n"):rep(32768)
          task.spawn(function()
            while stream:write(block) do end
          end)
          task.spawn(function()
            while stream:recv() do end
          end)
        ]], endpoint), stderr = "null",
      })
      -- Whoever starves, does so each time; a busy machine may be late once.
      task.sleep(0.05)
      local p99
      for _ = 1, 3 do
        p99 = ninety_ninth(endpoint)
        if p99 < 0.05 / scale then
          break
        end
      end
      server:kill "SIGKILL"
      hose:kill "SIGKILL"
      server:wait()
      hose:wait()
      assert.is_true(p99 < 0.05 / scale, p99)
    end)
  end
end)

describe("a system call", function()
  local all_kinds = [[
    local function exchange(a, b)
      task.spawn(function()
        if not (a:write("head\n", ("x"):rep(300000)) and a:flush() and a:shutdown()) then
          a:reset()
        end
      end)
      local head, body = b:read("l", "a")
      a:close()
      b:close()
      return head == "head" and #body == 300000
    end

    local function through(endpoint)
      local listener <close> = assert(net.listen(endpoint))
      local a = assert(net.connect(listener.endpoint))
      return exchange(a, assert(listener:accept()))
    end

    local function piped()
      local p <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
      task.spawn(function()
        p.stdin:write(("y"):rep(200000))
        p.stdin:close()
      end)
      return #p.stdout:read "a" == 200000
    end

    local file = os.tmpname()
    local results = {
      through "tcp://127.0.0.1:0", through "tcp6://[::1]:0", through "unix:@",
      through("unix:" .. file .. ".sock"), exchange(net.socketpair()), piped(),
    }
    task.sleep(0.001)
    os.remove(file)
    for i = 1, 6 do
      io.write(tostring(results[i]), " ")
    end
  ]]

  --- A script under strace, whose calls fail as told.
  local function inject(faults, script)
    local path = os.tmpname()
    local command = {"strace", "-f", "-qq", "-o", path, env = process.env(), stdin = "null"}
    command.env.ASAN_OPTIONS = "detect_leaks=0"
    for _, fault in ipairs(faults) do
      command[#command + 1] = "-e"
      command[#command + 1] = "trace=" .. fault:match "^[^:]+"
      if fault:find ":" then
        command[#command + 1] = "-e"
        command[#command + 1] = "inject=" .. fault
      end
    end
    for _, word in ipairs {neap, "-e", script} do
      command[#command + 1] = word
    end
    local result = assert(process.run(command))
    local file <close> = assert(io.open(path))
    result.log = file:read "a"
    os.remove(path)
    return result
  end

  local function need_strace()
    if not process.run {"strace", "-V"} then
      pending "strace is not there"
    elseif process.run({"strace", "-qq", "-o", "/dev/null", "true"}).code ~= 0 then
      pending "strace is not permitted"
    end
  end

  for _, call in ipairs {
    "accept4", "connect", "recvfrom", "sendto", "sendmsg", "read", "writev", "epoll_wait",
    "epoll_pwait2", "epoll_pwait",
  } do
    it("that is interrupted is made again: " .. call .. " (D10)", function()
      need_strace()
      -- The C library's own reads of its files are not ours to repeat.
      local from = call == "read" and 12 or 1
      local result = inject({("%s:error=EINTR:when=%d+3"):format(call, from)}, all_kinds)
      assert.equal("", result.stderr)
      assert.equal("true true true true true true ", result.stdout)
      assert.equal(0, result.code)
    end)
  end

  it("of close that is interrupted is not made again (D10)", function()
    need_strace()
    local script = [[
      local a, b = net.socketpair()
      print(a.fd, b.fd)
      a:close()
      b:close()
      task.sleep(0.01)
    ]]
    local undisturbed = inject({"close"}, script)
    local first = undisturbed.stdout:match "%d+"
    local before = undisturbed.log:match(("^(.*)close%%(%s%%)"):format(first))
    local _, closes = before:gsub("close%(", "")
    local fault = ("close:error=EINTR:when=%d..%d"):format(closes + 1, closes + 2)
    local result = inject({fault}, script)
    assert.equal("", result.stderr)
    assert.equal(undisturbed.stdout, result.stdout)
    local _, injected = result.log:gsub("INJECTED", "")
    assert.equal(2, injected)
    for fd in result.stdout:gmatch "%d+" do
      local times = 0
      for answer in result.log:gmatch(("close%%(%s%%) *= ([^\n]*)"):format(fd)) do
        times = times + 1
        assert.matches("EINTR", answer)
      end
      assert.equal(1, times)
    end
  end)

  --- What may fail, and how; none of it may end in a crash or a hang. Of these
  --- libuv itself aborts for the first pipe2 and its own epoll_ctl.
  local faults = {
    socket = "EMFILE", bind = "ENOMEM", listen = "EADDRINUSE", connect = "ENETUNREACH",
    accept4 = "ENOMEM", epoll_ctl = "ENOSPC", setsockopt = "ENOMEM", getsockname = "ENOBUFS",
    getpeername = "ENOBUFS", sendto = "ENOBUFS", sendmsg = "ENOMEM", recvfrom = "ENOMEM",
    shutdown = "ENOTCONN", socketpair = "ENFILE", pipe2 = "EMFILE", close = "EIO",
    writev = "EIO", fcntl = "ENOMEM", newfstatat = "ENOMEM", fchmod = "EPERM", unlink = "EPERM",
  }

  for call, code in pairs(faults) do
    it(("that fails is an error, neither a crash nor a hang: %s, %s (D6)"):format(call, code),
      function()
        need_strace()
        local kinds = all_kinds
        if call == "close" then -- uv_spawn waits for the end of a pipe that it could not close
          kinds = kinds:gsub(", piped%(%)", ", true")
        end
        local script = [[
          local ok, err = task.timeout(1, pcall, function()
        ]] .. kinds .. [[
          end)
          io.write(tostring(ok), " ", tostring(err))
          os.exit(0, true)
        ]]
        local function check(result, where)
          where = ("%s: %s %s"):format(where, result.stdout, result.stderr)
          assert.is_nil(result.signal, where)
          assert.is_nil(result.stderr:find "Sanitizer", where)
          assert.is_nil(result.stderr:find "ssertion", where)
          assert.is_nil(result.stdout:find "ETIMEDOUT", where)
        end
        if call == "epoll_ctl" then -- of those that the kernel may refuse so
          for i, result in ipairs(child.unwatched(script)) do
            check(result, i)
          end
          return
        end
        local whens = call == "pipe2" and {"3", "4", "5"} or {"1", "2", "5+3"}
        for _, when in ipairs(scale < 1 and {whens[2]} or whens) do
          check(inject({("%s:error=%s:when=%s"):format(call, code, when)}, script), "when=" .. when)
        end
      end)
  end
end)

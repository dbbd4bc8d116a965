-- TLS handshakes that go wrong: that are cut, given up, too late; and what is no TLS.

local aside = require "spec.support.aside"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local handshakes = require "spec.support.handshakes"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key, ours, theirs = handshakes.cert, handshakes.key, handshakes.ours, handshakes.theirs
local pass, shake, with_middle = handshakes.pass, handshakes.shake, handshakes.with_middle

--- Bytes from one place to be cut at to the next: 1 is what is promised.
local step = tonumber(os.getenv "NEAP_HANDSHAKE_STEP")
  or child.stress and 37 or child.sanitized and 11 or 3

describe("a handshake", function()
  --- Bytes that go each way in a whole one, and a word and a close behind it.
  local function sizes()
    local a, near, far, b = with_middle()
    local there = aside(pass, near, far, 1 << 20, "close")
    local back = aside(pass, far, near, 1 << 20, "close")
    assert.same({true, true}, {shake(a, b)})
    b:write "x"
    assert.equal("x", a:read(1))
    b:close()
    a:close()
    return there:join(), back:join()
  end

  for _, verb in ipairs {"close", "reset"} do
    it(("R5: that is cut at any byte by a %s fails, and is gone #slow"):format(verb), function()
      local there, back = sizes()
      for way, most in ipairs {there - 60, back - 600} do
        for at = 0, most, step do
          local a, near, far, b = with_middle()
          local first = way == 1 and near or far
          local cut = aside(pass, first, first == near and far or near, at, verb)
          local other = aside(pass, first == near and far or near, first, 1 << 20, verb)
          local client, server = shake(a, b)
          assert.is_true(client ~= true or server ~= true, at)
          for _, err in ipairs {client, server} do
            if err ~= true then
              assert.is_true(err.code == "ETLSCUT" or err.code == "ECONNRESET"
                or err.code == "EPIPE", ("%s at %d"):format(err, at))
            end
          end
          for _, stream in ipairs {a, b, near, far} do
            stream:reset()
          end
          cut:join()
          other:join()
        end
      end
    end)
  end

  it("R5: that is given up at any byte is gone, too #slow", function()
    local there, back = sizes()
    for way, most in ipairs {there - 60, back - 600} do
      for at = 0, most, 3 * step do
        local a, near, far, b = with_middle()
        local first = way == 1 and near or far
        local last = first == near and far or near
        local passing = {aside(pass, first, last, at),
          aside(pass, last, first, 1 << 20)}
        local ends = {
          aside(a.starttls, a, {context = theirs, server_name = "localhost"}),
          aside(b.starttls, b, {context = ours, server = true}),
        }
        passing[1]:join()
        task.yield()
        for _, shaking in ipairs(ends) do
          shaking:cancel()
        end
        local done = pcall(ends[1].join, ends[1])
        done = pcall(ends[2].join, ends[2]) and done
        assert.is_false(done, at)
        for _, stream in ipairs {a, b, near, far} do
          stream:close()
        end
        passing[2]:join()
      end
    end
  end)

  it("has a deadline of its own, whoever waits for it", function()
    local context = assert(tls.context {cert = cert, key = key, handshake_timeout = 0.05})
    local calls = {
      function(s) return s:handshake() end,
      function(s) return s:recv() end,
      function(s) return s:write("x"):flush() end,
    }
    for i, call in ipairs(calls) do
      local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = context}))
      local peer <close> = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
      local stream <close> = assert(listener:accept())
      if i > 1 then
        peer:write "\22\3\1\2" -- half a record
      end
      local ok, err = call(stream)
      assert.is_nil(ok)
      assert.equal("ETIMEDOUT", err.code)
      assert.matches("handshake", err.message)
    end
  end)

  it("can be cancelled, and then closes what was to be connected", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local endpoint = listener.endpoint:gsub("^tcp", "tls")
    local connecting = task.spawn(net.connect, endpoint, {context = theirs})
    local peer <close> = assert(listener:accept())
    assert.equal("\22", peer:read(1))
    connecting:cancel()
    assert.equal("ECANCELED", code_of(connecting:join()))
    peer:read "a" -- or its reset
    local _, err = net.connect(endpoint, {context = theirs, timeout = 0.02})
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(endpoint, err.endpoint)
  end)

  it("is done by the first read or write of an accepted stream, and its failure is theirs",
    function()
      local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
      local connecting = task.spawn(net.connect, listener.endpoint, {context = theirs})
      local stream <close> = assert(listener:accept())
      assert.is_false(stream.tls)
      stream:write "hello"
      local client <close> = assert(connecting:join())
      assert.equal("hello", client:read(5))
      assert.equal("TLSv1.3", stream.tls.version)
      assert.equal(stream, stream:handshake())

      connecting = task.spawn(net.connect, listener.endpoint, {})
      local refused <close> = assert(listener:accept())
      assert.equal("ETLSALERT", code_of(refused:recv()))
      assert.equal("ETLSALERT", code_of(refused:write "x"))
      assert.equal("ETLSVERIFY", code_of(connecting:join()))
    end)

  it("goes on behind a close, for what was written", function()
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local connecting = task.spawn(net.connect, listener.endpoint, {context = theirs})
    local stream = assert(listener:accept())
    stream:write "last words"
    stream:close()
    local client <close> = assert(connecting:join())
    assert.equal("last words", client:read "a")
    assert.is_nil((client:read(1)))
  end)

  it("is done before the handler by serve, and fails to `onerror`", function()
    local listener = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local served, failed = {}, {}
    local server = task.spawn(function()
      listener:serve(function(stream)
        served[#served + 1] = stream.tls.version
        stream:write(stream:read())
      end, {onerror = function(err, stream)
        failed[#failed + 1] = err.code .. " " .. stream.protocol
      end})
    end)
    local plain = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
    plain:write "GET / HTTP/1.1\r\n\r\n"
    plain:read "a"
    plain:close()
    local client = assert(net.connect(listener.endpoint, {context = theirs}))
    client:write "line\n"
    assert.equal("line", client:read "a")
    client:close()
    listener:close()
    server:join()
    assert.same({"TLSv1.3"}, served)
    assert.same({"ETLSPROTO tls"}, failed)
  end)

  it("that fails under serve without `onerror` is told in one line", function()
    local result = child.run([[
      local net, task = require "neap.net", require "neap.task"
      local cert, key = require "neap.tls".selfsigned {names = {"localhost"}}
      local listener = assert(net.listen("tls://127.0.0.1:0", {cert = cert, key = key}))
      task.spawn(function()
        local plain <close> = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
        plain:write "GET / HTTP/1.1\r\n\r\n"
        plain:read "a"
        listener:close()
      end)
      listener:serve(print)
    ]])
    assert.equal("", result.stdout)
    assert.matches("^neap: [^\n]*ETLSPROTO[^\n]*\n$", result.stderr)
  end)
end)

describe("what is no TLS", function()
  local function answer_to(bytes)
    local a, b = net.socketpair "mem"
    local server = aside(b.starttls, b, {context = ours, server = true})
    local writer = task.spawn(function() -- until nobody takes more
      a:write(bytes)
      a:flush()
      a:shutdown()
    end)
    local _, err = server:join()
    b:close()
    local got = a:read "a"
    writer:join()
    a:close()
    return err, got
  end

  it("R7: is refused by a server", function()
    local state = 1
    local function random(n)
      local bytes = {}
      for i = 1, n do
        state = (state * 1103515245 + 12345) % (1 << 31)
        bytes[i] = string.char(state >> 16 & 255)
      end
      return table.concat(bytes)
    end
    for what, bytes in pairs {
      http = "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      ssl2 = "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" .. ("\1\0\x80"):rep(7) .. ("x"):rep(16),
      garbage = random(65536),
      data = "\23\3\3\0\5hello",
      long = "\22\3\1\xff\xff" .. ("x"):rep(65535),
      empty = ("\22\3\1\0\0"):rep(1000),
      records = ("\22\3\1\64\0" .. ("\1"):rep(16384)):rep(50),
      alert = "\21\3\1\0\2\2\40",
    } do
      local err, got = answer_to(bytes)
      assert.is_true(err.code == "ETLSPROTO" or err.code == "ETLSALERT" or err.code == "ETLSCUT"
        or err.code == "ETLSPLAIN", what .. ": " .. tostring(err))
      local is_plain = err.code == "ETLSPLAIN" or err.code == "ETLSCUT"
      assert.equal(is_plain and "" or "\21", got:sub(1, 1), what) -- nothing, or an alert
    end
  end)

  it("R7: is called what it is, and answered by an alert", function()
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    for bytes, why in pairs {
      ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"] = "the peer speaks plain HTTP, and no TLS",
      ["CONNECT x:1 HTTP/1.1\r\n\r\n"] = "the peer speaks plain HTTP, and no TLS",
      ["EHLO example\r\n"] = "what the peer speaks is no TLS",
    } do
      local peer <close> = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
      peer:write(bytes)
      local stream <close> = assert(listener:accept())
      local ok, err = stream:handshake()
      assert.is_nil(ok)
      assert.equal("ETLSPROTO", err.code)
      assert.matches(why, err.message, 1, true)
      stream:close()
      assert.equal("\21\3\3\0\2\2\10", peer:read "a") -- fatal, unexpected message
    end
  end)

  it("R7: is refused by a client", function()
    local a, b = net.socketpair "mem"
    local client = aside(a.starttls, a, {context = theirs, server_name = "localhost"})
    b:read(5)
    b:write "220 mail.example ESMTP ready\r\n"
    local _, err = client:join()
    assert.equal("ETLSPROTO", err.code)
    assert.matches("no TLS", err.message)
    a:close()
    assert.equal(21, b:read("a"):byte(-7)) -- behind the hello
    a:close()
    b:close()
  end)

  it("R7: has an end, where a handshake is to have none", function()
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local peer <close> = assert(net.connect((listener.endpoint:gsub("^tls", "tcp"))))
    local stream <close> = assert(listener:accept())
    local record = "\22\3\1\64\0" .. ("\0\0\0\0"):rep(4096)
    local writer = aside(function()
      local sum = 0
      while sum < 100 << 20 do
        if not peer:write(record) then
          break
        end
        sum = sum + #record
      end
      return sum
    end)
    assert.equal("ETLSPROTO", code_of(stream:handshake()))
    stream:reset()
    assert.is_true(writer:join() < 16 << 20)
  end)

  it("R7: and versions before 1.2 are refused", function()
    if process.run({"sh", "-c", "command -v openssl"}).code ~= 0 then
      pending "the openssl command is not there"
      return
    end
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local peer = process.spawn {"openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
      "-connect", "127.0.0.1:" .. listener.port, stdin = "null", stdout = "null", stderr = "null"}
    local stream <close> = assert(listener:accept())
    local _, err = stream:handshake()
    assert.equal("ETLSPROTO", err.code)
    assert.matches("protocol", err.message)
    stream:close()
    peer:wait()
  end)
end)

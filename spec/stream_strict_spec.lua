-- Reading strictly: what is cut is no value.

local net = require "neap.net"
local process = require "neap.process"
local child = require "spec.support.child"
local closing = require "spec.support.tasks".closing
local folder = require "spec.support.folder"
local streams = require "spec.support.streams"
local transports = require "spec.support.transports"

local call, pour, trickle = streams.call, streams.pour, streams.trickle

--- What a call gives that is cut: the text of its error, and what it had.
local function cut(value, err)
  assert.is_nil(value)
  assert.equal("ENODATA", err.code)
  assert.matches("the stream ended in the middle of it %(ENODATA%)$", tostring(err))
  return err.partial
end

for _, kind in ipairs(transports.names) do
  describe(("a stream (%s)"):format(kind), function()
    local ours, theirs

    local renew = transports.each_test(kind, function(a, b)
      ours, theirs = a, b
    end)

    it("reads exactly so many bytes", function()
      for _, send in ipairs {pour, trickle} do
        send(theirs, "abcdefgh")
        theirs:shutdown()
        assert.equal("abc", ours:readexactly(3))
        assert.equal("", ours:readexactly(0))
        assert.equal("defgh", ours:readexactly(5))
        assert.equal("", ours:readexactly(0))
        assert.same({n = 1}, table.pack(ours:readexactly(1)))
        renew()
      end
    end)

    it("reads more than it gathers otherwise", function()
      local size = 300000
      local writer = require "neap.task".spawn(function()
        assert(theirs:write(("x"):rep(size)))
        theirs:shutdown()
      end)
      assert.equal(size - 1, #ours:readexactly(size - 1))
      assert.equal("x", cut(ours:readexactly(2)))
      writer:join()
    end)

    it("leaves what is cut, and tells it", function()
      pour(theirs, "half")
      assert.equal("half", cut(ours:readexactly(5)))
      assert.equal("half", cut(ours:readuntil("\n", nil, {strict = true})))
      assert.equal("half", cut(ours:readuntil("lf!", 10, {strict = true})))
      assert.equal("half", cut(ours:unpack ">I8"))
      assert.equal("ha", ours:readuntil("l", nil, {strict = true}))
      assert.equal("f", ours:readuntil("\n", nil, {strict = false}))
      assert.same({n = 1}, table.pack(ours:readuntil("\n", nil, {strict = true})))
    end)

    it("reads up to a delimiter at its very end", function()
      pour(theirs, "a\r\nb\r\n")
      for _, expected in ipairs {"a", "b"} do
        assert.equal(expected, ours:readuntil("\r\n", nil, {strict = true}))
      end
      assert.is_nil(ours:readuntil("\r\n", nil, {strict = true}))
    end)

    it("reads lines that may end with CRLF", function()
      local text = "one\r\ntwo\n\r\n\n\rthree\r\r\nlast\r"
      local expected = {"one", "two", "", "", "\rthree\r", "last\r"}
      for _, send in ipairs {pour, trickle} do
        for _, lines in ipairs {
          function() return ours:lines("l", {crlf = true}) end,
          function() return ours:lines {crlf = true} end,
          function() return function() return ours:read("*l", {crlf = true}) end end,
        } do
          send(theirs, text)
          theirs:shutdown()
          local got = {}
          for line in lines() do
            got[#got + 1] = line
          end
          assert.same(expected, got)
          renew()
        end
      end
      pour(theirs, "one\r\n")
      assert.equal("one\r", ours:read("l", {crlf = false}))
    end)
  end)
end

describe("a stream", function()
  local a, b
  before_each(function()
    a, b = net.socketpair()
  end)
  after_each(function()
    a:close()
    b:close()
  end)

  it("says what is wrong with the options of reads", function()
    for expected, f in pairs {
      ["unknown option 'crl' %(did you mean 'crlf'%?%)"] = function() call(a, "read", "l", {crl = true}) end,
      ["option 'crlf': a boolean expected, got number"] = function() call(a, "lines", "l", {crlf = 1}) end,
      ["crlf is an option of one format, 'l'"] = function() call(a, "read", "L", {crlf = true}) end,
      ["one format, 'l'"] = function() call(a, "lines", "l", "l", {crlf = true}) end,
      ["unknown option 'stric' %(did you mean 'strict'%?%)"] = function()
        call(a, "readuntil", "\n", nil, {stric = true})
      end,
      ["table expected, got boolean"] = function() call(a, "readuntil", "\n", nil, true) end,
      ["a count of bytes from 0 to 2^31%-1 expected"] = function() call(a, "readexactly", -1) end,
      ["number expected, got nil"] = function() call(a, "readexactly", nil) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches(expected, err)
    end
  end)

  it("raises for a field that it does not have, and says which was meant", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local socket <close> = assert(net.bind "udp://127.0.0.1:0")
    for expected, f in pairs {
      ["a neap.Stream has no field 'remoteAddr' (did you mean 'remoteaddr'?)"] = function() return a.remoteAddr end,
      ["a neap.Stream has no field 'reed' (did you mean 'read'?)"] = function() return a:reed() end,
      ["a neap.Stream has no field 'buffers everything'"] = function() return a["buffers everything"] end,
      ["a neap.Stream has no field of type number"] = function() return a[1] end,
      ["a neap.Listener has no field 'acept' (did you mean 'accept'?)"] = function() return listener:acept() end,
      ["a neap.Datagram has no field 'localAddr' (did you mean 'localaddr'?)"] = function() return socket.localAddr end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches(expected, err, 1, true)
    end
    a:close()
    assert.is_nil(a.remoteaddr)
    assert.is_false((pcall(function() return a.remoteAddr end)))
  end)

  it("reads numbers with a point, whatever the locale", function()
    folder.make()
    local _ <close> = closing(folder.remove)
    local made = process.run {"localedef", "-i", "de_DE", "-f", "UTF-8", folder.path .. "/de_DE.UTF-8"}
    if not made or made.code ~= 0 then
      pending "localedef or the sources of de_DE are not there"
      return
    end
    local result = assert(process.run {child.neap, "-e", [[
      assert(os.setlocale "de_DE.UTF-8", "the locale cannot be set")
      assert(("%.1f"):format(1.5) == "1,5")
      local a, b = net.socketpair()
      a:write "1.5 -2.25e1 1,5\n"
      a:close()
      print(b:read("n", "n", "n", "l"))
    ]], env = {LOCPATH = folder.path}})
    assert.equal("", result.stderr)
    assert.equal("1,5\t-22,5\t1\t,5\n", result.stdout)
  end)
end)

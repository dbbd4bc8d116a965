local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local aside = require "spec.support.aside"
local child = require "spec.support.child"
local transports = require "spec.support.transports"

--- Write each byte so that it arrives alone.
local function trickle(stream, bytes)
  for i = 1, #bytes do
    assert(stream:write(bytes:sub(i, i)))
    assert(stream:flush())
    task.sleep(1e-9)
  end
end

--- Give the bytes whole, and end.
local function pour(stream, bytes)
  assert(stream:write(bytes))
  assert(stream:shutdown())
end

--- All results of `f`, called until the first of them is nil, at most `n` times.
local function exhaust(f, n)
  local all = {}
  repeat
    local results = table.pack(f())
    all[#all + 1] = results
  until results[1] == nil or #all == n
  return all
end

--- 1,000 bytes in an order that does not repeat.
local filler = {}
for i = 1, 200 do
  filler[i] = ("%05d"):format(i * i % 100000)
end
filler = table.concat(filler)

--- Bytes of which each run of a kilobyte is another, so that a loss or a swap
--- shows.
local function pattern(n)
  local parts = {}
  for i = 1, n // 1008 + 1 do
    parts[i] = ("%08x"):format(i) .. filler
  end
  return table.concat(parts):sub(1, n)
end

-- What a reset peer looks like: a unix socket's reset is its end.
local reset_code = {tcp = "ECONNRESET", mem = "ECONNRESET"}

local function code_of(_, err)
  return err and err.code
end

--- Call a method as scripts do: so that errors know its name.
local function call(stream, name, ...)
  return load("local s = ... return s:" .. name .. "(select(2, ...))")(stream, ...)
end

--- Make garbage, so that the collector's next step comes somewhere else.
local function litter(n)
  local last
  for i = 1, n do
    last = {last and i}
  end
  return last
end

--- Let the kernel keep little of what the peer does not read.
local function narrow(stream)
  stream:set {sndbuf = 131072}
end

for _, kind in ipairs(transports.names) do
  describe(("a stream (%s)"):format(kind), function()
    local ours, theirs

    before_each(function()
      ours, theirs = transports.pair(kind)
    end)

    after_each(function()
      ours:reset()
      theirs:reset()
    end)

    --- Two more ends in the place of those that a test has used up.
    local function renew()
      ours:reset()
      theirs:reset()
      ours, theirs = transports.pair(kind)
    end

    describe("reads as an io file does:", function()
      local texts = {
        "", "\n", "\n\n", "a", "a\n", "a\nb", "a\r\nb\n", "one line\nanother\n\nlast", "\0\n\0",
        "10", " 10 20", "\n\t\v\f\r 7 x", "-0x1p4 rest", "0x", "0xg", "1e", "1e+", "1e5e", ".5",
        "5.",
        "-.", ".", "-", "+5", "- 5", "nan", "inf", "0x.8p1", "0x8.p-1,", "12abc", "1..2", "00012",
        "1 2 x 3", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "0xffffffffffffffffff", "1e400", "1,5", "3 line\nx", "5\n", "1\0002",
      }
      local sequences = {
        {}, {"l"}, {"L"}, {"n"}, {"a"}, {0}, {1}, {5}, {1000}, {"n", "n"}, {"l", "n", "a"}, {"n",
        "l"},
        {0, "a"}, {"L", "L"}, {3, "l"}, {"a", "l"}, {"a", "a"}, {"n", "n", "n", "a"}, {"*l", "*n"},
        {"line", "number", "all"}, {0, 0, 1, 0}, {1, 2.0},
      }

      local function from_file(text, formats)
        local file <close> = assert(io.tmpfile())
        file:write(text)
        file:seek "set"
        return exhaust(function()
          return file:read(table.unpack(formats))
        end, 20), file:read "a"
      end

      local function from_stream(text, formats, send)
        local writer = aside(function()
          send(theirs, text)
          theirs:shutdown()
        end)
        local results = exhaust(function()
          return ours:read(table.unpack(formats))
        end, 20)
        local rest = ours:read "a"
        writer:join()
        renew()
        return results, rest
      end

      -- The nth byte by byte, too, for every third n: each n for some formats.
      for k, formats in ipairs(sequences) do
        it(("B14: read(%s)"):format(table.concat(formats, ", ")), function()
          for n, text in ipairs(texts) do
            local expected, expected_rest = from_file(text, formats)
            for _, send in ipairs {pour, (n + k) % 3 == 0 and trickle or nil} do
              local results, rest = from_stream(text, formats, send)
              assert.same({expected, expected_rest}, {results, rest}, ("%q"):format(text))
            end
          end
        end)
      end
    end)

    describe("read", function()
      it("takes numbers of up to 200 characters, as io files do", function()
        for _, digits in ipairs {199, 200, 201, 500} do
          local text = ("1"):rep(digits) .. " rest"
          local file <close> = assert(io.tmpfile())
          file:write(text)
          file:seek "set"
          pour(theirs, text)
          assert.same({file:read("n", "a")}, {ours:read("n", "a")}, digits)
          renew()
        end
      end)

      it("waits for the end of a number", function()
        local reader = aside(function()
          return ours:read("n", "n")
        end)
        trickle(theirs, "12")
        task.sleep(0.001)
        assert.equal("waiting", reader.status)
        trickle(theirs, "3 4\n")
        assert.same({123, 4}, {reader:join()})
      end)

      it("takes counts larger than any buffer", function()
        local bytes = pattern(1000003)
        local writer = aside(pour, theirs, bytes)
        assert.is_true(ours:read(1000000) == bytes:sub(1, 1000000))
        assert.equal(bytes:sub(-3), ours:read(1000000))
        assert.is_nil(ours:read(1000000))
        writer:join()
      end)

      it("O4: does not allocate what it is asked for, but what comes", function()
        local reader = aside(ours.read, ours, 2 ^ 31 - 1)
        trickle(theirs, "0123456789")
        theirs:shutdown()
        assert.equal("0123456789", (reader:join()))
      end)

      it("takes all until the end", function()
        local bytes = pattern(3 << 20)
        local writer = aside(pour, theirs, bytes)
        assert.is_true(ours:read "a" == bytes)
        assert.equal("", ours:read "a")
        writer:join()
      end)

      it("B16: says EMSGSIZE for a line longer than 64 KiB, with nothing lost", function()
        local bytes = ("x"):rep(65537) .. "\nnext\n"
        local writer = aside(pour, theirs, bytes)
        for _ = 1, 2 do
          local line, err = ours:read "l"
          assert.is_nil(line)
          assert.equal("EMSGSIZE", err.code)
          assert.equal("read", err.op)
        end
        assert.is_true(ours:read(65537) == bytes:sub(1, 65537))
        assert.same({"", "next"}, {ours:read("l", "l")})
        writer:join()
      end)

      it("B16: takes a line of exactly 64 KiB", function()
        local writer = aside(pour, theirs, ("x"):rep(65536) .. "\n" .. ("y"):rep(65536))
        assert.equal(65536, #ours:read "l")
        assert.equal(65536, #ours:read "l")
        writer:join()
      end)

      it("B16: is no more patient with a number", function()
        local writer = aside(pour, theirs, (" "):rep(1 << 20) .. "1")
        assert.equal("EMSGSIZE", code_of(ours:read "n"))
        assert.equal(1 << 20, #ours:read(1 << 20))
        assert.equal(1, ours:read "n")
        writer:join()
      end)

      it("B15: takes nothing before all formats can be answered", function()
        theirs:write "first\nsec"
        local line, err = task.timeout(0.01, ours.read, ours, "l", "l")
        assert.is_nil(line)
        assert.equal("ETIMEDOUT", err.code)
        theirs:write "ond\n"
        assert.same({"first", "second"}, {ours:read("l", "l")})
      end)
    end)

    describe("recv", function()
      it("gives what is there, at most max", function()
        theirs:write "abcdef"
        assert.equal("abc", ours:recv(3))
        assert.equal("def", ours:recv())
      end)

      it("gives nil and nothing else at the end, again and again", function()
        pour(theirs, "last")
        assert.equal("last", ours:recv())
        for _ = 1, 3 do
          assert.same({n = 1}, table.pack(ours:recv()))
        end
      end)

      it("B15: loses nothing to a timeout", function()
        assert.equal("ETIMEDOUT", code_of(task.timeout(0.005, ours.recv, ours)))
        theirs:write "kept"
        assert.equal("kept", ours:recv())
      end)
    end)

    describe("chunks", function()
      it("iterates to the end", function()
        local bytes = pattern(500000)
        local writer = aside(pour, theirs, bytes)
        local parts = {}
        for chunk in ours:chunks() do
          assert.is_true(#chunk > 0)
          parts[#parts + 1] = chunk
        end
        assert.is_true(table.concat(parts) == bytes)
        writer:join()
      end)

      it("raises on failure", function()
        ours:settimeout(0.005)
        local ok, err = pcall(ours:chunks())
        assert.is_false(ok)
        assert.equal("ETIMEDOUT", err.code)
      end)
    end)

    describe("lines", function()
      it("iterates as io's do", function()
        pour(theirs, "a\n\nb c\nlast")
        local lines = {}
        for line in ours:lines() do
          lines[#lines + 1] = line
        end
        assert.same({"a", "", "b c", "last"}, lines)
      end)

      it("takes several formats", function()
        pour(theirs, "1 one\n2 two\n")
        local pairs_read = {}
        for n, name in ours:lines("n", "l") do
          pairs_read[#pairs_read + 1] = n .. name
        end
        assert.same({"1 one", "2 two"}, pairs_read)
      end)

      it("raises on failure, with the line still there", function()
        theirs:write(("x"):rep(70000), "\n")
        local next_line = ours:lines()
        local ok, err = pcall(next_line)
        assert.is_false(ok)
        assert.equal("EMSGSIZE", err.code)
        assert.equal(70001, #ours:read(70001))
      end)

      it("raises in a closed stream", function()
        local next_line = ours:lines()
        ours:close()
        local ok, err = pcall(next_line)
        assert.is_false(ok)
        assert.equal("EBADF", err.code)
      end)
    end)

    describe("readuntil", function()
      local cases = { -- delimiter; bytes; the parts
        {"d", "aaaaad", {"aaaaa"}},
        {"ad", "aaaaad", {"aaaa"}},
        {"aaad", "aaaaad", {"aa"}},
        {"aaaaad", "aaaaad", {""}},
        {"aaaaad", "aaaaaaaad", {"aaa"}},
        {"abcabe", "abcabdabcabe", {"abcabd"}},
        {"abcabe", "abcabcabe--", {"abc", "--"}},
        {"--abc", "--abb--ab--abc-----abc--ab", {"--abb--ab", "---", "--ab"}},
        {"--abc", "----abc", {"--"}},
        {"\r\n\r\n", "a\r\n\rb\r\n\r\n\r\n\r\n", {"a\r\n\rb", ""}},
        {"\r\n", "a\rb\nc\r\n\r\r\n", {"a\rb\nc", "\r"}},
        {"\0\0", "a\0b\0\0c", {"a\0b", "c"}},
        {"abab", "abaabab", {"aba"}},
        {"x", "xxx", {"", "", ""}},
        {"never", "neveneve", {"neveneve"}},
      }

      local function parts_of(delimiter)
        local parts = {}
        for part in function() return ours:readuntil(delimiter) end do
          parts[#parts + 1] = part
        end
        return parts
      end

      for _, case in ipairs(cases) do
        local delimiter, bytes, parts = table.unpack(case)
        it(("B14: finds %q in %q, split at each byte"):format(delimiter, bytes), function()
          for at = 0, #bytes do
            local writer = aside(function()
              theirs:write(bytes:sub(1, at))
              theirs:flush()
              task.sleep(1e-9)
              pour(theirs, bytes:sub(at + 1))
            end)
            assert.same(parts, parts_of(delimiter), at)
            writer:join()
            renew()
          end
          local writer = aside(function()
            trickle(theirs, bytes)
            theirs:shutdown()
          end)
          assert.same(parts, parts_of(delimiter))
          writer:join()
        end)
      end

      it("B16: says EMSGSIZE above max, with nothing lost", function()
        theirs:write(("x"):rep(11), "--rest--")
        assert.equal("EMSGSIZE", code_of(ours:readuntil("--", 10)))
        assert.equal(("x"):rep(11), ours:readuntil("--", 11))
        assert.equal("rest", ours:readuntil("--", 4))
      end)

      it("B16: says EMSGSIZE before the delimiter comes", function()
        theirs:write(("x"):rep(12))
        assert.equal("EMSGSIZE", code_of(ours:readuntil("--", 10)))
        assert.equal(("x"):rep(12), ours:recv())
      end)

      it("takes a delimiter behind megabytes, if max allows it", function()
        local bytes = ("x"):rep(3 << 20)
        local writer = aside(pour, theirs, bytes .. "END")
        assert.is_true(ours:readuntil("END", 4 << 20) == bytes)
        writer:join()
      end)
    end)

    describe("peek", function()
      it("leaves the bytes in place", function()
        theirs:write "abcdef"
        assert.equal("abc", ours:peek(3))
        assert.equal("abcdef", ours:peek(6))
        assert.equal("abcdef", ours:recv())
      end)

      it("waits for all of them", function()
        local peeker = aside(ours.peek, ours, 4)
        trickle(theirs, "abc")
        task.sleep(0.001)
        assert.equal("waiting", peeker.status)
        trickle(theirs, "d")
        assert.equal("abcd", (peeker:join()))
        assert.equal("abcd", ours:recv())
      end)

      it("gives fewer at the end, and nil when nothing is left", function()
        pour(theirs, "ab")
        assert.equal("ab", ours:peek(5))
        assert.equal("ab", ours:read "a")
        assert.is_nil(ours:peek(1))
      end)

      it("takes up to 64 KiB", function()
        local bytes = pattern(70000)
        local writer = aside(pour, theirs, bytes)
        assert.is_true(ours:peek(65536) == bytes:sub(1, 65536))
        assert.is_true(ours:read "a" == bytes)
        writer:join()
      end)
    end)

    describe("pack and unpack", function()
      it("are each other's inverse, however the bytes arrive", function()
        local formats = {
          {"<I4", 1}, {">I2 I8", 7, 1 << 40}, {"s4", "text"}, {"z", "zero"}, {"z z", "", "b"},
          {"!4 i1 !4 i4", -1, -2}, {"<d", 0.1}, {"s1 s2", "", ("x"):rep(300)}, {"B", 255}, {"",
          nil},
        }
        for _, case in ipairs(formats) do
          local format = case[1]
          local bytes = string.pack(table.unpack(case))
          for _, send in ipairs {pour, trickle} do
            local writer = aside(function()
              send(theirs, bytes)
              theirs:shutdown()
            end)
            assert.same({table.unpack(case, 2)}, {ours:unpack(format)}, format)
            assert.equal("", ours:read "a")
            writer:join()
            renew()
          end
        end
        theirs:pack(">I2 s2", 513, "abc")
        assert.equal("\2\1\0\3abc", ours:read(7))
      end)

      it("ask for as many bytes as string.unpack takes, no more and no less", function()
        math.randomseed(11)
        local function pick(list)
          return list[math.random(#list)]
        end
        local integers = {"b", "B", "h", "H", "i", "I3", "i7", "l", "L", "j", "J", "T", "i16"}
        local prefixes = {"s1", "s2", "s4", "s", ">s3", "<s"}
        local marks = {"<", ">", "=", "!1", "!", "!2", "!8", " ", "x", "Xi4", "Xh", "Xd", "Xs8"}
        local function item(values)
          local sort = math.random(5)
          if sort == 1 then
            return pick(marks)
          end
          local text = ("x"):rep(math.random(0, 20))
          local choices = {
            nil, {pick(integers), math.random(0, 127)}, {pick {"f", "d", "n"}, 0.5},
            {pick(prefixes), text}, {pick {"z", "c20"}, text},
          }
          values[#values + 1] = choices[sort][2]
          return choices[sort][1]
        end
        for _ = 1, 300 do
          local values, format = {}, {}
          for i = 1, math.random(6) do
            format[i] = item(values)
          end
          format = table.concat(format)
          local ok, bytes = pcall(string.pack, format, table.unpack(values))
          if ok and #bytes > 0 then
            theirs:write(bytes)
            local expected = {string.unpack(format, bytes)}
            expected[#expected] = nil
            ours:settimeout(5)
            assert.same(expected, {ours:unpack(format)}, format)
          end
        end
        theirs:shutdown()
        assert.is_nil(ours:recv())
      end)

      it("copy what they wait for once, however it arrives", function()
        local size = 1 << 20
        local readers = {
          ["unpack s4"] = function() return #ours:unpack("s4", size + 4) end,
          ["unpack z"] = function() return #ours:unpack("z", size + 1) end,
          ["read(n, 'l')"] = function() return #ours:read(size - 1000, "l") + 1000 end,
        }
        for name, read in pairs(readers) do
          local bytes = ("x"):rep(size)
          bytes = name == "unpack s4" and string.pack("s4", bytes)
            or name == "unpack z" and bytes .. "\0" or bytes .. "\n"
          local writer = aside(function()
            for i = 1, size - 20000, 16384 do
              theirs:write(bytes:sub(i, i + 16383))
              task.yield()
            end
            local rest = bytes:sub((size - 20000 - 1) // 16384 * 16384 + 16385)
            for i = 1, #rest, 100 do
              theirs:write(rest:sub(i, i + 99))
              theirs:flush()
              task.yield()
            end
          end)
          collectgarbage()
          collectgarbage "stop"
          local before = collectgarbage "count"
          assert.equal(size, read(), name)
          local allocated = (collectgarbage "count" - before) * 1024
          collectgarbage "restart"
          writer:join()
          assert.is_true(allocated < 4 * size, ("%s: %d bytes"):format(name, allocated))
        end
      end)

      it("leaves what follows", function()
        theirs:write "\1\2\3\4tail"
        assert.equal(0x04030201, ours:unpack "<I4")
        assert.equal("tail", ours:recv())
      end)

      it("gives nil at the end, ENODATA in the middle, with nothing lost", function()
        pour(theirs, "\1\2\3")
        assert.equal("ENODATA", code_of(ours:unpack "<I4"))
        assert.equal("\1\2\3", ours:read "a")
        assert.is_nil(ours:unpack "<I4")
        assert.is_nil(ours:unpack "z")
      end)

      it("says EMSGSIZE above max, with nothing lost", function()
        theirs:pack("s4", ("x"):rep(100))
        assert.equal("EMSGSIZE", code_of(ours:unpack("s4", 50)))
        assert.equal(("x"):rep(100), ours:unpack("s4", 104))
        theirs:write(("z"):rep(60))
        assert.equal("EMSGSIZE", code_of(ours:unpack("z", 50)))
        assert.equal(60, #ours:recv())
      end)

      it("says EBADMSG for bytes that are no such value, with nothing lost", function()
        theirs:write(("\x7f"):rep(16))
        assert.equal("EBADMSG", code_of(ours:unpack "<i16"))
        assert.equal(("\x7f"):rep(16), ours:recv())
      end)

      it("reads many small values out of a full buffer", function()
        local parts = {}
        for i = 1, 20000 do
          parts[i] = string.pack("<I2 B", i, i & 255)
        end
        local writer = aside(pour, theirs, table.concat(parts))
        for i = 1, 20000 do
          local x, y = ours:unpack "<I2 B"
          assert(x == i and y == i & 255)
        end
        assert.is_nil(ours:unpack "B")
        writer:join()
      end)
    end)

    describe("write", function()
      it("B10: takes nothing, the empty string, and numbers", function()
        assert.equal(ours, ours:write())
        assert.equal(ours, ours:write "")
        assert.equal(ours, ours:write("", "a", "", 1, " ", 2.5, ""))
        ours:shutdown()
        assert.equal("a1 2.5", theirs:read "a")
      end)

      it("B10: keeps a million small strings in order", function()
        local pieces = {}
        for j = 1, 1000 do
          pieces[j] = j .. "\n"
        end
        local expected = table.concat(pieces)
        local writer = aside(function()
          for i = 1, 1000 do
            pieces[1] = i .. "\n"
            assert(ours:write(table.unpack(pieces)))
          end
          ours:shutdown()
        end)
        for i = 1, 1000 do
          local want = i .. expected:sub(2)
          assert(theirs:read(#want) == want, i)
        end
        assert.is_nil(theirs:recv())
        writer:join()
      end)

      it("B10: keeps a hundred thousand pieces of one call in order", function()
        local pieces = {}
        for i = 1, 100000 do
          pieces[i] = i % 7 == 0 and "" or i .. ","
        end
        local writer = aside(function()
          ours:write(table.unpack(pieces))
          ours:shutdown()
        end)
        assert.is_true(theirs:read "a" == table.concat(pieces))
        writer:join()
      end)

      it("keeps small and large ones in order", function()
        local writes, n = {}, 0
        for i = 1, 300 do
          n = (n * 7919 + 13) % 40009
          writes[i] = ("%06d"):format(i) .. ("-"):rep(n)
        end
        local writer = aside(function()
          for i, bytes in ipairs(writes) do
            assert(ours:write(bytes))
            if i % 11 == 0 then
              ours:flush()
            elseif i % 5 == 0 then
              task.yield()
            end
          end
          ours:shutdown()
        end)
        assert.is_true(theirs:read "a" == table.concat(writes))
        writer:join()
      end)

      it("B11: never interleaves the writes of several tasks", function()
        local size, count = 150000, 8
        local writers = {}
        for i, letter in ipairs {"a", "b", "c", "d"} do
          writers[i] = aside(function()
            for _ = 1, count do
              assert(ours:write(letter:rep(size), letter:upper()))
            end
          end)
        end
        local seen = {}
        for _ = 1, 4 * count do
          local block = theirs:read(size + 1)
          local letter = block:sub(1, 1)
          assert.is_true(block == letter:rep(size) .. letter:upper())
          seen[letter] = (seen[letter] or 0) + 1
        end
        assert.same({a = count, b = count, c = count, d = count}, seen)
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("B11: of tasks that wait comes in the order in which they came", function()
        narrow(ours)
        ours:settimeout(0.001)
        local stuffing = ("s"):rep(12 * 65536 + 50000) -- over mem, 50,000 are left at last
        assert.equal(#stuffing, select(2, ours:write(stuffing)).accepted)
        ours:settimeout(nil)
        local writers, expected = {}, {}
        for i = 1, 9 do
          expected[i] = tostring(i):rep(16000)
          writers[i] = aside(ours.write, ours, expected[i])
          task.yield()
        end
        assert.is_true(theirs:read(#stuffing) == stuffing)
        assert.is_true(theirs:read(9 * 16000) == table.concat(expected))
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("B11: gives several tasks their turns", function()
        local turns = {}
        local block = ("x"):rep(100000)
        narrow(ours)
        local writers = {}
        for i = 1, 3 do
          turns[i] = 0
          writers[i] = aside(function()
            while ours:write(block) do
              turns[i] = turns[i] + 1
            end
          end)
        end
        assert(theirs:read(3000000))
        turns = {0, 0, 0}
        assert(theirs:read(6000000))
        local least, most = math.min(table.unpack(turns)), math.max(table.unpack(turns))
        assert.is_true(most <= least + 2, table.concat(turns, " "))
        ours:reset()
        for _, writer in ipairs(writers) do
          writer:join()
        end
      end)

      it("goes out when the task suspends, not later", function()
        ours:write "a"
        assert.equal("a", theirs:recv())
        ours:write("b", "c")
        assert.equal("bc", theirs:recv())
      end)

      it("goes out at flush", function()
        for i = 1, 5 do
          ours:write(i)
        end
        assert.equal(ours, ours:flush())
        assert.equal("12345", theirs:recv())
      end)

      it("flush waits for a peer that does not read", function()
        local bytes = pattern(4 << 20)
        narrow(ours)
        local flushed
        local writer = aside(function()
          assert(ours:write(bytes))
          assert(ours:flush())
          flushed = true
        end)
        task.sleep(0.005)
        assert.is_nil(flushed)
        assert.is_true(theirs:read(#bytes) == bytes)
        writer:join()
        assert.is_true(flushed)
      end)
    end)

    describe("settimeout", function()
      it("limits each later wait", function()
        assert.equal(ours, ours:settimeout(0.005))
        for _, verb in ipairs {
          {"recv"}, {"read", "l"}, {"read", 5}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
        } do
          local result, err = call(ours, table.unpack(verb))
          assert.is_nil(result)
          assert.equal("ETIMEDOUT", err.code)
          assert.equal(verb[1], err.op)
        end
        ours:settimeout(nil)
        local reader = aside(ours.recv, ours)
        task.sleep(0.02)
        theirs:write "late"
        assert.equal("late", (reader:join()))
      end)

      it("C6: limits writes, which say how many bytes they accepted", function()
        narrow(ours)
        ours:settimeout(0.005)
        local block = ("x"):rep(1 << 22)
        local result, err = ours:write(block)
        assert.is_nil(result)
        assert.equal("ETIMEDOUT", err.code)
        assert.equal("write", err.op)
        assert.equal(#block, err.accepted)
        _, err = ours:write "y"
        assert.equal("ETIMEDOUT", err.code)
        assert.equal(0, err.accepted)
        assert.is_true(theirs:read(#block) == block)
        ours:settimeout(nil)
        ours:write "z"
        assert.equal("z", theirs:recv())
      end)

      it("I7: takes what is sensible", function()
        for _, seconds in ipairs {math.huge, 1e300, 1e-300, 2 ^ 63, 1, 0.5} do
          assert.equal(ours, ours:settimeout(seconds))
        end
        for _, least in ipairs {1e-300, 0} do
          ours:settimeout(least)
          assert.equal("ETIMEDOUT", code_of(ours:recv()))
        end
        for _, wrong in ipairs {-1, 0 / 0, -math.huge, "x", {}} do
          assert.has_error(function()
            ours:settimeout(wrong)
          end)
        end
      end)
    end)

    describe("shutdown", function()
      it("B1: ends what the peer reads, and reading goes on", function()
        local echo = aside(function()
          for chunk in theirs:chunks() do
            theirs:write(chunk)
          end
          theirs:shutdown()
        end)
        local bytes = pattern(300000)
        local writer = aside(function()
          assert(ours:write(bytes))
          assert.is_true(ours:shutdown())
        end)
        assert.is_true(ours:read "a" == bytes)
        writer:join()
        echo:join()
        local result, err = ours:write "more"
        assert.is_nil(result)
        assert.equal("EPIPE", err.code)
        assert.equal(0, err.accepted)
        assert.is_true(ours:shutdown())
      end)

      it("B2: of the peer leaves our writing alone", function()
        theirs:shutdown()
        assert.is_nil(ours:recv())
        local bytes = pattern(1 << 20)
        local writer = aside(pour, ours, bytes)
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("comes behind what is still on its way", function()
        local bytes = pattern(1 << 21)
        narrow(ours)
        local writer = aside(function()
          ours:settimeout(0.005)
          assert.equal("ETIMEDOUT", code_of(ours:write(bytes)))
          assert.is_true(ours:shutdown())
          assert.equal("EPIPE", code_of(ours:write "x"))
        end)
        writer:join()
        assert.is_true(theirs:read "a" == bytes)
      end)
    end)

    describe("close", function()
      it("B9: may be called twice", function()
        assert.is_true(ours:close())
        assert.is_true(ours:close())
        assert.is_true(ours:reset())
        do
          local again <close> = ours
          assert.equal(ours, again)
        end
        assert.matches("^stream %d+ %(closed%)$", tostring(ours))
      end)

      it("B9: happens at the end of a <close> variable's scope", function()
        do
          local stream <close> = ours
          stream:write "bye"
        end
        assert.equal("bye", theirs:read "a")
        assert.equal("EBADF", code_of(ours:recv()))
      end)

      it("B7: fails every later call, with EBADF", function()
        ours:close()
        for _ = 1, 2 do
          for _, verb in ipairs {
            {"recv"}, {"read"}, {"read", "a"}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
            {"write", "x"}, {"write"}, {"pack", "B", 1}, {"flush"}, {"shutdown"}, {"settimeout", 1},
            {"set", {nodelay = true}}, {"get", "nodelay"},
          } do
            local result, err = call(ours, table.unpack(verb))
            assert.is_nil(result)
            assert.equal("EBADF", err.code, verb[1])
          end
          for _, field in ipairs {
            "localaddr", "remoteaddr", "family", "protocol", "fd", "peercred",
          } do
            assert.is_nil(ours[field])
          end
        end
      end)

      it("B13: wakes a reader and writers that wait, in the same round", function()
        local codes = {}
        narrow(ours)
        local function note(name, _, err)
          codes[name] = err.code
        end
        local tasks = {
          aside(function() note("reader", ours:recv()) end),
          aside(function() note("first writer", ours:write(("x"):rep(1 << 22))) end),
          aside(function() note("second writer", ours:write "y") end),
          aside(function() note("flush", ours:flush()) end),
        }
        task.sleep(0.005)
        assert.same({}, codes)
        ours:close()
        task.yield()
        assert.same({
          reader = "ECANCELED", flush = "ECANCELED",
          ["first writer"] = "ECANCELED", ["second writer"] = "ECANCELED",
        }, codes)
        for _, t in ipairs(tasks) do
          t:join()
        end
      end)

      it("B17: sends what was accepted first", function()
        local bytes = pattern(2 << 20)
        narrow(ours)
        ours:settimeout(0.001)
        assert.equal(#bytes, select(2, ours:write(bytes)).accepted)
        assert.is_true(ours:close())
        assert.is_true(theirs:read "a" == bytes)
        assert.is_nil(theirs:recv())
      end)

      it("B17: sends what small writes gathered", function()
        ours:write("a", "b")
        ours:write "c"
        ours:close()
        assert.equal("abc", theirs:read "a")
      end)

      it("B17: with bytes unread loses none of those that were written", function()
        local bytes = pattern(2 << 20)
        theirs:write "a request that nobody reads"
        theirs:flush()
        local writer = aside(function()
          assert(ours:write(bytes))
          ours:close()
        end)
        task.sleep(0.002)
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("B17: with bytes read but not taken loses none, either", function()
        local bytes = pattern(2 << 20)
        theirs:write(("x"):rep(50000))
        theirs:flush()
        assert.equal("x", ours:peek(1))
        local writer = aside(function()
          assert(ours:write(bytes))
          ours:close()
        end)
        task.sleep(0.002)
        theirs:write "and one more"
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("J1: happens when nothing refers to it any more", function()
        ours:write "last words"
        ours = net.socketpair() -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        assert.equal("last words", theirs:read "a")
      end)

      it("J2: does not happen while a task waits for it", function()
        local reader
        do
          local mine, other = transports.pair(kind)
          reader = aside(mine.recv, mine)
          task.yield()
          aside(function()
            task.sleep(0.005)
            other:write "woken"
            other:close()
          end)
        end
        collectgarbage()
        collectgarbage()
        assert.equal("woken", (reader:join()))
        collectgarbage()
      end)

      it("N6: from a finalizer does no harm to the call that it interrupts", function()
        local formats = {}
        for i = 1, 1000 do
          formats[i] = "l"
        end
        local mode = collectgarbage("generational", 1, 1)
        for i = 1, 20 do
          local line = "a line of more than forty bytes, so that it is long\n"
          local writer = aside(pour, theirs, line:rep(1000))
          ours:peek(51000)
          local stream = ours
          setmetatable({}, {__gc = function()
            stream:close()
          end})
          litter(i * 100)
          local first = ours:read(table.unpack(formats))
          assert.is_true(first == nil or #first == 51)
          writer:join()
          renew()
        end
        collectgarbage(mode)
      end)
    end)

    it("N6: hears its peer's last words in the middle of a call", function()
      local lines = ("a line of more than forty bytes, so that it is long\n"):rep(1000)
      local formats = {}
      for i = 1, 1000 do
        formats[i] = "l"
      end
      local mode = collectgarbage("generational", 1, 1)
      for i = 1, 10 do
        local mine, other = transports.pair(kind)
        local writer = aside(other.write, other, lines)
        mine:peek(51000)
        writer:join()
        other:write(("last"):rep(3000))
        setmetatable({}, {__gc = function()
          other:close()
        end})
        litter(i * 100)
        local read = table.pack(mine:read(table.unpack(formats)))
        assert.equal(1000, read.n)
        for k = 1, 1000 do
          assert(read[k] == lines:sub(1, 51), read[k])
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(mine:read "a" == ("last"):rep(3000))
        mine:close()
      end
      collectgarbage(mode)
    end)

    describe("the peer's reset", function()
      local code = reset_code[kind]

      it("B3: ends a read that waits, and every later one", function()
        local reader = aside(ours.recv, ours)
        task.yield()
        theirs:reset()
        assert.equal(code, code_of(reader:join()))
        for _ = 1, 2 do
          assert.equal(code, code_of(ours:recv()))
          assert.equal(code, code_of(ours:read "l"))
        end
        assert.is_true(ours:close())
      end)

      it("B3: is told after the bytes that came before it", function()
        theirs:write "before"
        theirs:flush()
        ours:peek(6)
        theirs:reset()
        task.sleep(0.002)
        assert.equal("before", ours:recv())
        assert.equal(code, code_of(ours:recv()))
      end)

      it("B4: ends a write that waits", function()
        local block = ("x"):rep(16 << 20)
        local writer = aside(ours.write, ours, block)
        task.sleep(0.002)
        theirs:reset()
        local result, err = writer:join()
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
        assert.equal(#block, err.accepted)
        result, err = ours:write "more"
        assert.is_nil(result)
        assert.equal(0, err.accepted)
      end)

      it("is told to the next call when a small write had succeeded", function()
        theirs:reset()
        task.sleep(0.002)
        assert.equal(ours, ours:write "lost")
        task.yield()
        local result, err = ours:write "next"
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
      end)

      it("is told by close when no other call came", function()
        theirs:reset()
        task.sleep(0.002)
        assert.equal(ours, ours:write "lost")
        local result, err = ours:close()
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
        assert.is_true(ours:close())
      end)
    end)

    describe("two readers", function()
      it("B12: are one too many", function()
        local reader = aside(ours.recv, ours)
        task.yield()
        for _, verb in ipairs {
          {"recv"}, {"read"}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
        } do
          assert.error_matches(function()
            call(ours, table.unpack(verb))
          end, "EBUSY")
        end
        assert.error_matches(ours:lines(), "EBUSY")
        assert.error_matches(function()
          net.relay(ours, theirs)
        end, "EBUSY")
        theirs:write "for the first"
        assert.equal("for the first", (reader:join()))
        theirs:write "next"
        assert.equal("next", ours:recv())
      end)

      it("B12: are none after the first was cancelled or late", function()
        local reader = aside(ours.recv, ours)
        task.yield()
        reader:cancel()
        assert.is_false(pcall(reader.join, reader))
        task.timeout(0.001, ours.read, ours, "a")
        ours:settimeout(0.001)
        ours:recv()
        theirs:write "free"
        assert.equal("free", ours:recv())
      end)
    end)

    describe("a wrong argument", function()
      local wrong = {
        {"recv", 0}, {"recv", -1}, {"recv", 2 ^ 31}, {"recv", 1.5}, {"recv", 0 / 0}, {"recv", {}},
        {"read", -1}, {"read", 2 ^ 31}, {"read", 2 ^ 53}, {"read", 1.5}, {"read", "x"}, {"read",
        ""},
        {"read", "*"}, {"read", true}, {"read", "l", "q"}, {"read", "l", {}},
        {"readuntil"}, {"readuntil", ""}, {"readuntil", {}}, {"readuntil", "x", 0}, {"readuntil",
        "x", "y"},
        {"peek"}, {"peek", 0}, {"peek", 65537}, {"peek", -1}, {"peek", 0.5},
        {"unpack"}, {"unpack", {}}, {"unpack", "q"}, {"unpack", "B", 0}, {"unpack", "i17"},
        {"pack", "B", 256}, {"pack", "q"}, {"pack", "B"}, {"pack"},
        {"write", {}}, {"write", true}, {"write", "a", false}, {"write", print},
        {"lines", "x"}, {"lines", -1}, {"settimeout", "x"}, {"settimeout", -1},
        {"set"}, {"set", 1}, {"set", {nosuch = 1}}, {"get"}, {"get", "nosuch"}, {"get", 1},
      }

      for _, verb in ipairs(wrong) do
        local name = verb[1]
        local text = {}
        for i = 2, #verb do
          local is_text = type(verb[i]) == "string"
          text[#text + 1] = is_text and ("%q"):format(verb[i]) or tostring(verb[i])
        end
        text = table.concat(text, ", "):gsub("0x%x+", "...")
        it(("O1: %s(%s) raises, naming it"):format(name, text), function()
          theirs:write "some bytes"
          local ok, message = pcall(call, ours, table.unpack(verb))
          assert.is_false(ok)
          assert.is_string(message)
          assert.matches(name, message)
          assert.equal("some bytes", ours:recv())
        end)
      end

      it("O1: of any kind, at any place, raises or is taken, and the stream lives", function()
        local cyclic = {}
        cyclic[1] = cyclic
        local closed = net.socketpair("mem")
        closed:close()
        local values = {
          n = 24, nil, true, 0, -1, 1, 2 ^ 31, 2 ^ 53, math.maxinteger, math.mininteger, 0 / 0,
          math.huge,
          1.5, "", "\0", "a\0b", "1", ("x"):rep(1 << 20), {}, cyclic, print,
          coroutine.create(print),
          io.stdout, closed, setmetatable({}, {__index = error, __pairs = error, __len = error}),
        }
        local function try(name, ...)
          local arguments = table.pack(...)
          local ok, err = pcall(task.timeout, 0.0002, function()
            return call(ours, name, table.unpack(arguments, 1, arguments.n))
          end)
          if not ok then
            assert.is_string(err)
            assert.matches(name == "pack" and "pack" or "'" .. name .. "'", err)
          end
        end
        for _, name in ipairs {
          "recv", "read", "lines", "chunks", "readuntil", "peek", "unpack", "pack", "write",
          "flush", "set",
          "get", "settimeout", "shutdown", "close", "reset",
        } do
          for i = 1, values.n do
            try(name, values[i])
            try(name, "B", values[i])
            try(name, values[i], 1)
            if ours.protocol == nil or i % 8 == 0 then
              renew()
            end
          end
          renew()
        end
        theirs:write "alive"
        assert.equal("alive", ours:recv())
      end)

      it("O5: '.' for ':' raises, naming what was expected", function()
        for _, name in ipairs {
          "recv", "read", "readuntil", "peek", "unpack", "lines", "chunks", "write", "flush",
          "shutdown",
          "close", "reset", "set", "get", "settimeout",
        } do
          for _, self in ipairs {1, "x", {}, io.stderr} do
            local ok, message = pcall(ours[name], self)
            assert.is_false(ok)
            assert.matches("neap%.Stream expected", message)
          end
          assert.is_false(pcall(ours[name]))
        end
      end)

      it("O7: numbers and strings stand for each other, as elsewhere in Lua", function()
        theirs:write(12, "34")
        assert.equal("1", ours:recv "1")
        assert.equal("2", ours:read(1.0))
        assert.equal("34", ours:recv(2.0))
      end)
    end)

    it("has the fields of what it is", function()
      assert.equal("stream", ours.type)
      assert.equal(kind, ours.protocol)
      assert.equal(({tcp = "inet", unix = "unix"})[kind], ours.family)
      assert.equal(kind == "mem", ours.fd == nil)
      assert.equal(kind == "unix", ours.peercred ~= nil)
      assert.is_nil(ours.nosuch)
      assert.matches("^stream %d+ %(" .. kind, tostring(ours))
      if kind == "tcp" then
        assert.equal(theirs.localaddr, ours.remoteaddr)
        assert.equal(ours.localaddr, theirs.remoteaddr)
        assert.equal("127.0.0.1", ours.remoteaddr.ip)
      end
    end)

    it("carries both directions at once", function()
      local bytes = pattern(2 << 20)
      local function swap(stream)
        local got
        task.scope(function(scope)
          scope:spawn(pour, stream, bytes)
          got = stream:read "a"
        end)
        return got == bytes
      end
      assert.same({true, true, n = 2}, task.all {
        function() return swap(ours) end, function() return swap(theirs) end,
      })
    end)
  end)
end

describe("an idle stream", function()
  it("K3: has no buffer once all that came is read", function()
    local result = child.run_lean [[
      local function memory()
        collectgarbage()
        local file <close> = assert(io.open "/proc/self/statm")
        return select(2, file:read("n", "n")) * 4096
      end
      local block = ("x"):rep(60000)
      local all, before = {}
      for i = 1, 300 do
        local a, b = net.socketpair()
        all[i] = {a, b}
        a:write(block)
        b:peek(#block)
        task.sleep(1e-9) -- now it is kept
        assert(#b:read(#block) == #block)
        before = before or memory()
      end
      print(memory() - before)
    ]]
    assert.equal("", result.stderr)
    assert.is_true(tonumber(result.stdout) < 4 << 20, result.stdout)
  end)
end)

describe("a stream over tcp", function()
  it("B17: resets where it should not linger", function()
    local ours, theirs = transports.pair "tcp"
    assert(ours:set {linger = 0})
    assert.equal(0, ours:get "linger")
    ours:write "lost"
    ours:flush()
    ours:close()
    theirs:recv()
    assert.equal("ECONNRESET", code_of(theirs:recv()))
    theirs:close()
  end)

  it("B17: does not hold up the loop where it should linger", function()
    local ours, theirs = transports.pair "tcp"
    narrow(ours)
    assert(ours:set {linger = 5})
    local bytes = pattern(1 << 20)
    ours:settimeout(0.001)
    ours:write(bytes)
    local before = time.now()
    ours:close()
    assert.is_true(time.now() - before < 0.1)
    assert.is_true(theirs:read "a" == bytes)
    theirs:close()
  end)

  it("B17: sends all that was written when its program ends", function()
    for _, ending in ipairs {"stream:close()", "", "os.exit(0, true)", "stream = nil"} do
      local p <close> = assert(process.spawn {child.neap, "-e", ([[
        local listener = net.listen "tcp://127.0.0.1:0"
        print(listener.port)
        io.stdout:flush()
        stream = listener:accept()
        task.sleep(0.01) -- the request is there, unread
        stream:settimeout(0.01)
        stream:write(("x"):rep(%d))
        %s
      ]]):format(1 << 21, ending), stdout = "pipe"})
      local stream <close> = assert(net.connect("tcp://127.0.0.1:" .. p.stdout:read "l"))
      stream:write "a request"
      stream:flush()
      task.sleep(0.05)
      assert.equal(1 << 21, #assert(stream:read "a"), ending)
      stream:close()
      assert.equal(0, (p:wait()))
    end
  end)
end)

describe("a peer that is killed", function()
  it("B5: while another process holds its socket keeps a writer waiting, not busy #slow", function()
    local ours, theirs = net.socketpair()
    local p <close> = assert(process.spawn {"sleep", "10", stdin = theirs})
    theirs:close()
    ours:settimeout(0.2)
    local block = ("x"):rep(1 << 22)
    local cpu, before = os.clock(), time.now()
    local result, err = ours:write(block)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(os.clock() - cpu < (time.now() - before) / 2)
    ours:settimeout(nil)
    local writer = aside(ours.flush, ours)
    p:kill "SIGKILL"
    local flushed, flush_err = writer:join()
    assert.is_nil(flushed)
    assert.is_true(flush_err.code == "EPIPE" or flush_err.code == "ECONNRESET", flush_err.code)
    p:wait()
    ours:close()
  end)
end)

describe("the system calls of a stream", function()
  it("B1: a write after shutdown makes none", function()
    local calls = child.strace({"-e", "trace=shutdown,sendto,sendmsg"}, [[
      local a, b = net.socketpair()
      a:shutdown()
      local _, err = a:write(("x"):rep(100000))
      b:write(err.code)
      b:flush()
    ]]).calls
    assert.matches("SHUT_WR", calls[1])
    assert.matches('"EPIPE"', calls[2])
    assert.equal(2, #calls)
  end)

  it("small writes of one run leave in one", function()
    local calls = child.strace({"-e", "trace=sendto,sendmsg"}, [[
      local a, b = net.socketpair()
      task.yield() -- a turn of its own, which is long enough also for who traces
      for i = 1, 50 do
        a:write("line ", i, "\n")
      end
      task.yield()
      a:write(("x"):rep(9000))
      a:write(("y"):rep(9000))
      task.yield()
      a:write("small", ("z"):rep(20000), "more")
    ]]).calls
    local sizes = {}
    for i, line in ipairs(calls) do
      sizes[i] = line:match "= (%d+)$"
    end
    assert.same({"391", "9000", "9000", "20009"}, sizes)
  end)

  for _, name in ipairs {"recvfrom", "sendto", "sendmsg", "epoll_wait", "epoll_pwait2"} do
    it("D10: an interrupted one is made again: " .. name, function()
      local result = child.strace({
        "-e", "trace=" .. name, "-e", ("inject=%s:error=EINTR:when=1..3"):format(name),
      }, [[
        local a, b = net.socketpair()
        task.spawn(function()
          a:write "small"
          task.sleep(0.001)
          a:write("head", ("x"):rep(100000))
          a:close()
        end)
        print(#b:read "a")
      ]])
      assert.same({0, "100009\n", ""}, {result.code, result.stdout, result.stderr})
    end)
  end

  it("D6: a lack of memory in one is told to the writer", function()
    local result = child.strace({
      "-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=1",
    }, [[
      local a, b = net.socketpair()
      a:write "x"
      print(a:flush())
      print(a:write "y")
      a:close()
      print(b:recv())
    ]])
    assert.equal("", result.stderr)
    assert.matches("^nil\tflush.*ENOBUFS.*\nnil\twrite.*ENOBUFS.*\nnil\n$", result.stdout)
  end)
end)

-- Reading from streams, in each way there is.

local task = require "neap.task"
local aside = require "spec.support.aside"
local code_of = require "spec.support.code_of"
local streams = require "spec.support.streams"
local transports = require "spec.support.transports"

local trickle, pour, exhaust = streams.trickle, streams.pour, streams.exhaust
local pattern = transports.pattern

for _, kind in ipairs(transports.names) do
  describe(("a stream (%s)"):format(kind), function()
    local ours, theirs

    local renew = transports.each_test(kind, function(a, b)
      ours, theirs = a, b
    end)

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
  end)
end

local inspect = require "neap.inspect"
local json = require "neap.json"
local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"

--- A metatable whose every metamethod says that it was called.
local function trap()
  local calls = {}
  local metatable = {}
  for event in ([[index newindex call pairs len tostring eq lt le concat unm add close name
      metatable mode gc]]):gmatch "%a+" do
    if event ~= "gc" and event ~= "close" and event ~= "mode" then
      metatable["__" .. event] = function()
        calls[#calls + 1] = event
        error(event)
      end
    end
  end
  return metatable, calls
end

describe("inspect", function()
  it("shows plain values as Lua reads them", function()
    for text, value in pairs {
      ["1"] = 1, ["1.0"] = 1.0, ["-0.0"] = -0.0, ["0.1"] = 0.1, ["1e+100"] = 1e100,
      ["math.huge"] = 1 / 0, ["-math.huge"] = -1 / 0, ["true"] = true, ["false"] = false,
      ["9007199254740992.0"] = 2.0 ^ 53, ["0.30000000000000004"] = 0.1 + 0.2,
      ['"a\\n\\"b\\"\\\\\\x1b[31m"'] = 'a\n"b"\\\27[31m',
    } do
      assert.equal(text, inspect(value))
    end
    assert.equal("nil", inspect(nil))
    assert.equal("nan", inspect(0 / 0))
  end)

  it("is a table with a function, and raises for what is no option", function()
    assert.equal("{1}", inspect.inspect {1})
    assert.error_matches(inspect, "value expected")
    assert.error_matches(function() inspect(1, 2) end, "table expected, got number")
    assert.error_matches(function() inspect(1, {dept = 2}) end, "unknown option 'dept'")
    assert.error_matches(function() inspect(1, {[{}] = 2}) end, "unknown option 'table'")
    assert.error_matches(function() inspect(1, {depth = -1}) end, "option 'depth': an integer")
    assert.error_matches(function() inspect(1, {items = 1.5}) end, "option 'items': an integer")
  end)

  it("sorts keys: numbers, strings, others", function()
    local t = {10, 20, b = 1, a = 2, [-1] = 3, [2.5] = 4, [true] = 5, [false] = 6,
      ["end"] = 7, ["a b"] = 8, [100] = 9, [print] = 10}
    assert.equal('{10, 20, [-1] = 3, [2.5] = 4, [100] = 9, a = 2, ["a b"] = 8, b = 1, ["end"] = 7, '
      .. "[false] = 6, [true] = 5, [function print] = 10}", inspect(t, {width = 200}))
  end)

  it("puts a list in one line when it fits, and else as many as fit in each", function()
    local list = {}
    for i = 1, 20 do
      list[i] = i
    end
    assert.equal("{1, 2, 3}", inspect {1, 2, 3})
    for line in inspect(list, {width = 30}):gmatch "[^\n]+" do
      assert.is_true(#line <= 30, line)
    end
    assert.equal("{\n  1, 2, 3, 4, 5, 6, 7, 8, 9,\n  10,", inspect(list, {width = 30}):sub(1, 36))
    assert.equal("{\n  a = {1, 2, 3},\n  b = {4, 5, 6},\n}",
      inspect({a = {1, 2, 3}, b = {4, 5, 6}}, {width = 20}))
  end)

  it("goes so deep", function()
    local t = {{{{{{}}}}}}
    assert.equal("{{{{{...}}}}}", inspect(t, {depth = 4}))
    assert.equal("{{{{{{}}}}}}", inspect(t, {depth = 5}))
    assert.equal("{...}", inspect(t, {depth = 0}))
    assert.equal("{}", inspect({}, {depth = 0}))
  end)

  it("names what was shown by its path", function()
    local t = {list = {{1}}}
    t.self = t
    t.again = t.list[1]
    t["x y"] = {t.list}
    assert.equal('{again = {1}, list = {<as .again>}, self = <the whole>, ["x y"] = {<as .list>}}',
      inspect(t, {width = 200}))
  end)

  it("bounds what a string takes", function()
    local text = inspect(("x"):rep(100000))
    assert.is_true(#text < 2100)
    assert.matches('^"x+"%.%.%. %(100000 bytes%)$', text)
    assert.is_true(#inspect {("x"):rep(100000)} < 300)
    assert.is_not_nil(utf8.len(inspect {("ü"):rep(1000)}))
  end)

  it("dumps bytes that are no text", function()
    assert.equal('"\\x00\\xff"', inspect "\0\xff")
    local dump = inspect(("\0\1\xfe\xff"):rep(1000))
    assert.matches("^4000 bytes\n  00000000  00 01 fe ff", dump)
    assert.matches("\n  %.%.%. 3744 more$", dump)
    assert.matches("^{\n  data = 40 bytes\n    00000000  00 00", inspect {data = ("\0"):rep(40)})
  end)

  it("escapes what moves the cursor or turns the text", function()
    local text = inspect {["k\27[2J"] = "\xe2\x80\xae\xc2\x9b1m\u{feff}\a"}
    assert.equal('{["k\\x1b[2J"] = "\\u{202e}\\u{9b}1m\\u{feff}\\x07"}', text)
    assert.equal("x\\x1by {}", inspect(setmetatable({}, {__name = "x\27y"})))
  end)

  it("tells functions, coroutines, files, and other userdata, without addresses", function()
    local here = debug.getinfo(1, "l").currentline + 1
    local text = inspect {function() end, print, string.rep, coroutine.create(print), io.stdout,
      net.connect, task.channel().send}
    assert.is_nil(text:find "0x%x")
    assert.matches(("function %%(.*inspect_spec.lua:%d%%)"):format(here), text)
    assert.matches("function print,.*function string.rep,.*coroutine %(suspended%),.*file,", text)
    assert.matches("function net.connect %(neap.net:%d+%)", text)
  end)

  it("names metatables", function()
    assert.equal("Point {x = 1}", inspect(setmetatable({x = 1}, {__name = "Point"})))
    assert.equal("(with metatable) {1}", inspect(setmetatable({1}, {})))
    assert.matches("^neap.Channel {", inspect(task.channel()))
  end)

  it("colours, and counts columns without the colours", function()
    local text = inspect({"a", 1, true}, {colour = true})
    assert.equal('{"a", 1, true}', (text:gsub("\27%[%d+m", "")))
    assert.is_not_nil(text:find "\27%[32m")
    assert.is_nil(inspect({"a", 1, true}, {}):find "\27")
  end)
end)

describe("inspect of what is hostile", function()
  it("calls no metamethod", function()
    local metatable, calls = trap()
    local value = setmetatable({1, setmetatable({}, metatable), a = 2}, metatable)
    value = {[value] = value, inner = value}
    assert.is_string(inspect(value))
    assert.same({}, calls)
  end)

  it("calls none of those of strings, nil, numbers and functions", function()
    local metatable, calls = trap()
    local old = getmetatable("").__index
    debug.setmetatable(nil, metatable)
    debug.setmetatable(0, metatable)
    debug.setmetatable(print, metatable)
    getmetatable("").__index = metatable.__index
    local ok, text = pcall(inspect, {1, "x", print, n = {}})
    getmetatable("").__index = old
    debug.setmetatable(nil, nil)
    debug.setmetatable(0, nil)
    debug.setmetatable(print, nil)
    assert.is_true(ok, text)
    assert.same({}, calls)
  end)

  it("takes __name, __tostring and __metatable of any type", function()
    for _, junk in ipairs {1, true, {}, print, ("n"):rep(10000), "\0\1", "\n"} do
      local text = inspect(setmetatable({}, {
        __name = junk, __tostring = junk, __metatable = junk, __pairs = junk, __index = junk,
        __len = junk,
      }))
      assert.is_true(#text < 100 and not text:find "%c", text)
    end
  end)

  it("calls no __tostring that yields, throws, or returns no string", function()
    for _, f in ipairs {coroutine.yield, error, function() return 1 end} do
      assert.equal("(with metatable) {}", inspect(setmetatable({}, {__tostring = f})))
    end
  end)

  it("bounds text and time for a million entries #slow", function()
    local list, map = {}, {}
    for i = 1, 1000000 do
      list[i] = i
    end
    for i = 1, 250000 do
      map["k" .. i] = list
    end
    assert.matches("%.%.%. 999900 more\n}$", inspect(list))
    local start = os.clock()
    local text = inspect {map, map, {map}, list, [list] = map}
    assert.is_true(os.clock() - start < 5)
    assert.is_true(#text < 20000, #text)
    assert.matches("at least", inspect(map))
  end)

  it("bounds text for many small tables #slow", function()
    local function fan(n)
      local t = {}
      for i = 1, n == 0 and 0 or 30 do
        t[i] = n == 1 and {} or fan(n - 1)
      end
      return t
    end
    assert.is_true(#inspect(fan(3)) < 20000)
  end)

  it("survives a nesting of 100000 #slow", function()
    local t = {}
    for _ = 1, 100000 do
      t = {t}
    end
    assert.equal("{{{{{...}}}}}", inspect(t, {depth = 4}))
    assert.is_true(#inspect(t, {depth = 1000000}) < 40000)
    local key = {}
    for _ = 1, 100 do
      key = {[key] = key}
    end
    assert.is_string(inspect(key, {depth = 100}))
  end)

  it("is not misled by globals that the script replaced", function()
    local old = {string.format, table.concat, string.rep}
    local text
    string.format, table.concat, string.rep = error, error, error -- luacheck: ignore 122
    text = inspect {1, {a = "x"}, net.connect}
    string.format, table.concat, string.rep = table.unpack(old) -- luacheck: ignore 122
    assert.matches('^{1, {a = "x"}, function net.connect', text)
  end)
end)

describe("inspect of our own", function()
  it("addresses, errors, prefixes, packets", function()
    assert.equal("[::1]:80", inspect(net.address "[::1]:80"))
    assert.equal("10.0.0.0/8", inspect(net.prefix.parse "10.0.0.0/8"))
    local _, err = net.connect "mem:nobody"
    assert.equal("error: " .. tostring(err), inspect(err))
    err.extra = {1}
    assert.equal("error: " .. tostring(err) .. " {extra = {1}}", inspect(err))
    assert.equal("{a = json.null, b = neap.json.Array {}}", inspect(json.decode '{"a":null,"b":[]}'))
    local text = inspect(packet.udp {dst_port = 3} / "hi", {width = 200})
    assert.equal('neap.Packet {udp {dst_port = 3}, raw {data = "hi"}}', text)
  end)
end)

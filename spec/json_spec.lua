local errors = require "neap.error"
local json = require "neap.json"
local net = require "neap.net"
local task = require "neap.task"

--- Refused, with this in the message.
local function refused(text, why, options)
  local value, err = json.decode(text, options)
  assert.is_nil(value, text)
  assert.equal("EBADMSG", err.code, text)
  if why then
    assert.matches(why, err.message, 1, true)
  end
  return err
end

--- Encoding raises, with this in the message.
local function raises(why, value, options)
  local ok, message = pcall(json.encode, value, options)
  assert.is_false(ok, why)
  assert.matches(why, message, 1, true)
end

local function nested(n, open, inner, close)
  return open:rep(n) .. inner .. close:rep(n)
end

describe("json.decode", function()
  it("takes each text that RFC 8259 allows", function()
    for text, again in pairs {
      ["0"] = "0", ["-1"] = "-1", [" 1 "] = "1", ["\t\r\n 1\n"] = "1", ["1.5"] = "1.5", ["1e2"] = "100.0",
      ["1E+2"] = "100.0",
      ["1e-2"] = "0.01", ["0.0"] = "0.0", ["0e1"] = "0.0", ["-0"] = "-0.0", ["-0.0"] = "-0.0", ["1.0"] = "1.0",
      ["0.1e1"] = "1.0", ["10"] = "10", ["100e-2"] = "1.0", ["1e00000000000000000001"] = "10.0",
      ["0.00000000000000000000000000000000000001"] = "1e-38", ["1e-400"] = "0.0", ["0e999999999999"] = "0.0",
      ["true"] = "true", ["false"] = "false", ["null"] = "null",
      ['""'] = '""', ['" "'] = '" "', ['"\x7f"'] = '"\x7f"', ['"\\/"'] = '"/"', ['"\\""'] = '"\\""',
      ['"\\\\"'] = '"\\\\"',
      ['"\\b\\f\\n\\r\\t"'] = '"\\b\\f\\n\\r\\t"', ['"\\u0000"'] = '"\\u0000"', ['"a\\u0001b"'] = '"a\\u0001b"',
      ['"\\u0041"'] = '"A"', ['"\\u00E9\\u00e9"'] = '"éé"', ['"\\u20ac"'] = '"€"', ['"\\uD83D\\uDE00"'] = '"😀"',
      ['"\\uDBFF\\uDFFF"'] = '"\u{10ffff}"', ['"\\uffff"'] = '"\u{ffff}"', ['"\\u2028"'] = '"\u{2028}"',
      ['"é€😀"'] = '"é€😀"',
      ['"\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"'] = '"\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"',
      ["[]"] = "[]", ["[ ]"] = "[]", ["{}"] = "{}", ["{ }"] = "{}", ["[[]]"] = "[[]]", ["[{}]"] = "[{}]",
      ["[null]"] = "[null]",
      ["[1,2 , 3]"] = "[1,2,3]", ["[1,\n[2]]"] = "[1,[2]]",
      ["[0,-1,1.5,\"a\",true,null,{},[]]"] = "[0,-1,1.5,\"a\",true,null,{},[]]",
      ['{"a":1}'] = '{"a":1}', ['{"":0}'] = '{"":0}', [' { "a" : [ ] } '] = '{"a":[]}',
      ['{"a":{"a":{}}}'] = '{"a":{"a":{}}}',
      ['{"\\u0061":1}'] = '{"a":1}', ['{"a\\u0000b":1}'] = '{"a\\u0000b":1}', ['{"1":"2"}'] = '{"1":"2"}',
      ['{"a":1,"a":2}'] = '{"a":2}',
      ['{"x":[{"id":"y"}]}'] = '{"x":[{"id":"y"}]}',
    } do
      local value, err = json.decode(text)
      assert(value ~= nil, ("%s: %s"):format(text, err))
      assert.equal(again, json.encode(value), text)
    end
  end)

  it("refuses any other", function()
    for _, text in ipairs {
      "", " ", "\n", "\0", "a", "nul", "nulL", "NULL", "nan", "NaN", "Infinity", "-Infinity", "inf", "True", "tru",
      "truth", "truee",
      "-", "+1", "01", "-01", "00", "1.", ".5", "-.5", "1e", "1e+", "1.e1", "1e1.5", "0x10", "1_000", "1,000", "- 1",
      "--1", "1a", "1 2",
      "0.1.2", "1e1e1", "1٠", "１", "1e400", "-1e400",
      '"', '"a', '"\\"', '"\\', "'a'", "a", '"a"b', '"\n"', '"\t"', '"\0"', '"\x1f"', '"\\a"', '"\\x41"', '"\\0"',
      '"\\u"', '"\\u12"',
      '"\\u123"', '"\\u123g"', '"\\U0041"', '"\\u 041"', '"\\u+041"', '"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"',
      '"\\ud800a"',
      '"\\ud800\\u0041"', '"\\udc00\\ud800"', '"\\uD83D\\', '"\\uD83D\\u', '"\\uD83D\\uDE0"',
      '"\x80"', '"\xc0\x80"', '"\xc1\xbf"', '"\xc3"', '"\xc3("', '"\xe2\x82"', '"\xe0\x80\x80"', '"\xe0\x9f\xbf"',
      '"\xed\xa0\x80"',
      '"\xed\xbf\xbf"', '"\xf0\x80\x80\x80"', '"\xf0\x8f\xbf\xbf"', '"\xf4\x90\x80\x80"', '"\xf5\x80\x80\x80"',
      '"\xff"', '"\xfe\xff"',
      '"\xf0\x9f\x98"', '"a\\n\x80"', '"\xe9"', "\xef\xbb\xbf1", "\xef\xbb\xbf", "\xe9", "\xff\xfe1\0",
      "[", "]", "[1", "[1,", "[,", "[,1]", "[1,,2]", "[1,]", "[1 2]", "[1;2]", "[1}", "[[]", "[]]", "[}", "[1]x",
      "[1],", "[a]", "[\"a\",\n4\n,1,",
      "{", "}", "{]", "{,}", '{"a"}', '{"a":}', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', '{"a"::1}',
      '{"a":1 "b":2}', '{"a":1,,"b":2}', "{a:1}",
      "{'a':1}", "{1:1}", "{null:1}", '{"a":1}}', '{"a":1]', '{"a":1}"', '{:1}', '{"a":1 a}', '{"a","b"}', "{[]:1}",
      "// c\n1", "/* c */1", "1//", "#1", "[1]//", "\f1", "\v1", "\u{a0}1", "\u{2028}1", "<1>", "1\0", "[1]\0", "*",
      "undefined", "[undefined]",
    } do
      refused(text)
    end
    refused(nested(100000, "[", "", ""))
    refused(nested(100000, '{"a":', "", ""))
    refused(nested(100000, '[{"":', "", ""))
  end)

  it("says the line and the column of what is wrong, in characters", function()
    for text, where in pairs {
      ["x"] = {1, 1, "a value expected"}, ["[1,\n  2,\n x]"] = {3, 2, "a value expected"}, ['["é€", x]'] = {1, 8,
      "a value expected"},
      ['{"a":1,\r\n"b" 2}'] = {2, 5, "':' expected"}, ["[1 2]"] = {1, 4, "',' or ']' expected"}, ['{"a":1 2}'] = {1,
      8, "',' or '}' expected"},
      ["{1:2}"] = {1, 2, "a key expected"}, ["[01]"] = {1, 2, "begins with 0"}, ["[1.x]"] = {1, 4,
      "a digit expected"},
      ["[1e400]"] = {1, 2, "beyond all floats"}, ['["a\nb"]'] = {1, 4, "a control character"}, ['["\\q"]'] = {1, 3,
      "no escape"},
      ['["\\u12x4"]'] = {1, 3, "four hexadecimal digits"}, ['["ab\\ud800c"]'] = {1, 5, "surrogates"},
      ['["ab\xff"]'] = {1, 5, "no UTF-8"},
      ['["ab'] = {1, 2, "does not end"}, ["[1]\n\n2"] = {3, 1, "the end expected"}, ["[1,"] = {1, 4,
      "ends too early"},
    } do
      local err = refused(text, where[3])
      assert.same({where[1], where[2]}, {err.line, err.column}, text)
      assert.matches(("^decode: line %d, column %d: .* %%(EBADMSG%%)$"):format(where[1], where[2]), tostring(err))
    end
  end)

  it("makes integers of what is written as integers and fits, exactly, and floats of the rest", function()
    for text, value in pairs {
      ["0"] = 0, ["9007199254740993"] = 9007199254740993, ["-9007199254740993"] = -9007199254740993,
      ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["9223372036854775808"] = 2.0 ^ 63, ["-9223372036854775809"] = -2.0 ^ 63, ["18446744073709551616"] = 2.0 ^ 64,
      ["99999999999999999999"] = 1e20, ["1.0"] = 1.0, ["1e3"] = 1000.0, ["123456789012345678"] = 123456789012345678,
    } do
      local got = json.decode(text)
      assert.equal(math.type(value), math.type(got), text)
      assert.is_true(value == got, text)
    end
    assert.equal("-inf", tostring(1 / json.decode "-0"))
  end)

  it("gives the float that is nearest, whatever the locale is", function()
    local texts = {
      "0.1", "1e23", "8.41e21", "9.5e-3", "2.2250738585072014e-308", "2.2250738585072011e-308", "4.9e-324",
      "2.4703282292062328e-324",
      "1.7976931348623157e308", "9007199254740993.0", "9007199254740992.5", "123456789.123456789",
      "0.30000000000000004",
      "1.00000000000000011102230246251565404236316680908203125",
      "1.00000000000000011102230246251565404236316680908203124",
      "1.00000000000000011102230246251565404236316680908203126", "1" .. ("0"):rep(300) .. "e-300",
      "0." .. ("0"):rep(300) .. "1e301",
    }
    local locale = os.setlocale(nil)
    local function check()
      for _, text in ipairs(texts) do
        local value = assert(json.decode(text))
        assert.equal(math.tointeger(string.unpack("i8", string.pack("d", value))),
          string.unpack("i8", string.pack("d", assert(load("return " .. text))())), text)
        assert.is_true(json.decode(json.encode(value)) == value)
      end
      assert.equal("[1.5,0.30000000000000004]", json.encode {1.5, 0.30000000000000004})
    end
    check()
    for _, name in ipairs {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"} do
      if os.setlocale(name) then
        local ok, err = pcall(check)
        os.setlocale(locale)
        assert(ok, err)
      end
    end
  end)

  it("has as many arrays and objects in each other as depth says, without C's stack", function()
    assert(json.decode(nested(128, "[", "", "]")))
    refused(nested(129, "[", "", "]"), "column 129: nested too deeply")
    assert(json.decode("[]", {depth = 1}))
    refused("[[]]", "nested", {depth = 1})
    refused("{}", "nested", {depth = 0})
    assert.equal(1, json.decode("1", {depth = 0}))
    for _, text in ipairs {nested(10000, "[", "1", "]"), nested(10000, '{"a":', "1", "}"), nested(10000, "[1,", "1",
      "]")} do
      local value = assert(json.decode(text, {depth = 10000}))
      assert.equal(text, json.encode(value, {depth = 10000}))
    end
    assert.is_false(pcall(json.decode, "1", {depth = 10001}))
  end)

  it("has at most max bytes", function()
    assert.same({1}, json.decode("[1]", {max = 3}))
    local value, err = json.decode("[12]", {max = 3})
    assert.same({nil, "EMSGSIZE"}, {value, err.code})
  end)

  it("keeps the last one's value of equal keys, or refuses them", function()
    assert.same({a = 3, b = 2}, json.decode '{"a":1,"b":2,"\\u0061":3}')
    refused('[{"a":1},{"a":1,"b":2,"a":3}]', "line 1, column 28: a key is twice", {unique = true})
    refused('{"a":null,"a":1}', "twice", {unique = true})
    assert(json.decode('[{"a":1},{"a":1,"b":{"a":2}}]', {unique = true}))
    local many = {}
    for i = 1, 1000 do
      many[i] = ('"k%d":%d'):format(i, i)
    end
    assert.equal(1000, json.decode("{" .. table.concat(many, ",") .. "}", {unique = true}).k1000)
    many[1001] = '"k1":2'
    refused("{" .. table.concat(many, ",") .. "}", "twice", {unique = true})
    assert.equal(2, json.decode("{" .. table.concat(many, ",") .. "}").k1)
  end)

  it("replaces what is no character, where that is asked for", function()
    for text, value in pairs {
      ['"a\xff\xc3b"'] = "a\u{fffd}\u{fffd}b", ['"\xed\xa0\x80"'] = ("\u{fffd}"):rep(3), ['"\\ud800x"'] = "\u{fffd}x",
      ['"\\udc00\\ud800\\ud83d\\ude00"'] = "\u{fffd}\u{fffd}😀", ['"é"'] = "é",
    } do
      assert.equal(value, json.decode(text, {replace = true}))
    end
    assert.equal("k\u{fffd}", next((json.decode('{"k\xff":1}', {replace = true}))))
    refused('"\\ud80"', nil, {replace = true})
  end)

  it("reads arrays and objects of any size", function()
    for _, n in ipairs {1, 2, 15, 16, 17, 255, 256, 257, 511, 512, 513, 1000, 5000} do
      local array, object = {}, {}
      for i = 1, n do
        array[i], object["k" .. i] = i, i
      end
      for _, before in ipairs {"", ("[0,"):rep(20)} do
        local text = before .. json.encode(array) .. ("]"):rep(#before // 3)
        local got = json.decode(text)
        assert.equal(text, json.encode(got))
        got = json.decode(before .. json.encode(object) .. ("]"):rep(#before // 3))
        while got[2] do
          got = got[2]
        end
        assert.same(object, got)
      end
    end
  end)

  it("raises for a wrong argument or option", function()
    for _, value in ipairs {1, true, {}} do
      assert.is_false(pcall(json.decode, value))
    end
    assert.is_false(pcall(json.decode))
    for _, options in ipairs {{nosuch = 1}, {depth = "1"}, {depth = -1}, {max = 1.5}, {unique = 1}, {replace = "yes"},
      1, "x"} do
      assert.is_false(pcall(json.decode, "1", options))
    end
    assert.matches("did you mean 'unique'?", select(2, pcall(json.decode, "1", {uniqe = true})), 1, true)
  end)
end)

describe("json.encode", function()
  it("tells arrays and objects apart, as decode does", function()
    for _, text in ipairs {"[]", "{}", "[[],{}]", '{"a":[],"b":{}}', "[[[]]]", "null", "[null,null]"} do
      assert.equal(text, json.encode(json.decode(text), {sort = true}))
    end
    local list = json.decode "[1]"
    table.remove(list)
    assert.equal("[]", json.encode(list))
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.array()))
    local t = {}
    assert.equal(t, json.array(t))
    assert.equal(t, json.array(t))
    assert.same({true, false, true, false, false}, {json.isarray(t), json.isarray {}, json.isarray(list),
      json.isarray(json.null),
      json.isarray "x"})
    assert.is_false(json.isarray(json.decode "{}"))
    assert.is_false(pcall(json.array, 1))
    assert.is_false(pcall(json.array, setmetatable({}, {})))
    assert.equal(json.null, json.decode "null")
  end)

  it("refuses what JSON has not, and says where it was", function()
    raises("cannot encode a function", print)
    raises("cannot encode nil", nil)
    raises("cannot encode a function at .a[3]", {a = {1, 2, print}})
    raises("cannot encode a thread at [1].x.y[2]", {{x = {y = {1, coroutine.create(print)}}}})
    raises('cannot encode nan at ["a b"]', {["a b"] = 0 / 0})
    raises("cannot encode inf at [1]", {math.huge})
    raises("cannot encode -inf", -math.huge)
    raises("cannot encode a neap.Address at .at", {at = net.address "127.0.0.1:1"})
    raises("cannot encode a FILE* at .f", {f = io.stdout}, {sort = true})
    raises('cannot encode a string that is no UTF-8 at [2][""]', {"é", {[""] = "a\xff"}})
    raises("cannot encode a key that is no UTF-8", {["a\xff"] = 1})
    raises("cannot encode a key that is no UTF-8", {["a\xff"] = 1}, {sort = true})
    raises("an array with holes (json.null fills them) at .a", {a = {1, nil, 3}})
    raises("an array with holes", {[2] = 1})
    raises("no index (a string) at .a", {a = {1, 2, x = 3}})
    raises("no index (a string)", json.array {x = 3})
    raises("is no index (a number)", {1, [0.5] = 2})
    raises("is no index (a number)", {1, [-1] = 2})
    raises("no string (a number)", {x = 1, [0.5] = 2})
    raises("no string (a boolean) at .a", {a = {[true] = 3}})
    raises("no string (a boolean)", {[true] = 3}, {sort = true})
    raises("no string (a table) at .a", {a = {x = 1, [{}] = 3}}, {sort = true})
    local ok, message = pcall(function()
      return json.encode {print}
    end)
    assert.is_false(ok)
    assert.matches("json_spec.lua:%d+: encode: cannot encode a function at %[1%]", message)
  end)

  it("finds its way back from what is in itself", function()
    local t = {}
    t.t = t
    raises("nested too deeply (is it in itself?) at .t.t.t", t)
    raises("...", {[("x"):rep(1000)] = t})
    local deep = {}
    for _ = 1, 127 do
      deep = {deep}
    end
    assert.equal(nested(127, "[", "{}", "]"), json.encode(deep))
    raises("nested too deeply", {deep})
    assert(json.encode({deep}, {depth = 129}))
    raises("nested", {{}}, {depth = 1})
  end)

  it("writes integers and floats so that they are read as the same", function()
    for value, text in pairs {
      [0] = "0", [-1] = "-1", [math.maxinteger] = "9223372036854775807", [math.mininteger] = "-9223372036854775808",
      [0.5] = "0.5", [-0.5] = "-0.5", [0.001] = "0.001", [123456.789] = "123456.789", [0.1] = "0.1",
      [1e-5] = "0.00001", [99.99] = "99.99",
    } do
      assert.equal(text, json.encode(value))
    end
    assert.equal("[1.0,-0.0,0.0,100.0]", json.encode {1.0, -0.0, 0.0, 1e2})
    local random = require "spec.support.random" (7)
    for _ = 1, 2000 do
      local value = string.unpack("d", string.pack("i8", random(math.maxinteger) ~ random(2) << 63))
      if value == value and value - value == 0 then
        assert.is_true(json.decode(json.encode(value)) == value, ("%a"):format(value))
      end
      local few = (random(2000001) - 1000000) / 10 ^ random(9)
      local text = json.encode(few)
      assert.is_true(json.decode(text) == few, text)
      assert.equal("float", math.type((json.decode(text))))
      assert.is_true(#text <= #("%.15g"):format(few) + 6, text)
    end
  end)

  it("escapes what has to be, and nothing else", function()
    for byte = 0, 127 do
      local c = string.char(byte)
      local text = json.encode(c)
      assert.equal(c, json.decode(text))
      assert.equal(byte < 32 or c == '"' or c == "\\", text:find("\\", 1, true) ~= nil, byte)
      for at = 0, 17 do
        local long = ("x"):rep(at) .. c .. ("y"):rep(17 - at)
        assert.equal(long, json.decode(json.encode(long)))
        assert.equal(long, next(json.decode(json.encode {[long] = 1})))
      end
    end
    assert.equal('"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7fé€😀"',
      json.encode '"\\/\b\f\n\r\t\0\x1f\x7fé€😀')
    assert.equal('"a\u{fffd}b\u{fffd}"', json.encode("a\xffb\xc3", {replace = true}))
    assert.equal('{"a\u{fffd}":1}', json.encode({["a\xff"] = 1}, {replace = true}))
  end)

  it("writes an array whose items were set in any order", function()
    local items = {}
    for i = 40, 1, -1 do
      items[i] = {i}
    end
    local text = json.encode(items)
    assert.equal("[[1],[2],", text:sub(1, 9))
    assert.same(items, json.decode(text))
    local mixed = {1, 2}
    mixed[4], mixed[3] = 4, {3}
    assert.equal("[1,2,[3],4]", json.encode(mixed))
  end)

  it("sorts keys by their bytes, and indents", function()
    local value = {b = 1, a = {1, {}, json.array(), {x = json.null}}, B = "x", [""] = 0, ab = 2, ["a\0"] = 3,
      ["é"] = 4}
    assert.equal('{"":0,"B":"x","a":[1,{},[],{"x":null}],"a\\u0000":3,"ab":2,"b":1,"é":4}', json.encode(value,
      {sort = true}))
    assert.equal('[\n  1,\n  {\n    "a": [],\n    "b": {}\n  }\n]', json.encode({1, {a = json.array(), b = {}}},
      {sort = true, indent = 2}))
    assert.equal('{\n\t"a": [\n\t\t1\n\t]\n}', json.encode({a = {1}}, {indent = "\t"}))
    assert.equal("[\n1\n]", json.encode({1}, {indent = 0}))
    assert.equal("[]", json.encode(json.array(), {indent = 2}))
    local many = {}
    for i = 1, 3000 do
      many[("%x"):format(i * 2654435761 % 4294967296)] = i
    end
    local text = json.encode(many, {sort = true})
    local last = ""
    for key in text:gmatch '"(%x+)"' do
      assert.is_true(last < key)
      last = key
    end
    assert.same(many, json.decode(text))
  end)

  it("has at most max bytes, and of memory twice that", function()
    assert.equal('["abc"]', json.encode({"abc"}, {max = 7}))
    raises("longer than max, 6 bytes", {"abc"}, {max = 6})
    local big = {}
    for i = 1, 2000 do
      big[i] = ("x"):rep(1000)
    end
    raises("longer than max", big, {max = 10000})
    assert.equal(2000 * 1003 + 1, #json.encode(big))
  end)

  it("calls nothing that a script has written", function()
    local function trap()
      error(setmetatable({}, {__tostring = error}))
    end
    local hostile = {__index = trap, __len = trap, __newindex = trap, __tostring = trap, __name = "hostile",
      __eq = trap, __call = trap,
      __lt = trap, __metatable = false}
    assert.equal('{"a":1}', json.encode(setmetatable({a = 1}, hostile)))
    assert.equal('{"a":1}', json.encode(setmetatable({a = 1}, hostile), {sort = true}))
    assert.equal("[1,2]", json.encode(setmetatable({1, 2}, hostile)))
    assert.equal("[1]", json.encode({1}, setmetatable({}, hostile)))
    assert.equal(1, json.decode("1", setmetatable({}, hostile)))
    for _, pairs_of in ipairs {trap, 1, "x", false} do
      raises("cannot encode a table with __pairs (encode a copy) at .a", {a = setmetatable({}, {__pairs = pairs_of})})
    end
    getmetatable(json.array()).__pairs = trap
    local ok, text = pcall(json.encode, json.array {1})
    getmetatable(json.array()).__pairs = nil
    assert.same({true, "[1]"}, {ok, text})
  end)

  it("outlives finalizers that change what is encoded", function()
    local live = {}
    for _ = 1, 30 do
      local function litter()
        setmetatable({}, {__gc = function()
          for i = 1, 50 do
            live[i] = i % 3 ~= 0 and {} or nil
            live["k" .. i] = i % 2 == 0 and "v" or nil
          end
          if #live < 1000 then
            litter()
          end
        end})
      end
      litter()
      for i = 1, 50 do
        live[i], live["k" .. i] = nil, ("y"):rep(i * 50)
      end
      pcall(json.encode, live, {sort = true})
      pcall(json.encode, live)
      collectgarbage "step"
    end
    live = {}
    collectgarbage()
  end)

  it("raises for a wrong option", function()
    for _, options in ipairs {{nosuch = 1}, {depth = "1"}, {indent = -1}, {indent = 17}, {indent = "x"},
      {indent = true}, {indent = 1.5},
      {sort = 1}, {max = -1}, {replace = 1}, 1} do
      assert.is_false(pcall(json.encode, 1, options))
    end
    assert.is_false(pcall(json.encode))
  end)
end)

describe("both", function()
  local child = require "spec.support.child"

  --- The processor time of so many calls; of several runs the shortest.
  local function seconds(f, arg, n)
    local start = os.clock()
    for _ = 1, n do
      f(arg)
    end
    return os.clock() - start
  end

  it("are four fifths as fast as lua-cjson, at least", function()
    if child.sanitized then
      return -- which it is not
    end
    local cjson = require "cjson"
    local rows, floats, texts = {}, {}, {}
    for i = 1, 200 do
      rows[i] = {id = i * 7919, name = "Number " .. i, ok = i % 2 == 0, tags = {"a", "b"}, at = {x = i / 4, y = "z"}}
      floats[i], texts[i] = math.sin(i), ("Grüße aus Köln, %d\n"):format(i)
    end
    for what, value in pairs {rows = rows, floats = floats, texts = texts} do
      local text = json.encode(value)
      for name, arg in pairs {encode = value, decode = text} do
        local ours, theirs = math.huge, math.huge
        for _ = 1, 9 do
          ours = math.min(ours, seconds(json[name], arg, 20))
          theirs = math.min(theirs, seconds(cjson[name], arg, 20))
        end
        assert.is_true(ours < theirs / 0.8, ("%s %s: %.2f"):format(name, what, theirs / ours))
      end
    end
  end)
end)

describe("json.lines", function()
  --- A stream that gives this text, cut into pieces.
  local function stream_of(text, piece)
    local a, b = net.socketpair "mem"
    task.spawn(function()
      for i = 1, #text, piece or #text do
        a:write(text:sub(i, i + (piece or #text) - 1))
        a:flush()
      end
      a:close()
    end)
    return b
  end

  local function collect(source, options)
    local values = {}
    local ok, err = pcall(function()
      for value in json.lines(source, options) do
        values[#values + 1] = value
      end
    end)
    return values, not ok and err or nil
  end

  it("gives the values, however they arrive", function()
    local text = '{"a":1}\n\n[2]\r\n   \n"x"\nnull\nfalse\n'
    for piece = 1, #text do
      local values, err = collect(stream_of(text, piece))
      assert.is_nil(err)
      assert.same({{a = 1}, {2}, "x", json.null, false}, values)
    end
    assert.same({}, collect(stream_of "\n \n"))
  end)

  it("reads files, too", function()
    local file <close> = assert(io.tmpfile())
    file:write('1\n"' .. ("x"):rep(100000) .. '"\n')
    file:seek "set"
    local values, err = collect(file)
    assert.same({1, ("x"):rep(100000)}, values)
    assert.is_nil(err)
  end)

  it("raises for a record that is cut, or none", function()
    for _, cut in ipairs {"12", '{"a":1}', '{"a"', '"'} do
      local values, err = collect(stream_of("1\n" .. cut))
      assert.same({1}, values)
      assert.is_true(errors.is(err))
      assert.same({"ENODATA", 2}, {err.code, err.line})
    end
    local values, err = collect(stream_of "1\n\n[1,x]\n2\n")
    assert.same({1}, values)
    assert.same({"EBADMSG", 3, 4}, {err.code, err.line, err.column})
    assert.matches("^lines: line 3, column 4: a value expected", tostring(err))
  end)

  it("has lines of at most max bytes, also those that a stream does not give as one", function()
    for _, size in ipairs {10, 65536, 65537, 200000, 300000} do
      local text = '"' .. ("x"):rep(size - 3) .. '"\n'
      local values, err = collect(stream_of(text .. "1\n", 50000), {max = size})
      assert.is_nil(err)
      assert.same({("x"):rep(size - 3), 1}, values)
      values, err = collect(stream_of(text, 50000), {max = size - 1})
      assert.same({0, "EMSGSIZE", 1}, {#values, err.code, err.line})
    end
    local _, err = collect(stream_of(("x"):rep(2 ^ 21 // 1 | 0)))
    assert.equal("EMSGSIZE", err.code)
  end)

  it("raises what a read has failed by", function()
    local a, b = net.socketpair()
    b:close()
    local _, err = collect(b)
    assert.equal("EBADF", err.code)
    a:close()
  end)

  it("loses nothing of a line when the task is interrupted", function()
    local a, b = net.socketpair "mem"
    local values = json.lines(b)
    a:write('"' .. ("x"):rep(70000))
    assert.is_nil((task.timeout(0.01, values)))
    a:write 'y"\n'
    assert.equal(("x"):rep(70000) .. "y", values())
    a:close()
    b:close()
  end)

  it("goes on behind a line that is no value, when it is called again", function()
    local a, b = net.socketpair()
    a:write '1\n{\n["x"\r\n2 3\n\n4\n'
    a:close()
    local values, seen = json.lines(b), {}
    repeat
      local ok, value = pcall(task.idle, values)
      seen[#seen + 1] = ok and (value or "end") or ("%s %d:%d"):format(value.code, value.line, value.column)
    until value == nil
    assert.same({1, "EBADMSG 2:2", "EBADMSG 3:6", "EBADMSG 4:3", 4, "end"}, seen)
    b:close()
  end)

  it("passes options on, and raises for wrong ones at once", function()
    local _, err = collect(stream_of '{"a":1,"a":2}\n', {unique = true})
    assert.equal("EBADMSG", err.code)
    for _, options in ipairs {{nosuch = 1}, {max = 0}, {max = "x"}, {depth = -1}, 1} do
      assert.is_false(pcall(json.lines, io.stdin, options))
    end
    local _, why = pcall(function() json.lines "{}\n" end)
    assert.matches("^[^\n]*spec%.lua:%d+: lines: a source with a method 'read' expected, got string$", why)
  end)
end)

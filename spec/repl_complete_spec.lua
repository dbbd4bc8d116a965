local complete = require "neap.repl.complete"
local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"

local function texts(result)
  local list = {}
  for i, candidate in ipairs(result.candidates) do
    list[i] = candidate.text
  end
  return list
end

local function words(text, env, opts)
  return table.concat(texts(complete(text, nil, env, opts)), " ")
end

local function one(text, env)
  local result = complete(text, nil, env)
  assert.equal(1, #result.candidates, table.concat(texts(result), " "))
  return result.candidates[1]
end

describe("completion of names", function()
  local env = {alpha = 1, alphabet = print, beta = {gamma = {delta = 1, ["not a name"] = 2, ["end"] = 3}}}

  it("gives globals, fields and keywords", function()
    assert.equal("alpha alphabet", words("al", env))
    assert.equal("alpha alphabet beta", words("", env))
    assert.equal("and", words("an", env))
    assert.equal("delta", words("x = beta.gamma.", env))
    assert.equal("delta", words("f(beta . gamma . d", env))
    assert.equal("delta", words("beta['gamma'].d", env))
    assert.equal("alpha alphabet", words("beta..al", env))
    assert.equal("", words("beta.nosuch.", env))
    assert.equal("", words("nosuch.", env))
    assert.equal("", words("1.", env))
    assert.equal("", words("0xa", {a = 1, xa = 2}))
  end)

  it("says where the word begins, and what all have in common", function()
    local result = complete("x = al", nil, env)
    assert.equal(5, result.first)
    assert.equal("alpha", result.common)
    assert.equal(0, result.more)
    result = complete("x = beta.gazz + 1", 12, env)
    assert.equal(10, result.first)
    assert.same({"gamma"}, texts(result))
    assert.same({"beta", "break"}, texts(complete("be", 2, env)))
    assert.equal("", complete("x", 1, {}).common)
    local long = ("x = 1\n"):rep(50000) .. "al"
    result = complete(long, nil, env)
    assert.equal(#long - 1, result.first)
    assert.same({"alpha", "alphabet"}, texts(result))
    result = complete("zz", nil, env)
    assert.equal("zz", result.common)
    assert.same({}, result.candidates)
  end)

  it("looks at the code only: not in comments and strings", function()
    for _, text in ipairs {"-- al", "--[[ al", "[[ al", "[==[ ]] al", "'al", '"x\\" al'} do
      assert.equal("", words(text, env), text)
    end
    for _, text in ipairs {"--[[ x ]] al", "'x' .. al", "[[x]] .. al", "-- x\nal", "t[al", "1 - al",
      '"\\"" .. al'} do
      assert.equal("alpha alphabet", words(text, env), text)
    end
  end)

  it("gives functions only behind a colon", function()
    assert.equal("f", words("t:", {t = {f = print, x = 1}}))
    assert.equal("f x", words("t.", {t = {f = print, x = 1}}))
  end)

  it("follows __index tables, and calls nothing", function()
    local calls = 0
    local function called()
      calls = calls + 1
    end
    local class = setmetatable({method = print}, {__index = {inherited = print}})
    local object = setmetatable({own = 1}, {__index = class})
    local trap = setmetatable({raw = 1}, {
      __index = called, __pairs = called, __call = called, __len = called, __eq = called,
      __tostring = called, __name = called, __metatable = called,
    })
    local scope = {object = object, trap = trap, f = called}
    assert.equal("inherited method own", words("object.", scope))
    assert.equal("inherited method", words("object:", scope))
    assert.equal("raw", words("trap.", scope))
    assert.equal("", words("trap.x.", scope))
    assert.equal("", words("f().", scope))
    assert.equal("", words("trap().", scope))
    assert.equal("ipairs", words("ip", setmetatable({}, {__index = _G})))
    assert.equal("", words("x", setmetatable({}, {__index = called})))
    assert.equal(0, calls)
  end)

  it("ends where __index goes in a circle", function()
    local a, b = {x = 1}, {y = 2}
    setmetatable(a, {__index = b})
    setmetatable(b, {__index = a})
    assert.equal("x y", words("a.", {a = a}))
  end)

  it("knows the methods and fields of the library's objects", function()
    local a <close>, b = net.socketpair()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local scope = {s = a, b = b, l = listener, t = task.current(), p = packet.ip {}, net = net,
      io = io, c = task.channel()}
    assert.equal("read readexactly readuntil recv recvfd reset resize", words("s:re", scope))
    assert.equal("localaddr", words("s.loc", scope))
    assert.equal("", words("s:loc", scope))
    assert.equal("bytes cid family ip path port scope", words("s.localaddr.", scope))
    assert.equal("accept accepts", words("l:acc", scope))
    assert.equal("cancel join", words("t:", scope))
    assert.equal("ttl", words("p.ip.tt", scope))
    assert.equal("close each receiving recv send sending try_recv try_send", words("c:", scope))
    assert.equal("seek setvbuf", words("io.stdout:se", scope))
    assert.equal("recv recvfd", words("net.connect('tcp://x:1'):recv", scope))
  end)

  it("knows the methods of strings", function()
    assert.equal("rep reverse", words '("x"):re')
    assert.equal("rep reverse", words('x:re', {x = "text"}))
  end)

  it("tells signature and a sentence", function()
    local candidate = one("net.conn", {net = net})
    assert.equal("function", candidate.kind)
    assert.equal("net.connect(endpoint, opts?)", candidate.signature)
    assert.equal("Connect.", candidate.doc)
    assert.equal("string.rep(s, n, sep?)", one('("x"):rep').signature)
    assert.equal("mine(a, b)", one("mi", {mine = function(a, b) return a, b end}).signature)
    local a <close> = net.socketpair()
    local field = one("a.locala", {a = a})
    assert.equal("field", field.kind)
    assert.equal("localaddr: neap.Address?", field.signature)
  end)

  it("knows modules that are loaded", function()
    assert.equal("spawn", words 'require "neap.task".spa')
    assert.equal("spawn", words 'require("neap.task").spa')
  end)

  it("is bounded, and quick, with 100,000 keys #slow", function()
    local big = {}
    for i = 1, 100000 do
      big["key" .. i] = i
    end
    local best, walk = math.huge, math.huge
    local result
    for _ = 1, 5 do
      local start = os.clock()
      for key in next, big do -- what it cannot do without
        assert(type(key) == "string" and key:sub(1, 1) == "k")
      end
      walk = math.min(walk, os.clock() - start)
      start = os.clock()
      result = complete("big.k", nil, {big = big})
      best = math.min(best, os.clock() - start)
    end
    assert(best < 0.05 or best < 2 * walk, ("%.3f s, %.3f s"):format(best, walk)) -- instrumented, all is slow
    assert.equal(200, #result.candidates)
    assert.equal(99800, result.more)
    assert.equal("key", result.common)
    assert.equal("key1", result.candidates[1].text)
    result = complete("big.key9999", nil, {big = big})
    assert.equal(11, #result.candidates)
  end)

  it("survives any text #slow", function()
    math.randomseed(7)
    local pieces = {"net", ".", ":", "(", ")", "[", "]", '"', "'", "\\", "-", "--", "[[", "]]", "=",
      " ", "\n", "require", "unix:", "/", "\0", "\xff", "1", ":load ", "x"}
    for _ = 1, 2000 do
      local text = {}
      for i = 1, math.random(0, 8) do
        text[i] = pieces[math.random(#pieces)]
      end
      assert.is_table(complete(table.concat(text)).candidates)
    end
    for _, long in ipairs {("a"):rep(100000), (" "):rep(100000), ("a."):rep(50000),
      ("("):rep(100000), ("'"):rep(99999), ("["):rep(100000), ("a"):rep(100000) .. "("} do
      local start = os.clock()
      complete(long)
      assert.is_true(os.clock() - start < 1)
    end
  end)
end)

describe("completion of the prompt's commands", function()
  it("at the beginning of the line", function()
    local commands = {ps = "the tasks", "help", "hex"}
    assert.equal("help hex", words(":he", nil, {commands = commands}))
    assert.equal("help hex ps", words("  :", nil, {commands = commands}))
    assert.equal("", words(":he"))
    local result = complete(":p", nil, nil, {commands = commands})
    assert.equal(2, result.first)
    assert.equal("the tasks", result.candidates[1].doc)
  end)

  it("and of what follows them", function()
    assert.equal("connect", words(":doc net.conn", {net = net}))
    assert.equal("connect", words(":time net.conn", {net = net}))
  end)
end)

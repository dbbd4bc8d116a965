local complete = require "neap.repl.complete"
local fs = require "neap.fs"
local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local trace = require "neap.trace"

local env = setmetatable({net = net, fs = fs, process = process, signal = signal, trace = trace}, {__index = _G})

local function words(text, scope)
  local list = {}
  for i, candidate in ipairs(complete(text, nil, scope or env).candidates) do
    list[i] = candidate.text
  end
  return table.concat(list, " ")
end

describe("completion of options", function()
  it("knows their names, types and what they do", function()
    local result = complete("l = net.listen(x, {ba", nil, env)
    assert.equal(20, result.first)
    assert.same({text = "backlog", kind = "option", signature = "backlog: integer?",
      doc = "connections that wait for accept"}, result.candidates[1])
    assert.equal(1, #result.candidates)
    assert.equal("nodelay", words "net.listen('tcp://*:0', {backlog = f(1, {2}), nod")
    assert.equal("filter", words "trace.start {fi")
    assert.equal("filter", words "trace.start({ -- {\n  fi")
    local listener <close> = assert(net.listen "mem:repl-calls")
    assert.equal("per_peer", words("l:serve(f, {per", {l = listener}))
    assert.equal("parents", words "fs.mkdir('a/b', {pa") -- of a type that is written out
    assert.equal("resolver", words "assert(net.connect(x, { reso")
  end)

  it("also in tables that are options, with those of classes that are extended", function()
    assert.equal("alpn", words "net.connect(e, {tls = {al")
    assert.equal("verify", words "net.connect(e, {\n  tls = {alpn = {'a', 'b'}; verif")
  end)

  it("gives the variables where no option can be", function()
    local scope = setmetatable({backwards = 1}, {__index = env})
    for _, text in ipairs {"net.listen(x, {backlog = backw", "net.listen({}, backw", "{backw", "x = {backw",
      "net.listen(x, {f(backw", "net.listen(x, {1, backw", "net.nosuch({backw", "net.listen(x, {f = function() backw",
      "net.listen(backw"} do
      assert.equal("backwards", words(text, scope), text)
    end
  end)

  it("calls nothing", function()
    local trap = setmetatable({}, {__index = error, __call = error})
    for _, text in ipairs {"t({x", "t.x({x", "t{x", "f({x", "t['", "t.x['", "t('", "t['a']['"} do
      assert.equal("", words(text, {t = trap, f = function() error "called" end}), text)
    end
  end)
end)

describe("completion in the string of an argument", function()
  it("knows signals where one is expected", function()
    assert.equal("SIGHUP", words "signal.wait('SIGH")
    assert.equal("SIGUSR1 SIGUSR2", words "for s in signal.each('SIGHUP', \"SIGUS")
    assert.equal("SIGKILL", words "signal.raise 'SIGK")
    local p <close> = assert(process.spawn {"sleep", "100"})
    assert.equal("SIGKILL", words("p:kill('SIGK", {p = p}))
    assert.equal("process", words("p:kill('SIGKILL', 'pro", {p = p}))
    assert.equal("", words "print('SIGH")
  end)

  it("and the texts that it or an option may be", function()
    assert.equal("mem seqpacket unix unixgram", words "net.socketpair '")
    assert.equal("unix unixgram", words "a, b = net.socketpair(\"un")
    assert.equal("odd", words "fs.open('/dev/null', 'r', {speed = 1, parity = 'o")
    assert.equal("md5", words("crypto.hmac('md", {crypto = require "neap.crypto"}))
  end)
end)

describe("completion of keys", function()
  local t = setmetatable({["two words"] = 1, twofold = 2, [2] = 3, deep = {["a-b"] = 1}, ["say \"x\""] = 1,
    ["line\n"] = 1, ["back\\"] = 1}, {__index = {inherited = 1}})

  it("knows those that are texts, with what ends them", function()
    assert.equal('deep"] inherited"] two words"] twofold"]', words('t["', {t = t}))
    assert.equal("deep'] inherited'] say \"x\"'] two words'] twofold']", words("t['", {t = t}))
    local result = complete("x = 1, t['two w", nil, {t = t})
    assert.equal(11, result.first)
    assert.equal("two words']", result.common)
    assert.equal('a-b"]', words('f(t.deep["', {t = t}))
    assert.equal('a-b"]', words('t["deep"]["a', {t = t}))
    assert.equal("", words('{["', {t = t}))
  end)
end)

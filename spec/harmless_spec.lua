-- What a peer sends, and what is made of it, reaches no terminal raw.

local child = require "spec.support.child"
local harmless = require "neap.host".harmless
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local wire = require "neap.repl.wire"

--- What a peer may send: each kind of harm, and a zero.
local evil = "a\27[2J\7\8\r\127\0\u{9b}31m\x9b\u{202e}\u{2066}\u{61c}\u{200b}\u{2028}\u{feff}\xc0\x9b\xed\xa0\x80\xf5z"

--- The same in a script.
local quoted = (evil:gsub("[^%w]", function(c)
  return ("\\x%02x"):format(c:byte())
end))

--- Nothing harmful is in a text; newlines, tabs and colours may be.
local function is_plain(text)
  text = text:gsub("\27%[[%d;]*m", "")
  local bad = text:match "[%z\1-\8\11-\31\127]" or not utf8.len(text) and "no UTF-8" or nil
  for _, code in utf8.codes(bad and "" or text) do
    for _, range in ipairs {{0x80, 0x9f}, {0x61c, 0x61c}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
      {0xfeff, 0xfeff}, {0xe0000, 0xe007f}} do
      bad = bad or code >= range[1] and code <= range[2] and ("U+%X"):format(code) or nil
    end
  end
  return not bad, bad
end

--- It tells of the evil text, but not as that is.
local function check(text)
  assert.matches("\\x1b%[2J", text)
  assert.equal(nil, select(2, is_plain(text)))
end

describe("harmless text", function()
  it("has escapes for controls, for what hides or turns, and for what is no UTF-8", function()
    for text, expected in pairs {
      [""] = "",
      ["plain, grün, 日本 😀\n\tline"] = "plain, grün, 日本 😀\n\tline",
      ["\0\1\8\r\27\127"] = "\\x00\\x01\\x08\\r\\x1b\\x7f",
      ["\u{80}\u{9b}\u{9f}\u{a0}"] = "\\u{80}\\u{9b}\\u{9f}\u{a0}",
      ["\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{61c}"] = "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{61c}",
      ["\u{200b}\u{2028}\u{2060}\u{feff}\u{e0041}"] = "\\u{200b}\\u{2028}\\u{2060}\\u{feff}\\u{e0041}",
      ["\x9b31m\xff"] = "\\x9b31m\\xff",
      ["\xc0\x9b\xc1\xbf"] = "\\xc0\\x9b\\xc1\\xbf", -- overlong
      ["\xe0\x82\x9b\xf0\x80\x82\x9b"] = "\\xe0\\x82\\x9b\\xf0\\x80\\x82\\x9b",
      ["\xed\xa0\x80\xf4\x90\x80\x80\xf5\x80\x80\x80"] =
        "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xf5\\x80\\x80\\x80", -- a surrogate; too large
      ["\xe2\x82"] = "\\xe2\\x82", -- cut
      ["\xe2\x82x\xc3"] = "\\xe2\\x82x\\xc3",
      ["\27[31mred\27[0m"] = "\\x1b[31mred\\x1b[0m",
    } do
      assert.equal(expected, harmless(text))
      assert.is_true((is_plain(harmless(text))))
    end
    check(harmless(evil))
  end)

  it("may keep colours, and nothing else that begins with ESC", function()
    assert.equal("\27[1;31mred\27[m", harmless("\27[1;31mred\27[m", true))
    assert.equal("\\x1b[2J\\x1b]0;t\\x07\\x1b[31\\x1b\27[0m", harmless("\27[2J\27]0;t\7\27[31\27\27[0m", true))
  end)

  it("is decided for each byte and pair of bytes as Lua's utf8 does", function()
    for i = 0, 0xffff do
      local text = string.char(i >> 8, i & 0xff)
      local plain = harmless(text)
      assert(is_plain(plain))
      if is_plain(text) then
        assert(plain == text, text)
      end
    end
  end)
end)

describe("on stderr", function()
  local tells = {
    ["the error that ends the program"] = "error(evil)",
    ["a task's error"] = "task.spawn(function() error(evil) end):join()",
    ["the error of a scope, with the traceback of the child"] =
      "task.scope(function(s) s:spawn(function() error(evil) end).name = evil end)",
    ["an error object"] = "error(require 'neap.error'.new {code = 'EBAD', message = evil, op = evil, endpoint = evil})",
    ["an error with a text of its own"] = "error(setmetatable({}, {__tostring = function() return evil end}))",
    ["a traceback"] = "local function f() error 'x' end load('x()', '=' .. evil, 't', {x = f})()",
    ["a warning"] = "warn '@on' warn(evil)",
    ["an error in a finalizer"] = "warn '@on' setmetatable({}, {__gc = function() error(evil) end}) collectgarbage()",
    ["a deadlock"] = "local t = task.spawn(function() task.channel():recv() end) t.name = evil task.event():wait()",
    ["a text that does not compile"] = "assert(load(evil, '=' .. evil))",
    ["an error of a handler of serve"] = [[
      local l = net.listen "mem:x"
      task.spawn(l.serve, l, function(s) error(s:read "a") end)
      local s = net.connect "mem:x"
      s:write(evil) s:close() task.sleep(0.05) l:close()]],
    ["an error object of a handler of serve"] = [[
      local l = net.listen "mem:x"
      task.spawn(l.serve, l, function(s)
        error(require 'neap.error'.new {code = 'EBAD', message = s:read "a" .. "\n" .. "forged"}) end)
      local s = net.connect "mem:x"
      s:write(evil) s:close() task.sleep(0.05) l:close()]],
    ["an error of a worker"] = "print(require 'neap.worker'.run(function(evil) error(evil) end, evil))",
  }
  for what, script in pairs(tells) do
    it(("is %s harmless"):format(what), function()
      local result = child.run(("local evil = '%s' "):format(quoted) .. script)
      check(result.stderr)
      assert.is_nil(result.stderr:find "\nforged")
    end)
  end

  it("are the names of sockets and the errors of a trace harmless", function()
    local name = os.tmpname()
    os.remove(name)
    local env = process.env()
    env.PLACE = name
    local result = assert(process.run {child.neap, "--trace", env = env, "-e", ([[
      local evil = ('%s'):gsub("%%z", ""):gsub("/", "")
      local path = os.getenv "PLACE" .. evil
      net.listen("unix:" .. path):close()
      net.connect("unix:" .. path)]]):format(quoted)})
    check(result.stderr)
  end)
end)

describe("at the prompt", function()
  --- What a session answers to inputs.
  local function answers(inputs, colour)
    local theirs, ours = net.socketpair "mem"
    local Session = require "neap.repl.session"
    local session = Session.new {stream = theirs, now = time.now}
    local serving = task.spawn(session.serve, session)
    local said = {}
    local function answer()
      for message in wire.receive, ours do
        said[#said + 1] = message.text
        if message.kind == "ready" then
          return
        end
      end
    end
    wire.send(ours, {kind = "hello", columns = 80, colour = colour})
    answer()
    for _, input in ipairs(inputs) do
      wire.send(ours, {kind = "input", text = input})
      answer()
    end
    ours:close()
    serving:cancel()
    return table.concat(said)
  end

  local function with_evil(input)
    return ("local evil = '%s' %s"):format(quoted, input)
  end

  for what, input in pairs {
    ["a value"] = "return evil",
    ["values in tables"] = "return {[evil] = evil, {[{evil}] = setmetatable({}, {__name = evil})}}",
    ["an error"] = "error(evil)",
    ["what a function returned as an error"] = "return nil, evil",
    ["an error object"] = "return nil, require 'neap.error'.new {code = 'EBAD', message = evil}",
    ["an error's traceback"] =
      "local function f() error(evil) end load('x() return 1', '=' .. evil, 't', {x = f})()",
    ["a stray colour"] = "error(evil)",
  } do
    it(("is %s harmless"):format(what), function()
      for _, colour in ipairs {true, false} do
        local text = answers({with_evil(input)}, colour)
        assert.is_truthy(text:find("\\x1b", 1, true) or text:find("1b 5b", 1, true))
        assert.equal(nil, select(2, is_plain(text)))
      end
    end)
  end

  it("are the lists of tasks and sockets harmless", function()
    local text = answers {
      with_evil "t = task.spawn(task.sleep, 0.3) t.name = evil",
      with_evil "l = net.listen('mem:' .. evil:gsub('%z', ''))",
      ":ps", ":socks", ":jobs", ":doc " .. evil:gsub("[%z\n]", ""), ":" .. evil:gsub("[%z\n]", ""), "l:close()",
    }
    assert.equal(nil, select(2, is_plain(text)))
  end)
end)

describe("neap top", function()
  it("shows nothing of another process as it comes", function()
    local path = os.tmpname()
    os.remove(path)
    local listener <close> = assert(net.listen("unix:" .. path))
    local ticks = 0
    local answers = {
      look = function()
        ticks = ticks + 1
        return {kind = "figures", now = ticks, ended = 0, tasks = ("=I4I8"):pack(1, ticks), sockets = "",
          stats = {tasks = 1, streams = 0, listeners = 0, datagrams = 0}, traffic = {received = 0, sent = 0}, lua = 0}
      end,
      rows = function()
        return {kind = "rows", tasks = {{evil, "x\ny", evil, evil}}, sockets = {}}
      end,
    }
    local serving = task.spawn(listener.serve, listener, function(stream)
      wire.send(stream, {kind = "welcome", script = evil})
      for message in wire.receive, stream do
        local answer = answers[(message.tasks or message.sockets) and "rows" or message.kind]
        wire.send(stream, answer and answer() or {kind = "ready"})
      end
    end)
    local text = assert(process.run {child.neap, "top", "--once", path}).stdout
    serving:cancel()
    assert.matches("CPU%%[^\n]*\n *100%.0 +1  [^\n]*x y", text)
    assert.equal(nil, select(2, is_plain(text)))
  end)
end)

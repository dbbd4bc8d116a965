local child = require "spec.support.child"
local errors = require "neap.error"
local json = require "neap.log.json"
local lfs = require "lfs"
local log = require "neap.log"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local worker = require "neap.worker"

local lines

--- Lines without their times.
local function take(line)
  lines[#lines + 1] = line:gsub("%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ", "T")
end

local function setup_log(options)
  lines = {}
  options = options or {}
  options.to = options.to or take
  log.setup(options)
end

before_each(function()
  setup_log()
end)

after_each(function()
  setup_log()
  task.yield() -- to what tells of suppressed lines
end)

--- A value inside f's upvalues, and those of what they are.
local function upvalue(f, wanted, seen)
  seen = seen or {}
  seen[f] = true
  for i = 1, 255 do
    local name, value = debug.getupvalue(f, i)
    if not name then
      return
    elseif name == wanted then
      return value
    elseif type(value) == "function" and not seen[value] then
      value = upvalue(value, wanted, seen)
      if value then
        return value
      end
    end
  end
end

describe("a line of the log", function()
  it("is logfmt: quoted where it must be, in the order of the fields' names", function()
    log.info("hello", {b = "x y", a = 1, c = "", d = 'a"b', e = "a=b", f = "é", g = true, h = 1.5, i = "/x-y"})
    assert.same({'time=T level=info msg=hello a=1 b="x y" c="" d="a\\"b" e="a=b" f="é" g=true h=1.5 i=/x-y\n'}, lines)
  end)

  it("is JSON", function()
    setup_log {format = "json"}
    log.error('say "x"', {b = {1, 2, {x = {}}}, a = math.mininteger, c = 0.1, d = false})
    assert.same({'{"time":"T","level":"error","msg":"say \\"x\\"","a":-9223372036854775808,'
      .. '"b":[1,2,{"x":{}}],"c":0.1,"d":false}\n'}, lines)
  end)

  it("has fields of the program, of its logs, and of its own, of which the last counts", function()
    setup_log {fields = {service = "mail", a = 0}}
    local one = log.with {a = 1, b = 1}
    local two = one:with {c = 2}
    two:warn("x", {b = 3, d = 4})
    two:warn "y"
    one:warn "z"
    log.warn("w", {service = "other"})
    assert.same({
      "time=T level=warn msg=x a=1 b=3 c=2 d=4 service=mail\n",
      "time=T level=warn msg=y a=1 b=1 c=2 service=mail\n",
      "time=T level=warn msg=z a=1 b=1 service=mail\n",
      "time=T level=warn msg=w a=0 service=other\n",
    }, lines)
  end)

  it("has its own time, level and message, whatever the fields are called", function()
    log.info("x", {time = 1, level = 2, msg = 3, ["a b=\n"] = 4})
    setup_log {format = "json"}
    log.info("x", {time = 1, level = 2, msg = 3, ["a\n"] = 4})
    assert.same({'{"time":"T","level":"info","msg":"x","a\\n":4,"level_":2,"msg_":3,"time_":1}\n'}, lines)
  end)

  it("tells the time of the day", function()
    local now = os.time()
    local got
    setup_log {to = function(line)
      got = line:match "^time=(%S+)%.%d%d%dZ "
    end}
    log.info "now"
    local near = {}
    for second = now, os.time() do
      near[os.date("!%Y-%m-%dT%H:%M:%S", second)] = true
    end
    assert(near[got], got)
    local date_text = assert(upvalue(log.info, "date_text"))
    for day = -200000, 200000, 61 do
      assert.equal(os.date("!%Y-%m-%d", day * 86400), date_text(day))
    end
  end)

  it("escapes what could play tricks on a terminal, and is one line", function()
    for _, format in ipairs {"logfmt", "json"} do
      setup_log {format = format}
      log.info("a\27[2J\n\0b", {["k\27\n"] = "\u{202e}\u{9b}x\127\u{e0001}", bad = "\xff\xc3é"})
      assert.equal(1, #lines)
      assert.is_nil(lines[1]:sub(1, -2):find "[\0-\31\127]")
      for _, part in ipairs {"a\\u001b[2J\\n\\u0000b", "\\u202e\\u009bx\\u007f\\udb40\\udc01", "\u{fffd}\u{fffd}é"} do
        assert(lines[1]:find(part, 1, true), lines[1])
      end
      assert(utf8.len(lines[1]))
    end
  end)

  it("takes any value, and runs no code of it but __tostring", function()
    local cycle = {}
    cycle.cycle = cycle
    local deep = {}
    for _ = 1, 1000 do
      deep = {deep}
    end
    local long = {}
    for i = 1, 100000 do
      long[i] = i
    end
    local function trap()
      error "run"
    end
    local mean = setmetatable({x = 1}, {__index = trap, __pairs = trap, __len = trap, __name = 7, __eq = trap,
      __metatable = trap})
    local values = {
      nil, true, 1, 0 / 0, math.huge, -math.huge, "", "text", cycle, deep, long, mean, print, coroutine.create(print),
      io.stdout, task.current(), errors.new {code = "E", message = "m"}, ("x"):rep(1 << 20),
      setmetatable({}, {__tostring = function()
        error {}
      end}),
      setmetatable({}, {__tostring = function()
        return 1
      end}),
      setmetatable({}, {__tostring = trap}), {[{}] = {}, [1.5] = print, [true] = false, [print] = 1},
    }
    for _, format in ipairs {"logfmt", "json", "journal"} do
      setup_log {format = format}
      for i = 1, 22 do
        local n = #lines
        log.info(values[i], {v = values[i]})
        log.info("value", values[i])
        if values[i] ~= nil and values[i] == values[i] then
          log.info("key", {[values[i]] = 1})
        end
        log.with({x = values[i]}):info "child"
        assert(#lines > n + 2 and #lines[#lines] < 64 * 1024, i)
      end
    end
    assert.equal(0, log.counts().lost)
  end)

  it("names an error that is given in place of fields", function()
    log.error("failed", errors.new {code = "EIO", message = "no luck"})
    log.error("failed", "text")
    assert.same({'time=T level=error msg=failed error="no luck (EIO)"\n',
      "time=T level=error msg=failed value=text\n"}, lines)
  end)

  it("is cut where it is long", function()
    log.info("x", {a = ("é"):rep(5000)})
    assert(#lines[1] < 4200 and lines[1]:find("... (10000 bytes)", 1, true) and utf8.len(lines[1]))
    local fields = {}
    for i = 1, 100 do
      fields["k" .. i] = ("x"):rep(4000)
    end
    log.info("much", fields)
    assert.matches("^time=T level=info msg=much cut=40%d%d%d%d\n$", lines[2])
    setup_log {fields = fields}
    log.info "more"
    assert.matches("msg=more cut=%d+\n$", lines[1])
  end)

  it("is not written below the level", function()
    local before = log.counts()
    log.debug "no"
    log.with({}):debug "no"
    setup_log {level = "off"}
    log.error "no"
    assert.same({}, lines)
    assert.same(before, log.counts())
    assert.is_false(log.enabled "error")
    setup_log {level = "debug"}
    log.debug "yes"
    log.with({a = 1}):debug "yes"
    assert.is_true(log.enabled "debug")
    assert.same({"time=T level=debug msg=yes\n", "time=T level=debug msg=yes a=1\n"}, lines)
    assert.equal(before.debug + 2, log.counts().debug)
  end)

  it("has the worker's number", function()
    local got = worker.run(function()
      local text
      require "neap.log".setup {to = function(line)
        text = line
      end}
      require "neap.log".info "inside"
      return text
    end)
    assert.matches("msg=inside worker=%d+\n$", got)
  end)

  it("is lost, and counted, where the function that takes it fails", function()
    local lost = log.counts().lost
    setup_log {to = error}
    log.info "x"
    assert.equal(lost + 1, log.counts().lost)
    setup_log()
    log.info "y"
    assert.same({'time=T level=warn msg="lines of the log were lost" lost=1\n', "time=T level=info msg=y\n"}, lines)
  end)

  it("that the function which takes lines writes itself is lost, and counted", function()
    assert.equal("3\t3\n", child.run([[
      local log = require "neap.log"
      local n = 0
      log.setup {to = function()
        n = n + 1
        log.warn "the sink is gone"
      end}
      log.info "a"
      log.info "b"
      print(n, log.counts().lost)
    ]]).stdout)
  end)

  it("may be what the function which takes lines sets up others for", function()
    local result = child.run [[
      local log = require "neap.log"
      log.setup {first = 1, period = 0.01, to = function(line)
        if line:find "suppressed" then
          log.setup {to = function() end}
        end
      end}
      log.warn "a"
      log.warn "a"
      local till = os.clock() + 0.05
      repeat until os.clock() > till
      print(pcall(log.warn, "a"))
    ]]
    assert.same({"true\n", ""}, {result.stdout, result.stderr})
  end)

  it("is in one form, also where a value of it sets another one", function()
    local value = setmetatable({}, {__tostring = function()
      setup_log {format = "json"}
      return "v"
    end})
    log.info("x", {a = 1, b = value, c = 2})
    assert.same({'{"time":"T","level":"info","msg":"x","a":1,"b":"v","c":2}\n'}, lines)
    setup_log()
    log.with {z = value}:info("x", {a = 1})
    assert.same({'{"time":"T","level":"info","msg":"x","z":"v","a":1}\n'}, lines)
    local lost, turn = log.counts().lost, 0
    log.info("x", {a = setmetatable({}, {__tostring = function()
      turn = turn + 1
      setup_log {format = turn % 2 == 0 and "json" or "logfmt"}
      return "v"
    end})})
    assert.same({lost + 1, {}}, {log.counts().lost, lines})
    setup_log()
    log.info "y"
    assert.same({'time=T level=warn msg="lines of the log were lost" lost=1\n', "time=T level=info msg=y\n"}, lines)
  end)

  it("can be written in finalizers, in <close>, and by a cancelled task", function()
    do
      local _ = setmetatable({}, {__gc = function()
        log.info "collected"
      end})
    end
    collectgarbage()
    local t = task.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        log.info "closed"
      end})
      task.sleep(60)
    end)
    task.yield()
    t:cancel()
    pcall(t.join, t)
    assert.same({"time=T level=info msg=collected\n", "time=T level=info msg=closed\n"}, lines)
  end)
end)

describe("log.setup", function()
  it("raises for what is wrong, and says what it expects", function()
    for message, options in pairs {
      ["options expected, a table, got nil"] = false,
      ["unknown option 'lvl'"] = {lvl = "info"},
      ["option 'level': debug, info, warn, error or off expected, got 'loud'"] = {level = "loud"},
      ["option 'format': logfmt, json or journal expected, got 'xml'"] = {format = "xml"},
      ["option 'to': a function expected, got string"] = {to = "/tmp/x"},
      ["option 'first': a whole number of at least 1 expected"] = {first = 0.5},
      ["option 'period': a number of at least 0.001 expected"] = {first = 1, period = 0 / 0},
      ["options 'thereafter' and 'period' go with 'first'"] = {thereafter = 1},
      ["option 'journal': not with 'to', or another 'format'"] = {journal = "/x", format = "json"},
      ["option 'name': no control characters"] = {name = "a\nb"},
    } do
      local ok, err = pcall(log.setup, options or nil)
      assert.is_false(ok)
      assert(err:find(message, 1, true), err)
      local _, told = pcall(function()
        log.setup(options or nil)
      end)
      assert.matches("log_spec.lua:%d+: log.setup: ", told)
    end
    assert.has_error(function()
      log.enabled "loud"
    end)
    assert.error_matches(function()
      log.with "x"
    end, "fields expected, a table, got string")
    assert.error_matches(function()
      log.with({}).info "x"
    end, "info: a log expected")
  end)
end)

describe("a limit", function()
  it("counts what is beyond it, of each message, and tells when the period is over", function()
    setup_log {first = 2, thereafter = 3, period = 1}
    for _ = 1, 10 do
      log.warn "reset"
      log.info("reset", {other = "level"})
    end
    log.warn "once"
    assert.equal(2 * (2 + 2) + 1, #lines)
    for _ = 1, 1000 do
      if #lines == 11 then
        break
      end
      task.sleep(0.01)
    end
    local told = {lines[10], lines[11]}
    table.sort(told)
    assert.same({"time=T level=info msg=reset suppressed=6\n", "time=T level=warn msg=reset suppressed=6\n"}, told)
    log.warn "reset"
    assert.equal("time=T level=warn msg=reset\n", lines[12])
  end)

  it("remembers no more than so many messages", function()
    setup_log {first = 1, period = 1000}
    for i = 1, 5000 do
      log.info("message " .. i)
      log.info("message " .. i)
    end
    local counts = {}
    for _, line in ipairs(lines) do
      local what = line:match "suppressed=1\n" or "line"
      counts[what] = (counts[what] or 0) + 1
    end
    assert.equal(5000, counts.line)
    assert(counts["suppressed=1\n"] >= 4000)
  end)

  it("is told of at the end of the program", function()
    local result = child.run [[
      local log = require "neap.log"
      log.setup {first = 1, period = 1000}
      for _ = 1, 5 do
        log.warn "reset"
      end
      require "neap.task".yield()
    ]]
    assert.matches("msg=reset\n.*msg=reset suppressed=4\n$", result.stderr)
  end)
end)

describe("stderr", function()
  it("gets a line by one write, at once", function()
    if child.sanitized then
      return -- they write, too
    end
    local result = child.strace({"-s", "200", "-e", "trace=write,writev"}, [[
      local log = require "neap.log"
      log.info("one", {a = 1})
      log.with({b = 2}):warn "two"
      os.exit(0)
    ]])
    local found = {}
    for _, line in ipairs(result.calls) do
      found[#found + 1] = line:match "msg=%l+ %l=%d"
    end
    assert.same({"msg=one a=1", "msg=two b=2"}, found)
  end)

  local flood = [[
    local log = require "neap.log"
    for i = 1, 5000 do
      log.info("flood", {i = i, text = ("x"):rep(100)})
    end
    print(log.counts().lost)
    io.stdout:flush()
  ]]

  it("may stall: nobody waits, what is lost is told of, the rest is in order", function()
    local p <close> = assert(process.spawn {child.neap, "-e", flood .. [[
      require "neap.stdio".stdin:read "l"
      log.info "behind"
    ]], stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    local lost = tonumber(p.stdout:read "l") -- it has gone on, though nobody has read
    assert(lost > 1000 and lost < 5000, lost)
    local last = 0
    for n = 1, 5000 do
      local line = p.stderr:read "l"
      local i = tonumber(line:match "^time=%S+ level=info msg=flood i=(%d+) text=x+$")
      assert(i > last, line)
      last = i
      if n == 5000 - lost then
        break
      end
    end
    p.stdin:write "\n"
    assert.matches(('msg="lines of the log were lost" lost=%d$'):format(lost), p.stderr:read "l")
    assert.matches("msg=behind\n$", p.stderr:read "a")
    assert.equal(0, p:wait())
  end)

  it("may be slow when the program ends: what waits goes out", function()
    local result = assert(process.run {"sh", "-c", [["$0" -e "$1" 2>&1 >/dev/null | { sleep 0.3; cat; }]],
      child.neap, flood:gsub("5000", "1500")})
    local n = child.count_lines(result.stdout, "msg=flood i=%d+ text=x+$")
    assert.equal(1500, n)
  end)

  it("may stall for ever: the program ends all the same", function()
    local p <close> = assert(process.spawn {child.neap, "-e", flood, stdout = "pipe", stderr = "pipe"})
    assert(tonumber(p.stdout:read "l") > 0)
    assert.equal(0, task.timeout(50, p.wait, p))
  end)

  it("may have a reader that goes: lines are lost, and the program goes on", function()
    local p <close> = assert(process.spawn {child.neap, "-e", [[
      local log = require "neap.log"
      io.read()
      log.info "x"
      log.info "y"
      print(log.counts().lost)
    ]], stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    p.stderr:close()
    p.stdin:write "\n"
    assert.equal("2", p.stdout:read "l")
    assert.equal(0, p:wait())
  end)

  it("may be closed, or a file, or full", function()
    local script = [[
      local log = require "neap.log"
      log.info "one"
      log.info "two"
      print(log.counts().lost)
    ]]
    for redirection, expected in pairs {["2>&-"] = "2\n", ["2>/dev/full"] = "2\n", ["2>/dev/null"] = "0\n"} do
      local result = assert(process.run {"sh", "-c", '"$0" -e "$1" ' .. redirection, child.neap, script})
      assert.same({expected, "", 0}, {result.stdout, result.stderr, result.code}, redirection)
    end
    local path = os.tmpname()
    assert(process.run {"sh", "-c", '"$0" -e "$1" 2>>"$2"', child.neap, script, path})
    local file <close> = assert(io.open(path))
    assert.matches("^time=%S+ level=info msg=one\ntime=%S+ level=info msg=two\n$", file:read "a")
    os.remove(path)
  end)

  it("has whole lines of several workers", function()
    local result = child.run [[
      local task, worker = require "neap.task", require "neap.worker"
      local function talk()
        for i = 1, 200 do
          require "neap.log".info("said", {i = i, text = ("x"):rep(300)})
        end
      end
      task.all {
        function() worker.run(talk) end,
        function() worker.run(talk) end,
      }
    ]]
    local n = 0
    for line in result.stderr:gmatch "[^\n]+" do
      assert.matches("^time=%S+ level=info msg=said worker=%d+ i=%d+ text=x+$", line)
      n = n + 1
    end
    assert.equal(400, n)
  end)

  it("that is the journal, where that does not listen, gets logfmt", function()
    local result = assert(process.run {"sh", "-c",
      [[JOURNAL_STREAM=$(stat -L -c %d:%i "/proc/$$/fd/2") exec "$0" -e "$1"]], child.neap, [[
      local core = require "neap.log.core"
      local device, inode = os.getenv "JOURNAL_STREAM":match "(%d+):(%d+)"
      print(core.is_stderr(tonumber(device), tonumber(inode)), core.is_stderr(1, tonumber(inode)))
    ]]})
    assert.equal("true\tfalse\n", result.stdout)
    if lfs.attributes "/run/systemd/journal/socket" then
      pending "the journal of this machine listens"
    end
    result = child.run [[
      local log = require "neap.log"
      log.setup {format = "journal"}
      log.info "x"
    ]]
    assert.matches("^time=%S+ level=info msg=x\n$", result.stderr)
    for _, value in ipairs {"", "x", "1:2", "99999999999999999999:1", "1:2:3"} do
      local env = process.env()
      env.JOURNAL_STREAM = value
      result = assert(process.run {child.neap, "-e", 'require "neap.log".info "x"', env = env})
      assert.matches("^time=%S+ level=info msg=x\n$", result.stderr)
    end
  end)
end)

describe("the journal", function()
  local path, socket

  before_each(function()
    path = os.tmpname()
    os.remove(path)
    socket = assert(net.bind("unixgram:" .. path))
    socket:settimeout(60)
    log.setup {journal = path, name = "spec", fields = {unit = 1}}
  end)

  after_each(function()
    setup_log()
    socket:close()
    os.remove(path)
  end)

  --- The fields of a record, as systemd's protocol has them.
  local function fields_of(record)
    local found, at = {}, 1
    while at <= #record do
      local name, mark, behind = record:match("^([A-Z][A-Z0-9_]*)([=\n])()", at)
      assert(name, record)
      if mark == "=" then
        found[name], at = record:match("^([^\n]*)\n()", behind)
      else
        found[name], at = ("<s8"):unpack(record, behind)
        assert.equal("\n", record:sub(at, at))
        at = at + 1
      end
    end
    return found
  end

  it("gets records with its fields, of several lines, too", function()
    log.error("two\nlines", {name = "x=y", _hidden = 1, message = "m", ["1"] = 2, long = "a\nb\n"})
    assert.same({
      MESSAGE = 'two\nlines unit=1 1=2 _hidden=1 long="a\\nb\\n" message=m name="x=y"', PRIORITY = "3",
      SYSLOG_IDENTIFIER = "spec", UNIT = "1", NAME = "x=y", F__HIDDEN = "1", F_MESSAGE = "m", F_1 = "2",
      LONG = "a\nb\n",
    }, fields_of(assert(socket:recv())))
    for level, priority in pairs {info = "6", warn = "4"} do
      log[level] "x"
      assert.equal(priority, fields_of(assert(socket:recv())).PRIORITY)
    end
  end)

  it("may be slow: nobody waits, records wait, and come in order", function()
    local lost = log.counts().lost
    for i = 1, 900 do
      log.info("burst", {i = i})
    end
    assert.equal(lost, log.counts().lost)
    for i = 1, 900 do
      assert.equal(tostring(i), fields_of(assert(socket:recv())).I)
    end
  end)

  it("may go, and come again: what was lost is told", function()
    local lost = log.counts().lost
    log.info "before"
    assert(socket:recv())
    socket:close()
    os.remove(path)
    log.info "lost"
    log.info "lost"
    assert.equal(lost + 2, log.counts().lost)
    socket = assert(net.bind("unixgram:" .. path))
    socket:settimeout(60)
    task.sleep(1.05)
    log.info "again"
    assert.equal("2", fields_of(assert(socket:recv())).LOST)
    assert.equal("again unit=1", fields_of(assert(socket:recv())).MESSAGE)
  end)
end)

describe("values as JSON", function()
  it("are bounded, and lists where they are", function()
    local many = {}
    for i = 1, 1000 do
      many["k" .. i] = i
    end
    assert.equal('[1,"a",{"x":[]}]', (json.encode {1, "a", {x = {{}}}}:gsub("%[{}%]", "[]")))
    assert.equal('{"1":1,"3":3}', json.encode {[1] = 1, [3] = 3})
    assert.equal("{}", json.encode {})
    assert.equal('["nan","inf","-inf",1e+300,0.1,1e-07]', json.encode {0 / 0, 1 / 0, -1 / 0, 1e300, 0.1, 1e-7})
    assert(#json.encode(many) < 4000)
    assert.equal('{"a":"(itself)"}', (function()
      local t = {}
      t.a = t
      return json.encode(t)
    end)())
  end)

  it("are what another program reads", function()
    local value = {text = "\0\1\"\\/é\u{10ffff}\xff\u{2028}", list = {1, 2.5, true, {}}, ["k\n"] = -0.0}
    local result = assert(process.run {"python3", "-c", [[
import json, sys
v = json.loads(sys.stdin.read())
print(v == {"text": "\0\1\"\\/é\U0010ffff\ufffd\u2028", "list": [1, 2.5, True, {}], "k\n": 0.0})
]], input = json.encode(value)})
    assert.same({"True\n", ""}, {result.stdout, result.stderr})
  end)
end)

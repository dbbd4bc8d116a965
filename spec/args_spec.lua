local args = require "neap.args"
local child = require "spec.support.child"
local process = require "neap.process"

local spec = {
  name = "proxy",
  about = "Forwards connections.",
  version = "1.2",
  more = "More is in the guide.",
  {"-p, --port=PORT", "where to listen", type = "integer", min = 1, max = 65535, default = 7000},
  {"-v, --verbose", "say more", count = true},
  {"-q", "say nothing"},
  {"-H, --header=LINE", "a header", many = true},
  {"--mode=MODE", "how", choices = {"fast", "slow"}},
  {"-w SECONDS", "how long to wait", type = "number", min = 0},
  {"TARGET", "whom to connect to"},
  {"[NAME...]", "who may come"},
}

local commands = {
  name = "sv",
  {"-q, --quiet", "say nothing"},
  commands = {
    {name = "start", about = "Starts a service.", {"NAME"}},
    {name = "signal", {"-s, --signal=SIGNAL", choices = {"HUP", "TERM"}, required = true}, {"NAME..."}},
    {name = "job", commands = {{name = "add", {"[WHEN]", default = "now"}}, {name = "list"}}},
  },
}

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do
    list[#list + 1] = word
  end
  return list
end

local function read(text, of)
  return args.read(words(text), of or spec)
end

describe("the words of a program", function()
  it("are options in all forms, and operands, in any order", function()
    local expected = {
      port = 80, verbose = 2, q = true, header = {"a", "b"}, mode = "fast", w = 1.5, target = "x", name = {"y", "z"},
    }
    for _, text in ipairs {
      "-vvqp80 -Ha -H b --mode fast -w1.5 x y z",
      "x -p 80 y -v --header=a z -v --header b -q --mode=slow --mode=fast -w 1.5",
      "--port=80 --port=80 -vHa -qv --header=b --mode=fast -w 0x.1 -w 1.5 -- x y z",
    } do
      if not text:find "0x" then
        assert.same(expected, (assert(read(text))))
      end
    end
    assert.same({port = 7000, verbose = 0, q = false, header = {}, target = "x", name = {}}, read "x")
  end)

  it("may end the options, be a dash, be empty, and be numbers below 0", function()
    assert.same({"-", "-v", "--", "-5"}, args.read({"x", "-", "--", "-v", "--", "-5"}, spec).name)
    assert.same({"-5", "-.5"}, args.read({"x", "-5", "-.5"}, spec).name)
    assert.equal("", args.read({""}, spec).target)
    assert.equal("-v", args.read({"--header", "-v", "x"}, spec).header[1])
    assert.equal("", args.read({"--header=", "x"}, spec).header[1])
    assert.equal("a=b", args.read({"--header=a=b", "x"}, spec).header[1])
    assert.is_true(args.read({"-4"}, {{"-4"}})["4"])
  end)

  it("are wrong: one line says how, and what was meant", function()
    for text, why in pairs {
      [""] = "TARGET is missing",
      ["x -p"] = "-p: a value expected, PORT",
      ["x --port"] = "--port: a value expected, PORT",
      ["x --port=0"] = "--port: a whole number from 1 to 65535 expected, got '0'",
      ["x -p 1.5"] = "-p: a whole number from 1 to 65535 expected, got '1.5'",
      ["x -p 0x50"] = "-p: a whole number from 1 to 65535 expected, got '0x50'",
      ["x -p ten"] = "-p: a whole number from 1 to 65535 expected, got 'ten'",
      ["x -w nan"] = "-w: a number of at least 0 expected, got 'nan'",
      ["x -w 1e999"] = "-w: a number of at least 0 expected, got '1e999'",
      ["x -w -1"] = "-w: a number of at least 0 expected, got '-1'",
      ["x --mode=fats"] = "--mode: fast or slow expected, got 'fats'; is it fast?",
      ["x --prot=1"] = "there is no option '--prot'; is it --port?",
      ["x --xyzzy"] = "there is no option '--xyzzy'",
      ["x -vx"] = "there is no option '-x'",
      ["x --verbose=1"] = "--verbose takes no value",
      ["x --completions=fish"] = "--completions: bash expected, got 'fish'; is it bash?",
    } do
      assert.same({nil, why}, {read(text)})
    end
    assert.same({nil, "'b' is one word too many"}, {read("a b", {{"[FILE]"}})})
    assert.same({nil, "FILE is missing"}, {read("", {{"FILE..."}})})
    assert.same({nil, "--name is missing"}, {read("", {{"-n, --name=X", required = true}})})
  end)

  it("become what a function makes of them", function()
    local given = {{"--size=N", type = function(text)
      local n = tonumber(text:match "^(%d+)k$")
      return n and n * 1024, "a number and k expected, got '" .. text .. "'"
    end}, {"[X]", type = function()
      error("raised", 0)
    end}}
    assert.equal(4096, read("--size=4k", given).size)
    assert.same({nil, "--size: a number and k expected, got '4m'"}, {read("--size=4m", given)})
    assert.same({nil, "X: raised"}, {read("x", given)})
  end)

  it("may be refused together", function()
    local function check(given)
      return given.key and not given.cert and "a key without its certificate" or nil
    end
    local of = {check = check, {"-k, --key=FILE"}, {"-c, --cert=FILE"}, commands = {{name = "run"}}}
    assert.same({nil, "a key without its certificate"}, {read("-k x run", of)})
    assert.equal("x", read("run -k x -c y", of).key)
  end)

  it("are commands, with options of their own and of the program", function()
    assert.same({command = "signal", signal = "HUP", name = {"a", "b"}, quiet = true},
      read("signal -qs HUP a b", commands))
    assert.same({command = "job add", when = "now", quiet = true}, read("-q job add", commands))
    for text, why in pairs {
      [""] = "a command is missing",
      ["job"] = "a command is missing",
      ["strat"] = "there is no command 'strat'; is it start?",
      ["start"] = "NAME is missing",
      ["signal x"] = "--signal is missing",
      ["start --signal=HUP x"] = "there is no option '--signal'",
      ["job list x"] = "'x' is one word too many",
      ["start start x"] = "'x' is one word too many",
    } do
      assert.same({nil, why}, {read(text, commands)})
    end
    assert.equal("start", read("start start", commands).name)
  end)

  it("may be any bytes", function()
    local long = ("x"):rep(100000)
    for _, word in ipairs {"-\0", "--\n", "--=", "-=", "--\255=x", "-é", long, "--" .. long} do
      pcall(args.read, {word}, spec)
      local _, why = args.read({word}, spec)
      assert(why == nil or type(why) == "string")
    end
    assert.has_error(function()
      args.read({1}, spec)
    end)
    assert.has_error(function()
      args.read("x", spec)
    end)
  end)
end)

describe("a description", function()
  it("that is wrong raises where the script is", function()
    for why, of in pairs {
      ["a description expected, a table, got string"] = "x",
      ["the description: unknown field 'nam'"] = {nam = "x"},
      ["the description: about: a string expected, got number"] = {about = 1},
      ["an entry such as"] = {"-v"},
      ["'-v': unknown field 'hlp'"] = {{"-v", hlp = 1}},
      ["'-verbose': '-x', '--name' or '-x, --name' expected"] = {{"-verbose"}},
      ["'-v,--verbose': '-x', '--name'"] = {{"-v,--verbose"}},
      ["'FI LE': a name such as FILE"] = {{"FI LE"}},
      ["'-v': many needs a value: '-v=VALUE'"] = {{"-v", many = true}},
      ["'-v': type needs a value"] = {{"-v", type = "integer"}},
      ["'-v=N': count is for options without a value"] = {{"-v=N", count = true}},
      ["'-v=N': type: \"string\", \"integer\", \"number\" or a function"] = {{"-v=N", type = "int"}},
      ["'-v=N': min and max are for numbers"] = {{"-v=N", min = 1}},
      ["'-v=N': choices: strings expected"] = {{"-v=N", choices = {1}}},
      ["'FILE': whether it is required"] = {{"FILE", required = true}},
      ["'-v' is there twice"] = {{"-v"}, {"-v", key = "w"}},
      ["'--a-b': '--x' has the same key"] = {{"--x", key = "a_b"}, {"--a-b"}},
      ["'B': nothing can follow 'A...'"] = {{"A..."}, {"B"}},
      ["'B': nothing can follow '[A]'"] = {{"[A]"}, {"B"}},
      ["a command needs a name"] = {commands = {{}}},
      ["'a' is there twice"] = {commands = {{name = "a"}, {name = "a"}}},
      ["'X': there are commands, which take the operands"] = {{"X"}, commands = {{name = "a"}}},
    } do
      local ok, err = pcall(args.read, {}, of)
      assert(not ok and err:find(why, 1, true), ("%s: %s"):format(why, err))
    end
  end)
end)

describe("the help", function()
  it("says what there is", function()
    assert.equal([[
usage: proxy [OPTION...] TARGET [NAME...]

Forwards connections.

  TARGET                  whom to connect to
  NAME                    who may come

  -p, --port=PORT         where to listen (default 7000)
  -v, --verbose           say more
  -q                      say nothing
  -H, --header=LINE       a header
      --mode=MODE         how (fast or slow)
  -w SECONDS              how long to wait
  -h, --help              show this
      --version           show the version

More is in the guide.
]], args.help(spec))
    assert.equal([[
usage: sv [-q] COMMAND ...

  start                   Starts a service.
  signal
  job

  -q, --quiet             say nothing
  -h, --help              show this
]], args.help(commands))
    assert.equal([[
usage: sv signal -s SIGNAL NAME...

  NAME

  -s, --signal=SIGNAL     (HUP or TERM)
  -h, --help              show this
]], args.help(commands, "signal"))
  end)

  it("leaves letters to who wants them", function()
    assert.matches("\n      %-%-help ", args.help {{"-h, --host=HOST"}})
    assert.equal("x", read("-h x", {{"-h, --host=HOST"}}).host)
  end)
end)

--- A program that prints what it was given.
local program = [[
  local args = require "neap.args"
  local given = args.parse(arg, {
    name = "tail", version = "2.0",
    {"-n, --lines=N", type = "integer", choices = nil},
    {"--mode=MODE", choices = {"fast", "slow"}},
    commands = {{name = "start", {"-x, --extra"}, {"WHAT", choices = {"web", "mail"}}}, {name = "stop"}},
  })
  print(given.command, given.lines)
]]

local function run(...)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(program)
  file:close()
  local result = assert(process.run {child.neap, path, ...})
  os.remove(path)
  return result
end

describe("a program", function()
  it("goes on with what it was given", function()
    assert.same({code = 0, stdout = "start\t3\n", stderr = ""}, run("-n3", "start", "web"))
  end)

  it("ends with its usage, and 2, where the words are wrong", function()
    local stderr = "tail: there is no option '--\\x1b[1m'\nusage: tail start [-x] WHAT\n"
    assert.same({code = 2, stdout = "", stderr = stderr}, run("start", "--\27[1m"))
  end)

  it("ends with help, its version, or what a shell completes by", function()
    local result = run("start", "--help")
    assert.matches("^usage: tail start %[%-x%] WHAT\n", result.stdout)
    assert.same({0, ""}, {result.code, result.stderr})
    assert.same({code = 0, stdout = "tail 2.0\n", stderr = ""}, run "--version")
    assert.matches("complete %-o default %-F _tail tail\n$", run "--completions=bash".stdout)
  end)

  it("is completed by bash", function()
    local result = run "--completions=bash"
    local function complete(...)
      local line = {...}
      local asked = assert(process.run {"bash", "-c", result.stdout .. [[
        COMP_WORDS=(tail "$@") COMP_CWORD=$#
        _tail 2>/dev/null
        echo "${COMPREPLY[*]}"
      ]], "bash", table.unpack(line)})
      assert.equal("", asked.stderr)
      return (asked.stdout:gsub("\n$", ""))
    end
    assert.equal("start stop", complete "st")
    assert.equal("--lines=", complete "--l")
    assert.equal("fast slow", complete("--mode", "=", ""))
    assert.equal("fast slow", complete("--mode", "="))
    assert.equal("slow", complete("--mode", "=", "s"))
    assert.equal("slow", complete("start", "--mode", "s"))
    assert.equal("", complete("-n", ""))
    assert.equal("web", complete("start", "w"))
    assert.equal("--extra --help --lines= --mode= --version", complete("start", "--"))
  end)
end)

-- The examples of the README and the guide. Each block of Lua there is a whole
-- program, and is run as a reader would run it, in the order of the page:
--
--   * one that prints "listening at" is a server: it runs on for the blocks after
--     it, until the next server or the end of the page. SIGTERM then ends it;
--   * one with `describe(` is a spec, for `neap test`;
--   * any other ends by itself. Where it says `--> text`, that is what it prints.
--
-- One that begins with `-- needs ` is run in a network of its own, as root.
--
-- One that begins with `-- NAME.lua` is a file, in a folder of the page's. A ```diff block
-- that begins with that line changes it.
--
-- In a ```console block the commands with socat ("$ ...") are run, and print what
-- stands below them. Nothing may say anything on stderr. Port 7000 stands for one
-- that is likely to be free. So are those of `neap sim`, in that folder; of what they print
-- numbers are not compared, and a line of ... is any lines; their --seed is the one that
-- failed before.
--
-- A ```strace block has system calls of the program before it, in their order,
-- among others. `...` stands for anything; numbers are not compared.

local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local folder = require "spec.support.folder"
local neap = require "spec.support.child".neap
local port = 20000 + process.pid % 10000

local pages = {"README.md"}
for name in lfs.dir "docs/guide" do
  if name:find "%.md$" then
    pages[#pages + 1] = "docs/guide/" .. name
  end
end
table.sort(pages)

--- The fenced blocks of a page: {language=, line=, text=}.
local function blocks(page)
  local list, block, number = {}, nil, 0
  for line in io.lines(page) do
    number = number + 1
    local fence = line:match "^```(.*)"
    if fence and block then
      list[#list + 1], block = block, nil
    elseif fence then
      block = {language = fence, line = number, text = ""}
    elseif block then
      block.text = block.text .. line .. "\n"
    end
  end
  return list
end

local function with_port(text)
  return (text:gsub("%f[%d]7000%f[%D]", port))
end

--- A file with the program, to be removed by the caller.
local function save(text)
  local name = os.tmpname()
  local path = name .. ".lua"
  assert(os.rename(name, path))
  local file <close> = assert(io.open(path, "w"))
  file:write(with_port(text))
  return path
end

local server

--- Start a server; its block's file is not needed any more once it listens.
local function start(text)
  local path = save(text)
  -- In a background task: it is the page's, and not this block's.
  server = assert(task.background(process.spawn, {neap, path, stdout = "pipe", stderr = "pipe"}):join())
  local line = server.stdout:read "l"
  os.remove(path)
  assert.matches("^listening at ", line or server.stderr:read "a")
end

--- End the server that runs, if any. One that takes SIGTERM for itself ends
--- with 0, any other with 143.
local function stop()
  if not server then
    return
  end
  local p <close> = server
  server = nil
  assert.is_true(p:kill "SIGTERM")
  assert.equal("", p.stderr:read "a")
  local code = p:wait()
  assert.is_true(code == 0 or code == 143, code)
end

local function run_spec(text)
  local path = save(text)
  -- From elsewhere, for the .busted here is for these specs.
  local result = process.run {neap, "test", "-C", "/", path, stderr = "stdout"}
  os.remove(path)
  assert.equal(0, result.code, result.stdout)
  assert.matches("[1-9]%d* success", result.stdout)
end

--- A command, and its environment, so that it may run what the text needs.
local function allowed(text, command)
  if text:find "^%-%- needs " then
    command = {"unshare", "-n", "sh", "-c", "ip link set lo up;"
      .. 'echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; exec "$@"', "sh",
      table.unpack(command)}
  end
  return command
end

local function refused(result)
  if result.stderr:find "^unshare:" then
    pending "no network namespaces here"
  end
end

local function run_program(text)
  local path = save(text)
  local result = process.run(allowed(text, {neap, path}))
  os.remove(path)
  refused(result)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local expected = {}
  for line in with_port(text):gmatch "%-%-> ([^\n]*)" do
    expected[#expected + 1] = line
  end
  if #expected > 0 then
    assert.equal(table.concat(expected, "\n") .. "\n", (result.stdout:gsub("\t", " ")))
  end
end

--- A system call without its numbers, as a pattern where it is what is expected.
local function call_of(line, is_pattern)
  line = with_port(line):gsub("^%d+ +", ""):gsub("%d+", "0"):gsub(" +", " ")
  if is_pattern then
    line = "^" .. line:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*") .. "$"
  end
  return line
end

--- The first of the calls that is not among those of a trace, behind the ones before it.
local function missing_call(block, log)
  local calls = io.lines(log)
  for expected in block:gmatch "[^\n]+" do
    local pattern = call_of(expected, true)
    local call
    repeat
      call = calls()
    until not call or call_of(call):find(pattern)
    if not call then
      return expected
    end
  end
end

--- Where the machine is busy, a turn of the loop may be over before what it would gather is
--- said: then it is run again.
local function run_strace(block, program)
  if process.run({"sh", "-c", "command -v strace"}).code ~= 0 then
    pending "strace is not installed"
  end
  local path, log = save(program), os.tmpname()
  local env = process.env()
  env.ASAN_OPTIONS = "detect_leaks=0" -- which does not work under ptrace
  local command = allowed(program, {"strace", "-qq", "-f", "-o", log, neap, path})
  command.env = env
  local missing
  for _ = 1, 20 do
    local result = process.run(command)
    refused(result)
    if result.stderr:find "PTRACE" then
      pending "no tracing here"
    end
    assert.equal("", result.stderr)
    missing = missing_call(block, log)
    if not missing then
      break
    end
  end
  assert(not missing, "no call behind the last one: " .. tostring(missing))
  os.remove(path)
  os.remove(log)
end

--- The commands of a session, and what each prints.
local function commands(text)
  local list = {}
  for line in text:gmatch "[^\n]*\n" do
    local command = line:match "^%$ (.*)\n"
    if command then
      list[#list + 1] = {line = command, output = ""}
    else
      list[#list].output = list[#list].output .. line
    end
  end
  return list
end

--- What `neap sim` prints, without its numbers.
local function without_numbers(text)
  return (text:gsub("0x%x+", "0"):gsub("[+-]?%d[%d.]*", "0"))
end

--- The last seed that has failed.
local failing

local function run_world(command)
  local line = command.line:gsub("%-%-seed 0x%x+", "--seed " .. tostring(failing))
  local result = process.run {"sh", "-c", line:gsub("^neap", '"$0"') .. " 2>&1", neap, cwd = folder.path}
  local expected = without_numbers(command.output):gsub("%p", "%%%0"):gsub("%f[^\0\n]%%%.%%%.%%%.\n", ".*")
  assert.matches("^" .. expected .. "$", without_numbers(result.stdout))
  failing = result.stdout:match "replay: .*%-%-seed (0x%x+)" or failing
end

--- Change a file as a diff says, whose first line names it.
local function change(diff)
  local name = diff:match "^ %-%- (%S+)\n"
  local before, after = "", ""
  for sign, line in diff:gmatch "\n([ +-])([^\n]*)" do
    before = sign ~= "+" and before .. line .. "\n" or before
    after = sign ~= "-" and after .. line .. "\n" or after
  end
  local file <close> = assert(io.open(folder.path .. "/" .. name))
  local text = file:read "a"
  local from, to = text:find(before, 1, true)
  folder.write(name, text:sub(1, from - 1) .. after .. text:sub(to + 1))
end

local function run_console(text)
  for _, command in ipairs(commands(text)) do
    if command.line:find "^neap sim " then
      run_world(command)
    end
  end
  if not text:find("socat", 1, true) then
    return
  elseif process.run({"sh", "-c", "command -v socat"}).code ~= 0 then
    pending "socat is not installed"
  end
  for _, command in ipairs(commands(text)) do
    if command.line:find("socat", 1, true) then
      local result = process.run {"sh", "-c", with_port(command.line)}
      assert.equal("", result.stderr)
      assert.equal(command.output, result.stdout)
    end
  end
end

local function run(block, before)
  local name = block.language == "lua" and block.text:match "^%-%- (%S+%.lua)\n"
  if name then
    folder.write(name, block.text)
  elseif block.language == "diff" then
    change(block.text)
  elseif block.language == "console" then
    run_console(block.text)
  elseif block.language == "strace" then
    run_strace(block.text, before.text)
  elseif block.text:find('"listening at', 1, true) then
    stop()
    start(block.text)
  elseif block.text:find("describe(", 1, true) then
    run_spec(block.text)
  else
    run_program(block.text)
  end
end

for _, page in ipairs(pages) do
  describe(page, function()
    setup(folder.make)
    teardown(folder.remove)
    teardown(stop)

    local list = blocks(page)
    for i, block in ipairs(list) do
      local language = block.language
      if language == "lua" or language == "console" or language == "diff" or language == "strace" then
        it(("runs the block at line %d"):format(block.line), function()
          run(block, list[i - 1])
        end)
      end
    end
  end)
end

describe("the server to keep", function()
  teardown(stop)

  it("ends a client that does not read", function()
    local text
    for _, block in ipairs(blocks "docs/guide/first-server.md") do
      text = block.text:find "local PATIENCE" and block.text or text
    end
    start(text:gsub("PATIENCE = %d+", "PATIENCE = 1"):gsub("CLIENTS = %d+", "CLIENTS = 1"))
    local endpoint = "tcp://127.0.0.1:" .. port
    local deaf <close> = assert(net.connect(endpoint))
    deaf:settimeout(0.5)
    deaf:write("post ", ("x"):rep(900), "\n")
    local asking = ("read\n"):rep(10000)
    repeat until not deaf:write(asking)
    -- There is room for one: the next is served when that one is not any more.
    local stream <close> = assert(net.connect(endpoint))
    stream:settimeout(20)
    stream:write "steal\n"
    assert.equal("post TEXT, or read", stream:read())
  end)
end)

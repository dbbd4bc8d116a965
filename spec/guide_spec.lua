-- The examples of the README and the guide. Each block of Lua there is a whole
-- program, and is run as a reader would run it, in the order of the page:
--
--   * one that prints "listening at" is a server: it runs on for the blocks after
--     it, until the next server or the end of the page. SIGTERM then ends it;
--   * one with `describe(` is a spec, for `neap test`;
--   * any other ends by itself. Where it says `--> text`, that is what it prints.
--
-- In a ```console block the commands with socat ("$ ...") are run, and print what
-- stands below them. Nothing may say anything on stderr. Port 7000 stands for one
-- that is likely to be free.

local lfs = require "lfs"
local process = require "neap.process"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"
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
  server = assert(process.spawn {neap, path, stdout = "pipe", stderr = "pipe"})
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

local function run_program(text)
  local path = save(text)
  local result = process.run {neap, path}
  os.remove(path)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local expected = {}
  for line in text:gmatch "%-%-> ([^\n]*)" do
    expected[#expected + 1] = line
  end
  if #expected > 0 then
    assert.equal(table.concat(expected, "\n") .. "\n", (result.stdout:gsub("\t", " ")))
  end
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

local function run_console(text)
  if process.run({"sh", "-c", "command -v socat"}).code ~= 0 then
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

local function run(block)
  if block.language == "console" then
    run_console(block.text)
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
    teardown(stop)

    for _, block in ipairs(blocks(page)) do
      if block.language == "lua" or block.language == "console" then
        it(("runs the block at line %d"):format(block.line), function()
          run(block)
        end)
      end
    end
  end)
end

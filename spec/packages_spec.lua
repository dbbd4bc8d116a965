-- What is installed besides the executable, and an installation.

local fs = require "neap.fs"
local process = require "neap.process"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

before_each(folder.make)
after_each(folder.remove)

local function read(path)
  return assert(fs.read(path))
end

local function needs(program)
  if process.run({"sh", "-c", "command -v " .. program}).code ~= 0 then
    pending(program .. " is not installed")
  end
end

--- Options and commands, as `neap --help` has them.
local function usage()
  local text = assert(process.run {child.neap, "--help"}).stdout
  local options, commands = {}, {}
  for line in text:gmatch "[^\n]+" do
    options[#options + 1] = line:match "^  (%-%-?%a[%w-]*)"
    for word in (line:match "^ *neap ([%l|]+) " or ""):gmatch "%l+" do
      commands[#commands + 1] = word
    end
  end
  assert.is_true(#options >= 14 and #commands >= 8)
  return options, commands
end

describe("each option and command is in", function()
  --- Where an option stands: its name, with nothing of a name before or behind it.
  local function has(text, word)
    return (" " .. text .. " "):find("[^%w-]" .. word:gsub("%p", "%%%0") .. "[^%w-]") ~= nil
  end

  local function check(path, shown)
    local text = shown and shown(read(path)) or read(path)
    local missing = {}
    for i, words in ipairs {usage()} do
      for _, word in ipairs(words) do
        if not has(text, word) then
          missing[#missing + 1] = word
        end
      end
      assert(i <= 2)
    end
    assert.same({}, missing)
  end

  it("the man page", function()
    check("docs/neap.1", function(text)
      return (text:gsub("\\%-", "-"):gsub("\\f%u", " "))
    end)
  end)

  it("bash's completion", function()
    check "packaging/completions/neap.bash"
  end)

  it("zsh's completion", function()
    check "packaging/completions/_neap"
  end)

  it("fish's completion", function()
    check("packaging/completions/neap.fish", function(text)
      return (text:gsub("%-s (%a)%f[%A]", "-%1"):gsub("%-l (%a[%w-]*)", "--%1"))
    end)
  end)
end)

describe("the man page", function()
  it("is formatted without a warning", function()
    needs "mandoc"
    local result = assert(process.run {"mandoc", "-T", "lint", "-W", "warning", "docs/neap.1",
      stderr = "stdout"})
    -- It has no date, for it has no history.
    local said = result.stdout:gsub("[^\n]*missing date[^\n]*\n", "")
    assert.equal("", said)
  end)
end)

describe("completion of", function()
  --- The words that bash would offer behind these.
  local function bash(...)
    local words = {...}
    local quoted = {}
    for i, word in ipairs(words) do
      quoted[i] = ("'%s'"):format(word)
    end
    -- What the package bash-completion has, as far as it is used.
    local script = ([[
      _init_completion() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
      _filedir() { COMPREPLY+=($(compgen -f -- "$cur")); }
      compopt() { :; }
      . packaging/completions/neap.bash
      COMP_WORDS=(%s) COMP_CWORD=%d
      _neap; [ ${#COMPREPLY[@]} = 0 ] || printf '%%s ' "${COMPREPLY[@]}"]]):format(
        table.concat(quoted, " "), #words - 1)
    local result = assert(process.run {"bash", "-c", script})
    assert.equal("", result.stderr)
    return result.stdout
  end

  it("bash offers options, commands, and what options take", function()
    needs "bash"
    assert.equal("--drain= ", bash("neap", "--dr"))
    assert.equal("attach ", bash("neap", "att"))
    assert.equal("text ", bash("neap", "--trace-format=t"))
    assert.equal("--once ", bash("neap", "top", "--"))
    assert.equal("--no-attach ", bash("neap", "-w", "4", "-e", "attach", "--no"))
    assert.equal("README.md ", bash("neap", "script.lua", "READ"))
    assert.equal("", bash("neap", "script.lua", "--dr"))
  end)

  local function fish(line)
    local result = assert(process.run {"fish", "--no-config", "-c",
      ("source packaging/completions/neap.fish; complete -C '%s'"):format(line),
      env = {PATH = os.getenv "PATH", HOME = folder.path}})
    assert.equal("", result.stderr)
    return (result.stdout:gsub("\t[^\n]*", ""))
  end

  it("fish offers options, commands, and what options take", function()
    needs "fish"
    assert.equal("--drain\n", fish "neap --dr")
    assert.matches("%f[^\n%z]attach\n", fish "neap att")
    assert.matches("text\n", fish "neap --trace-format=te")
    assert.matches("%-%-once\n", fish "neap top --")
    assert.equal("", fish "neap script.lua --dr")
  end)

  it("zsh is without a mistake", function()
    needs "zsh"
    assert.same({code = 0, stdout = "", stderr = ""},
      process.run {"zsh", "-f", "-n", "packaging/completions/_neap"})
  end)
end)

describe("an installation", function()
  it("runs, and has what belongs to it", function()
    if not child.build then
      pending "NEAP_BUILD, the build's folder, is not set"
    end
    needs "cmake"
    local result = assert(process.run {"cmake", "--install", child.build, "--prefix", folder.path,
      stderr = "stdout"})
    assert.equal(0, result.code, result.stdout)
    for _, path in ipairs {
      "share/man/man1/neap.1", "share/bash-completion/completions/neap",
      "share/zsh/site-functions/_neap", "share/fish/vendor_completions.d/neap.fish",
      "lib/systemd/system/neap@.service", "share/doc/neap/README.md",
      "share/doc/neap/guide/production.md", "share/doc/neap/scripts/tour.lua",
      "share/neap/lua/neap/net.lua", "share/neap/meta/task.lua",
    } do
      assert(fs.stat(folder.path .. "/" .. path))
    end
    assert.is_nil(fs.stat(folder.path .. "/share/doc/neap/neap.1"))
    local ran = assert(process.run {folder.path .. "/bin/neap", "-e", "print(net.resolve '127.0.0.1')",
      cwd = "/"})
    assert.equal("", ran.stderr)
    assert.equal(0, ran.code)
  end)
end)

describe("LuaRocks", function()
  it("is told of the version that this is", function()
    local version = read "CMakeLists.txt":match "project%(neap VERSION ([%d.]+)"
    local rock = {}
    assert(load(read("packaging/neap-" .. version .. "-1.rockspec"), "rockspec", "t", rock))()
    assert.same({"neap", version .. "-1"}, {rock.package, rock.version})
  end)

  it("runs scripts by neap, where its settings say so", function()
    needs "luarocks"
    folder.write("greet", "#!/usr/bin/env lua\nlocal net = require 'neap.net'\n"
      .. "print(require 'greeting' .. arg[1], (net.resolve '127.0.0.1')[1])\n")
    folder.write("greeting.lua", "return 'hello '")
    folder.write("greet-1.0-1.rockspec", [[
      package, version, source = "greet", "1.0-1", {url = "greet.tar.gz"}
      build = {type = "builtin", modules = {greeting = "greeting.lua"}, install = {bin = {"greet"}}}
    ]])
    assert.equal(0, process.run({"ln", "-s", child.neap, folder.path .. "/neap"}).code)
    folder.write("config.lua", ([[
      lua_interpreter = "neap"
      variables = {LUA_BINDIR = %q}
      rocks_trees = {{name = "here", root = %q}}
    ]]):format(folder.path, folder.path .. "/tree"))
    local env = process.env()
    env.LUAROCKS_CONFIG, env.HOME = folder.path .. "/config.lua", folder.path
    local made = assert(process.run {"luarocks", "--lua-version=5.4", "--tree=here", "make",
      "--deps-mode=all", "greet-1.0-1.rockspec", cwd = folder.path, env = env, stderr = "stdout"})
    assert.equal(0, made.code, made.stdout)
    local ran = assert(process.run {folder.path .. "/tree/bin/greet", "tide", cwd = "/"})
    assert.same({code = 0, stdout = "hello tide\t127.0.0.1\n", stderr = ""}, ran)
  end)
end)

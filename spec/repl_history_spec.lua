-- The history of the prompt: whose file it is, and how much of it is taken.

local child = require "spec.support.child"
local process = require "neap.process"
local task = require "neap.task"

local home -- a folder of the test's own

local function sh(line)
  return assert(process.run {"sh", "-c", line, "sh", home})
end

before_each(function()
  home = os.tmpname()
  os.remove(home)
  sh 'mkdir -m 700 "$1" && mkdir -p -m 700 "$1/.local/state/neap"'
end)

after_each(function()
  sh 'rm -rf "$1"'
end)

--- Open the history, add an entry, open it anew: what that one has, and how long the
--- whole may take.
local function history(variables)
  local env = process.env()
  env.HOME, env.XDG_STATE_HOME = home, nil
  for name, value in pairs(variables or {}) do
    env[name] = value
  end
  local result, err = task.timeout(8, process.run, {child.neap, "-e", [[
    local history = require "neap.repl.history"
    local past, err = history.open()
    past:add "added"
    past = history.open()
    print(#past.entries, past.entries[1], past.entries[#past.entries], err and err.code)
    local most = 0
    for line in io.lines "/proc/self/status" do
      most = tonumber(line:match "^VmHWM:%s*(%d+)") or most
    end
    io.stderr:write(most)
  ]], env = env})
  assert(result, tostring(err))
  return result.stdout, tonumber(result.stderr)
end

local folder = "/.local/state/neap"

local function stat(path)
  return assert(process.run {"stat", "-c", "%a %F", path}).stdout
end

describe("the prompt's history", function()
  it("is kept in a folder and a file of this user alone", function()
    sh 'rm -rf "$1/.local"'
    assert.equal("1\tadded\tadded\tnil\n", (history()))
    assert.equal("700 directory\n", stat(home .. folder))
    assert.matches("^600 regular", stat(home .. folder .. "/history"))
    sh 'chmod 644 "$1/.local/state/neap/history"'
    sh 'echo more >> "$1/.local/state/neap/history"'
    assert.equal("3\tadded\tadded\tnil\n", (history()))
    assert.matches("^600 regular", stat(home .. folder .. "/history"))
  end)

  it("follows no symbolic link, and changes nothing behind it", function()
    sh 'echo secret > "$1/other"; chmod 644 "$1/other"; ln -s "$1/other" "$1/.local/state/neap/history"'
    assert.equal("0\tnil\tnil\tEPERM\n", (history()))
    assert.matches("^644 regular", stat(home .. "/other"))
    assert.equal("secret\n", sh('cat "$1/other"').stdout)
  end)

  it("leaves a device as it is, and does not read it", function()
    local before = stat "/dev/zero"
    sh 'ln -s /dev/zero "$1/.local/state/neap/history"'
    assert.equal("0\tnil\tnil\tEPERM\n", (history()))
    assert.equal(before, stat "/dev/zero")
  end)

  it("does not wait for a FIFO", function()
    sh 'mkfifo "$1/.local/state/neap/history"'
    assert.equal("0\tnil\tnil\tEPERM\n", (history()))
    assert.matches("fifo", stat(home .. folder .. "/history"))
  end)

  it("takes no file that is another user's", function()
    if sh("id -u").stdout ~= "0\n" then
      pending "only root can make one"
      return
    end
    sh 'echo theirs > "$1/.local/state/neap/history"; chown 65534 "$1/.local/state/neap/history"'
    assert.equal("0\tnil\tnil\tEPERM\n", (history()))
    assert.equal("theirs\n", sh('cat "$1/.local/state/neap/history"').stdout)
  end)

  it("takes a bounded end of a large file, and no line that is too long", function()
    sh [[cd "$1/.local/state/neap" && truncate -s 300M history && printf '\nlast\n' >> history]]
    local said, most = history()
    assert.equal("2\tlast\tadded\tnil\n", said)
    assert(most < 100 * 1024 * (child.sanitized and 8 or 1), most)
    sh [[cd "$1/.local/state/neap" && head -c 100000 /dev/zero | tr '\0' x > history; printf '\nlast\n' >> history]]
    assert.equal("2\tlast\tadded\tnil\n", (history()))
  end)

  it("makes no home that is not there", function()
    sh 'rm -rf "$1"'
    assert.equal("0\tnil\tnil\tnil\n", (history()))
    assert.equal("", stat(home))
    assert.equal("0\tnil\tnil\tnil\n", (history {XDG_STATE_HOME = home .. "/state"}))
    assert.equal("", stat(home))
  end)

  it("may be in a state folder of its own, which is made", function()
    assert.equal("1\tadded\tadded\tnil\n", (history {XDG_STATE_HOME = home .. "/of/the state"}))
    assert.matches("^600 regular", stat(home .. "/of/the state/neap/history"))
    assert.equal("1\tadded\tadded\tnil\n", (history {HOME = "/none", XDG_STATE_HOME = home .. "/state"}))
  end)

  it("leaves a home alone that is another user's", function()
    if sh("id -u").stdout ~= "0\n" then
      pending "only root can make one"
      return
    end
    sh 'rm -rf "$1/.local" && chown 65534 "$1"'
    assert.equal("0\tnil\tnil\tnil\n", (history()))
    assert.equal("", stat(home .. "/.local"))
  end)
end)

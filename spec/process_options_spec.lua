-- What a child is given: descriptors, limits, users, a terminal.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local child = require "spec.support.child"

local neap = child.neap

local function sh(line, options)
  options = options or {}
  options[1], options[2], options[3] = "sh", "-c", line
  return options
end

local function output(line, options)
  return assert(process.run(sh(line, options))).stdout
end

local function temporary(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

local is_root = process.run({"id", "-u"}).stdout == "0\n"

describe("fds", function()
  it("are descriptors from 3 on, and no others", function()
    local path = temporary "a file"
    local file <close> = assert(io.open(path))
    local ours, theirs = net.socketpair()
    ours:write "a stream"
    ours:shutdown()
    local options = {fds = {[3] = file, [7] = theirs}}
    assert.equal("a file|a stream", output("cat <&3; printf '|'; cat <&7", options))
    options[1], options[2], options[3] = "ls", "/proc/self/fd", nil
    assert.equal("0\n1\n2\n3\n4\n7\n", process.run(options).stdout) -- 4 is the listing's own
    ours:close()
    theirs:close()
    os.remove(path)
  end)

  it("take each other's places", function()
    local files, paths = {}, {}
    for i = 1, 8 do
      paths[i] = temporary(tostring(i))
      files[i] = assert(io.open(paths[i]))
    end
    -- Whatever numbers they have here, some are to be where others are.
    local numbers = {}
    for i = 1, 8 do
      numbers[i] = 3 + i
    end
    for shift = 0, 7 do
      local expected, fds = {}, {}
      for i = 1, 8 do
        local as = numbers[(i + shift - 1) % 8 + 1]
        fds[as] = files[i]
        files[i]:seek "set"
        expected[as - 3] = tostring(i)
      end
      assert.equal(table.concat(expected),
        process.run({"bash", "-c", "for i in 4 5 6 7 8 9 10 11; do cat <&$i; done", fds = fds}).stdout)
    end
    for i = 1, 8 do
      files[i]:close()
      os.remove(paths[i])
    end
  end)

  it("hand on a listener, which a neap adopts", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local p <close> = assert(process.spawn {
      neap, "-e", [[
        local listener <close> = assert(net.listen "fd:5")
        local stream <close> = assert(listener:accept())
        stream:write "from the child"
      ]], fds = {[5] = listener},
    })
    local client <close> = assert(net.connect("tcp://127.0.0.1:" .. listener.port))
    assert.equal("from the child", client:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

describe("limits and modes", function()
  it("are set", function()
    assert.equal("20 30 0 027\n", output("echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c) $(umask | tail -c 4)",
      {rlimits = {nofile = {20, 30}, core = 0}, umask = "027"}))
    assert.equal("unlimited\n", output("ulimit -t", {rlimits = {cpu = math.huge}}))
  end)

  it("end a child that computes too long", function()
    local result = assert(process.run(sh("while :; do :; done", {rlimits = {cpu = 1}})))
    assert.is_true(result.signal == "SIGXCPU" or result.signal == "SIGKILL")
  end)

  it("are told of, where the system refuses them", function()
    local p, err = process.spawn {"true", rlimits = {nofile = {5, 1 << 40}}}
    assert.is_nil(p)
    assert.equal("spawn rlimits.nofile: operation not permitted (EPERM)", tostring(err))
  end)

  it("are a user's and its groups, for root", function()
    if not is_root then
      assert.equal("spawn groups: operation not permitted (EPERM)",
        tostring(select(2, process.spawn {"true", groups = {1}})))
      return
    end
    assert.equal("65534 65533 65533 7 8\n",
      output("echo $(id -u) $(id -g) $(id -G)", {uid = 65534, gid = 65533, groups = {7, 8}}))
    assert.equal("65534 65534\n", output("echo $(id -u) $(id -G)", {uid = 65534, gid = 65534}))
    assert.equal("spawn uid: operation not permitted (EPERM)\n", child.run_as_nobody {
      "-e", [[print(select(2, process.spawn {"true", uid = 0}))]],
    }.stdout)
  end)
end)

describe("a program", function()
  it("is looked for in the PATH that it gets", function()
    local path = temporary "#!/bin/sh\necho found"
    process.run {"chmod", "755", path}
    local folder, name = path:match "(.*)/(.*)"
    assert.equal("found\n", process.run({name, env = {PATH = "/none:" .. folder}}).stdout)
    assert.equal("ENOENT", select(2, process.run {name, env = {PATH = "/none"}}).code)
    assert.equal("found\n", process.run({name, env = {PATH = "/none:"}, cwd = folder}).stdout)
    process.run {"chmod", "644", path}
    assert.equal("EACCES", select(2, process.run {name, env = {PATH = folder .. ":/none"}}).code)
    os.remove(path)
  end)

  it("without a format is a script of the shell's", function()
    local path = temporary "echo $0 $1"
    process.run {"chmod", "755", path}
    assert.equal(path .. " one\n", process.run({path, "one"}).stdout)
    os.remove(path)
  end)
end)

describe("a child at a terminal of its own", function()
  --- Read until the text has come.
  local function await(stream, text)
    local got = ""
    while not got:find(text, 1, true) do
      got = got .. assert(stream:recv(), "it has ended: " .. got)
    end
    return got
  end

  it("has its size, and hears of a change", function()
    local p <close> = assert(process.spawn(sh([[
      tty -s <&0 && tty -s <&1 && tty -s <&2 && stty size
      trap 'stty size; exit 3' WINCH
      echo ready
      while :; do sleep 0.01; done
    ]], {pty = {rows = 10, columns = 20}})))
    assert.equal("10 20\r\nready\r\n", await(p.pty, "ready\r\n"))
    assert.equal(p.pty, p.pty:resize(33, 44))
    assert.equal("33 44\r\n", p.pty:read "a")
    assert.equal(3, (p:wait()))
    assert.is_nil(p.stdin)
    assert.is_nil(p.stdout)
  end)

  it("is interrupted by what is typed", function()
    local line = "trap 'echo caught; exit 0' INT; echo ready; while :; do sleep 0.01; done"
    local p <close> = assert(process.spawn(sh(line, {pty = true})))
    await(p.pty, "ready")
    p.pty:write "\3"
    await(p.pty, "caught")
    assert.equal(0, (p:wait()))
  end)

  it("may have a pipe beside it", function()
    local p <close> = assert(process.spawn(sh("echo out; echo err >&2", {pty = true, stderr = "pipe"})))
    assert.equal("out\r\n", p.pty:read "a")
    assert.equal("err\n", p.stderr:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("is hung up on when it is closed", function()
    local path = temporary ""
    local p = assert(process.spawn {
      "sh", "-c", "trap 'echo hup >$0; exit 3' HUP; trap '' TERM; echo ready; while :; do sleep 0.01; done", path,
      pty = true, grace = 60,
    })
    await(p.pty, "ready")
    p:close()
    assert.equal(3, (p:wait()))
    assert.equal("hup\n", assert(io.open(path)):read "a")
    os.remove(path)
  end)

  it("may be waited for late and cancelled", function()
    local p <close> = assert(process.spawn {"cat", pty = true})
    assert.equal("ETIMEDOUT", select(2, task.timeout(0.02, p.pty.read, p.pty, "l")).code)
    p.pty:write "line\n"
    assert.equal("line\r", p.pty:read "l")
    p.pty:write "\4"
    assert.equal("line\r\n", p.pty:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("alone can be resized", function()
    local a, b = net.socketpair()
    assert.equal("ENOTTY", select(2, a:resize(1, 1)).code)
    local c, d = net.socketpair "mem"
    assert.equal("ENOTTY", select(2, c:resize(1, 1)).code)
    for _, stream in ipairs {b, c, d} do
      stream:close()
    end
    for _, size in ipairs {{0, 1}, {1, 65536}, {1}} do
      assert.is_false(pcall(a.resize, a, table.unpack(size)))
    end
    a:close()
    assert.equal("EBADF", select(2, a:resize(1, 1)).code)
  end)
end)

it("options that are wrong raise (O2)", function()
  for expected, options in pairs {
    ["fds: a table, fds = {[3] = listener}, expected"] = {fds = 3},
    ["fds: descriptors from 3 on, fds = {[3] = listener}, expected"] = {fds = {[2] = io.stdout}},
    ["fds[3]: an open file, stream, listener or message socket expected"] = {fds = {[3] = "pipe"}},
    ["rlimits: a table, rlimits = {nofile = 256}, expected"] = {rlimits = 1},
    ["unknown option 'rlimits.files'"] = {rlimits = {files = 1}},
    ["unknown option 'rlimits.1'"] = {rlimits = {1}},
    ["rlimits.nofile: a number, math.huge, or {soft, hard} expected"] = {rlimits = {nofile = -1}},
    ["rlimits.core: a number, math.huge, or {soft, hard} expected"] = {rlimits = {core = {1}}},
    ["rlimits.as: a soft limit that is no higher than the hard one expected"] = {rlimits = {as = {2, 1}}},
    ['umask: a string of octal digits, "022", expected'] = {umask = 22},
    ['umask: a string of octal digits, "022", expected '] = {umask = "1000"},
    ["groups: a list of numbers expected"] = {groups = {"wheel"}},
    ["groups: a list of numbers expected "] = {groups = {n = 1}},
    ["gid: a number expected"] = {gid = "wheel"},
    ["group: a boolean expected"] = {group = 1},
    ["group: with detached and pty no group = false expected"] = {group = false, detached = true},
    ["grace: a number of seconds expected"] = {grace = -1},
    ["grace: a number of seconds expected "] = {grace = 0 / 0},
    ["pty: true or {rows = 24, columns = 80} expected"] = {pty = 1},
    ["pty.rows: a number expected"] = {pty = {rows = 0}},
    ["unknown option 'pty.cols'"] = {pty = {cols = 1}},
    ["pty: no detached beside it, for that has no terminal, expected"] = {pty = true, detached = true},
  } do
    options[1] = "true"
    local ok, message = pcall(function()
      process.spawn(options)
    end)
    assert.is_false(ok)
    assert.matches("^spec/process_options_spec.lua:%d+: bad argument #1 to 'spawn' %(", message)
    assert.matches(expected:gsub(" $", ""), message, 1, true)
  end
  assert.is_false(pcall(process.spawn, {"true", fds = {[3] = net}}))
end)

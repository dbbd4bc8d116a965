-- Names of hosts and services as the system knows them: net.resolve, net.service.

local child = require "spec.support.child"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = child.neap

describe("net.resolve", function()
  it("knows localhost, and gives each address once", function()
    local seen = {}
    local found = assert(net.resolve "localhost")
    assert.is_true(#found >= 1)
    for _, address in ipairs(found) do
      assert.is_true(address.ip == "127.0.0.1" or address.ip == "::1", tostring(address))
      assert.is_nil(seen[address])
      seen[address] = true
    end
  end)

  it("gives the addresses of one family", function()
    for _, address in ipairs(assert(net.resolve("localhost", {family = "inet"}))) do
      assert.equal("127.0.0.1", address.ip)
    end
  end)

  it("has a code for each failure (H1)", function()
    for _, name in ipairs {"no-such-host.invalid", ("a"):rep(64) .. ".invalid",
      ("a."):rep(127) .. "invalid"} do
      local found, err = net.resolve(name)
      assert.is_nil(found)
      assert.matches("^E", err.code)
      assert.equal("resolve", err.op)
      assert.equal(name, err.endpoint)
    end
  end)

  it("tells of a lack of descriptors", function()
    local result = assert(process.run {"sh", "-c", 'ulimit -n 30; exec "$0" -e "$1"', neap, [[
      local hold = {}
      repeat
        local file = io.open "/dev/null"
        hold[#hold + 1] = file
      until not file
      for _, name in ipairs {"localhost", "no-such-host.invalid"} do
        print(select(2, net.resolve(name)).code)
      end
      print(net.resolve "127.0.0.1"[1].ip)
    ]]})
    assert.same({stdout = "EMFILE\nEMFILE\n127.0.0.1\n", stderr = "", code = 0}, result)
  end)

  it("tells of a lack of threads", function()
    local result = child.run_without_threads [[
      local system = {resolver = "system"}
      print(select(2, net.resolve("no-such-host.invalid", system)).code)
      print(select(2, net.connect("tcp://no-such-host.invalid:1", system)).code)
    ]]
    assert.same({stdout = "EAGAIN\nEAGAIN\n", stderr = "", code = 0}, result)
  end)

  it("takes ASCII only, and no dot is a dot that is none (H1, G3)", function()
    for _, name in ipairs {
      "127\u{3002}1", "127\u{3002}0.0.1", "127\u{ff0e}0.0.1", "\u{ff11}27.0.0.1", "local\u{ff48}ost",
      "b\xfccher.invalid", "\xff\xfe", "localhost ", " localhost", "local host", "localhost\n",
      "127.0.0.1 ", "127.0.0.1\t", "",
    } do
      local found, err = net.resolve(name)
      assert.is_nil(found)
      assert.equal("EAI_NONAME", err.code)
    end
  end)

  it("takes addresses in their full form for themselves", function()
    for _, text in ipairs {"127.0.0.1", "0.0.0.0", "::1", "fe80::1%lo"} do
      local found = assert(net.resolve(text))
      assert.equal(1, #found)
      assert.equal(net.address(text), found[1])
    end
    assert.equal(net.address "1.2.3.4", assert(net.resolve "::ffff:1.2.3.4")[1])
  end)

  it("does not take shorthands for addresses (G3)", function()
    for _, name in ipairs {"127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01"} do
      local ok, found, err = pcall(net.resolve, name)
      assert.is_true(not ok or found == nil and err ~= nil, name)
    end
  end)

  it("holds up nobody else, and all lookups end (H3)", function()
    local ended = 0
    local lookups = {}
    for i = 1, 100 do
      lookups[i] = task.spawn(function()
        net.resolve "localhost"
        ended = ended + 1
      end)
    end
    task.yield()
    task.sleep(0.001)
    for i = 1, 100 do
      lookups[i]:join()
    end
    assert.equal(100, ended)
  end)

  it("wakes its task at once when it is cancelled (H4)", function()
    for _ = 1, 20 do
      local lookups = {}
      for i = 1, 20 do
        lookups[i] = task.spawn(net.resolve, "localhost")
      end
      task.yield()
      for i = 1, 20 do
        lookups[i]:cancel()
        lookups[i]:join()
      end
    end
  end)
end)

-- A child whose names are the system's, and its getaddrinfo takes three seconds, but for
-- one name.
local function with_slow_names(script)
  local env <close> = child.preloading [[
    #include <netdb.h>
    #include <string.h>
    #include <unistd.h>
    int getaddrinfo(const char *n, const char *s, const struct addrinfo *h,
                    struct addrinfo **out) {
      if ((h->ai_flags & AI_NUMERICHOST) == 0)
        usleep(strcmp(n, "quick") == 0   ? 1000
               : strncmp(n, "never", 5) == 0 ? 60000000
                                         : 3000000);
      return EAI_NONAME;
    }
  ]]
  env.NEAP_RESOLVER = "system"
  local before = require "neap.time".now()
  local result = assert(process.run {neap, "-e", script, env = env})
  return result, require "neap.time".now() - before
end

describe("a lookup that hangs", function()
  it("ends with its task, and does not hold the exit (H2, H4)", function()
    local result, took = with_slow_names [[
      local found, err = task.timeout(0.1, net.resolve, "slow")
      print(found, err.code)
    ]]
    assert.same({stdout = "nil\tETIMEDOUT\n", stderr = "", code = 0}, result)
    assert.is_true(took < 2, took)
  end)

  it("does not hold os.exit or a signal (H4)", function()
    for ending, expected in pairs {
      ["os.exit(3)"] = {stdout = "", stderr = "", code = 3},
      ["signal.raise 'SIGTERM'"] = {stdout = "", stderr = "", code = 143, signal = "SIGTERM"},
    } do
      local result, took = with_slow_names([[
        task.spawn(net.resolve, "slow")
        task.sleep(0.05)
      ]] .. ending)
      assert.same(expected, result)
      assert.is_true(took < 2, took)
    end
  end)

  it("is not in the way of the next when it has not begun (H3)", function()
    local result, took = with_slow_names [[
      for i = 1, 5 do
        task.spawn(task.timeout, 0.1, net.resolve, "slow" .. i)
      end
      task.sleep(0.15)
      local found, err = net.resolve "quick"
      print(found, err.code)
    ]]
    assert.same({stdout = "nil\tEAI_NONAME\n", stderr = "", code = 0}, result)
    assert.is_true(took < 2, took)
  end)
end)

describe("lookups that hang", function()
  it("are in nobody's way, given up or not", function()
    local result, took = with_slow_names [[
      for i = 1, 140 do
        task.spawn(task.timeout, i <= 100 and 0.2 or 60, net.resolve, "slow" .. i)
      end
      task.sleep(0.4)
      local found, err = net.resolve "quick"
      print(found, err.code)
      os.exit(0)
    ]]
    assert.same({stdout = "nil\tEAI_NONAME\n", stderr = "", code = 0}, result)
    assert.is_true(took < 2.9, took)
  end)

  it("have no end of threads, and those that wait for one have their turn", function()
    local result = with_slow_names [[
      local function threads()
        local file <close> = io.open "/proc/self/status"
        return tonumber(file:read "a":match "Threads:%s*(%d+)")
      end
      local others, ended = threads(), 0
      for i = 1, 70 do
        task.spawn(function()
          net.resolve("slow" .. i)
          ended = ended + 1
        end)
      end
      task.sleep(0.5)
      print(threads() - others)
      while ended < 70 do task.sleep(0.05) end
      for i = 1, 400 do
        task.spawn(task.timeout, 0.01, net.resolve, "never" .. i)
        if i % 40 == 0 then task.sleep(0.05) end
      end
      print(threads() - others)
      os.exit(0)
    ]]
    assert.same({stdout = "64\n256\n", stderr = "", code = 0}, result)
  end)

  it("tell when there are no more threads", function()
    if (process.run {"strace", "-qq", "-o", "/dev/null", "true"} or {}).code ~= 0 then
      pending "strace is not there, or not permitted"
      return
    end
    local options = {"-f", "-e", "trace=clone3,clone", "-e", "inject=clone3,clone:error=EAGAIN"}
    local result = child.strace(options, [[
      local system = {resolver = "system"}
      for _ = 1, 2 do
        print(select(2, net.resolve("no-such-host.invalid", system)).code)
        print(select(2, net.connect("tcp://no-such-host.invalid:1", system)).code)
      end
      print(net.resolve "127.0.0.1"[1].ip)
    ]])
    assert.equal("EAGAIN\nEAGAIN\nEAGAIN\nEAGAIN\n127.0.0.1\n", result.stdout)
    assert.equal(0, result.code)
  end)

  --- Run a script in a network whose one server of names hears all and says
  --- nothing, with an /etc of its own.
  local function with_deaf_server(hosts, order, script)
    local folder = os.tmpname()
    os.remove(folder)
    local result = assert(process.run {
      "unshare", "-rmn", "sh", "-c", [[
        ip link set lo up && mkdir "$1" && cp /etc/ld.so.cache /etc/passwd "$1" || exit 9
        echo "nameserver 127.0.0.1" >"$1/resolv.conf"
        printf "%s" "$2" >"$1/hosts"
        echo "multi on" >"$1/host.conf"
        echo "hosts: $3" >"$1/nsswitch.conf"
        mount --bind "$1" /etc || exit 9
        exec "$0" -e "local deaf = assert(net.bind [=[udp://127.0.0.1:53]=])
        $4"
      ]], neap, folder, hosts, order, script,
    })
    process.run {"rm", "-r", folder}
    if result.stderr:find "^unshare:" or result.code == 9 then
      pending "no namespaces here"
      return false
    end
    assert.same("", result.stderr)
    return result.stdout
  end

  local hosts = [[
    # 127.0.0.6 commented
    127.0.0.1 localhost
    ::1	localhost ip6-localhost # 127.0.0.7 behind
    127.0.0.9	Here here.example
    fd00::9 here.example
    127.0.0.8 here.example
    fe80::1%lo scoped
  ]]

  it("keep nobody from what is in /etc/hosts, or is an address (H3)", function()
    local told = with_deaf_server(hosts, "files dns", [==[
      local function hang() net.resolve "hangs.example" end
      for i = 1, 70 do task.spawn(hang) end
      task.sleep(0.05)
      local function tell(name, family)
        local found, err = task.timeout(0.5, net.resolve, name, {family = family})
        local words = {}
        for i, address in ipairs(found or {err.code}) do words[i] = address.ip or address end
        print(name, family or "any", table.concat(words, " "))
      end
      for _, name in ipairs {"localhost", "here", "HERE.example", "ip6-localhost", "127.0.0.1", "fe80::1%lo"} do
        tell(name)
      end
      tell("localhost", "inet")
      tell("localhost", "inet6")
      tell("here", "inet")
      tell("127.0.0.1", "inet6")
      for _, name in ipairs {"commented", "behind", "here.exampl"} do tell(name) end
      tell("here", "inet6")
      os.exit(0)
    ]==])
    if not told then return end
    assert.equal([[
localhost	any	::1 127.0.0.1
here	any	127.0.0.9
HERE.example	any	127.0.0.9 127.0.0.8 fd00::9
ip6-localhost	any	::1
127.0.0.1	any	127.0.0.1
fe80::1%lo	any	fe80::1
localhost	inet	127.0.0.1
localhost	inet6	::1
here	inet	127.0.0.9
127.0.0.1	inet6	EAI_ADDRFAMILY
commented	any	ETIMEDOUT
behind	any	ETIMEDOUT
here.exampl	any	ETIMEDOUT
here	inet6	ETIMEDOUT
]], told)
  end)

  it("do not stop the program where the servers come first", function()
    for _, order in ipairs {"dns files", "files [SUCCESS=continue] dns"} do
      local told = with_deaf_server(hosts, order, [==[
        local time = require [=[neap.time]=]
        local before = time.now()
        local found, err = task.timeout(0.3, net.resolve, "here")
        print(found, err.code, time.now() - before < 2)
        os.exit(0)
      ]==])
      if not told then return end
      assert.equal("nil\tETIMEDOUT\ttrue\n", told)
    end
  end)
end)

describe("net.service", function()
  it("knows ports by name and names by port", function()
    assert.equal(80, (net.service("http", "tcp")))
    assert.equal(53, (net.service("domain", "udp")))
    assert.equal("http", (net.service(80, "tcp")))
  end)

  it("takes names as they are, to their end", function()
    for _, call in ipairs {
      function() return net.service "http\0x" end,
      function() return net.service("http", "tcp\0") end,
      function() return net.service(80, "tcp\0x") end,
    } do
      assert.error_matches(call, "a name without zero bytes expected")
    end
    assert.equal("EAI_SERVICE", select(2, net.service "80").code)
    assert.equal("EAI_SERVICE", select(2, net.service "").code)
  end)

  it("says what it does not know", function()
    local port, err = net.service("no-such-service", "tcp")
    assert.is_nil(port)
    assert.is_not_nil(err)
  end)
end)

describe("net.portclass", function()
  it("tells the class and IANA's range of each port", function()
    local begins = {
      [0] = "none system", [1] = "well-known system", [256] = "reserved system",
      [1024] = "application user", [49152] = "application dynamic",
    }
    local expected
    for port = 0, 65535 do
      expected = begins[port] or expected
      local class, range = net.portclass(port)
      if class .. " " .. range ~= expected then
        error(("%d: %s %s"):format(port, class, range))
      end
    end
  end)

  it("takes ports only", function()
    assert.equal("well-known", (net.portclass(80.0)))
    for _, value in ipairs {-1, 65536, 1.5, 0 / 0, math.huge, "http", "80x", true, {}} do
      assert.error_matches(function()
        net.portclass(value)
      end, "bad argument #1 to 'portclass' %(a port, 0 to 65535, expected%)")
    end
    assert.has_error(function()
      net.portclass()
    end)
  end)
end)

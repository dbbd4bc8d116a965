-- Names of hosts and services as the system knows them: net.resolve, net.service.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"

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

-- A child whose getaddrinfo takes three seconds, but for one name.
local function with_slow_names(script)
  local library = os.tmpname()
  local built = assert(process.run {
    "cc", "-x", "c", "-shared", "-fPIC", "-o", library, "-", input = [[
      #include <netdb.h>
      #include <string.h>
      #include <unistd.h>
      int getaddrinfo(const char *n, const char *s, const struct addrinfo *h,
                      struct addrinfo **out) {
        usleep(strcmp(n, "quick") == 0 ? 1000 : 3000000);
        return EAI_NONAME;
      }
    ]],
  })
  assert.equal(0, built.code, built.stderr)
  local env = process.env()
  env.LD_PRELOAD = library
  env.ASAN_OPTIONS = "verify_asan_link_order=0:detect_leaks=0"
  local before = require "neap.time".now()
  local result = assert(process.run {neap, "-e", script, env = env})
  os.remove(library)
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
    for ending, code in pairs {["os.exit(3)"] = 3, ["signal.raise 'SIGTERM'"] = 143} do
      local result, took = with_slow_names([[
        task.spawn(net.resolve, "slow")
        task.sleep(0.05)
      ]] .. ending)
      assert.same({stdout = "", stderr = "", code = code}, result)
      assert.is_true(took < 2, took)
    end
  end)

  it("is not in the way of the next when it has not begun (H3)", function()
    local result, took = with_slow_names [[
      for i = 1, 5 do
        task.spawn(task.timeout, 0.1, net.resolve, "slow")
      end
      task.sleep(0.15)
      local found, err = net.resolve "quick"
      print(found, err.code)
    ]]
    assert.same({stdout = "nil\tEAI_NONAME\n", stderr = "", code = 0}, result)
    assert.is_true(took < 2, took)
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

it("the pool's size is not for children to see", function()
  local result = assert(process.run {neap, "-e", [[
    net.resolve "localhost"
    io.write(process.run{"sh", "-c", "echo $UV_THREADPOOL_SIZE"}.stdout)
  ]]})
  assert.same({stdout = "\n", stderr = "", code = 0}, result)
end)

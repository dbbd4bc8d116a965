-- Lookups by DNS: for how long their answers hold, what they do to each other, and when it is
-- not DNS that is asked. Each test has a server and a resolv.conf of its own.

local child = require "spec.support.child"
local lookups = require "spec.support.lookups"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local BEGIN, run, zone = lookups.BEGIN, lookups.run, lookups.zone

describe("what servers have said", function()
  it("holds as long as they say, and not longer; of nothing, as the zone's SOA says", function()
    local ttl = {nx = 60, nodata = 60, soon = 1, ever = 0}
    local known = zone {
      ["long.test"] = {A = {"127.0.0.2"}}, ["short.test"] = {A = {"127.0.0.2"}, ttl = 1},
      ["never.test"] = {A = {"127.0.0.2"}, ttl = 0},
    }
    local server <close> = name_server.new(function(name, type)
      local word = name:match "^%w+"
      if word == "nothing" then
        return {rcode = "nxdomain"}
      elseif not ttl[word] then
        return known(name, type)
      end
      return {
        rcode = word == "nodata" and "noerror" or "nxdomain",
        authority = {name_server.soa(ttl[word])},
      }
    end)
    local out = run({server}, "options no-aaaa", [[
      for _ = 1, 2 do
        for _, word in ipairs {"long", "short", "never", "nx", "nodata", "soon", "ever", "nothing"} do
          ask(word .. ".test")
        end
      end
      task.sleep(1.2)
      ask "soon.test"
      ask "long.test"
      ask "short.test"
      ask("long.test", {cache = false})
      local stream, err = net.connect("tcp://long.test:1", {cache = false})
      print(stream, err.code)
    ]])
    assert.equal(9, select(2, out:gsub("127%.0%.0%.2", "")))
    assert.equal(11, select(2, out:gsub("EAI_NO", "")))
    assert.equal("nil\tECONNREFUSED\n", out:match "nil.*$")
    local counts = {}
    for name in server:take():gmatch "(%w+)%.test A" do
      counts[name] = (counts[name] or 0) + 1
    end
    assert.same({long = 3, short = 2, never = 2, nx = 1, nodata = 1, soon = 2, ever = 2, nothing = 2},
      counts)
  end)

  it("is bounded, and the last used is kept", function()
    local server <close> = name_server.new(zone(setmetatable({}, {__index = function()
      return {A = {"127.0.0.2"}}
    end})))
    run({server}, "options no-aaaa", [[
      ask "kept.test"
      for i = 1, 300 do
        assert(net.resolve(i .. ".test"))
        assert(net.resolve "kept.test")
      end
      ask "1.test"
    ]])
    assert.equal("1.test A, 1.test A", server:take():match "^1.test A, 1.test A")
    server.asked = {}
  end)
end)

describe("lookups at once", function()
  it("of the same name share one query, and one that is given up is in nobody's way (H4)", function()
    local server <close> = name_server.new(function(name, type)
      task.sleep(1)
      return {answer = {type == "A" and {name = name, type = type, address = "127.0.0.2"} or nil}}
    end)
    local out = run({server}, "", [[
      local tasks = {}
      for i = 1, 9 do
        tasks[i] = task.spawn(net.resolve, i % 2 == 0 and "a.test" or "A.test")
      end
      task.sleep(0.05)
      local before = time.now()
      for i = 1, 5 do
        tasks[i]:cancel()
        tasks[i]:join()
      end
      print(time.now() - before < 0.8, tasks[1].status)
      for i = 6, 9 do
        print(tasks[i]:join()[1].ip)
      end
    ]])
    assert.equal("true\tcancelled\n" .. ("127.0.0.2\n"):rep(4), out)
    assert.equal(2, #server.asked)
  end)

  --- A name that only /etc/hosts has; or "localhost", where it has no other.
  local function name_in_hosts()
    for line in io.lines "/etc/hosts" do
      local address, names = line:match "^%s*([%d.]+)%s+([^#]+)"
      for name in (address and names or ""):gmatch "%S+" do
        if not name:find "localhost" then
          return name
        end
      end
    end
    print "/etc/hosts has no name but localhost"
    return "localhost"
  end

  it("that get no answer hold up neither a file, nor hosts, nor answers, nor the exit (H3, H4)", function()
    local silent <close> = name_server.new(function() end)
    local good <close> = name_server.new(function(name, type)
      return {answer = {{name = name, type = type, ttl = 0, address = "127.0.0.2"}}}
    end)
    local out = run({silent}, "options timeout:30 attempts:1", ([[
      local HOST, PORT, dns = %q, %d, require "neap.dns"
      local ended = 0
      for i = 1, 100 do
        task.spawn(function()
          local found, err = task.timeout(3, net.resolve, "hangs" .. i .. ".test")
          assert(not found and err.code == "ETIMEDOUT")
          ended = ended + 1
        end)
      end
      task.sleep(0.2)
      local function timed(what, f, ...)
        local start = time.now()
        assert(f(...))
        local took = time.now() - start
        print(what, took < 1 and "at once" or took)
      end
      timed("a file", function()
        local file <close> = io.open "/etc/passwd"
        return file:read "a"
      end)
      timed("a file's stream", function()
        local stream <close> = assert(net.connect "fd:0")
        return stream:read "a"
      end)
      timed("hosts", net.resolve, HOST)
      timed("another server", dns.query, "good.test", "A", {server = "127.0.0.1", port = PORT})
      print(ended)
      while ended < 100 do task.sleep(0.02) end
      for i = 1, 100 do
        task.spawn(net.resolve, "again" .. i .. ".test")
      end
      task.sleep(0.1)
      print "all ended"
      print(time.wall())
      os.exit(0)
    ]]):format(name_in_hosts(), good.port), {"sh", "-c", 'exec "$@" </etc/passwd', "sh"})
    local exit = time.wall()
    local lines, left = out:match "^(.*\n)([%d.]+)\n$"
    assert.equal("a file\tat once\na file's stream\tat once\nhosts\tat once\n"
      .. "another server\tat once\n0\nall ended\n", lines)
    assert.is_true(exit - left < 10) -- and not 30
  end)

  it("end with the scope that they are in, each with an error (H10)", function()
    local server <close> = name_server.new(function() end)
    local out = run({server}, "options timeout:30 attempts:1", [[
      local ended = 0
      pcall(task.scope, function(scope)
        for i = 1, 10 do
          scope:spawn(function()
            local ok, err = pcall(net.resolve, "hangs" .. i .. ".test")
            ended = ended + (not ok and err.code == "ECANCELED" and 1 or 0)
            error(err, 0)
          end)
        end
        task.sleep(0.1)
        error "enough"
      end)
      print(ended)
      os.exit(0)
    ]])
    assert.equal("10\n", out)
  end)

  it("are bounded, and those that wait have their turn", function()
    local names = {}
    local server <close> = name_server.new(function(name)
      names[#names + 1] = tonumber(name:match "%d+")
    end)
    local out = run({server}, "options timeout:30 attempts:1 no-aaaa", [[
      local function descriptors()
        return require "neap.host".stats().descriptors
      end
      local before, tasks = descriptors(), {}
      for i = 1, 300 do
        tasks[i] = task.spawn(net.resolve, i .. ".test")
      end
      local function wait(n)
        for _ = 1, 500 do
          if descriptors() - before == n then break end
          task.sleep(0.01)
        end
        task.sleep(0.05)
        print(descriptors() - before)
      end
      wait(256)
      tasks[270]:cancel()
      for i = 1, 100 do tasks[i]:cancel() end
      wait(199)
      os.exit(0)
    ]])
    assert.equal("256\n199\n", out)
    local before = 0 -- not all arrive: the kernel drops what a slow server does not fetch
    for _, name in ipairs(names) do
      assert.is_true(name > before and name ~= 270, name)
      before = name
    end
    assert.is_true(before > 0)
  end)
end)

describe("who is asked", function()
  local preload

  setup(function()
    preload = child.preloading [[
      #include <netdb.h>
      #include <stdlib.h>
      #include <string.h>
      #include <arpa/inet.h>
      int getaddrinfo(const char *n, const char *s, const struct addrinfo *h,
                      struct addrinfo **out) {
        static struct sockaddr_in a = {.sin_family = AF_INET};
        static struct addrinfo i = {.ai_family = AF_INET, .ai_addr = (void *)&a,
                                    .ai_addrlen = sizeof a};
        if ((h->ai_flags & AI_NUMERICHOST) || strcmp(n, "system.test") != 0)
          return EAI_NONAME;
        inet_pton(AF_INET, "127.0.0.77", &a.sin_addr);
        *out = &i;
        return 0;
      }
      void freeaddrinfo(struct addrinfo *i) {}
    ]]
  end)

  teardown(function()
    local _ <close> = preload
  end)

  -- In a network where a file knows one name, a server another, and the system's functions
  -- a third: what is known by this order of nsswitch.conf, by a script for each name, with
  -- a variable of the environment.
  local function known(order, script, variable)
    local folder = os.tmpname()
    os.remove(folder)
    local result = assert(process.run {
      "unshare", "-rmn", "sh", "-c", [[
        ip link set lo up && mkdir "$1" && cp /etc/ld.so.cache /etc/passwd "$1" || exit 9
        echo "127.0.0.9 file.test" >"$1/hosts"
        [ -z "$2" ] || echo "hosts: $2" >"$1/nsswitch.conf"
        mount --bind "$1" /etc || exit 9
        unset NEAP_RESOLVER NEAP_RESOLV_CONF
        export LD_PRELOAD="$4" "$5" "$6"
        exec "$0" -e "$3"
      ]], child.neap, folder, order, BEGIN .. [[
        local name_server = dofile "spec/support/name_server.lua"
        local server = assert(net.bind "udp://127.0.0.1:53")
        task.spawn(function()
          for data, from in server:messages() do
            local query = require "neap.packet".dissect(data, "dns").dns
            local name = query.question[1].name
            server:send(name_server.answer(query, {
              rcode = name ~= "server.test" and "nxdomain" or nil,
              answer = {name == "server.test" and query.question[1].type == "A"
                and {name = name, type = "A", address = "127.0.0.53"} or nil},
            }), from)
          end
        end)
        for _, name in ipairs {"file.test", "server.test", "system.test"} do
          ]] .. (script or "ask(name)") .. [[
        end
        server:close()
      ]], preload.LD_PRELOAD, "ASAN_OPTIONS=" .. preload.ASAN_OPTIONS, variable or "NEAP=",
    })
    process.run {"rm", "-r", folder}
    if result.stderr:find "^unshare:" or result.code == 9 then
      pending "no namespaces here"
      return nil
    end
    assert.same("", result.stderr)
    return (result.stdout:gsub("%a+%.test\t(%S+)\n", "%1 "))
  end

  for order, expected in pairs {
    [""] = "127.0.0.9 127.0.0.53 EAI_NONAME ",
    ["files dns"] = "127.0.0.9 127.0.0.53 EAI_NONAME ",
    ["files dns myhostname"] = "127.0.0.9 127.0.0.53 127.0.0.77 ",
    ["dns files"] = "EAI_NONAME 127.0.0.53 127.0.0.77 ",
    ["files mdns4_minimal [NOTFOUND=return] dns"] = "127.0.0.9 EAI_NONAME 127.0.0.77 ",
    ["files resolve [!UNAVAIL=return] dns"] = "127.0.0.9 EAI_NONAME 127.0.0.77 ",
    ["files [SUCCESS=continue] dns"] = "EAI_NONAME EAI_NONAME 127.0.0.77 ",
    ["ldap"] = "EAI_NONAME EAI_NONAME 127.0.0.77 ",
  } do
    it(("is what nsswitch.conf says: '%s'"):format(order), function()
      local told = known(order)
      assert.equal(told and expected, told)
    end)
  end

  it("is what the caller or the environment says", function()
    local file, server, system = "127.0.0.9 ", "127.0.0.53 ", "127.0.0.77 "
    local none = "EAI_NONAME "
    local by_system, by_dns = 'ask(name, {resolver = "system"})', 'ask(name, {resolver = "dns"})'
    for _, row in ipairs {
      {"files dns", by_system, nil, file .. none .. system},
      {"ldap", by_dns, nil, file .. server .. none},
      {"files dns", nil, "system", file .. none .. system},
      {"ldap", nil, "dns", file .. server .. none},
      {"files dns", by_dns, "system", file .. server .. none},
      {"files dns", nil, "else", file .. server .. none},
    } do
      local told = known(row[1], row[2], row[3] and "NEAP_RESOLVER=" .. row[3])
      assert.equal(told and row[4], told)
    end
  end)

  it("must be one of two, where a socket is opened, too", function()
    for _, call in ipairs {net.connect, net.listen, net.bind} do
      for _, endpoint in ipairs {"udp://127.0.0.1:0", "tcp://127.0.0.1:0", "udp://a.test:1"} do
        if (call == net.listen) == (endpoint:sub(1, 3) == "tcp") then
          assert.error_matches(function()
            call(endpoint, {resolver = "hosts"})
          end, "option 'resolver': 'system' or 'dns' expected")
          assert.error_matches(function()
            call(endpoint, {cache = 1})
          end, "option 'cache': true or false expected")
        end
      end
    end
    assert.error_matches(function()
      net.resolve("a.test", {resolver = "hosts"})
    end, "bad argument #3 to 'resolve' %(invalid option 'hosts'%)")
  end)
end)

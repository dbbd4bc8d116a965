-- How names are looked up by DNS: by which servers, for which names, for how long, and what
-- lookups do to each other. Each test has a server and a resolv.conf of its own.

local child = require "spec.support.child"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local packet = require "neap.packet"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

-- What scripts below begin with: `ask(name, opts?)` prints what it came to, and `took` is
-- how long.
local BEGIN = [==[
  local time = require "neap.time"
  local took
  local function text(found, err)
    local words = {}
    for i, address in ipairs(found or {err.code}) do
      words[i] = address.ip or address
    end
    return table.concat(words, " ")
  end
  local function ask(name, opts)
    local before = time.now()
    local said = text(net.resolve(name, opts))
    took = time.now() - before
    print(name, said)
  end
]==]

-- A file that is there until the end of a scope.
local function file_of(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return setmetatable({path = path}, {__close = function()
    os.remove(path)
  end})
end

-- Run a script whose servers are these, by resolv.conf; under strace, if that goes before.
local function run(servers, options, script, before)
  local lines = {}
  for i, server in ipairs(servers) do
    lines[i] = ("nameserver [127.0.0.1]:%d\n"):format(server.port)
  end
  local conf <close> = file_of(table.concat(lines) .. options .. "\n")
  local env = process.env()
  env.NEAP_RESOLV_CONF, env.NEAP_RESOLVER = conf.path, nil
  env.LOCALDOMAIN, env.RES_OPTIONS = nil, nil
  local command = {env = env, table.unpack(before or {})}
  table.move({child.neap, "-e", BEGIN .. script}, 1, 3, #command + 1, command)
  if before then
    env.ASAN_OPTIONS = "detect_leaks=0" -- not under ptrace
  end
  local result = assert(process.run(command))
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

-- A server's answer with addresses of a name; of the others there is none.
local function zone(names)
  return function(name, type)
    local record = names[name:lower()]
    if not record then
      return {rcode = "nxdomain", authority = {name_server.soa(0)}}
    elseif not record[type] then
      return {authority = {name_server.soa(60)}}
    end
    local list = {}
    for i, ip in ipairs(record[type]) do
      list[i] = {name = name, type = type, ttl = record.ttl or 60, address = ip}
    end
    return {answer = list}
  end
end

describe("a lookup by DNS", function()
  it("asks for both families at once, and gives each address once", function()
    local server <close> = name_server.new(zone {
      ["both.test"] = {A = {"127.0.0.2", "127.0.0.2", "127.0.0.3"}, AAAA = {"::1"}},
    })
    local out = run({server}, "", [[
      ask "both.test"
      ask("both.test", {family = "inet"})
      ask("BOTH.test", {family = "inet6"})
    ]])
    local first, rest = out:match "^both.test\t(.-)\n(.*)$"
    local ips = {}
    for ip in first:gmatch "%S+" do
      ips[#ips + 1] = ip
    end
    table.sort(ips)
    assert.same({"127.0.0.2", "127.0.0.3", "::1"}, ips)
    assert.equal("both.test\t127.0.0.2 127.0.0.3\nBOTH.test\t::1\n", rest)
    assert.equal("BOTH.test AAAA, both.test A, both.test A, both.test AAAA", server:take())
  end)

  it("has a code for each failure (H1)", function()
    local server <close> = name_server.new(function(name)
      return name ~= "nodata.test" and {rcode = name:match "^(%w+)"} or {}
    end)
    local out = run({server}, "options timeout:1 attempts:1", [[
      for _, name in ipairs {"nxdomain", "nodata", "servfail", "refused", "formerr"} do
        ask(name .. ".test")
      end
      print(select(2, net.connect "tcp://nxdomain.test:1").code)
    ]])
    assert.equal([[
nxdomain.test	EAI_NONAME
nodata.test	EAI_NODATA
servfail.test	EAI_AGAIN
refused.test	EAI_AGAIN
formerr.test	EAI_FAIL
EAI_NONAME
]], out)
  end)

  it("sends nothing for what is no name (H1)", function()
    local server <close> = name_server.new(zone {})
    local out = run({server}, "search corp.test", [[
      for _, name in ipairs {("a"):rep(64) .. ".test", ("a."):rep(126) .. "bc", "a..test", ".test",
        ".", "a\\.test", "", "127.1", "a b.test", "b\xfccher.test", "hidden.onion", "a.hidden.ONION."} do
        print(select(2, net.resolve(name)).code)
      end
      print(pcall(net.resolve, "a\0.test"))
    ]])
    assert.equal(("EAI_NONAME\n"):rep(12)
      .. "false\tbad argument #1 to 'resolve' (a name without zero bytes expected)\n",
      (out:gsub("false\t[^\n]-: bad", "false\tbad")))
    assert.equal("", server:take())
  end)

  it("asks nobody for addresses and localhost (H3)", function()
    local server <close> = name_server.new(function() end)
    local out = run({server}, "", [[
      for _, name in ipairs {"127.0.0.1", "::1", "localhost", "db.localhost", "LOCALHOST."} do
        print(#assert(net.resolve(name)) > 0)
      end
      ask("db.localhost", {family = "inet"})
      ask("db.localhost", {family = "inet6"})
    ]])
    assert.equal(("true\n"):rep(5) .. "db.localhost\t127.0.0.1\ndb.localhost\t::1\n", out)
    assert.equal("", server:take())
  end)

  it("ends when the servers have had their time (H2)", function()
    local server <close> = name_server.new(function() end)
    local out = run({server}, "options timeout:1 attempts:1", [[
      task.spawn(function()
        for _ = 1, 20 do task.sleep(0.02) end
        print "others run"
      end)
      ask "silent.test"
      print(took > 0.95 and took < 2 or took)
    ]])
    assert.equal("others run\nsilent.test\tETIMEDOUT\ntrue\n", out)
    assert.equal("silent.test A, silent.test AAAA", server:take())
  end)

  it("goes to the next server when one is silent or fails", function()
    local good <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    local silent <close> = name_server.new(function() end)
    local bad <close> = name_server.new(function()
      return {rcode = "servfail"}
    end)
    for _, other in ipairs {bad, silent} do
      assert.equal("a.test\t127.0.0.2\n", run({other, good}, "options timeout:1", 'ask "a.test"'))
      assert.equal("a.test A, a.test AAAA", good:take())
    end
  end)

  it("does with one family when the server is silent about the other", function()
    local server <close> = name_server.new(function(name, type)
      if type == "A" then
        return {answer = {{name = name, type = type, ttl = 60, address = "127.0.0.2"}}}
      end
    end)
    local out = run({server}, "options timeout:20", [[
      ask "a.test"
      print(took > 0.9 and took < 10 or took)
      task.timeout(0.2, ask, "a.test")
    ]])
    assert.equal("a.test\t127.0.0.2\ntrue\n", out)
    assert.equal("a.test A, a.test A, a.test AAAA, a.test AAAA", server:take())
  end)

  it("tells why there is no socket to ask by", function()
    if (process.run {"strace", "-qq", "-o", "/dev/null", "true"} or {}).code ~= 0 then
      pending "strace is not there, or not permitted"
      return
    end
    local server <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    for call, code in pairs {["socket:error=EMFILE"] = "EMFILE",
      ["epoll_ctl:error=ENOSPC:when=30+"] = "ENOSPC", ["connect:error=ENETUNREACH"] = "EAI_AGAIN"} do
      local out = run({server}, "options timeout:1 no-aaaa", [[
        for i = 1, 30 do
          net.resolve(i .. ".test")
        end
        ask "a.test"
      ]], {"strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=" .. call})
      assert.equal("a.test\t" .. code .. "\n", out)
    end
  end)

  it("asks over TCP where the answer is cut (H5)", function()
    local server <close> = name_server.new(function(name, type, over)
      if over == "udp" then
        return {tc = true}
      end
      local list = {}
      for i = 1, type == "A" and 60 or 0 do
        list[i] = {name = name, type = type, ttl = 60, address = "127.0.1." .. i}
      end
      return {answer = list}
    end)
    assert.equal("60\n", run({server}, "", 'print(#assert(net.resolve "large.test"))'))
    assert.equal("large.test A, large.test A, large.test AAAA, large.test AAAA", server:take())
  end)

  it("asks over TCP only where it is told to, and with EDNS", function()
    local overs, sizes = {}, {}
    local server <close> = name_server.new(function(name, type, over, query)
      overs[over] = true
      sizes[query.additional[1].udp_payload_size] = true
      return {answer = {type == "A" and {name = name, type = "A", address = "127.0.0.2"} or nil}}
    end)
    assert.equal("a.test\t127.0.0.2\n", run({server}, "options use-vc no-aaaa", 'ask "a.test"'))
    assert.same({tcp = true}, overs)
    assert.same({[1232] = true}, sizes)
    assert.equal("a.test A", server:take())
  end)

  it("takes no answer that is not to its question, or is none (H6)", function()
    local function pointer(query, name)
      local whole = name_server.answer(query, {answer = {
        {name = "x", type = "A", ttl = 60, address = "6.6.6.6"},
      }})
      local at = #whole - 14 - 2
      return whole:sub(1, at - 1) .. name .. whole:sub(at + 3)
    end
    local evil = {
      id = function(query, fields)
        return name_server.answer({id = query.id ~ 1, question = query.question}, fields)
      end,
      question = function(query, fields)
        fields.question = {{name = "other.test", type = query.question[1].type}}
        return name_server.answer(query, fields)
      end,
      type = function(query, fields)
        fields.question = {{name = query.question[1].name, type = "MX"}}
        return name_server.answer(query, fields)
      end,
      class = function(query, fields)
        for _, record in ipairs(fields.answer) do
          record.class = "CH"
        end
        return name_server.answer(query, fields)
      end,
      loop = function(query)
        return pointer(query, "\xc0" .. string.char(#name_server.answer(query, {}) ))
      end,
      forward = function(query)
        return pointer(query, "\xc0\xff")
      end,
      rdlength = function(query, fields)
        fields.answer[1].rdlength = 60000
        return name_server.answer(query, fields)
      end,
      count = function(query, fields)
        fields.ancount = 65535
        return name_server.answer(query, fields)
      end,
      short = function(query, fields)
        return name_server.answer(query, fields):sub(1, 20)
      end,
      empty = function()
        return ""
      end,
      cname = function(query)
        local name = query.question[1].name
        return name_server.answer(query, {answer = {
          {name = name, type = "CNAME", cname = "b.test"},
          {name = "b.test", type = "CNAME", cname = name},
        }})
      end,
    }
    local server <close> = name_server.new(function(name, type, _, query, send)
      local fields = {answer = {{name = name, type = type, ttl = 60,
        address = type == "A" and "6.6.6.6" or "6::6"}}}
      send(evil[name:match "^%w+"](query, fields))
      local ip = type == "A" and "127.0.0.2" or "::1"
      return {answer = {{name = name, type = type, ttl = 60, address = ip}}}
    end)
    local names = {}
    for name in pairs(evil) do
      names[#names + 1] = ("%q"):format(name .. ".test")
    end
    local out = run({server}, "options timeout:1 attempts:1", ([[
      task.scope(function(scope)
        for _, name in ipairs {%s} do
          scope:spawn(ask, name)
        end
      end)
      assert(took < 5)
    ]]):format(table.concat(names, ", ")))
    assert.is_nil(out:find "6")
    assert.equal(#names, select(2, out:gsub("\n", "")))
    assert.matches("id.test\t[^\n]*127.0.0.2", out)
    assert.matches("question.test\t[^\n]*127.0.0.2", out)
    assert.matches("type.test\t[^\n]*127.0.0.2", out)
  end)

  it("hears only whom it asked, by a port for each lookup (H6)", function()
    local server <close> = assert(net.bind "udp://127.0.0.1:0")
    local stranger <close> = assert(net.bind "udp://127.0.0.1:0")
    local ports = {}
    local serving = task.spawn(function()
      for data, from in server:messages() do
        ports[#ports + 1] = from.port
        local query = packet.dissect(data, "dns").dns
        local record = {name = query.question[1].name, ttl = 60, address = "6.6.6.6"}
        stranger:send(name_server.answer(query, {answer = {record}}), from)
        record.address = "127.0.0.2"
        server:send(name_server.answer(query, {answer = {record}}), from)
      end
    end)
    local out = run({{port = server.localaddr.port}}, "options timeout:2", [[
      ask("a.test", {family = "inet"})
      ask("b.test", {family = "inet"})
    ]])
    serving:cancel()
    assert.equal("a.test\t127.0.0.2\nb.test\t127.0.0.2\n", out)
    assert.equal(2, #ports)
    assert.not_equal(ports[1], ports[2])
  end)
end)

describe("resolv.conf", function()
  it("says what is searched, and when a name is whole (H7)", function()
    local server <close> = name_server.new(zone {
      ["h.two.test"] = {A = {"127.0.0.2"}}, ["a.b.two.test"] = {A = {"127.0.0.3"}},
      ["x.one.test"] = {AAAA = {"::1"}}, ["x.two.test"] = {A = {"127.0.0.4"}},
    })
    local search = "search one.test two.test"
    for script, expected in pairs {
      ['ask "h"'] = "h\t127.0.0.2|h.one.test h.two.test",
      ['ask "h."'] = "h.\tEAI_NONAME|h",
      ['ask "a.b"'] = "a.b\t127.0.0.3|a.b a.b.one.test a.b.two.test",
      ['ask "a.b.two.test"'] = "a.b.two.test\t127.0.0.3|a.b.two.test",
      ['ask("x", {family = "inet"})'] = "x\t127.0.0.4|x.one.test x.two.test",
      ['ask "none"'] = "none\tEAI_NONAME|none.one.test none.two.test none",
    } do
      local out = run({server}, search .. "\noptions no-aaaa", script)
      out = out .. table.concat(server.asked, " ")
      server.asked = {}
      assert.equal(expected, (out:gsub("\n", "|"):gsub(" A%f[%s\0]", "")))
    end
    local out = run({server}, search .. "\noptions no-aaaa ndots:2", 'ask "a.b"')
    assert.equal("a.b\t127.0.0.3\n", out)
    assert.equal("a.b.one.test A, a.b.two.test A", server:take())
  end)

  it("is not searched further where a server fails, for it might be there (H7)", function()
    local server <close> = name_server.new(function(name, type)
      if name == "h.one.test" then
        return {rcode = "servfail"}
      end
      return {answer = {{name = name, type = type, ttl = 60, address = "127.0.0.9"}}}
    end)
    assert.equal("h\tEAI_AGAIN\n",
      run({server}, "search one.test two.test\noptions no-aaaa", 'ask "h"'))
  end)

  it("lets the servers take turns", function()
    local servers = {}
    for i = 1, 3 do
      servers[i] = name_server.new(zone(setmetatable({}, {__index = function()
        return {A = {"127.0.0." .. i}}
      end})))
    end
    local script = [[
      for i = 1, 4 do
        ask(i .. ".test")
      end
    ]]
    local fixed = run(servers, "options no-aaaa", script)
    local turning = run(servers, "options no-aaaa rotate", script)
    for _, server in ipairs(servers) do
      server:close()
    end
    assert.equal("1.test\t127.0.0.1\n2.test\t127.0.0.1\n3.test\t127.0.0.1\n4.test\t127.0.0.1\n", fixed)
    assert.equal("1.test\t127.0.0.1\n2.test\t127.0.0.2\n3.test\t127.0.0.3\n4.test\t127.0.0.1\n", turning)
  end)

  it("is read again when it has changed, and what was known is forgotten", function()
    local first <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    local second <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.3"}}})
    assert.equal("a.test\t127.0.0.2\na.test\t127.0.0.2\na.test\t127.0.0.3\n", run({first}, "", ([[
      ask "a.test"
      ask "a.test"
      local path = require "neap.process".env().NEAP_RESOLV_CONF
      local file = io.open(path .. ".new", "w")
      file:write "nameserver [127.0.0.1]:%d\n"
      file:close()
      os.rename(path .. ".new", path)
      ask "a.test"
    ]]):format(second.port)))
    assert.equal("a.test A, a.test AAAA", first:take())
  end)

  it("may be missing, empty, closed, broken or huge: then 127.0.0.1 is asked (H7)", function()
    local name = os.tmpname()
    os.remove(name)
    local out = child.isolated("export NEAP_RESOLVER=dns NEAP_RESOLV_CONF=" .. name, BEGIN .. ([[
      local name_server = dofile "spec/support/name_server.lua"
      local server = assert(net.bind "udp://127.0.0.1:53")
      task.spawn(function()
        for data, from in server:messages() do
          local query = require "neap.packet".dissect(data, "dns").dns
          server:send(name_server.answer(query, {rcode = "nxdomain"}), from)
        end
      end)
      local function try(text)
        local file = text and assert(io.open(%q, "w"))
        if file then
          file:write(text)
          file:close()
        end
        ask("a.test", {cache = false})
      end
      try()
      try ""
      try "nameserver"
      try "nameserver 1.2.3\nnameserver [::1\nnameserver [::1]:0\nnameserver [::1]:x\noptions ndots:\n"
      try(("a"):rep(1 << 20))
      try("search " .. ("a "):rep(1 << 16))
      server:close()
    ]]):format(name))
    os.remove(name)
    assert.equal(("a.test\tEAI_NONAME\n"):rep(6), out)
  end)
end)

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

  it("that get no answer hold up neither a file, nor hosts, nor answers, nor the exit (H3, H4)", function()
    local server <close> = name_server.new(function(name, type)
      if name == "good.test" then
        return {answer = {{name = name, type = type, ttl = 0,
          address = type == "A" and "127.0.0.2" or "::1"}}}
      end
    end)
    local before = time.now()
    local out = run({server}, "options timeout:30 attempts:1", [[
      local ended = 0
      for i = 1, 100 do
        task.spawn(function()
          local found, err = task.timeout(2, net.resolve, "hangs" .. i .. ".test")
          assert(not found and err.code == "ETIMEDOUT")
          ended = ended + 1
        end)
      end
      task.sleep(0.2)
      local function timed(f, ...)
        local start = time.now()
        assert(f(...))
        return time.now() - start
      end
      local file = timed(function() return io.open "/etc/passwd":read "a" end)
      local hosts = timed(net.resolve, "localhost")
      local good = timed(net.resolve, "good.test")
      print(file < 0.5, hosts < 0.5, good < 1, ended)
      while ended < 100 do task.sleep(0.02) end
      for i = 1, 100 do
        task.spawn(net.resolve, "again" .. i .. ".test")
      end
      task.sleep(0.1)
      print "end"
      os.exit(0)
    ]])
    assert.equal("true\ttrue\ttrue\t0\nend\n", out)
    assert.is_true(time.now() - before < 20)
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
    assert.is_true(#names > 40) -- the kernel drops what a slow server does not fetch
    local before = 0
    for _, name in ipairs(names) do
      assert.is_true(name > before and name ~= 270, name)
      before = name
    end
    assert.equal(300, before)
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

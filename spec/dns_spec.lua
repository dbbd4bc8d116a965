-- neap.dns: what is asked, whom, and which answers are taken. Each test has a server of its
-- own.

local dns = require "neap.dns"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

-- A server, and the options by which it is asked.
local function serve(answers)
  local server = name_server.new(answers)
  return server, {server = "127.0.0.1", port = server.port, timeout = 5, tries = 1}
end

local everything = {
  A = {{address = "192.0.2.1"}, {address = "192.0.2.2"}},
  AAAA = {{address = "2001:db8::1"}},
  CNAME = {{cname = "other.test"}},
  MX = {{preference = 10, exchange = "mx.test"}},
  TXT = {{txt = {"one", "", "\0\255"}}},
  SRV = {{priority = 1, weight = 2, port = 3, target = "srv.test"}},
  PTR = {{ptrdname = "a.test"}},
  NS = {{nsdname = "ns.test"}},
  SOA = {{mname = "ns.test", rname = "root.test", serial = 1, refresh = 2, retry = 3, expire = 4,
    minimum = 5}},
  CAA = {{flags = 0, tag = "issue", value = "ca.test"}},
  NAPTR = {{order = 1, preference = 2, flags = "S", services = "SIP+D2U", regexp = "",
    replacement = "_sip._udp.test"}},
  SVCB = {{priority = 1, target = "svc.test", parameters = {{key = "port", value = "\3\2"}}}},
  HTTPS = {{priority = 1, target = ".", parameters = {{key = "alpn", value = "\2h2"}}}},
  TLSA = {{usage = 3, selector = 1, matching = 1, association = ("x"):rep(32)}},
  [65280] = {{rdata = "\1\2\3"}},
}

local function with(record, name, type, ttl)
  local whole = {name = name, type = type, class = "IN", ttl = ttl}
  for field, value in pairs(record) do
    whole[field] = value
  end
  return whole
end

describe("dns.query", function()
  it("has records of every type, each with its ttl", function()
    local server <close>, opts = serve(function(name, type)
      local list = {}
      for i, record in ipairs(everything[type] or {}) do
        list[i] = with(record, name, type, 100 + i)
      end
      return {answer = list, aa = true}
    end)
    for type, records in pairs(everything) do
      local expected = {}
      for i, record in ipairs(records) do
        expected[i] = with(record, "a.test", type, 100 + i)
      end
      local found, answer = dns.query("a.test", type, opts)
      assert.same(expected, found)
      assert.is_true(answer.aa)
    end
    assert.equal("192.0.2.1", dns.query("a.test", nil, opts)[1].address)
    assert.equal("mx.test", dns.query("a.test.", "mx", opts)[1].exchange)
    assert.equal("192.0.2.1", dns.query("a.test", 1, opts)[1].address)
    assert.is_truthy(server:take():find "a.test 65280")
  end)

  it("follows aliases, and no circle of them (H6)", function()
    local server <close>, opts = serve(function(name)
      local list = {}
      if name == "loop.test" then
        list = {{name = name, type = "CNAME", cname = "x.test"},
          {name = "x.test", type = "CNAME", cname = name}}
      else
        local length = tonumber(name:match "%d+")
        for i = length, 1, -1 do
          table.insert(list, {name = i .. ".test", type = "CNAME", cname = i - 1 .. ".test"})
        end
        list[#list + 1] = {name = "0.test", type = "A", address = "192.0.2.1"}
        list[#list + 1] = {name = "stranger.test", type = "A", address = "192.0.2.66"}
      end
      return {answer = list}
    end)
    for _, name in ipairs {"0.test", "1.test", "15.test"} do
      local found = assert(dns.query(name, "A", opts))
      assert.equal(1, #found)
      assert.equal("192.0.2.1", found[1].address)
    end
    for _, name in ipairs {"loop.test", "20.test"} do
      assert.equal("EAI_NODATA", select(2, dns.query(name, "A", opts)).code)
    end
    assert.equal("0.test", dns.query("1.test", "CNAME", opts)[1].cname)
    assert.equal("CNAME", dns.query("1.test", "ANY", opts)[1].type)
    assert.equal(1, #dns.query("0.test", "ANY", opts))
    assert.is_truthy(server)
  end)

  it("brings the preferred ones to the front, and leaves others in their order", function()
    local given = {
      MX = {
        {preference = 20, exchange = "c.test"}, {preference = 5, exchange = "a.test"},
        {preference = 20, exchange = "d.test"}, {preference = 10, exchange = "b.test"},
      },
      SRV = {
        {priority = 1, weight = 1, port = 1, target = "b.test"},
        {priority = 0, weight = 0, port = 1, target = "a.test"},
        {priority = 1, weight = 9, port = 1, target = "c.test"},
      },
      NS = {{nsdname = "b.test"}, {nsdname = "a.test"}},
    }
    local server <close>, opts = serve(function(name, type)
      local records = {}
      for i, fields in ipairs(given[type]) do
        records[i] = {name = name, type = type, ttl = 60}
        for field, value in pairs(fields) do
          records[i][field] = value
        end
      end
      return {answer = records}
    end)
    for type, expected in pairs {MX = "a b c d", SRV = "a b c", NS = "b a"} do
      local hosts = {}
      for i, record in ipairs(assert(dns.query("x.test", type, opts))) do
        hosts[i] = (record.exchange or record.target or record.nsdname):match "^%w"
      end
      assert.equal(expected, table.concat(hosts, " "))
    end
    assert.is_truthy(server)
  end)

  it("has a code for each failure, and what the server said (H1)", function()
    local server <close>, opts = serve(function(name)
      return name ~= "nodata.test" and {rcode = name:match "^(%w+)"} or {}
    end)
    for word, code in pairs {
      nxdomain = "EAI_NONAME", nodata = "EAI_NODATA", servfail = "ESERVFAIL", refused = "EREFUSED",
      formerr = "EFORMERR", notimp = "ENOTIMP", yxdomain = "EAI_FAIL",
    } do
      local found, err = dns.query(word .. ".test", "MX", opts)
      assert.is_nil(found)
      assert.equal(code, err.code)
      assert.equal("query", err.op)
      assert.equal(word .. ".test", err.endpoint)
      assert.equal(word == "nodata" and "noerror" or word, err.answer.rcode)
      assert.equal("127.0.0.1:" .. opts.port, err.server)
      assert.matches(", server 127%.0%.0%.1:" .. opts.port .. " %(" .. code, tostring(err))
    end
    assert.is_truthy(server)
  end)

  it("sends nothing for what is no name (H1)", function()
    local server <close>, opts = serve(function() end)
    for _, name in ipairs {"", "a..b", ".a", ("a"):rep(64), ("a."):rep(127) .. "a", "a\0b", "a b",
      "b\xfccher.test", "\\", "a\\256", "a\n"} do
      local found, err = dns.query(name, "A", opts)
      assert.is_nil(found)
      assert.equal("EAI_NONAME", err.code)
    end
    assert.equal("", server:take())
  end)

  it("raises for what the script does wrong", function()
    for message, call in pairs {
      ["#1 to 'query' %(string expected, got nil%)"] = function() dns.query() end,
      ["#2 to 'query' %(a record's type expected, got NONE%)"] = function() dns.query("a", "none") end,
      ["#2 to 'query' %(a record's type expected, got 65536%)"] = function() dns.query("a", 65536) end,
      ["#2 to 'query' %(a record's type expected, got true%)"] = function() dns.query("a", true) end,
      ["query: a table of options expected, got number"] = function() dns.query("a", "A", 1) end,
      ["query: unknown option 'ports'"] = function() dns.query("a", "A", {ports = 1}) end,
      ["query: option 'port': 1 to 65535 expected"] = function() dns.query("a", "A", {port = 0}) end,
      ["query: option 'timeout': seconds above 0"] = function() dns.query("a", "A", {timeout = 0}) end,
      ["query: option 'tries': a count"] = function() dns.query("a", "A", {tries = 1.5}) end,
      ["query: option 'tcp': true or false"] = function() dns.query("a", "A", {tcp = 1}) end,
      ["query: option 'server': an address"] = function() dns.query("a", "A", {server = "a b"}) end,
      ["reverse: option 'server': an address"] = function() dns.reverse("::1", {server = {}}) end,
      ["#1 to 'reverse' %(an IP address expected%)"] = function() dns.reverse "a.test" end,
    } do
      assert.error_matches(call, message)
    end
    local ok, err = pcall(dns.query, "a", "A", {tcp = 1})
    assert.is_false(ok)
    assert.matches("^query: ", err)
  end)

  it("asks over TCP for what was cut (H5), or from the beginning", function()
    local overs = {}
    local server <close>, opts = serve(function(name, type, over)
      overs[#overs + 1] = over
      local list = {}
      for i = 1, over == "tcp" and 200 or 3 do
        list[i] = {name = name, type = type, ttl = 60, txt = {("x"):rep(200) .. i}}
      end
      return {tc = over == "udp", answer = list}
    end)
    assert.equal(200, #assert(dns.query("long.test", "TXT", opts)))
    assert.same({"udp", "tcp"}, overs)
    opts.tcp = true
    assert.equal(200, #assert(dns.query("long.test", "TXT", opts)))
    assert.same({"udp", "tcp", "tcp"}, overs)
    assert.is_truthy(server)
  end)

  it("asks again over TCP wherever an answer ends that says it is cut", function()
    local length
    local server <close>, opts = serve(function(name, type, over, query)
      local bytes = name_server.answer(query, {tc = over == "udp", answer = {
        {name = name, type = type, ttl = 60, txt = {("x"):rep(200)}},
      }})
      return over == "udp" and bytes:sub(1, length) or bytes
    end)
    for _, n in ipairs {12, 14, 20, 40, 100} do
      length = n
      local found = assert(dns.query("a.test", "TXT", opts))
      assert.equal(200, #found[1].txt[1])
    end
    assert.is_truthy(server)
  end)

  it("does without EDNS where that is not understood", function()
    local with_edns = {}
    local server <close>, opts = serve(function(name, type, _, query)
      with_edns[#with_edns + 1] = #query.additional == 1
      if #query.additional > 0 then
        return {rcode = "formerr", question = {}}
      end
      return {answer = {{name = name, type = type, address = "192.0.2.1"}}}
    end)
    assert.equal("192.0.2.1", assert(dns.query("old.test", "A", opts))[1].address)
    assert.same({true, false}, with_edns)
    assert.is_truthy(server)
  end)

  it("ends when the server is silent, and is asked as often as was said (H2)", function()
    local server <close>, opts = serve(function() end)
    opts.timeout, opts.tries = 0.2, 2
    local before = time.now()
    local found, err = dns.query("a.test", "A", opts)
    local took = time.now() - before
    assert.is_nil(found)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("a.test", err.endpoint)
    assert.is_true(took >= 0.4 and took < 3, took)
    assert.equal("a.test A, a.test A", server:take())
  end)

  it("goes to the next server when one is silent, away or fails", function()
    local good <close>, opts = serve(function(name, type)
      return {answer = {{name = name, type = type, address = "192.0.2.1"}}}
    end)
    opts.timeout = 0.3
    for last = 2, 4 do
      local listening = last < 4 and assert(net.bind(("udp://127.0.0.%d:%d"):format(last, opts.port)))
      local failing = last == 3 and task.spawn(function()
        for data, from in listening:messages() do
          local query = require "neap.packet".dissect(data, "dns").dns
          listening:send(name_server.answer(query, {rcode = "servfail"}), from)
        end
      end)
      opts.server = {"127.0.0." .. last, net.address "127.0.0.1"}
      assert.equal("192.0.2.1", assert(dns.query("a.test", "A", opts))[1].address)
      if listening then
        listening:close()
      end
      if failing then
        failing:join()
      end
    end
    assert.equal("a.test A, a.test A, a.test A", good:take())
    opts.server, opts.port = "127.0.0.4", opts.port
    assert.equal("ECONNREFUSED", select(2, dns.query("a.test", "A", opts)).code)
  end)

  it("takes no answer that is not to its question (H6)", function()
    local server <close>, opts = serve(function(name, type, _, query, send)
      local function evil(fields)
        local answer = {answer = {{name = name, type = type, ttl = 60, address = "6.6.6.6"}}}
        for field, value in pairs(fields) do
          answer[field] = value
        end
        send(name_server.answer(query, answer))
      end
      evil {id = query.id ~ 1}
      evil {qr = false}
      evil {opcode = "notify"}
      evil {question = {}}
      evil {question = {{name = "other.test", type = type}}}
      evil {question = {{name = name, type = "MX"}}}
      evil {question = {{name = name, type = type, class = "CH"}}}
      evil {question = {query.question[1], query.question[1]}}
      send ""
      send "junk"
      send(name_server.answer(query, {ancount = 65535}))
      send(("\0"):rep(12))
      return {question = {{name = name:upper(), type = type}},
        answer = {{name = name, type = type, class = "CH", ttl = 60, address = "6.6.6.6"},
          {name = name, type = type, ttl = 60, address = "192.0.2.1"}}}
    end)
    local found = assert(dns.query("a.test", "A", opts))
    assert.equal(1, #found)
    assert.equal("192.0.2.1", found[1].address)
    assert.is_truthy(server)
  end)

  it("has a port and an id for each query, and hears only whom it asked (H6)", function()
    local stranger <close> = assert(net.bind "udp://127.0.0.1:0")
    local server <close> = assert(net.bind "udp://127.0.0.1:0")
    local ports, ids = {}, {}
    local serving = task.spawn(function()
      for data, from in server:messages() do
        local query = require "neap.packet".dissect(data, "dns").dns
        ports[#ports + 1], ids[#ids + 1] = from.port, query.id
        local record = {name = query.question[1].name, ttl = 60, address = "6.6.6.6"}
        stranger:send(name_server.answer(query, {answer = {record}}), from)
        task.sleep(0.01)
        record.address = "192.0.2.1"
        server:send(name_server.answer(query, {answer = {record}}), from)
      end
    end)
    local opts = {server = server.localaddr, port = server.localaddr.port}
    for _ = 1, 8 do
      assert.equal("192.0.2.1", dns.query("a.test", "A", opts)[1].address)
    end
    server:close()
    serving:join()
    for _, list in ipairs {ports, ids} do
      local seen, count = {}, 0
      for _, n in ipairs(list) do
        count = count + (seen[n] and 0 or 1)
        seen[n] = true
      end
      assert.is_true(count >= 7, table.concat(list, " "))
    end
  end)

  it("asks a server at a port of its own", function()
    local server <close> = serve(function()
      return {answer = {{name = "a.test", type = "A", ttl = 60, address = "192.0.2.1"}}}
    end)
    local place = "127.0.0.1:" .. server.port
    for _, named in ipairs {place, net.address(place)} do
      local records = assert(dns.query("a.test", "A", {server = {named}, port = 1, tries = 1}))
      assert.equal("192.0.2.1", records[1].address)
    end
    assert.has_error(function() dns.query("a.test", "A", {server = net.address "/tmp/x"}) end)
  end)

  it("tells what is wrong with an answer over TCP", function()
    local server <close>, opts = serve(function(_, _, _, query)
      return name_server.answer(query, {id = query.id ~ 1})
    end)
    opts.tcp = true
    assert.equal("EBADMSG", select(2, dns.query("a.test", "A", opts)).code)
    assert.is_truthy(server)
  end)

  it("holds up neither a file, nor hosts, nor another server's answer (H3)", function()
    local silent <close>, deaf = serve(function() end)
    local server <close>, opts = serve(function(name, type)
      return {answer = {{name = name, type = type, address = "192.0.2.1"}}}
    end)
    deaf.timeout = 60
    task.scope(function(scope)
      local ended = 0
      for i = 1, 100 do
        scope:spawn(function()
          dns.query(i .. ".test", "A", deaf)
          ended = ended + 1
        end)
      end
      for _ = 1, 500 do
        if #silent.asked == 100 then
          break
        end
        task.sleep(0.01)
      end
      local file <close> = assert(io.open "/etc/passwd")
      assert.is_truthy(file:read "a")
      assert.is_truthy(net.resolve "localhost")
      assert.equal("192.0.2.1", dns.query("a.test", "A", opts)[1].address)
      assert.equal(0, ended)
      scope:cancel()
    end)
    assert.equal(100, #silent.asked)
    assert.equal("a.test A", server:take())
  end)

  it("is cancelled on the spot, and leaves nothing (H4)", function()
    local server <close>, opts = serve(function() end)
    local asking = {}
    for i = 1, 20 do
      asking[i] = task.spawn(dns.query, i .. ".test", "A", opts)
    end
    task.sleep(0.05)
    local before = time.now()
    for _, t in ipairs(asking) do
      t:cancel()
      pcall(t.join, t)
    end
    assert.is_true(time.now() - before < 1)
    assert.is_truthy(server)
  end)
end)

describe("dns.reverse", function()
  it("asks for the names of an address", function()
    local server <close>, opts = serve(function(name, type)
      return {answer = {
        {name = name, type = type, ttl = 60, ptrdname = "a.test"},
        {name = name, type = type, ttl = 60, ptrdname = "b.test"},
      }}
    end)
    for address, name in pairs {
      ["192.0.2.7"] = "7.2.0.192.in-addr.arpa",
      ["2001:db8::7"] = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    } do
      for _, value in ipairs {address, net.address(address)} do
        assert.same({"a.test", "b.test"}, (dns.reverse(value, opts)))
        assert.equal(name .. " PTR", server:take())
      end
    end
  end)

  it("tells when there is none", function()
    local server <close>, opts = serve(function()
      return {rcode = "nxdomain"}
    end)
    local names, err = dns.reverse("192.0.2.7", opts)
    assert.is_nil(names)
    assert.equal("EAI_NONAME", err.code)
    assert.equal("7.2.0.192.in-addr.arpa", err.endpoint)
    assert.is_truthy(server)
  end)
end)

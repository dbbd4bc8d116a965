local child = require "spec.support.child"
local metrics = require "neap.metrics"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

--- The labels of a sample as they are written, and where it goes on: name="value", with
--- \\, \" and \n as the only escapes.
local function read_labels(line, at)
  local first = at
  if line:sub(at, at) ~= "{" then
    return "", at
  end
  repeat
    at = assert(line:match('^[%a_][%w_]*="()', at + 1), line)
    while line:sub(at, at) ~= '"' do
      at = assert(line:match('^\\[\\n"]()', at) or line:match('^[^\\"\n]()', at), line)
    end
    at = at + 1
  until line:sub(at, at) ~= ","
  assert(line:sub(at, at) == "}", line)
  return line:sub(first, at), at + 1
end

local numbers = {["+Inf"] = math.huge, ["-Inf"] = -math.huge, NaN = 0 / 0}

local function read_sample(now, line)
  local name, at = line:match "^([%a_:][%w_:]*)()"
  local suffix = name and name:sub(1, #now.name) == now.name and name:sub(#now.name + 1)
  assert(now.kind == "histogram" and (suffix == "_bucket" or suffix == "_sum" or suffix == "_count")
    or now.kind ~= "histogram" and suffix == "", line)
  local labels
  labels, at = read_labels(line, at)
  local number = line:match("^ (%S+)$", at)
  local row = suffix .. labels
  assert(not now.rows[row], "twice: " .. line)
  now.rows[row] = numbers[number] or assert(tonumber(number), line)
end

--- What a text says, read strictly: name -> {help=, kind=, rows = {labels as they are
--- written -> number}}.
local function parse(text)
  assert(text:sub(-1) == "\n" and utf8.len(text))
  local families, now = {}, nil
  for line in text:gmatch "([^\n]*)\n" do
    local what, name, rest = line:match "^# (%u+) ([%a_:][%w_:]*) (.*)$"
    if what == "HELP" then
      assert(not families[name] and not rest:gsub("\\[\\n]", ""):find "\\", line)
      now = {name = name, help = rest, rows = {}}
      families[name] = now
    elseif what == "TYPE" then
      assert(now and now.name == name and not now.kind and next(now.rows) == nil, line)
      assert(rest == "counter" or rest == "gauge" or rest == "histogram", line)
      now.kind = rest
    else
      read_sample(now, line)
    end
  end
  return families
end

local function rows(name)
  return parse(metrics.text())[name].rows
end

describe("a counter", function()
  it("adds up, also fractions, and by its labels", function()
    local plain = metrics.counter("spec_plain_total", "Plain.")
    plain:inc()
    plain:inc(0)
    plain:inc(2.5)
    assert.same({[""] = 3.5}, rows "spec_plain_total")
    local by = metrics.counter("spec_labelled_total", "By label.", {"method", "code"})
    by:labels("GET", 200):inc()
    by:labels("GET", "200"):inc()
    by:labels("GET", 404):inc(3)
    by:labels(true, 1.5):inc()
    assert.equal(by:labels("GET", 200), by:labels("GET", "200"))
    assert.same({
      ['{method="GET",code="200"}'] = 2, ['{method="GET",code="404"}'] = 3, ['{method="true",code="1.5"}'] = 1,
    }, rows "spec_labelled_total")
  end)

  it("is the same for whoever makes it again", function()
    local one = metrics.counter("spec_again_total", "Again.", {"a"})
    assert.equal(one, metrics.counter("spec_again_total", "Other words.", {"a"}))
    for _, make in ipairs {
      function() metrics.counter("spec_again_total", "x", {"b"}) end,
      function() metrics.counter("spec_again_total", "x") end,
      function() metrics.gauge("spec_again_total", "x", {"a"}) end,
    } do
      assert.error_matches(make, "there is a counter of that name")
    end
  end)

  it("says what is wrong with its use", function()
    local plain = metrics.counter("spec_wrong_total", "x")
    local by = metrics.counter("spec_wrong_labels_total", "x", {"a", "b"})
    for why, use in pairs {
      ["spec_wrong_total: a counter only grows"] = function() plain:inc(-1) end,
      ["spec_wrong_total: inc: a number expected, got string"] = function() plain:inc "1" end,
      ["spec_wrong_total: inc: a number expected, got NaN"] = function() plain:inc(0 / 0) end,
      ["spec_wrong_total: it has no labels"] = function() plain:labels "x" end,
      ["labels a, b expected"] = function() by:labels "x" end,
      ["labels: strings expected, got a nil"] = function() by:labels("x", nil) end,
      ["labels: strings expected, got a table"] = function() by:labels({}, "x") end,
      ["it has labels: metric:labels%(a, b%):inc"] = function() by:inc() end,
      ["inc: a metric expected"] = function() plain.inc "x" end,
      ["inc: a metric expected: metric:inc"] = function() plain.inc() end,
      ["spec_wrong_seconds: time: a function expected, got nil"] = function()
        metrics.histogram("spec_wrong_seconds", "x"):time()
      end,
    } do
      assert.error_matches(use, why)
    end
    assert.same({[""] = 0}, rows "spec_wrong_total")
    assert.same({}, rows "spec_wrong_labels_total")
  end)

  it("has names, helps and labels that Prometheus allows", function()
    for why, use in pairs {
      ["counter: a name of letters"] = function() metrics.counter("a b", "x") end,
      ["gauge: a name of letters"] = function() metrics.gauge("1a", "x") end,
      ["histogram: a name of letters"] = function() metrics.histogram(nil, "x") end,
      ["spec_x: what it is expected"] = function() metrics.counter "spec_x" end,
      ["such names are neap's own"] = function() metrics.counter("neap_x", "x") end,
      ["label 1: a name of letters"] = function() metrics.counter("spec_x", "x", {"a-b"}) end,
      ["label 1: a name of letters, digits and _ "] = function() metrics.counter("spec_x", "x", {"__name__"}) end,
      ["label 'a': it is there twice"] = function() metrics.counter("spec_x", "x", {"a", "a"}) end,
      ["label 'le': the buckets have it"] = function() metrics.histogram("spec_x", "x", {labels = {"le"}}) end,
      ["labels: a list of names expected, got string"] = function() metrics.counter("spec_x", "x", "a") end,
      ["unknown option 'bucket'"] = function() metrics.histogram("spec_x", "x", {bucket = {1}}) end,
      ["buckets: a list of numbers"] = function() metrics.histogram("spec_x", "x", {buckets = {}}) end,
      ["buckets: numbers, each above"] = function() metrics.histogram("spec_x", "x", {buckets = {1, 1}}) end,
      ["buckets: numbers, each above the one"] = function()
        metrics.histogram("spec_x", "x", {buckets = {1, math.huge}})
      end,
    } do
      assert.error_matches(use, why)
    end
    assert.is_nil(parse(metrics.text()).spec_x)
  end)

  it("escapes what is in labels and helps", function()
    local odd = metrics.counter("spec_odd_total", "a\\b\nc \"d\"", {"x"})
    for _, value in ipairs {"", 'a"b', "a\\", "\\\"", "a\nb", "é", "\xff", "\0", 'x",y="z', "}"} do
      odd:labels(value):inc()
    end
    local family = parse(metrics.text()).spec_odd_total
    assert.equal('a\\\\b\\nc "d"', family.help)
    for _, row in ipairs {'{x=""}', '{x="a\\"b"}', '{x="a\\\\"}', '{x="\\\\\\""}', '{x="a\\nb"}', '{x="é"}',
      '{x="\u{fffd}"}', '{x="\0"}', '{x="x\\",y=\\"z"}', '{x="}"}'} do
      assert.equal(1, family.rows[row], row)
    end
  end)

  it("is one for all labels that are the same in the text", function()
    local odd = metrics.counter("spec_bytes_total", "x", {"x"})
    assert.equal(odd:labels "\xff", odd:labels "\xfe")
    assert.equal(odd:labels "\xff", odd:labels "\u{fffd}")
    odd:labels "\xff":inc()
    odd:labels "\xfe":inc()
    local _, count = metrics.text():gsub("spec_bytes_total{[^\n]*", "")
    assert.equal(1, count)
    assert.same({['{x="\u{fffd}"}'] = 2}, rows "spec_bytes_total")
    local result = child.run [[
      local metrics = require "neap.metrics"
      local many = metrics.counter("many_total", "Many.", {"x"})
      many:labels "overflow":inc()
      for i = 1, 10010 do
        many:labels(i):inc()
      end
      local text = metrics.text()
      print(select(2, text:gsub('many_total{x="overflow"}', "")), text:match 'many_total{x="overflow"}.-\n')
      collectgarbage()
      local before = collectgarbage "count"
      for i = 1, 20000 do
        many:labels(("\xff%c%c%c"):format(i & 255 | 128, i >> 8 | 128, 128)):inc()
      end
      collectgarbage()
      print(collectgarbage "count" - before < 500)
    ]]
    assert.equal('1\tmany_total{x="overflow"} 12\n\ntrue\n', result.stdout)
  end)

  it("has no more combinations than there is memory for", function()
    local result = child.run [[
      local metrics = require "neap.metrics"
      local many = metrics.counter("many_total", "Many.", {"peer", "x"})
      for i = 1, 10100 do
        many:labels(i, "x"):inc()
      end
      many:labels(1, "x"):inc()
      local text = metrics.text()
      print(select(2, text:gsub("many_total{", "")), text:match '(many_total{peer="overflow".-)\n',
        text:match '(many_total{peer="1".-)\n')
      text = nil
      collectgarbage()
      local before = collectgarbage "count"
      for i = 1, 20000 do
        many:labels("/" .. i, "x"):inc()
      end
      collectgarbage()
      print(collectgarbage "count" - before < 500)
    ]]
    assert.equal('10001\tmany_total{peer="overflow",x="overflow"} 100\tmany_total{peer="1",x="x"} 2\ntrue\n',
      result.stdout)
  end)
end)

describe("a gauge", function()
  it("goes up and down, and may be asked for", function()
    local gauge = metrics.gauge("spec_gauge", "x")
    gauge:set(-1.5)
    gauge:inc()
    gauge:inc(2)
    gauge:dec()
    gauge:dec(0.5)
    assert.same({[""] = 0}, rows "spec_gauge")
    gauge:set(math.huge)
    assert.same({[""] = math.huge}, rows "spec_gauge")
    gauge:follow(function()
      return 42
    end)
    assert.same({[""] = 42}, rows "spec_gauge")
    for _, f in ipairs {error, function() end, function()
      return "1"
    end} do
      gauge:follow(f)
      assert(rows "spec_gauge"[""] ~= rows "spec_gauge"[""])
    end
    assert.has_error(function()
      gauge:follow(1)
    end)
    local by = metrics.gauge("spec_gauges", "x", {"a"})
    by:labels("x"):set(1 << 60)
    assert.matches('\nspec_gauges{a="x"} 1152921504606846976\n', metrics.text())
    assert.has_error(function()
      by:set(1)
    end)
  end)
end)

describe("a histogram", function()
  it("counts in buckets, each with those below it", function()
    local sizes = metrics.histogram("spec_sizes", "x", {buckets = {-1, 0.5, 10}, labels = {"a"}})
    for _, n in ipairs {-5, -1, 0.5, 0.6, 10, 11, math.huge} do
      sizes:labels("x"):observe(n)
    end
    assert.same({
      ['_bucket{a="x",le="-1"}'] = 2, ['_bucket{a="x",le="0.5"}'] = 3, ['_bucket{a="x",le="10"}'] = 5,
      ['_bucket{a="x",le="+Inf"}'] = 7, ['_sum{a="x"}'] = math.huge, ['_count{a="x"}'] = 7,
    }, rows "spec_sizes")
    assert.error_matches(function()
      sizes:labels("x"):observe "1"
    end, "observe: a number expected")
    assert.error_matches(function()
      sizes:observe(1)
    end, "it has labels")
  end)

  it("measures how long a function takes, which may wait, fail, and be cancelled", function()
    local took = metrics.histogram("spec_took_seconds", "x", {buckets = {0.02, 1000}})
    assert.same({1, nil, 3, n = 3}, table.pack(took:time(function(...)
      task.sleep(0.03)
      return ...
    end, 1, nil, 3)))
    local object = {}
    assert.equal(object, select(2, pcall(took.time, took, error, object)))
    local t = task.spawn(took.time, took, task.sleep, 60)
    task.yield()
    t:cancel()
    pcall(t.join, t)
    local found = rows "spec_took_seconds"
    assert.equal(3, found["_count"])
    assert.equal(3, found['_bucket{le="1000"}'])
    assert(found['_bucket{le="0.02"}'] <= 2 and found["_sum"] >= 0.03)
  end)
end)

describe("the runtime's own metrics", function()
  it("tell of tasks, sockets, bytes, the loop and the process", function()
    local before = parse(metrics.text())
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local a, b = assert(net.connect(listener.endpoint)), assert(listener:accept())
    a:write(("x"):rep(1000))
    b:read(1000)
    local d = assert(net.bind "udp://127.0.0.1:0")
    d:send("hello", d.localaddr)
    d:recv()
    local t = task.spawn(task.sleep, 60)
    local now = parse(metrics.text())
    local function grown(name, labels)
      return now[name].rows[labels or ""] - before[name].rows[labels or ""]
    end
    assert.equal(1, grown "neap_tasks")
    assert.equal(2, grown("neap_sockets", '{kind="stream"}'))
    assert.equal(1, grown("neap_sockets", '{kind="listener"}'))
    assert.equal(1, grown("neap_sockets", '{kind="datagram"}'))
    assert.equal(1, grown "neap_accepted_total")
    assert.equal(1005, grown "neap_received_bytes_total")
    assert.equal(1005, grown "neap_sent_bytes_total")
    assert(grown "neap_loop_turns_total" > 0 and grown "neap_loop_busy_seconds_total" > 0)
    for _, socket in ipairs {a, b, d, listener} do
      socket:close()
    end
    t:cancel()
    task.sleep(0.01)
    now = parse(metrics.text())
    assert.equal(0, grown "neap_tasks")
    assert.equal(1, grown "neap_accepted_total") -- what has gone stays counted
    assert.equal(1005, grown "neap_received_bytes_total")
    assert.equal(0, grown("neap_sockets", '{kind="datagram"}'))
    assert(now.process_cpu_seconds_total.rows[""] > 0)
    assert(now.process_resident_memory_bytes.rows[""] > 1 << 20)
    assert(now.process_open_fds.rows[""] > 3)
    assert(now.process_max_fds.rows[""] >= now.process_open_fds.rows[""])
    local age = time.wall() - now.process_start_time_seconds.rows[""]
    assert(age > -1 and age < 10000, age)
    assert(now.neap_lua_memory_bytes.rows[""] > 10000)
  end)

  it("count bytes once where TLS is a layer, and those of mem: not at all", function()
    local before = parse(metrics.text())
    local a, b = net.socketpair "mem"
    a:write "hello"
    b:read(5)
    a:close()
    b:close()
    local now = parse(metrics.text())
    assert.equal(before.neap_sent_bytes_total.rows[""], now.neap_sent_bytes_total.rows[""])
  end)

  it("tell how long others had to wait for the loop, and how busy it is", function()
    task.sleep(0.01)
    metrics.text()
    local before = parse(metrics.text())
    local began = time.now()
    while time.now() - began < 0.1 do
    end
    task.sleep(0.01)
    local now = parse(metrics.text())
    assert(now.neap_loop_lag_seconds.rows[""] >= 0.099)
    assert(now.neap_loop_busy_seconds_total.rows[""] - before.neap_loop_busy_seconds_total.rows[""] >= 0.099)
    task.sleep(0.01)
    assert(parse(metrics.text()).neap_loop_lag_seconds.rows[""] < now.neap_loop_lag_seconds.rows[""])
  end)

  it("leave out what there is no /proc to tell", function()
    if child.sanitized then
      pending "a sanitizer needs /proc"
    end
    local result = assert(process.run {"unshare", "-m", "--propagation=private", "sh", "-c",
      [[mount -t tmpfs none /proc && exec "$0" -e "$1"]], child.neap, [[
      local text = require "neap.metrics".text()
      print(text:find "process_resident" or text:find "process_open", text:find "neap_tasks" ~= nil)
    ]]})
    if result.stderr:find "^unshare:" or result.stderr:find "^mount:" then
      pending "no namespace of mounts here"
    end
    assert.same({"nil\ttrue\n", ""}, {result.stdout, result.stderr})
  end)
end)

describe("the metrics of several workers", function()
  local function run_workers(script)
    return assert(process.run {child.neap, "-w", "2", "-e", script})
  end

  it("are summed, whichever is asked; who does not answer is left out", function()
    local folder = child.missing():match "^(.*)/none$"
    assert(process.run {"mkdir", folder})
    local script = folder .. "/server.lua"
    local file <close> = assert(io.open(script, "w"))
    file:write [[
      local metrics = require "neap.metrics"
      local net = require "neap.net"
      local task = require "neap.task"
      local worker = require "neap.worker"
      local path = arg[1] .. "/" .. worker.id
      metrics.counter("spec_total", "x", {"worker"}):labels(worker.id):inc(worker.id)
      metrics.counter("spec_all_total", "x"):inc(worker.id)
      metrics.histogram("spec_seconds", "x", {buckets = {2}}):observe(worker.id)
      if worker.id == 4 then
        metrics.gauge("spec_other", "x"):set(1)
      else
        metrics.counter("spec_other", "x"):inc()
      end
      task.sleep(0)
      collectgarbage()
      assert(net.listen("unix:" .. path)):serve(function(stream)
        if stream:read "l" == "block" then
          stream:write "blocking\n"
          stream:flush()
          os.execute "sleep 3"
        else
          stream:write(metrics.text())
        end
      end)
    ]]
    file:close()
    local p <close> = assert(process.spawn {child.neap, "-w", "4", script, folder, stderr = "pipe"})
    local function ask(id, line)
      local stream
      for _ = 1, 2000 do
        stream = net.connect("unix:" .. folder .. "/" .. id)
        if stream then
          break
        end
        task.sleep(0.02)
      end
      local _ <close> = assert(stream)
      stream:write(line, "\n")
      return line == "block" and stream:read "l" or stream:read "a"
    end
    for id = 1, 4 do
      ask(id, "text") -- all are there
    end
    --- A busy machine may keep one from answering in time.
    local function of_all(id)
      for _ = 1, 20 do
        local found = parse(ask(id, "text"))
        if found.spec_seconds.rows._count == 4 then
          return found
        end
      end
      error "one of four workers is always left out"
    end
    for id = 1, 4 do
      local found = of_all(id)
      assert.equal(10, found.spec_all_total.rows[""])
      assert.same({['{worker="1"}'] = 1, ['{worker="2"}'] = 2, ['{worker="3"}'] = 3, ['{worker="4"}'] = 4},
        found.spec_total.rows)
      assert.same({['_bucket{le="2"}'] = 2, ['_bucket{le="+Inf"}'] = 4, _sum = 10, _count = 4},
        found.spec_seconds.rows)
      assert.equal(id == 4 and 1 or 3, found.spec_other.rows[""])
      assert.equal(4, found.neap_sockets.rows['{kind="listener"}'])
      assert(found.process_cpu_seconds_total.rows[""] > 0 and found.process_open_fds.rows[""] > 0)
    end
    ask(2, "block")
    local found = parse(ask(1, "text"))
    assert.equal(8, found.spec_all_total.rows[""])
    p:kill "SIGKILL"
    p:wait()
    process.run {"rm", "-r", folder}
  end)

  it("wait for none that has not loaded neap.metrics", function()
    local result = run_workers [[
      local worker = require "neap.worker"
      local begun, ended = worker.channel "spec begun", worker.channel "spec ended"
      if worker.id ~= 1 then
        begun:send(true)
        return ended:recv()
      end
      begun:recv()
      local metrics = require "neap.metrics"
      local time = require "neap.time"
      local least = 1000
      for _ = 1, 3 do
        local began = time.now()
        metrics.text()
        least = math.min(least, time.now() - began)
      end
      print(least < 0.9)
      ended:close()
    ]]
    assert.equal("true\n", result.stdout)
  end)

  it("are also of who has loaded neap.metrics behind the first text", function()
    local result = run_workers [[
      local worker = require "neap.worker"
      local begun, loads, ended = worker.channel "spec begun", worker.channel "spec loads", worker.channel "spec ended"
      collectgarbage "stop"
      if worker.id == 2 then
        begun:send(true)
        loads:recv()
        require "neap.metrics".counter("spec_late", "x"):inc()
        return ended:recv()
      end
      local metrics = require "neap.metrics"
      local function is_there()
        return metrics.text():find "spec_late 1" ~= nil
      end
      begun:recv()
      print(is_there())
      loads:send(true)
      for _ = 1, 200 do
        if is_there() then
          print "then"
          break
        end
        task.sleep(0.01)
      end
      ended:close()
    ]]
    assert.same({"false\nthen\n", ""}, {result.stdout, result.stderr})
  end)

  it("tell labels apart that are the same one behind the other", function()
    local result = run_workers [[
      local metrics = require "neap.metrics"
      local worker = require "neap.worker"
      local by = metrics.counter("spec_apart_total", "x", {"a", "b"})
      local all, ended = worker.channel "spec all", worker.channel "spec ended"
      if worker.id == 1 then
        by:labels("a\0", "b"):inc(1)
        all:recv()
        print(metrics.text():match '{a="a%z",b="b"} (%d+)')
        return ended:close()
      end
      by:labels("a", "\0b"):inc(2)
      all:send(true)
      ended:recv()
    ]]
    assert.equal("1\n", result.stdout)
  end)
end)

-- `neap sim`: what its command line says is run, for one seed or many.

local args = require "neap.args"
local batch = require "neap.sim.batch"
local enter = require "neap.sim.enter.core"
local host = require "neap.host"
local runs = require "neap.sim.runs"
local shrink = require "neap.sim.shrink"

local ipairs, tonumber, tostring = ipairs, tonumber, tostring
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local match, sub = string.match, string.sub
local concat, move, open, tointeger = table.concat, table.move, io.open, math.tointeger
local stderr, stdout = io.stderr, io.stdout

--- Statuses: the world has failed; a wrong use.
local FAILED, USAGE = 1, 2

--- 7, 0x1f or 3-9.
local function seeds(text)
  local first, last = match(text, "^(%w+)%-(%w+)$")
  first, last = tointeger(tonumber(first or "1")), tointeger(tonumber(last or text))
  if not first or not last or first < 1 or last < first then
    return nil, "a number of seeds, or the first and the last one, expected"
  end
  return {first, last}
end

local function seed(text)
  local n = tointeger(tonumber(text))
  return n, not n and "a whole number expected" or nil
end

local function faults(text)
  local rest = gsub(text, "%d+:?%d*%.?%d*,?", "")
  local is_list = rest == "" or text == "none"
  return is_list and text or nil, not is_list and "numbers of faults, such as 1,7:0.5, or none expected" or nil
end

local SPEC = {
  name = "neap sim",
  about = "Runs a world that a script describes, under virtual time, from a seed; or without one: hosts that run "
    .. "one script, and behind -- a client's, whose end ends the run.",
  {"-s, --seed=SEED", "this one, and show what it prints", type = seed},
  {"-n, --seeds=N", "1 to N, or FIRST-LAST, until one fails", type = seeds},
  {"-j, --jobs=N", "so many processes", type = "integer", min = 1, max = 1024, default = 1},
  {"-k, --keep-going", "run all seeds, and tell which have failed"},
  {"-c, --check", "run each seed twice: is it the same to the last event?"},
  {"--shrink", "of a seed that fails, of --seeds the first: fewer faults, that last shorter, as long as it fails"},
  {"--keep=FAULTS", "of the chaos only these faults, by their numbers: 1,7; 7:0.5: for half a second; or none",
    type = faults},
  {"--part=FIRST,LAST,STEP", "what --jobs starts: such seeds, and what has become of them for a program"},
  {"--limit=SECONDS", "of the world, at which a run fails", type = "number", min = 0},
  {"--order=ORDER", "fifo: tasks take turns in their order, as outside, and not in one that is drawn",
    choices = {"fifo"}},
  {"-t, --trace", "show the time of what is printed, and each fault"},
  {"--pcap=FILE", "of one seed: what passes between hosts, as pcapng with the world's time"},
  {"-i, --interactive", "of one seed: a prompt, at which one lets it go on by events or seconds, and looks at it"},
  {"-H, --hosts=N", "hosts that run the script", type = "integer", min = 1, max = 1000},
  {"SCRIPT", "the world, or the hosts' script"},
  {"[ARGUMENT...]", "the script's"},
}

--- Words before -- , and behind it: nil where there is none.
local function cut(words)
  for i, word in ipairs(words) do
    if word == "--" then
      return move(words, 1, i - 1, 1, {}), move(words, i + 1, #words, 1, {})
    end
  end
  return words, nil
end

--- By its name whether an option of ours takes a value.
local function known_options()
  local known = {["-h"] = "flag", ["--help"] = "flag"}
  for _, row in ipairs(SPEC) do
    if sub(row[1], 1, 1) == "-" then
      local kind = find(row[1], "=", 1, true) and "value" or "flag"
      for name in gmatch(row[1], "%-+[%a-]+") do
        known[name] = kind
      end
    end
  end
  return known
end

--- How many words our option at `at` takes; nil: it is none of ours.
local function option_size(known, words, at)
  local word = words[at]
  local name, value = match(word, "^(%-%-[%a-]+)(=?)")
  if name then
    return known[name] and (value == "" and known[name] == "value" and 2 or 1)
  end
  for i = 2, find(word, "^%-%a") and #word or 0 do
    local kind = known["-" .. sub(word, i, i)]
    if kind ~= "flag" then
      return kind and (i == #word and 2 or 1) -- the rest is its value
    end
  end
  return find(word, "^%-%a") and 1 or nil
end

--- What is ours of these words, and what is the script's: from the first one behind SCRIPT
--- on that is no option of ours.
local function divide(words)
  local known, at, script = known_options(), 1, false
  while words[at] do
    local size = option_size(known, words, at)
    if not size and (script or sub(words[at], 1, 1) == "-") then
      break
    end
    script = script or not size
    at = at + (size or 1)
  end
  if not script then -- it will be told what is wrong
    return words, {}
  end
  return move(words, 1, at - 1, 1, {}), move(words, at, #words, 1, {})
end

--- A word of the command line, for a shell.
local function quoted(word)
  return find(word, "^[%w_./:=,+@%%-]+$") and word or "'" .. gsub(word, "'", "'\\''") .. "'"
end

local function replay_line(given, n, keep)
  local words = {"neap sim"}
  if given.hosts then
    words[#words + 1] = format("--hosts %d", given.hosts)
  end
  words[#words + 1] = quoted(given.script)
  words[#words + 1] = format("--seed 0x%x", n)
  if given.limit then
    words[#words + 1] = format("--limit %s", given.limit)
  end
  if given.order then
    words[#words + 1] = "--order " .. given.order
  end
  if keep and keep ~= "" then
    words[#words + 1] = "--keep " .. keep
  end
  if given.check then
    words[#words + 1] = "--check"
  end
  words[#words + 1] = "--trace"
  for _, word in ipairs(given.argument) do
    words[#words + 1] = quoted(word)
  end
  for i, word in ipairs(given.client or {}) do
    words[#words + 1] = (i == 1 and "-- " or "") .. quoted(word)
  end
  return concat(words, " ")
end

local function tell(...)
  stdout:flush()
  stderr:write("neap: ", host.harmless(format(...)), "\n")
  stderr:flush()
end

local function print_now(text)
  stdout:write(text)
  stdout:flush()
end

local function tell_failure(given, result, keep)
  tell("%s", runs.told(result))
  tell("replay: %s", replay_line(given, result.seed, keep))
end

--- What a run is to do: {name, code, args}. A world's file is what it is called in its own
--- folder, which is entered before.
local function program_of(given)
  if not given.client then
    return {name = match(given.script, "([^/]+)$"), args = given.argument}
  end
  local words = {tostring(given.hosts or 1), tostring(#given.argument), given.script}
  move(given.argument, 1, #given.argument, #words + 1, words)
  move(given.client, 1, #given.client, #words + 1, words)
  return {module = "neap.sim.plain", name = given.script, args = words}
end

--- The faults of a run, by number.
local function faults_of(result)
  local list = {}
  for _, report in ipairs(result.reports) do
    if report[1] == "fault" then
      list[#list + 1] = report[2]
    end
  end
  return list
end

-- One seed

--- What all runs of it have in common.
local function options_of(given, more)
  more.limit, more.order, more.keep = given.limit, given.order, more.keep or given.keep
  return more
end

local function run_once(given, program, n, show, watch)
  return runs.one(program, n, options_of(given, {stamp = given.trace, history = given.check, watch = watch}),
    show and print_now)
end

local function check_once(given, program, n, show, watch)
  local one = run_once(given, program, n, show, watch)
  local other = run_once(given, program, n)
  if one.hash ~= other.hash or concat(one.output) ~= concat(other.output) then
    other.failed = "a second run was another one: " .. batch.difference(one, other)
  end
  return other.failed and other or one
end

local function run_seed(given, program, n, capture)
  local result = (given.check and check_once or run_once)(given, program, n, true, capture and function(messages)
    capture:add(messages)
  end)
  if capture then
    capture:close()
  end
  if result.failed then
    tell_failure(given, result, given.keep)
    return FAILED
  end
  return 0
end

local function shrink_seed(given, program, n)
  local function try(keep)
    return runs.one(program, n, options_of(given, {keep = keep}))
  end
  local first = try(given.keep)
  if not first.failed then
    tell("seed 0x%x does not fail", n)
    return USAGE
  end
  local keep, last = shrink(try, first)
  tell("%d faults, of which these are needed: %s", #faults_of(first), keep ~= "" and keep or "none")
  for _, fault in ipairs(faults_of(last)) do
    tell("  %s", fault)
  end
  tell_failure(given, last, keep ~= "" and keep or "none")
  return FAILED
end

-- Arguments

--- What neap was called as.
local function executable()
  local arg, least = _G.arg, 0
  while arg and arg[least - 1] do
    least = least - 1
  end
  return arg and arg[least] or "neap"
end

--- What is wrong with them, or nil.
local function misuse(given)
  if given.client and #given.client == 0 then
    return "a client's script is expected behind --"
  elseif given.hosts and not given.client then
    return "-- and a client's script are expected behind --hosts"
  elseif (given.pcap or given.interactive) and (given.seeds or given.shrink or given.check and given.interactive) then
    return format("%s is of one run: --seed says which", given.pcap and "--pcap" or "-i")
  end
  for _, path in ipairs {given.script, given.client and given.client[1]} do
    local file, why = open(path, "r")
    if not file then
      return why
    end
    file:close()
  end
end

local function main(words)
  local all, client = cut(words)
  local own, argument = divide(all)
  own[0] = "neap sim"
  local given = args.parse(own, SPEC)
  given.client, given.argument = client, argument
  local wrong = misuse(given)
  if wrong then
    tell("sim: %s", wrong)
    return USAGE
  end
  local program = program_of(given)
  local capture, err
  if given.pcap then
    capture, err = require "neap.sim.capture".open(given.pcap)
    if not capture then
      tell("sim: %s", tostring(err))
      return USAGE
    end
  end
  local before = not client and find(given.script, "/", 1, true) and enter(match(given.script, "^.*/"))
  local function one(n)
    return (given.check and check_once or run_once)(given, program, n, false)
  end
  if given.interactive then
    local failed = require "neap.sim.prompt"(program, given.seed or 1, options_of(given, {stamp = given.trace}))
    return failed and FAILED or 0
  elseif given.part then
    return batch.part(given.part, one)
  elseif given.seed or not given.seeds then
    return (given.shrink and shrink_seed or run_seed)(given, program, given.seed or 1, capture)
  end
  local failed
  local status = batch.run(given.seeds[1], given.seeds[2], one, {
    tell = tell, keep_going = given.keep_going, jobs = given.jobs, program = executable(), words = words,
    cwd = before or nil, told = function(result)
      failed = failed or result.seed
      tell_failure(given, result, given.keep)
    end,
  })
  return given.shrink and failed and shrink_seed(given, program, failed) or status
end

return function(...)
  return main {...}
end

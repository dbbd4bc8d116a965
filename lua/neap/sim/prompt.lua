-- `neap sim -i`: a prompt beside a world, which stands still while one types.

local host = require "neap.host"
local packets = require "neap.sim.packets"
local repl = require "neap.repl.main"
local runs = require "neap.sim.runs"
local sched = require "neap.task.core"

local ipairs, tonumber = ipairs, tonumber
local concat, format, gmatch, match = table.concat, string.format, string.gmatch, string.match
local harmless, mathtype = host.harmless, math.type

--- Events between two looks at what was printed.
local PIECE = 100

--- What has been printed, and has passed; and at the end how it went.
local function tell(session, world)
  local run = world.run
  session:print(harmless(run:output(), true))
  local passed = run:passages()
  if world.shows then
    local lines = {}
    for i, message in ipairs(passed) do
      lines[i] = packets.line(message) .. "\n"
    end
    session:print(concat(lines))
  end
end

local function tell_time(session, world)
  local failed, time = world.run:result()
  local what = failed and "has failed: " .. failed or world.over and "has ended" or "goes on"
  session:say("+%.6fs  seed 0x%x %s", time, world.seed, what)
end

--- So many events, or until then.
local function go(session, world, events, till)
  local halted
  while not world.over and not halted and events > 0 do
    local goes_on
    goes_on, halted = world.run:step(events < PIECE and events or PIECE, till)
    world.over = not goes_on
    events = events - PIECE
    tell(session, world)
    sched.yield()
  end
  tell_time(session, world)
end

--- Words of a command that are hosts; nil when one is not, which was told.
local function hosts_in(session, world, rest)
  local known, words = {}, {}
  for _, name in ipairs(world.run:hosts()) do
    known[name] = true
  end
  for word in gmatch(rest, "%S+") do
    if not known[word] then
      session.failed = true
      session:say("there is no host '%s'; :links lists them", word)
      return nil
    end
    words[#words + 1] = word
  end
  return words
end

--- Each pair of one host, or two, and all others.
local function each_pair(session, world, rest, f)
  local words = hosts_in(session, world, rest)
  if not words then
    return
  end
  local all = world.run:hosts()
  for _, a in ipairs(words[1] and {words[1]} or all) do
    for _, b in ipairs(words[2] and {words[2]} or all) do
      if a ~= b then
        f(a, b)
        f(b, a)
      end
    end
  end
end

local function links(session, world)
  local run = world.run
  local names = run:hosts()
  session:say("hosts: %s", concat(names, ", "))
  for _, from in ipairs(names) do
    for _, to in ipairs(names) do
      local cut, held, clogged = run:link(from, to)
      local states = {cut and "cut" or nil}
      states[#states + 1] = held and "held" or nil
      states[#states + 1] = clogged > 0 and format("clogged for %.3f s", clogged) or nil
      if #states > 0 and from ~= to then
        session:say("%s > %s: %s", from, to, concat(states, ", "))
      end
    end
  end
end

local function list(session, world, rest, which)
  local words = hosts_in(session, world, rest)
  for _, name in ipairs(words and (words[1] and words or world.run:hosts()) or {}) do
    local text = world.run:list(name, which, session.columns)
    session:print(format("%s:\n%s\n", name, text or "it does not run"), false, true)
  end
end

--- The commands of a world.
local function commands_of(world)
  local function run()
    return world.run
  end
  return {
    step = {
      argument = "[N]", text = "the next event, or so many",
      run = function(session, rest)
        local n = rest == "" and 1 or mathtype(tonumber(rest)) == "integer" and tonumber(rest)
        if not n or n < 1 then
          session.failed = true
          session:say ":step takes a number of events, from 1"
          return
        end
        go(session, world, n)
      end,
    },
    run = {
      argument = "[SECONDS]", text = "go on, for so long in the world, or to the end; ^C halts it",
      run = function(session, rest)
        local seconds = tonumber(match(rest, "^([%d.]+)s?$"))
        if rest ~= "" and not seconds then
          session.failed = true
          session:say ":run takes seconds: 5s or 0.1"
          return
        end
        local _, now = run():result()
        session:run(":run " .. rest, function()
          go(session, world, 1e18, seconds and now + seconds)
        end)
        return true
      end,
    },
    messages = {
      text = "show each message that passes between hosts, or no longer",
      run = function(session)
        world.shows = not world.shows
        session:say("messages are %s", world.shows and "shown" or "not shown")
      end,
    },
    links = {
      text = "the hosts, and which of their links are cut, held or clogged",
      run = function(session)
        links(session, world)
      end,
    },
    netstat = {
      argument = "[HOST]", text = "the sockets of a host",
      run = function(session, rest)
        list(session, world, rest, "socks")
      end,
    },
    ps = {
      argument = "[HOST]", text = "the tasks of a host",
      run = function(session, rest)
        list(session, world, rest, "ps")
      end,
    },
    hold = {
      argument = "[A [B]]", text = "hold what they send each other",
      run = function(session, rest)
        each_pair(session, world, rest, function(a, b)
          run():hold(a, b, true)
        end)
      end,
    },
    release = {
      argument = "[A [B]]", text = "let go what was held",
      run = function(session, rest)
        each_pair(session, world, rest, function(a, b)
          run():hold(a, b, false)
        end)
      end,
    },
    partition = {
      argument = "A [B]", text = "cut the links between them, or to all others",
      run = function(session, rest)
        each_pair(session, world, rest, function(a, b)
          run():cut(a, b, true)
        end)
      end,
    },
    heal = {
      text = "nothing is cut, held or clogged any more",
      run = function()
        run():heal()
      end,
    },
  }
end

--- Open one, for a seed of a program, until it is left: did the run fail?
return function(program, seed, options)
  local run <close> = runs.open(program, seed, options)
  local world = {run = run, seed = seed, shows = true}
  run:watch()
  repl.say(format("neap sim: seed 0x%x, not begun; :step, :run, :run 5s go on, :help tells what else there is", seed))
  repl.open(function(session)
    session.commands = commands_of(world)
  end)
  return run:result() ~= nil
end

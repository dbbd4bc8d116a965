--- The front end: a terminal, a stream to a session, and between them the editor.
---
--- It is one task that takes events: what was typed, what the session says,
--- signals. While an input runs, the terminal is as it was found (what is typed
--- then waits in it, or is the input's, if it reads), and ^C is a signal.

local core = require "neap.repl.core"
local drawing = require "neap.repl.drawing"
local Editor = require "neap.repl.editor"
local harmless = require "neap.host".harmless
local elsewhere = require "neap.repl.elsewhere"
local Pager = require "neap.repl.pager"
local history = require "neap.repl.history"
local lists = require "neap.repl.lists"
local Resizing = require "neap.repl.resizing"
local signal = require "neap.signal"
local stdio = require "neap.stdio"
local syntax = require "neap.repl.syntax"
local task = require "neap.task"
local width = require "neap.repl.width"
local wire = require "neap.repl.wire"

local format = string.format
local getenv = os.getenv
local stderr = io.stderr
local stdout = io.stdout

--- How long an ESC may be the beginning of a key.
local ESCAPE = 0.05

--- How long a terminal may take to say where its cursor is.
local ANSWER = 0.5

--- So many messages are kept while a text is shown; then the session waits.
local KEPT = 1000

--- How long a signal may take longer than what was typed behind it.
local SIGNAL = 0.001

---@class neap.repl.Terminal
local Terminal = {}
Terminal.__index = Terminal

--- One that cannot move its cursor, or is none (`neap -i < file`), gets plain lines.
local function is_dumb()
  local kind = core.is_terminal(0) and core.is_terminal(1) and getenv "TERM"
  return not kind or kind == "" or kind == "dumb"
end

local function has_colour()
  local no = getenv "NO_COLOR"
  return (no == nil or no == "") and not is_dumb()
end

---@class neap.repl.TerminalOptions
---@field stream neap.Stream  to the session
---@field prompt string?
---@field remote boolean?  the session is another process's
---@field asks boolean?  the session is asked before ^D leaves it
---@field hangup boolean?  leave in order when the terminal is gone
---@field interrupt? fun()  what ^C does besides while an input runs

---@param options neap.repl.TerminalOptions
---@return neap.repl.Terminal
function Terminal.new(options)
  local past, err = history.open()
  if err then
    io.stderr:write("neap: no history: ", harmless(tostring(err)), "\n")
  end
  local colour = has_colour()
  local console = core.console(width.none, width.wide)
  local prompt = options.prompt or "neap> "
  return setmetatable({
    stream = options.stream,
    remote = options.remote,
    asks = options.asks,
    previews = not options.remote and os.getenv "NEAP_PREVIEW" ~= "0",
    interrupt = options.interrupt,
    signals = {"SIGINT", "SIGWINCH", "SIGCONT", options.hangup and "SIGHUP" or nil},
    history = past,
    colour = colour,
    dumb = is_dumb(),
    editor = Editor.new {
      entries = past.entries, colour = colour, incomplete = syntax.is_incomplete,
      depth = syntax.depth, closes = syntax.closes,
      prompt = prompt, more = string.rep(" ", #prompt - 4) .. "..> ",
    },
    console = console,
    resizing = Resizing.new(console),
    events = task.channel(64),
    columns = 80,
    rows = 24,
    state = "running", -- until the session says that it is ready
  }, Terminal)
end

--
-- The screen
--

local function measure(self)
  local columns, rows = core.size()
  if columns and columns > 0 then
    self.columns, self.rows = columns, math.max(rows, 2)
    self.console:columns(columns)
  end
end

--- Write, with what print has said before it.
local function put(self, text)
  self.console:flush()
  self.console:put(text)
end

--- Draw the prompt where the last one stands, if that is known.
local function redraw(self)
  if self.dumb or self.resizing:is_asking() then
    return
  end
  local hide, show, _, shape = self.editor:block(self.columns, self.rows)
  self.console:put("\27[?25l" .. (self.hide or drawing.hiding(0)) .. show .. "\27[?25h")
  self.hide = hide
  self.resizing:drawn(shape)
  self.console:prompt("\27[?25l" .. hide, show .. "\27[?25h")
end

--- Show the prompt.
local function begin(self)
  if not self.dumb then
    core.mode "keys"
  end
  self.console:flush()
  if self.console:fresh() then
    self.console:put "\n"
  end
  self.state = "editing"
  self.hide = nil
  self.resizing:forget()
  if self.dumb then
    self.console:put(self.editor.prompt)
  end
  redraw(self)
end

--- The screen has another size: ask where the cursor is now. What is typed waits.
local function ask_where(self)
  self.hide = self.resizing:ask(self.columns)
  local hide, show = self.editor:block(self.columns, self.rows)
  self.hide_printed = hide
  self.console:prompt("\27[?25l" .. self.hide, show .. "\27[?25h")
  self.console:put "\27[6n"
  local number = self.resizing.asked
  self.scope:spawn(function()
    task.sleep(ANSWER)
    self.events:send {"unanswered", number}
  end).name = "prompt size"
end

--- The cursor is there, or nobody knows.
local function answer(self, row, column)
  local hide = self.resizing:answer(row, column)
  if not self.resizing:is_asking() then
    self.hide = hide or self.hide_printed
    redraw(self)
  end
end

--- Take out of what was typed where the cursor is. What is left, if all was said; nil
--- if there was nothing else.
local function take_answers(self, bytes)
  local said = 0
  bytes = (self.typed or "") .. bytes
  while self.resizing:is_asking() do
    local first, last, row, column = string.find(bytes, "\27%[(%d+);(%d+)R")
    if not first then
      self.typed = bytes
      return nil
    end
    bytes = string.sub(bytes, 1, first - 1) .. string.sub(bytes, last + 1)
    said = said + 1
    answer(self, tonumber(row) - 1, tonumber(column) - 1)
  end
  self.typed = nil
  return (bytes ~= "" or said == 0) and bytes or nil
end

--- Leave the text on the screen, and the cursor below it.
local function commit(self, mark)
  if self.dumb then
    return put(self, mark and "\n" or "")
  end
  local _, _, last = self.editor:block(self.columns, 1000)
  self.console:prompt("", "")
  put(self, (self.hide or "\r") .. last .. (mark or "") .. "\n")
  self.hide = nil
end

--- The terminal is as it was found.
local function give_back(self)
  if not self.dumb then
    core.mode "found"
  end
end

--- A line that tells that the input still runs, beneath what it prints.
local function show_running(self, message)
  if self.state ~= "running" or self.dumb then
    return
  end
  local text = format("(running for %d s%s; ^C ends it)", message.seconds // 1,
    message.what and ", waits for " .. harmless(message.what) or "")
  text = drawing.cut(text, self.columns)
  self.console:status(self.colour and "\27[2m" .. text .. "\27[0m" or text)
end

--- Print what the session says: above the prompt, if it stands. One in another process
--- may be any program's.
local function print_text(self, text)
  stdout:write(self.remote and harmless(text, true) or text)
  self.console:flush()
end

--
-- Events
--

local handlers = {}

--
-- A long text, a window at a time. What the session says meanwhile is kept.
--

--- Are keys for the prompt?
local function takes_keys(self)
  return self.state == "editing" or self.state == "paging"
end

local function clear_status(self)
  self.console:prompt("", "")
  put(self, "\r\27[K")
end

--- See to what the session has said meanwhile.
local function take_kept(self)
  local kept = self.kept
  self.kept = nil
  self.room:set()
  for _, message in ipairs(kept) do
    handlers.message(self, message)
  end
end

--- No more of it; the rest of what was typed is for the prompt.
local function end_paging(self, rest)
  clear_status(self)
  self.pager = nil
  self.state = "running"
  give_back(self)
  self.editor:feed(rest)
  take_kept(self)
end

local function show_page_status(self)
  local status = drawing.cut(self.pager:status(), self.columns)
  status = self.colour and "\27[2m" .. status .. "\27[0m" or status
  put(self, status)
  self.console:prompt("\r\27[K", status)
end

local function page(self, rows, rest)
  print_text(self, self.pager:take(self.columns, rows))
  if self.pager:is_done() then
    return end_paging(self, rest)
  end
  show_page_status(self)
end

--- Show a text: at once if it is short.
---@param kept table[]  what the session says behind it
local function show_text(self, text, kept)
  local pager = not self.dumb and Pager.new(self.remote and harmless(text, true) or text, self.columns, self.rows)
  if not pager then
    print_text(self, text)
    return false
  end
  self.console:status "" -- that the input runs
  self.state, self.pager, self.kept = "paging", pager, kept
  core.mode "keys"
  page(self, self.rows - 1, "")
  return true
end

local function page_keys(self, bytes)
  while bytes ~= "" and self.state == "paging" do
    local rows
    rows, bytes = Pager.key(bytes, self.rows)
    if rows == 0 then
      end_paging(self, bytes)
    else
      clear_status(self)
      page(self, rows, bytes)
    end
  end
end

local function send(self, message)
  return wire.send(self.stream, message)
end

local function submit(self)
  local text = self.editor.text
  self.idle_interrupts = 0
  commit(self)
  self.editor:reset()
  if not string.find(text, "%S") then
    return begin(self)
  end
  self.history:add(text)
  self.state = "running"
  give_back(self)
  send(self, {kind = "input", text = text})
end

local function leave(self)
  commit(self)
  self.left = true
end

--- Ask the session whether the prompt may be left.
local function ask_to_leave(self)
  if not self.asks then
    return leave(self)
  end
  commit(self)
  self.editor:reset()
  self.state = "running"
  give_back(self)
  send(self, {kind = "leave"})
end

local function complete(self)
  self.request = (self.request or 0) + 1
  self.asked = self.editor.text
  send(self, {kind = "complete", id = self.request, text = self.editor.text, cursor = self.editor.cursor})
end

--- What the text would give is shown below it, when the session has found that out.
local function ask_for_preview(self)
  local text = self.editor.text
  if not self.previews or text == self.previewed then
    return
  end
  self.previewed = text
  self.preview_id = (self.preview_id or 0) + 1
  if string.find(text, "%S") and not string.find(text, "\n", 1, true) then
    send(self, {kind = "preview", id = self.preview_id, text = text})
  end
end

--- Give the text to the user's editor, which has the terminal meanwhile: what the session
--- says is kept.
local function edit_elsewhere(self)
  self.console:prompt("", "")
  put(self, self.hide or "\r")
  self.state, self.kept = "elsewhere", {}
  give_back(self)
  local text = self.editor.text
  self.scope:spawn(function()
    local ok, edited = pcall(elsewhere.edit, text)
    task.sleep(SIGNAL) -- a ^C was for the editor
    self.events:send {"edited", ok and edited or text}
  end).name = "prompt editor"
end

--- See to what was typed, while the prompt stands.
local function edit(self)
  while self.state == "editing" and not self.left do
    local event = self.editor:next()
    if event == "line" then
      submit(self)
    elseif event == "eof" then
      ask_to_leave(self)
    elseif event == "complete" then
      complete(self)
    elseif event == "edit" then
      edit_elsewhere(self)
    elseif event == "clear" then
      -- A screen that is emptied goes to what one scrolls back to: not the prompt's text.
      put(self, (self.hide or "") .. "\27[H\27[2J")
      self.resizing:forget()
      self.hide = nil
    else
      redraw(self)
      return ask_for_preview(self)
    end
  end
end

--- A dumb terminal edits its lines itself.
local function take_lines(self)
  local editor = self.editor
  while self.state == "editing" do
    local line, rest = string.match(self.typed, "^([^\n]*)\n(.*)$")
    if not line then
      return
    end
    self.typed = rest
    editor:set(editor.text .. line)
    if syntax.is_incomplete(editor.text) then
      editor:insert "\n"
      put(self, editor.more)
    else
      submit(self)
    end
  end
end

function handlers.typed(self, bytes)
  if self.state == "paging" then
    return page_keys(self, bytes)
  end
  if self.dumb then
    self.typed = (self.typed or "") .. bytes
    return take_lines(self)
  end
  bytes = take_answers(self, bytes)
  if bytes then
    self.editor:feed(bytes)
    edit(self)
  end
end

function handlers.unanswered(self, number)
  if self.resizing:is_asking(number) then
    answer(self)
    handlers.typed(self, "")
  end
end

function handlers.settle(self)
  self.editor:settle()
  edit(self)
end

handlers["end"] = function(self)
  if self.state == "paging" then
    clear_status(self)
    self.left = true
  else
    leave(self)
  end
end

function handlers.edited(self, text)
  self.editor:set(text)
  begin(self)
  take_kept(self)
  edit(self)
end

function handlers.signal(self, name)
  if name == "SIGWINCH" then
    measure(self)
    send(self, {kind = "size", columns = self.columns})
    if self.state == "editing" and self.hide then
      ask_where(self)
    end
  elseif self.state == "paging" then
    if name == "SIGCONT" then
      core.mode "keys"
      measure(self)
      self.console:prompt("", "")
      show_page_status(self)
    elseif name == "SIGINT" then
      end_paging(self, "")
    else
      self.left = true
    end
  elseif name == "SIGCONT" then
    if self.state == "editing" and not self.dumb then
      core.mode "keys"
      measure(self)
      self.hide = nil
      self.resizing:forget()
      redraw(self)
    end
  elseif name == "SIGHUP" then
    self.left = true
  elseif self.state == "editing" then
    self:cancel_line()
  elseif self.state == "running" then
    send(self, {kind = "interrupt"})
    if self.interrupt then
      self.interrupt()
    end
  end
end

--- ^C at the prompt.
function Terminal:cancel_line()
  if self.editor.text ~= "" then
    self.idle_interrupts = 0
    commit(self, "^C")
  else
    self.idle_interrupts = (self.idle_interrupts or 0) + 1
    if self.idle_interrupts >= 2 then
      return leave(self)
    end
    commit(self)
    self.console:put "(^C once more, or ^D, leaves)\n"
  end
  self.editor:reset()
  begin(self)
end

local said = {}

function said.print(self, message)
  if message.fresh and self.state == "running" and self.console:fresh() then
    stdout:write "\n"
  end
  if message.page and self.state == "running" then
    show_text(self, message.text, {})
  else
    print_text(self, message.text)
  end
end

function said.ready(self)
  if self.state == "running" then
    if not self.dumb then
      self.console:status ""
    end
    begin(self)
    handlers.typed(self, "")
  end
end

said.running = show_running

--- Candidates in columns, below the text; `most` of them.
local function listing(message, most)
  local lines = {}
  for i, c in ipairs(message.candidates) do
    if i > most then
      lines[#lines + 1] = format("... and %d more", (message.total or #message.candidates) - i + 1)
      break
    end
    local about = c.signature or c.kind or ""
    if c.doc then
      about = about .. "  " .. c.doc
    end
    lines[i] = harmless((string.gsub(format("%-20s  %s", c.text, about), "%c", " ")))
  end
  return lines
end

--- All candidates, above the prompt.
local function list_all(self, message)
  commit(self)
  self.listed = nil
  self.state = "running"
  local lines = listing(message, #message.candidates)
  for i, line in ipairs(lines) do
    lines[i] = drawing.cut(line, self.columns)
  end
  local more = (message.total or 0) - #message.candidates
  lines[#lines + 1] = more > 0 and format("... and %d more", more) or nil
  if not show_text(self, table.concat(lines, "\n") .. "\n", {{kind = "ready"}}) then
    begin(self)
  end
end

function said.completion(self, message)
  if message.id ~= self.request or self.state ~= "editing" or self.editor.text ~= self.asked then
    return
  end
  local editor = self.editor
  local text, cursor = editor.text, editor.cursor
  local common = message.common or ""
  local most = math.max(3, self.rows // 2)
  if #message.candidates > most and self.listed == text .. "\0" .. cursor then
    return list_all(self, message)
  end
  local word = string.sub(text, message.first, cursor - 1)
  if #common > #word or (#message.candidates == 1 and common ~= word) then
    editor:set(string.sub(text, 1, message.first - 1) .. common .. string.sub(text, cursor), message.first + #common)
  end
  editor.footer = #message.candidates > 1 and listing(message, most)
    or message.candidates[1] and message.candidates[1].signature and listing(message, most) or {}
  self.listed = editor.text .. "\0" .. editor.cursor
  redraw(self)
end

function said.preview(self, message)
  local editor = self.editor
  if message.id == self.preview_id and self.state == "editing" and editor.text == self.previewed
    and #editor.footer == 0 and not editor.search then
    editor.footer = {harmless(message.text)}
    redraw(self)
  end
end

function said.bye(self, message)
  if self.state == "editing" then
    commit(self)
  end
  self.left, self.finished = true, not message.left
end

function handlers.message(self, message)
  if self.state == "elsewhere" or self.state == "paging" and message.kind ~= "bye" then
    self.kept[#self.kept + 1] = message.kind ~= "running" and message or nil
    return
  end
  local handle = said[message.kind]
  if handle then
    handle(self, message)
  end
end

--
-- Where events come from
--

local function read_messages(self)
  for message in wire.receive, self.stream do
    self.events:send {"message", message}
    while self.kept and #self.kept >= KEPT do
      self.room:clear()
      self.room:wait()
    end
  end
  self.events:send {"message", {kind = "bye"}}
end

local function read_signals(self)
  for name in signal.each(table.unpack(self.signals)) do
    self.events:send {"signal", name}
  end
end

--- Read what is typed, while the prompt stands: what comes while an input runs
--- may be for that.
local function read_keys(self)
  local stdin = stdio.stdin
  while true do
    if not takes_keys(self) then
      self.wanted:clear()
      self.wanted:wait()
    end
    local bytes, err
    if self.editor:is_waiting() then
      bytes, err = task.timeout(ESCAPE, stdin.recv, stdin)
    else
      bytes, err = stdin:recv()
    end
    if bytes then
      -- A ^C that was typed before them is a signal, and may come a little later.
      task.sleep(SIGNAL)
      self.events:send {"typed", bytes}
    elseif err and err.code == "ETIMEDOUT" then
      self.events:send {"settle"}
    else
      self.events:send {"end"}
      return
    end
    self.seen:wait()
    self.seen:clear()
  end
end

--- A mistake of ours: tell it, and begin with an empty line.
local function fail(self, err)
  if type(err) == "table" and err.code == "ECANCELED" then
    error(err, 0)
  end
  self.console:prompt("", "")
  stderr:write("\nneap: the prompt has failed, and begins anew: ", harmless(tostring(err)), "\n")
  self.editor:clear()
  if self.state == "editing" then
    begin(self)
  end
end

local function keep_error(err)
  return type(err) == "string" and debug.traceback(err, 2) or err
end

--- Run until the user or the session leaves.
---@async
function Terminal:run()
  local _ <close> = self.console
  self.wanted, self.seen, self.room = task.event(), task.event(), task.event()
  measure(self)
  task.scope(function(scope)
    self.scope = scope
    lists.hide(scope:spawn(read_messages, self)).name = "prompt messages"
    lists.hide(scope:spawn(read_signals, self)).name = "prompt signals"
    lists.hide(scope:spawn(read_keys, self)).name = "prompt keys"
    send(self, {kind = "hello", columns = self.columns, colour = self.colour})
    for event in self.events:each() do
      local ok, err = xpcall(handlers[event[1]], keep_error, self, event[2])
      if not ok then
        fail(self, err)
      end
      if event[1] == "typed" or event[1] == "settle" then
        self.seen:set()
      end
      if takes_keys(self) then
        self.wanted:set()
      end
      if self.left then
        break
      end
    end
    self.console:prompt("", "")
    give_back(self)
    scope:cancel()
  end)
end

return Terminal

-- usage: neap smtp_sink.lua [-s BYTES] [-o FOLDER] [-c CERT [-k KEY]] [ENDPOINT]
--
-- Takes any mail by SMTP (RFC 5321), and delivers none: prints from whom, to whom, how long
-- and about what, and with -o saves it in a folder. Listens at tcp://127.0.0.1:2525 or
-- another endpoint. With a certificate, a file in PEM, it offers STARTTLS.
--
--   swaks --server 127.0.0.1:2525 --to bob@example.org

local args = require "neap.args"
local fs = require "neap.fs"
local net = require "neap.net"
local tls = require "neap.tls"

local PATIENCE, LINE, RECIPIENTS = 60, 2048, 100 -- seconds, bytes, of one mail

local given = args.parse(arg, {
  name = "neap smtp_sink.lua",
  {"-s, --size=BYTES", "of the longest mail", type = "integer", min = 1, max = 1 << 30, default = 10 << 20},
  {"-o, --output=FOLDER", "where to save mails, as SECONDS-NUMBER.eml"},
  {"-c, --cert=CERT", "a file with its certificate"},
  {"-k, --key=KEY", "and one with the key of that, where it is not there, too"},
  {"[ENDPOINT]", "where to listen", default = "tcp://127.0.0.1:2525", type = require "neap.endpoint".print},
})
local context = given.cert and assert(tls.context {cert = given.cert, key = given.key})
local listener = assert(net.listen(given.endpoint))
local count = 0

-- An answer, or what makes one; none: it is not the time for that, or it is malformed.
local verbs = {NOOP = "250 yes", VRFY = "252 who knows", QUIT = "221 bye"}

function verbs.RSET(mail)
  mail.from, mail.to = nil, {}
  return "250 well"
end
verbs.HELO = verbs.RSET

function verbs.EHLO(mail)
  verbs.RSET(mail)
  return ("250-neap\r\n250-8BITMIME\r\n250-PIPELINING\r\n%s250 SIZE %d"):format(
    context and not mail.stream.tls and "250-STARTTLS\r\n" or "", given.size)
end

function verbs.STARTTLS(mail)
  if context and not mail.stream.tls then
    mail.stream:write "220 go ahead\r\n"
    verbs.RSET(mail)
    return assert(mail.stream:starttls {server = true, context = context}) and ""
  end
end

function verbs.MAIL(mail, rest)
  local from = not mail.from and rest:match "^[Ff][Rr][Oo][Mm]: *<([^<>]*)>"
  mail.from = from or mail.from
  return from and "250 well"
end

function verbs.RCPT(mail, rest)
  local to = mail.from and rest:match "^[Tt][Oo]: *<([^<>]+)>"
  if #mail.to == RECIPIENTS then
    return "452 they are enough"
  end
  mail.to[#mail.to + 1] = to or nil
  return to and "250 well"
end

-- A dot before a line's own first one was put there on its way (RFC 5321, 4.5.2). What is
-- printed is a stranger's, whose bytes are not to play tricks on a terminal.
local function take(mail, text)
  text = ("\r\n" .. text .. "\r\n"):gsub("\r\n%.", "\r\n")
  count = count + 1
  assert(not given.output or fs.write(("%s/%d-%d.eml"):format(given.output, os.time(), count), text:sub(3)))
  local head = text:gsub("\r\n\r\n.*", "\r\n"):gsub("\r\n[ \t]+", " ")
  local subject = head:match "\r\n[Ss][Uu][Bb][Jj][Ee][Cc][Tt]: *([^\r]*)" or "no subject"
  local line = ("%s to %s, %d bytes: %s"):format(mail.from, table.concat(mail.to, " "), #text - 2, subject)
  print((line:gsub("[^\x20-\x7e]", "?")))
  return verbs.RSET(mail)
end

-- A line that is a dot ends it, and may be the first. What is too long is not read on.
function verbs.DATA(mail)
  if mail.from and mail.to[1] then
    mail.stream:write "354 go ahead\r\n"
    local text = mail.stream:peek(3) == ".\r\n" and mail.stream:read(3):sub(4)
      or mail.stream:readuntil("\r\n.\r\n", given.size, {strict = true})
    return text and take(mail, text) or "552 too long, bye"
  end
end

print("listening at " .. listener.endpoint)
listener:serve(function(stream)
  local mail, answer = {stream = stream:settimeout(PATIENCE), to = {}}, "220 neap"
  while stream:write(answer, answer ~= "" and "\r\n" or "") and not answer:find "bye$" do
    local line = stream:readuntil("\r\n", LINE) or "QUIT"
    local verb, rest = line:match "^(%a*) *(.*)$"
    answer = verbs[verb:upper()] or "500 what?"
    if type(answer) == "function" then
      answer = answer(mail, rest) or "503 not now, or not so"
    end
  end
end, {max = 100})

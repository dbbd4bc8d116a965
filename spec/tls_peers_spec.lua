-- TLS with other programs that speak it (R17), at either end.

local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
local ours = assert(tls.context {cert = cert, key = key})

local function has(name)
  if process.run({"sh", "-c", "command -v " .. name}).code ~= 0 then
    pending(name .. " is not there")
    return false
  end
  return true
end

local function serving(handler)
  local listener = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
  local server = task.spawn(function()
    listener:serve(handler, {onerror = function() end})
  end)
  return listener, server
end

--- The tests of a describe find the certificate and its key in a folder of their own.
local function in_a_folder()
  before_each(function()
    folder.make()
    folder.write("cert.pem", cert)
    folder.write("key.pem", key)
  end)
  after_each(folder.remove)
end

describe("TLS with other programs", function()
  in_a_folder()

  it("takes ciphers of TLS 1.2 that do not seal only where they are named", function()
    if not has "openssl" then
      return
    end
    for ciphers, code in pairs {[""] = 1, ["ECDHE-ECDSA-AES256-SHA384"] = 0} do
      local listener = assert(net.listen("tls://127.0.0.1:0", {
        cert = cert, key = key, ciphers = ciphers ~= "" and ciphers or nil,
      }))
      local server = task.spawn(listener.serve, listener, function() end, {onerror = function() end})
      local result = process.run {"openssl", "s_client", "-tls1_2",
        "-cipher", "ECDHE-ECDSA-AES256-SHA384", "-connect", "127.0.0.1:" .. listener.port}
      assert.equal(code, result.code, result.stderr)
      listener:close()
      server:join()
    end
  end)

  for _, version in ipairs {"-tls1_2", "-tls1_3"} do
    it("R17: openssl s_client " .. version, function()
      if not has "openssl" then
        return
      end
      local listener, server = serving(function(stream)
        stream:write(stream:read():upper(), "\n")
      end)
      local peer = process.spawn {"openssl", "s_client", version, "-quiet", "-verify_return_error",
        "-CAfile", folder.path .. "/cert.pem", "-verify_hostname", "localhost", "-connect",
        "127.0.0.1:" .. listener.port, stdin = "pipe", stdout = "pipe", stderr = "null"}
      peer.stdin:write "hello\n"
      assert.equal("HELLO", peer.stdout:read())
      peer.stdin:close()
      peer:kill()
      peer:wait()
      listener:close()
      server:join()
    end)

    it("R17: openssl s_server " .. version, function()
      if not has "openssl" then
        return
      end
      local free <close> = assert(net.listen "tcp://127.0.0.1:0")
      local port = free.port
      free:close()
      local peer = process.spawn {"openssl", "s_server", version, "-rev", "-cert",
        folder.path .. "/cert.pem", "-key", folder.path .. "/key.pem", "-accept",
        "127.0.0.1:" .. port, stdout = "null", stderr = "null"}
      local stream, err
      for _ = 1, 500 do
        stream, err = net.connect("tls://localhost:" .. port, {ca = cert})
        if stream or err.code ~= "ECONNREFUSED" then
          break
        end
        task.sleep(0.01)
      end
      assert(stream, err)
      stream:write "hello\n"
      assert.equal("olleh", stream:read())
      stream:close()
      peer:kill()
      peer:wait()
    end)
  end

  it("R9: a session of one name is none of another, where that wants certificates", function()
    if not has "openssl" then
      return
    end
    local c, k = tls.selfsigned {names = {"closed.example"}}
    local context = assert(tls.context {cert = cert, key = key, names = {
      ["closed.example"] = {cert = c, key = k, ca = c, verify = "required"},
    }})
    local seen = {}
    local listener = assert(net.listen("tls://127.0.0.1:0", {context = context}))
    local server = task.spawn(function()
      listener:serve(function(stream)
        seen[#seen + 1] = tostring(stream.tls.resumed)
        stream:write "x\n"
        stream:read()
      end, {onerror = function(err)
        seen[#seen + 1] = err.code
      end})
    end)
    for _, version in ipairs {"-tls1_2", "-tls1_3"} do
      local session = folder.path .. "/session"
      for _, name in ipairs {"open.example", "open.example", "closed.example"} do
        local peer = assert(process.spawn {"openssl", "s_client", version, "-quiet",
          "-no_ign_eof", "-servername", name, "-sess_out", session, "-connect", "127.0.0.1:" .. listener.port,
          stdin = "pipe", stdout = "pipe", stderr = "null",
          table.unpack(lfs.attributes(session) and {"-sess_in", session} or {})})
        peer.stdout:read()
        peer.stdin:close()
        peer:wait()
        peer:close()
      end
      os.remove(session)
    end
    listener:close()
    server:join()
    assert.same({"false", "true", "ETLSVERIFY", "false", "true", "ETLSVERIFY"}, seen)
  end)

  --- What a server comes to whose client, s_client, has such lines typed, one by one, until it
  --- ends; and what that says.
  local function typed(version, line, times)
    local code
    local listener, server = serving(function(stream)
      stream:write "ready\n"
      code = select(2, stream:read "a").code
    end)
    local peer = assert(process.spawn {"openssl", "s_client", version, "-connect",
      "127.0.0.1:" .. listener.port, stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    repeat until assert(peer.stdout:read()) == "ready"
    local reading = task.spawn(peer.stdout.read, peer.stdout, "a")
    local complaining = task.spawn(peer.stderr.read, peer.stderr, "a")
    while times > 0 and peer.stdin:write(line, "\n") and peer.stdin:flush() do
      task.sleep(0.0003)
      times = times - 1
    end
    reading:join()
    local said = complaining:join()
    peer:wait()
    peer:close()
    listener:close()
    server:join()
    return code, said, times
  end

  it("R8: nobody begins a handshake anew", function()
    if has "openssl" then
      local code, said = typed("-tls1_2", "R", 1)
      assert.is_true(code == "ETLSCUT" or code == "ETLSALERT", code)
      assert.matches("no renegotiation", said)
    end
  end)

  it("R8: nobody is kept busy by new keys", function()
    if has "openssl" then
      local code, _, left = typed("-tls1_3", "K", 20000)
      assert.equal("ETLSPROTO", code)
      assert.is_true(left > 0)
    end
  end)

end)

--- Text with the folder's, the port's and others' values in place of ${name}.
local function filled(text, values)
  return (text:gsub("%${(%w+)}", values))
end

--- The arguments of a program, filled in.
local function arguments(row, values)
  local list = {}
  for i, text in ipairs(row) do
    list[i] = filled(text, values)
  end
  return list
end

--- A port that nobody has just now.
local function free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener.port
end

--- Start a program; what it says is in a file, for who looks why it does not answer.
local function start(row, values)
  for name, text in pairs(row.files or {}) do
    folder.write(name, filled(text, values))
  end
  local said <close> = assert(io.open(folder.path .. "/said", "wb"))
  local list = arguments(row, values)
  list.stdout, list.stderr, list.cwd = said, "stdout", folder.path
  return assert(process.spawn(list))
end

local function said()
  local file <close> = assert(io.open(folder.path .. "/said", "rb"))
  return file:read "a"
end

--- Connect to who is still starting.
local function connected(endpoint, opts, peer)
  local stream, err
  repeat
    stream, err = net.connect(endpoint, opts)
    if not stream and err.code == "ECONNREFUSED" then
      task.sleep(0.01)
    end
  until stream or err.code ~= "ECONNREFUSED" or peer.status ~= "running"
  return stream or error(("%s: %s"):format(err, said()), 0)
end

local function echo(stream)
  local line = stream:read "L"
  while line do
    stream:write(line)
    line = stream:read "L" -- some end without a word
  end
end

local function echoed(stream)
  stream:write "hello\n"
  assert.equal("hello", stream:read())
end

local function got(stream)
  stream:write "GET / HTTP/1.0\r\n\r\n"
  assert.matches("^HTTP/1.1 200 .*\r\n\r\nhello$", stream:read "a")
end

local function give(stream)
  repeat until stream:read() == "\r"
  stream:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
end

--- Speak as a client of SMTP until TLS may begin.
local function ask_for_tls(stream)
  assert.matches("^220", stream:read())
  for _, line in ipairs {"EHLO localhost", "STARTTLS"} do
    stream:write(line, "\r\n")
    assert.matches("^2[25]0", stream:read())
  end
end

--- Serve one mail, which TLS begins with.
local function take_mail(stream)
  stream:write "220 localhost\r\n"
  local answers = {EHLO = "250 STARTTLS", DATA = "354 go on", STARTTLS = "220 go on",
    QUIT = "221 bye"}
  local mail, tls_version = {}, nil
  for line in stream:lines() do
    local verb = line:match "^%u+"
    stream:write(answers[verb] or "250 yes", "\r\n")
    if verb == "STARTTLS" then
      assert(stream:starttls {context = ours, server = true})
      tls_version, answers.EHLO = stream.tls.version, nil
    elseif verb == "QUIT" then
      break
    elseif verb == "DATA" then
      repeat
        mail[#mail + 1] = stream:read()
      until mail[#mail] == ".\r"
      stream:write "250 yes\r\n"
    end
  end
  return tls_version, table.concat(mail, "\n")
end

local nginx = [[
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port}%s;
    %s
  }
}
]]

local stunnel = [[
foreground = yes
pid =
syslog = no
[it]
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${other}
%s
]]

--- Programs that listen at ${port}; ${other} is where our echo is, in the clear.
local servers = {
  {"gnutls-serv", "--echo", "-q", "-p", "${port}", "--x509certfile", "cert.pem",
    "--x509keyfile", "key.pem", version = "TLSv1.3"},
  {"gnutls-serv", "--echo", "-q", "-p", "${port}", "--x509certfile", "cert.pem",
    "--x509keyfile", "key.pem", "--priority", "NORMAL:-VERS-TLS1.3", version = "TLSv1.2"},
  {"nginx", "-p", ".", "-e", "stderr", "-c", "nginx.conf", talk = got, files = {
    ["nginx.conf"] = nginx:format(" ssl", [[
      ssl_certificate cert.pem; ssl_certificate_key key.pem;
      location / { return 200 hello; }]]),
  }},
  {"stunnel4", "stunnel.conf", files = {
    ["stunnel.conf"] = stunnel:format "cert = cert.pem\nkey = key.pem",
  }},
  {"node", "-e", [[
    const read = require("fs").readFileSync
    require("tls").createServer({cert: read("cert.pem"), key: read("key.pem")},
      s => s.pipe(s)).listen(${port}, "127.0.0.1")]]},
  {"python3", "-c", [[if True:
    import socket, ssl
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("cert.pem", "key.pem")
    s = socket.create_server(("127.0.0.1", ${port}))
    peer, _ = context.wrap_socket(s, server_side=True).accept()
    while data := peer.recv(100):
        peer.sendall(data)
    peer.unwrap()]]},
  {"redis-server", "--port", "0", "--bind", "127.0.0.1", "--save", "", "--dir", ".", "--tls-port",
    "${port}", "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file",
    "cert.pem", "--tls-auth-clients", "yes", with_certificate = true,
    talk = function(stream)
      stream:write "PING\r\n"
      assert.equal("+PONG\r", stream:read())
    end},
  {"mosquitto", "-c", "mosquitto.conf", files = {
    ["mosquitto.conf"] = [[
user root
allow_anonymous true
listener ${port} 127.0.0.1
certfile cert.pem
keyfile key.pem
]]}, talk = function(stream)
      stream:write "\x10\x0d\0\4MQTT\4\2\0\60\0\1x"
      assert.equal("\x20\2\0\0", stream:read(4))
    end},
  {"python3", "-c", [[if True:
    import socket, ssl
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("cert.pem", "key.pem")
    peer, _ = socket.create_server(("127.0.0.1", ${port})).accept()
    peer.sendall(b"220 localhost\r\n")
    peer.recv(100)
    peer.sendall(b"250 STARTTLS\r\n")
    peer.recv(100)
    peer.sendall(b"220 go on\r\n")
    peer = context.wrap_socket(peer, server_side=True)
    peer.sendall(peer.recv(100))]], name = "python3 behind STARTTLS", begins = ask_for_tls},
}

describe("TLS by us at a server that is another program", function()
  in_a_folder()

  for _, row in ipairs(servers) do
    local name = row.name or row[1] .. (row.version and " by " .. row.version or "")
    it("R17: " .. name, function()
      if not has(row[1]) then
        return
      end
      local behind <close> = assert(net.listen "tcp://127.0.0.1:0")
      local server = task.spawn(behind.serve, behind, echo, {onerror = function() end})
      local port = free_port()
      local peer <close> = start(row, {port = port, other = behind.port})
      local opts = {ca = cert, server_name = "localhost"}
      if row.with_certificate then
        opts.cert, opts.key = cert, key
      end
      local stream
      if row.begins then
        stream = connected("tcp://127.0.0.1:" .. port, nil, peer)
        row.begins(stream)
        assert(stream:starttls(opts))
      else
        stream = connected("tls://127.0.0.1:" .. port, opts, peer)
      end
      assert.equal(row.version or stream.tls.version, stream.tls.version);
      (row.talk or echoed)(stream)
      stream:close()
      peer:kill()
      peer:wait()
      behind:close()
      server:join()
    end)
  end
end)

--- Programs that connect to ${port}, where `talk` is; ${own}: where they listen, if they
--- pass on what comes.
local clients = {
  {"curl", "-s", "--cacert", "cert.pem", "https://127.0.0.1:${port}", talk = give, says = "^hello$"},
  {"gnutls-cli", "--x509cafile", "cert.pem", "-p", "${port}", "localhost", types = "hello\n",
    says = "\nhello\n"},
  {"gnutls-cli", "--x509cafile", "cert.pem", "-p", "${port}", "--priority",
    "NORMAL:-VERS-TLS1.3", "localhost", types = "hello\n", says = "\nhello\n",
    version = "TLSv1.2"},
  {"node", "-e", [[
    const ca = require("fs").readFileSync("cert.pem")
    const s = require("tls").connect({host: "127.0.0.1", port: ${port}, ca,
      servername: "localhost"}, () => s.write("hello\n"))
    s.on("data", data => { process.stdout.write(data); s.end() })]], says = "^hello\n$"},
  {"python3", "-c", [[if True:
    import socket, ssl
    context = ssl.create_default_context(cafile="cert.pem")
    with socket.create_connection(("127.0.0.1", ${port})) as s:
        with context.wrap_socket(s, server_hostname="localhost") as t:
            t.sendall(b"hello\n")
            print(t.recv(100).decode(), end="")]], says = "^hello\n$"},
  {"redis-cli", "--tls", "--cacert", "cert.pem", "--sni", "localhost", "-h", "127.0.0.1", "-p",
    "${port}", "PING", says = "PONG", talk = function(stream)
      repeat until stream:read() == "PING\r"
      stream:write "+PONG\r\n"
      stream:read()
    end},
  {"mosquitto_pub", "--cafile", "cert.pem", "-h", "localhost", "-p", "${port}", "-i", "x", "-t",
    "topic", "-m", "hello", says = "^$", talk = function(stream)
      assert.equal(0x10, stream:read(1):byte())
      stream:read(stream:read(1):byte())
      stream:write "\x20\2\0\0"
      assert.equal("\x30\x0c\0\5topichello", stream:read(14))
    end},
  {"nginx", "-p", ".", "-e", "stderr", "-c", "nginx.conf", talk = give, passes = got, files = {
    ["nginx.conf"] = nginx:gsub("port", "own"):format("", [[
      location / {
        proxy_pass https://127.0.0.1:${port};
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate cert.pem;
        proxy_ssl_name localhost;
        proxy_ssl_server_name on;
      }]]),
  }},
  {"stunnel4", "stunnel.conf", passes = echoed, files = {
    ["stunnel.conf"] = stunnel:gsub("port", "own"):gsub("other", "port"):format [[
client = yes
CAfile = cert.pem
verifyChain = yes
checkHost = localhost
sni = localhost]],
  }},
}

describe("TLS at us by a client that is another program", function()
  in_a_folder()

  --- What it says, once it has ended.
  local function result(row, values)
    local list = arguments(row, values)
    list.cwd, list.stdin, list.stdout, list.stderr = folder.path, "pipe", "pipe", "stdout"
    local peer <close> = assert(process.spawn(list))
    local text = {}
    if row.types then
      peer.stdin:write(row.types)
    end
    for line in peer.stdout:lines "L" do
      text[#text + 1] = line
      if row.types == line then
        peer.stdin:close()
      end
    end
    return table.concat(text), peer:wait()
  end

  for _, row in ipairs(clients) do
    it(("R17: %s%s"):format(row[1], row.version and " by " .. row.version or ""), function()
      if not has(row[1]) then
        return
      end
      local version
      local listener, server = serving(function(stream)
        version = stream.tls.version
        return (row.talk or echo)(stream)
      end)
      local values = {port = listener.port, own = row.passes and free_port()}
      if row.passes then
        local peer <close> = start(row, values)
        local stream = connected("tcp://127.0.0.1:" .. values.own, nil, peer)
        row.passes(stream)
        stream:close()
        peer:kill()
        peer:wait()
      else
        local text, code = result(row, values)
        assert.matches(row.says, text)
        assert.equal(0, code)
      end
      listener:close()
      server:join()
      assert.equal(row.version or "TLSv1.3", version)
    end)
  end

  it("R17: swaks, behind STARTTLS", function()
    if not has "swaks" then
      return
    elseif process.run({"perl", "-MNet::SSLeay", "-e", "1"}).code ~= 0 then
      return pending "swaks has no TLS here: there is no Net::SSLeay"
    end
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local serving_one = task.spawn(function()
      local stream <close> = assert(listener:accept())
      return take_mail(stream)
    end)
    local sent = process.run {"swaks", "--server", "127.0.0.1", "--port",
      tostring(listener.port), "--from", "a@localhost", "--to", "b@localhost", "--helo",
      "localhost", "--tls", "--tls-verify", "--tls-ca-path", "cert.pem", "--body", "hello",
      cwd = folder.path}
    assert.equal(0, sent.code, sent.stdout .. sent.stderr)
    local version, mail = serving_one:join()
    assert.equal("TLSv1.3", version)
    assert.matches("\nhello\r\n", mail)
  end)
end)

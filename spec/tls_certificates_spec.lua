-- Whose certificates are taken, and why others are not (R1, R2, R14): a matrix of them,
-- made by openssl.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local possible = certificates.possible()

-- One folder for all: making them takes longest.
local made

local function setup()
  if made then
    return
  end
  folder.make()
  made = folder.path
  certificates.begin(made)
end

local function path(name)
  return made .. "/" .. name
end

--- What each end of a handshake comes to.
local function shake(client, server)
  local a, b = net.socketpair "mem"
  local result = task.all {
    function()
      local _, err = a:starttls(client)
      return {err, a.tls}
    end,
    function()
      local ok, err = b:starttls(server)
      return {err, ok and b.tls}
    end,
  }
  a:close()
  b:close()
  return result[1][1], result[2][1], result[1][2], result[2][2]
end

--- The certificate of a server, as a client that trusts `ca` finds it.
local function judged(row)
  setup()
  local cert = row.file and path(row.file) or certificates.make(row)
  if row.chain then
    cert = certificates.read(cert) .. certificates.read(path(row.chain))
  end
  return shake({
    server_name = row.host or "good.example",
    ca = path((row.trusted or "ca") .. ".pem"),
    crl = row.crl and path(row.crl),
    ciphers = row.client_ciphers,
  }, {
    server = true,
    cert = cert,
    key = path(row.key or "key.pem"),
    ciphers = "DEFAULT@SECLEVEL=0",
  })
end

local good = "DNS:good.example"

local rows = {
  {name = "good", san = good},
  {name = "good-among-others", san = "DNS:other.example,DNS:good.example,IP:10.0.0.1"},
  {name = "upper-case", san = "DNS:GOOD.Example"},
  {name = "wildcard", san = "DNS:*.b.example", host = "a.b.example"},
  {name = "wildcard-of-two", san = "DNS:*.b.example", host = "x.a.b.example", why = "hostname"},
  {name = "wildcard-itself", san = "DNS:*.b.example", host = "b.example", why = "hostname"},
  {name = "wildcard-partial", san = "DNS:a*.b.example", host = "ab.b.example", why = "hostname"},
  {name = "wildcard-within", san = "DNS:a.*.example", host = "a.b.example", why = "hostname"},
  {name = "wildcard-of-all", san = "DNS:*.example", why = "hostname"},
  {name = "wrong-host", san = "DNS:bad.example", why = "not for good.example.*hostname mismatch"},
  {name = "common-name-only", subject = "good.example", why = "hostname"},
  {name = "zero-within", san = "DER:301C821A676F6F642E6578616D706C65002E6576696C2E6578616D706C65",
    why = "hostname"},
  {name = "address", san = "IP:127.0.0.1", host = "127.0.0.1"},
  {name = "address-v6", san = "IP:::1", host = "::1"},
  {name = "address-as-name", san = "DNS:127.0.0.1", host = "127.0.0.1", why = "IP address"},
  {name = "address-other", san = "IP:127.0.0.2", host = "127.0.0.1", why = "IP address"},
  {name = "expired", san = good, from = "20200101000000Z", to = "20210101000000Z",
    why = "CN=expired.*certificate has expired"},
  {name = "not-yet", san = good, from = "20900101000000Z", to = "20910101000000Z",
    why = "not yet valid"},
  {name = "self-signed", san = good, by = false, why = "self%-signed"},
  {name = "trusted-self-signed", san = good, by = false, trusted = "trusted-self-signed"},
  {name = "for-clients", san = good, extensions = {"extendedKeyUsage=clientAuth"},
    why = "purpose"},
  {name = "for-servers", san = good, extensions = {"extendedKeyUsage=serverAuth"}},
  {name = "sha1", san = good, digest = "sha1", why = "too weak"},
  {name = "unknown-demand", san = good, extensions = {"1.2.3.4=critical,DER:0500"},
    why = "unhandled critical extension"},
  {name = "not-for-signing", san = good, extensions = {"keyUsage=critical,cRLSign"},
    why = "purpose"},
  {name = "no-name", subject = "", why = "hostname"},
}

describe("a server's certificate", function()
  if not possible then
    pending "the openssl command is not there"
    return
  end

  for _, row in ipairs(rows) do
    it(("R1: %s is %s"):format(row.name, row.why and "refused" or "taken"), function()
      local err, theirs, about = judged(row)
      if not row.why then
        assert.is_nil(err)
        assert.equal("TLSv1.3", about.version)
        assert.equal("CN=" .. (row.subject or row.name), about.peer.subject)
        return
      end
      assert.equal("ETLSVERIFY", err.code)
      assert.matches(row.why, err.message)
      assert.is_true(theirs == nil or theirs.code == "ETLSALERT", theirs)
    end)
  end

  it("R1: weak keys and digests of RSA are refused", function()
    setup()
    certificates.openssl("genrsa", "-out", "rsa-2048.pem", "2048")
    certificates.authority("rsa-ca", "rsa-2048.pem")
    local err = judged {name = "md5", san = good, digest = "md5", by = "rsa-ca",
      by_key = "rsa-2048.pem", trusted = "rsa-ca"}
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("too weak", err.message)
    certificates.openssl("genrsa", "-out", "key-1024.pem", "1024")
    err = judged {name = "rsa-1024", san = good, key = "key-1024.pem"}
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("key too weak", err.message)
    certificates.openssl("genrsa", "-out", "key-512.pem", "512") -- with which none can sign
    local theirs
    err, theirs = judged {name = "rsa-512", san = good, key = "key-512.pem"}
    assert.equal("ETLSALERT", err.code)
    assert.matches("no suitable", theirs.message)
  end)

  it("R1: that of another authority with the same name is refused", function()
    setup()
    certificates.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
      "other-key.pem")
    certificates.authority("other", "other-key.pem")
    local err = judged {name = "by-other", san = good, by = "other", by_key = "other-key.pem"}
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("by%-other.*unable to get local issuer", err.message)
  end)

  it("R1: an issuer between is to be sent, to be an authority, and to be allowed the name",
    function()
      setup()
      local is_ca = {"basicConstraints=critical,CA:TRUE"}
      local function below(name, extensions)
        certificates.make {name = name, extensions = extensions}
        local chain = name .. ".pem"
        return {name = "below-" .. name, san = good, by = name, chain = chain}
      end
      assert.is_nil((judged(below("between", is_ca))))
      local lacking = below("lacking", is_ca)
      lacking.chain = nil
      assert.matches("unable to get", judged(lacking).message)
      assert.matches("CA certificate", judged(below("no-ca", {"basicConstraints=CA:FALSE"})).message)
      local constrained = {is_ca[1], "nameConstraints=critical,permitted;DNS:other.example"}
      assert.matches("subtree", judged(below("constrained", constrained)).message)
      local late = below("late", is_ca)
      certificates.make {name = "late", extensions = is_ca, from = "20200101000000Z",
        to = "20210101000000Z"}
      assert.matches("issuer that is refused %(CN=late%): certificate has expired",
        judged(late).message)
      certificates.make {name = "short", extensions = {"basicConstraints=critical,CA:TRUE,pathlen:0"}}
      certificates.make {name = "one-too-many", extensions = is_ca, by = "short"}
      local long = {name = "too-long", san = good, by = "one-too-many", chain = "both-issuers.pem"}
      folder.write("both-issuers.pem", certificates.read(path "one-too-many.pem")
        .. certificates.read(path "short.pem"))
      assert.matches("path length", judged(long).message)
    end)

  it("R1: one that its authority has revoked is refused", function()
    setup()
    local dates = {from = "20200101000000Z", to = "20900101000000Z"}
    certificates.make {name = "revoked", san = good, from = dates.from, to = dates.to}
    certificates.make {name = "kept", san = good, from = dates.from, to = dates.to}
    certificates.openssl("ca", "-config", "config", "-revoke", "revoked.pem")
    certificates.openssl("ca", "-config", "config", "-gencrl", "-out", "list.pem")
    local err = judged {file = "revoked.pem", crl = "list.pem"}
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("revoked", err.message)
    assert.is_nil((judged {file = "kept.pem", crl = "list.pem"}))
    certificates.openssl("ca", "-config", "config", "-gencrl", "-crl_lastupdate",
      "20200101000000Z", "-crl_nextupdate", "20200201000000Z", "-out", "old-list.pem")
    err = judged {file = "kept.pem", crl = "old-list.pem"}
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("CRL has expired", err.message)
    certificates.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
      "unlisted-key.pem")
    certificates.authority("unlisted", "unlisted-key.pem", "unlisted")
    err = judged {name = "by-unlisted", san = good, by = "unlisted", by_key = "unlisted-key.pem",
      trusted = "unlisted", crl = "list.pem"}
    assert.matches("unable to get certificate CRL", err.message)
  end)

  it("R2: is called by name, and never by address", function()
    setup()
    certificates.make {name = "both", san = "DNS:good.example,IP:127.0.0.1"}
    local server = {server = true, cert = path "both.pem", key = path "key.pem"}
    local _, _, _, about = shake({server_name = "good.example", ca = path "ca.pem"}, server)
    assert.equal("good.example", about.server_name)
    _, _, _, about = shake({server_name = "127.0.0.1", ca = path "ca.pem"}, server)
    assert.is_nil(about.server_name)
  end)

  it("is looked at unless `verify` is false, which is said once", function()
    setup()
    local script = [[
      local net, task = require "neap.net", require "neap.task"
      for _ = 1, 2 do
        local a, b = net.socketpair "mem"
        task.all {
          function() assert(a:starttls {verify = false}) end,
          function() assert(b:starttls {server = true, cert = arg[1], key = arg[2]}) end,
        }
      end
    ]]
    certificates.make {name = "unseen", san = "DNS:bad.example"}
    local result = folder.run_script(script, path "unseen.pem", path "key.pem")
    assert.equal("neap: TLS: certificates are not verified (verify = false)\n", result.stderr)
    assert.equal(0, result.code)
    for _, value in ipairs {0, "false", "none"} do
      assert.error_matches(function()
        tls.context {verify = value}
      end, "option 'verify'")
    end
  end)
end)

describe("a client's certificate", function()
  if not possible then
    pending "the openssl command is not there"
    return
  end

  local function server(verify)
    setup()
    certificates.make {name = "server", san = good}
    return {server = true, cert = path "server.pem", key = path "key.pem", ca = path "ca.pem",
      verify = verify}
  end

  local function client(cert)
    return {server_name = "good.example", ca = path "ca.pem", cert = cert,
      key = cert and path "key.pem"}
  end

  it("R1: is required, and has to be of a known authority", function()
    local required = server "required"
    local _, err = shake(client(), required)
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("no certificate", err.message)
    local own = certificates.make {name = "own", by = false}
    _, err = shake(client(own), required)
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("CN=own", err.message)
    local for_servers = certificates.make {name = "for-a-server",
      extensions = {"extendedKeyUsage=serverAuth"}}
    _, err = shake(client(for_servers), required)
    assert.matches("purpose", err.message)
    local known = certificates.make {name = "known", subject = "a client"}
    local about
    _, err, _, about = shake(client(known), required)
    assert.is_nil(err)
    assert.equal("CN=a client", about.peer.subject)
  end)

  it("is required, which a client without one hears at its first read", function()
    local a, b = net.socketpair()
    local refusing = task.spawn(b.starttls, b, server "required")
    assert(a:starttls(client()))
    local _, err = a:read()
    assert.equal("ETLSALERT", err.code)
    assert.matches("a certificate is required", err.message)
    refusing:join()
    a:close()
    b:close()
  end)

  it("is optional, and looked at if it comes", function()
    local optional = server "optional"
    local _, err, _, about = shake(client(), optional)
    assert.is_nil(err)
    assert.is_nil(about.peer)
    local own = certificates.make {name = "own", by = false}
    _, err = shake(client(own), optional)
    assert.equal("ETLSVERIFY", err.code)
    assert.matches("CN=own.*self%-signed", err.message)
    local late = certificates.make {name = "late-client", from = "20200101000000Z",
      to = "20210101000000Z"}
    _, err = shake(client(late), optional)
    assert.matches("CN=late%-client.*expired", err.message)
  end)
end)

describe("a file of certificates or keys", function()
  if not possible then
    pending "the openssl command is not there"
    return
  end

  it("R14: that is of no use is an error with its name", function()
    setup()
    local cert = certificates.make {name = "used", san = good}
    certificates.openssl("ec", "-in", "key.pem", "-aes128", "-passout", "pass:secret", "-out",
      "locked.pem")
    certificates.openssl("x509", "-in", "used.pem", "-outform", "DER", "-out", "used.der")
    certificates.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
      "another.pem")
    folder.write("empty.pem", "")
    folder.write("broken.pem", (certificates.read(cert):gsub("\n%w%w%w%w", "\n!!!!", 3)))
    folder.write("large.pem", ("x"):rep(2 << 20))
    local key = path "key.pem"
    local function refused(options, file, code, why)
      local context, err = tls.context(options)
      assert.is_nil(context)
      assert.equal(code, err.code)
      assert.equal(file, err.endpoint)
      assert.matches(why, err.message)
    end
    local function is_refused(file, code, why)
      file = path(file)
      refused({cert = file, key = key}, file, code, why)
      refused({cert = cert, key = file}, file, code, why)
      refused({ca = file}, file, code, why)
    end
    is_refused("none.pem", "ENOENT", "no such file")
    is_refused("large.pem", "EFBIG", "too large")
    is_refused("empty.pem", "ETLSCERT", "empty")
    is_refused("used.der", "ETLSCERT", "DER")
    refused({cert = made, key = key}, made, "EISDIR", "directory")
    refused({cert = key, key = key}, key, "ETLSCERT", "no certificate")
    refused({cert = cert, key = cert}, cert, "ETLSCERT", "no private key")
    refused({cert = cert}, cert, "ETLSCERT", "no private key")
    refused({ca = path "broken.pem"}, path "broken.pem", "ETLSCERT", "")
    refused({cert = cert, key = path "another.pem"}, path "another.pem", "ETLSCERT",
      "not the certificate's")
    local locked = path "locked.pem"
    refused({cert = cert, key = locked}, locked, "ETLSCERT", "needs a password")
    refused({cert = cert, key = locked, password = "wrong"}, locked, "ETLSCERT",
      "password is wrong")
    assert(tls.context {cert = cert, key = locked, password = "secret"})
    assert(tls.context {ca = made}) -- a folder
    refused({ciphers = "nonsense"}, nil, "ETLSCERT", "ciphers")
    -- no error of before is taken for one of what follows
    assert.is_nil((shake({server_name = "good.example", ca = path "ca.pem"},
      {server = true, cert = cert, key = key})))
  end)
end)

describe("the folder", function()
  it("is removed", function()
    if made then
      folder.remove()
    end
  end)
end)

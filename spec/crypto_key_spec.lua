-- Keys that sign: the standards' own examples, the openssl command on the other side, and
-- what is no key. And certificates that sign themselves.

local core = require "neap.crypto.core"
local crypto = require "neap.crypto"
local process = require "neap.process"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local hex, bytes = crypto.tohex, crypto.fromhex

local function raised(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

--- The key in some DER, as PEM.
local function pem(label, der)
  return ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(label, crypto.tobase64(der), label)
end

--- One of each kind; that of RSA is made once.
local rsa
local function keys()
  rsa = rsa or assert(crypto.generate("rsa", {bits = 2048}))
  return {
    assert(crypto.generate "ed25519"), assert(crypto.generate "ec"),
    assert(crypto.generate("ec", {curve = "P-384"})), assert(crypto.generate("ec", {curve = "P-521"})), rsa,
  }
end

describe("Ed25519", function()
  -- RFC 8032, 7.1: secret, public, message, signature.
  local vectors = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
      .. "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      .. "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
      .. "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
  }

  it("gives what RFC 8032 says", function()
    for _, row in ipairs(vectors) do
      local secret = assert(crypto.key(pem("PRIVATE KEY", bytes("302e020100300506032b657004220420" .. row[1]))))
      local public = assert(crypto.key(pem("PUBLIC KEY", bytes("302a300506032b6570032100" .. row[2]))))
      local message = bytes(row[3])
      assert.equal(row[4], hex(secret:sign(message)))
      assert.is_true(public:verify(message, bytes(row[4])))
      assert.equal(public:pem(), secret:public():pem())
    end
  end)

  it("has no options", function()
    local key = assert(crypto.generate "ed25519")
    assert.matches("unknown option 'digest'", raised(key.sign, key, "", {digest = "sha256"}))
  end)
end)

it("ECDSA takes what RFC 6979 signs", function()
  local public = assert(crypto.key(pem("PUBLIC KEY", bytes("3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    .. "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    .. "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"))))
  local signature = bytes("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    .. "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8")
  assert.is_true(public:verify("sample", signature, {raw = true}))
  assert.is_false(public:verify("simple", signature, {raw = true}))
  assert.is_false(public:verify("sample", signature, {raw = true, digest = "sha384"}))
  assert.is_false(public:verify("sample", signature))
end)

describe("a key", function()
  it("says what it is", function()
    local expected = {
      {"ed25519", 256, nil}, {"ec", 256, "P-256"}, {"ec", 384, "P-384"}, {"ec", 521, "P-521"}, {"rsa", 2048, nil},
    }
    for i, key in ipairs(keys()) do
      assert.same(expected[i], {key.type, key.bits, key.curve})
      assert.equal("private", key.kind)
      local public = assert(key:public())
      assert.same(expected[i], {public.type, public.bits, public.curve})
      assert.equal("public", public.kind)
      assert.equal(("key (%s, %d bits, public)"):format(key.type, key.bits), tostring(public))
      assert.is_nil(key.nothing)
      assert.is_nil(key[1])
    end
  end)

  it("goes to PEM and back", function()
    for _, key in ipairs(keys()) do
      local again = assert(crypto.key(key:pem()))
      assert.equal(key:pem(), again:pem())
      assert.equal("private", again.kind)
      local public = assert(crypto.key(key:public():pem()))
      assert.equal("public", public.kind)
      assert.equal(key:public():pem(), public:pem())
      assert.is_true(public:verify("message", again:sign "message"))
    end
  end)

  it("is encrypted with a password, and wants it", function()
    for _, key in ipairs(keys()) do
      local text = key:pem {password = "secret"}
      assert.matches("^%-%-%-%-%-BEGIN ENCRYPTED PRIVATE KEY", text)
      assert.equal(key:pem(), assert(crypto.key(text, {password = "secret"})):pem())
      for _, options in ipairs {{}, {password = "Secret"}, {password = ""}, {password = ("x"):rep(5000)}} do
        local none, err = crypto.key(text, options)
        assert.is_nil(none)
        assert.equal("EPASSWORD", err.code)
      end
    end
    local key = keys()[1]
    assert.matches("'password': 1 to 1024 bytes", raised(key.pem, key, {password = ""}))
    assert.matches("'password': 1 to 1024 bytes", raised(key.pem, key, {password = ("x"):rep(1025)}))
    local public = key:public()
    assert.matches("a public key is not encrypted", raised(public.pem, public, {password = "x"}))
    local long = ("x"):rep(1024)
    assert.is_truthy(crypto.key(key:pem {password = long}, {password = long}))
  end)

  it("is not found in what has none", function()
    local good = keys()[2]:pem()
    for _, text in ipairs {"", "junk", "\0", "-----BEGIN PRIVATE KEY-----\n", pem("PRIVATE KEY", "junk"),
      pem("PUBLIC KEY", "\x30\x82\xff\xff"), pem("CERTIFICATE", "x"), good:sub(1, -40), (good:gsub("M", "N", 1)),
      (good:gsub("KEY", "KEX")), ("-----BEGIN PRIVATE KEY-----\n"):rep(1000)} do
      local none, err = crypto.key(text)
      assert.is_nil(none)
      assert.equal("EKEY", err.code)
    end
    assert.is_truthy(crypto.key("a text before\n" .. good .. "and behind"))
  end)

  it("of another kind is refused", function()
    local x25519 = pem("PRIVATE KEY", bytes("302e020100300506032b656e04220420" .. ("07"):rep(32)))
    local none, err = crypto.key(x25519)
    assert.is_nil(none)
    assert.equal("key: neither Ed25519 nor ECDSA nor RSA (EKEY)", tostring(err))
  end)

  it("raises for wrong arguments", function()
    local key = keys()[1]
    for _, wrong in ipairs {1, "x", {}, io.stdout} do
      for _, method in ipairs {"sign", "verify", "pem", "public"} do
        assert.matches("neap.Key expected", raised(key[method], wrong))
      end
    end
    local public = key:public()
    assert.matches("a private key expected, got a public one", raised(public.sign, public, ""))
    assert.matches("string expected", raised(key.sign, key))
    assert.matches("string expected", raised(key.verify, key, ""))
    assert.matches("unknown option 'pasword' %(did you mean 'password'", raised(crypto.key, "", {pasword = ""}))
    assert.matches("'password': a string expected, got number", raised(crypto.key, "", {password = 1}))
    assert.matches("unknown type of keys 'ecc' %(did you mean 'ec'", raised(crypto.generate, "ecc"))
    assert.matches("unknown type of keys 'ec%?'", raised(crypto.generate, "ec\0"))
    assert.matches("unknown option 'bits'", raised(crypto.generate, "ec", {bits = 256}))
    assert.matches("unknown curve 'P256' %(did you mean 'P%-256'", raised(crypto.generate, "ec", {curve = "P256"}))
    for _, n in ipairs {0, 1024, 16385, math.mininteger} do
      assert.matches("'bits': an integer from 2048 to 16384", raised(crypto.generate, "rsa", {bits = n}))
    end
    assert.matches("'bits': an even integer", raised(crypto.generate, "rsa", {bits = 2049}))
    local ec = keys()[2]
    assert.matches("unknown digest 'sha3%-255' %(did you mean 'sha3%-256'",
      raised(ec.sign, ec, "", {digest = "sha3-255"}))
    assert.matches("'raw': a boolean expected", raised(ec.sign, ec, "", {raw = 1}))
    assert.matches("unknown padding 'oaep'", raised(rsa.sign, rsa, "", {padding = "oaep"}))
  end)
end)

describe("a signature", function()
  local ways = {
    ed25519 = {{}}, ec = {{}, {raw = true}, {digest = "sha3-256"}, {digest = "sha512", raw = true}},
    rsa = {{}, {padding = "pkcs1"}, {digest = "sha512"}, {salt = 0}, {salt = 100},
      {padding = "pkcs1", digest = "sha1"}},
  }

  it("is good for its message, key and way only, and anything else is not", function()
    local all = keys()
    for i, key in ipairs(all) do
      for _, way in ipairs(ways[key.type]) do
        local message = crypto.random(1000)
        local signature = assert(key:sign(message, way))
        assert.is_true(key:verify(message, signature, way))
        assert.is_true(key:public():verify(message, signature, way))
        assert.is_false(key:verify(message .. "x", signature, way))
        assert.is_false(key:verify("", signature, way))
        for _, wrong in ipairs {"", "x", signature .. "\0", signature:sub(1, -2), ("\0"):rep(#signature),
          ("\xff"):rep(#signature), crypto.random(#signature), ("\xff"):rep(10000), ("x"):rep(7)} do
          assert.is_false(key:verify(message, wrong, way))
        end
        local other = all[i % #all + 1]
        assert.is_false(other:verify(message, signature))
      end
    end
  end)

  it("of ECDSA is of fixed size when raw", function()
    for i, size in pairs {[2] = 64, [3] = 96, [4] = 132} do
      for _ = 1, 20 do
        assert.equal(size, #keys()[i]:sign("m", {raw = true}))
      end
    end
  end)

  it("of PSS is held to the salt, where that is said", function()
    local key = keys()[5]
    local signature = key:sign("message", {salt = 20})
    assert.is_true(key:verify("message", signature))
    assert.is_true(key:verify("message", signature, {salt = 20}))
    assert.is_false(key:verify("message", signature, {salt = 32}))
    assert.is_true(key:verify("message", key:sign "message", {salt = 32}))
    local none, err = key:sign("message", {salt = 2000})
    assert.is_nil(none)
    assert.equal("EOPENSSL", err.code)
    assert.is_true(key:verify("message", signature)) -- the queue was cleared
  end)
end)

describe("the openssl command", function()
  before_each(folder.make)
  after_each(folder.remove)

  local function openssl(...)
    local command = {"openssl", ...}
    command.cwd = folder.path
    return process.run(command)
  end

  local function read(name)
    local file <close> = assert(io.open(folder.path .. "/" .. name, "rb"))
    return file:read "a"
  end

  --- The arguments behind "openssl" that sign (or verify) a message by a key.
  local ways = {
    ed25519 = {"pkeyutl", "-rawin"},
    ec = {"pkeyutl", "-rawin", "-digest", "sha384"},
    rsa = {"pkeyutl", "-rawin", "-digest", "sha384", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt",
      "rsa_pss_saltlen:digest"},
  }

  it("signs what we verify, and verifies what we sign", function()
    if not openssl "version" then
      pending "openssl is not installed"
    end
    folder.write("message", "the message")
    for _, key in ipairs(keys()) do
      local how = key.type ~= "ed25519" and {digest = "sha384"} or nil
      local way = ways[key.type]
      folder.write("key", key:pem {password = "secret"})
      folder.write("public", key:public():pem())
      folder.write("signature", key:sign("the message", how))
      local command = {table.unpack(way)}
      for _, word in ipairs {"-verify", "-pubin", "-inkey", "public", "-in", "message", "-sigfile", "signature"} do
        command[#command + 1] = word
      end
      local result = openssl(table.unpack(command))
      assert.equal(0, result.code, result.stderr)
      command = {table.unpack(way)}
      for _, word in ipairs {"-sign", "-inkey", "key", "-passin", "pass:secret", "-in", "message", "-out", "theirs"} do
        command[#command + 1] = word
      end
      result = openssl(table.unpack(command))
      assert.equal(0, result.code, result.stderr)
      assert.is_true(key:verify("the message", read "theirs", how))
    end
  end)

  it("makes keys that we read, in each of the forms that there are", function()
    if not openssl "version" then
      pending "openssl is not installed"
    end
    local function make(...)
      local result = openssl(...)
      assert.equal(0, result.code, result.stderr)
      return result.stdout
    end
    local ec = make("ecparam", "-name", "prime256v1", "-genkey") -- with its parameters before it
    assert.equal("P-256", assert(crypto.key(ec)).curve)
    folder.write("ec", ec)
    local old = make("ec", "-in", "ec", "-aes128", "-passout", "pass:secret")
    assert.matches("Proc%-Type: 4,ENCRYPTED", old)
    assert.equal(crypto.key(ec):pem(), assert(crypto.key(old, {password = "secret"})):pem())
    assert.equal("EPASSWORD", select(2, crypto.key(old)).code)
    local pkcs1 = make("genrsa", "-traditional", "2048")
    assert.matches("BEGIN RSA PRIVATE KEY", pkcs1)
    assert.equal(2048, assert(crypto.key(pkcs1)).bits)
    local koblitz = make("ecparam", "-name", "secp256k1", "-genkey")
    assert.equal("key: its curve is none of P-256, P-384 and P-521 (EKEY)", tostring(select(2, crypto.key(koblitz))))
  end)

  it("verifies a certificate that signs itself", function()
    if not openssl "version" then
      pending "openssl is not installed"
    end
    for _, key in ipairs(keys()) do
      local pem_of_it, secret = assert(core.selfsigned {names = {"localhost", "127.0.0.1", "::1"}, key = key, days = 3})
      assert.equal(key:pem(), secret)
      folder.write("cert", pem_of_it)
      for _, name in ipairs {"-verify_hostname localhost", "-verify_ip 127.0.0.1", "-verify_ip ::1"} do
        local option, value = name:match "(%S+) (%S+)"
        local result = openssl("verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-CAfile", "cert",
          option, value, "cert")
        assert.equal(0, result.code, result.stderr)
      end
      local result = openssl("verify", "-CAfile", "cert", "-verify_hostname", "other", "cert")
      assert.not_equal(0, result.code)
    end
  end)
end)

describe("a certificate that signs itself", function()
  it("says what it was made of", function()
    local names = {"host.example", "*.example", "::1", "10.0.0.1"}
    local pem_of_it, secret = assert(core.selfsigned {names = names, days = 2})
    local says = assert(core.certificate(pem_of_it))
    assert.same(names, says.names)
    assert.equal("CN=host.example", says.subject)
    assert.equal("CN=host.example", says.issuer)
    assert.is_true(math.abs(says.not_after - os.time() - 2 * 86400) < 60)
    assert.is_true(math.abs(says.not_before - os.time() + 3600) < 60)
    assert.matches("^%x+$", says.serial)
    assert.equal(32, #says.serial)
    assert.equal(pem_of_it, says.pem)
    local der = crypto.frombase64((pem_of_it:gsub("%-%-%-%-%-[^\n]*\n", ""):gsub("\n", "")))
    assert.equal(hex(crypto.digest("sha256", der)), says.fingerprint)
    assert.equal("P-256", assert(crypto.key(secret)).curve)
  end)

  it("may have long names", function()
    local long = ("a"):rep(63) .. "." .. ("b"):rep(63)
    local says = core.certificate((core.selfsigned {names = {long}}))
    assert.same({long}, says.names)
    assert.equal("CN=neap", says.subject)
  end)

  it("raises for what it cannot be made of", function()
    local function wrong(options)
      return raised(core.selfsigned, options)
    end
    assert.matches("'names': a list of 1 to 1000", wrong {})
    assert.matches("'names': a list of 1 to 1000", wrong {names = {}})
    assert.matches("'names': a list of 1 to 1000", wrong {names = "localhost"})
    for _, name in ipairs {"", " ", "a b", "a,b", "a\0b", "\xff", ("x"):rep(254), 1, false} do
      assert.matches("'names': host names and addresses expected", wrong {names = {name}})
    end
    assert.matches("'days': an integer from 1 to 36500", wrong {names = {"a"}, days = 0})
    assert.matches("'key': a private key expected", wrong {names = {"a"}, key = "x"})
    assert.matches("'key': a private key expected", wrong {names = {"a"}, key = keys()[1]:public()})
    assert.matches("unknown option 'name' %(did you mean 'names'", wrong {name = "a"})
  end)

  it("is not found in what has none", function()
    for _, text in ipairs {"", "junk", keys()[1]:pem(), pem("CERTIFICATE", "junk")} do
      local none, err = core.certificate(text)
      assert.is_nil(none)
      assert.equal("ECERTIFICATE", err.code)
    end
  end)
end)

it("a certificate asks for no password at the terminal", function()
  local text = "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n" ..
    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n" ..
    "-----END CERTIFICATE-----\n"
  local result = child.run([[print(require "neap.luasocket.ssl"["ssl.x509"].load(...))]], text)
  assert.equal("nil\n", result.stdout)
  assert.equal("", result.stderr)
  assert.equal("ECERTIFICATE", select(2, core.certificate(text)).code)
end)

it("a key asks for no password at the terminal", function()
  local text = keys()[1]:pem {password = "secret"}
  local result = child.run([[print(require "neap.crypto".key(...))]], text)
  assert.equal("nil\tkey: it is encrypted, and needs a password (EPASSWORD)\n", result.stdout)
  assert.equal("", result.stderr)
end)

-- Digests, HMAC, derived keys and the texts: the standards' own examples, and what is
-- wrong. Keys are in crypto_key_spec.lua.

local core = require "neap.crypto.core"
local crypto = require "neap.crypto"
local host = require "neap.host"
local lfs = require "lfs"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local hex, bytes = crypto.tohex, crypto.fromhex

local names = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384",
  "sha3-512"}

--- The message of an error that f raises.
local function raised(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("crypto.random", function()
  it("gives as many bytes as asked for, others each time", function()
    for _, n in ipairs {0, 1, 16, 100000} do
      assert.equal(n, #crypto.random(n))
    end
    assert.not_equal(crypto.random(16), crypto.random(16))
  end)

  it("raises for what is no size", function()
    for _, n in ipairs {-1, 1 << 31, math.mininteger, math.maxinteger} do
      assert.matches("an integer from 0 to 2147483647 expected", raised(crypto.random, n))
    end
    assert.matches("number expected", raised(crypto.random))
    assert.matches("no integer representation", raised(crypto.random, 1.5))
  end)
end)

describe("crypto.digest", function()
  -- RFC 1321 A.5; FIPS 180-4 and 202 with the examples of NIST.
  local long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
  local vectors = {
    {"md5", "", "d41d8cd98f00b204e9800998ecf8427e"},
    {"md5", "a", "0cc175b9c0f1b6a831c399e269772661"},
    {"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
    {"md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
    {"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"sha1", long, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {"sha1", ("a"):rep(1000000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {"sha224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    {"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"sha256", long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"sha384", "abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      .. "8086072ba1e7cc2358baeca134c825a7"},
    {"sha512", "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    {"sha3-256", "", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},
    {"sha3-256", "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
    {"sha3-384", "abc", "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
      .. "98d88cea927ac7f539f1edf228376d25"},
    {"sha3-512", "abc", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
      .. "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"},
  }

  it("gives what the standards say", function()
    for _, row in ipairs(vectors) do
      assert.equal(row[3], hex(crypto.digest(row[1], row[2])))
    end
  end)

  it("takes pieces as one, wherever they part, and as a hasher is fed", function()
    local text = crypto.random(300)
    for _, name in ipairs(names) do
      local whole = crypto.digest(name, text)
      assert.equal(whole, crypto.digest(name, text:sub(1, 100), "", text:sub(101)))
      local hasher <close> = crypto.hasher(name)
      for i = 1, #text do
        assert.equal(hasher, hasher:update(text:sub(i, i)))
      end
      assert.equal(whole, hasher:digest())
    end
  end)

  it("says which name was meant", function()
    assert.matches("unknown digest 'sha265' %(did you mean 'sha256'%?%)", raised(crypto.digest, "sha265"))
    assert.matches("unknown digest 'whirlpool'", raised(crypto.digest, "whirlpool"))
    assert.matches("unknown digest 'x%?y'", raised(crypto.digest, "x\ny"))
    assert.matches("string expected", raised(crypto.digest))
    assert.matches("#3.*string expected", raised(crypto.digest, "md5", "a", {}))
  end)
end)

describe("crypto.hmac", function()
  -- RFC 4231: key, data, and the beginnings of sha224, sha256, sha384 and sha512.
  local vectors = {
    {("\x0b"):rep(20), "Hi There", "896fb1128abbdf196832107cd49df33f", "b0344c61d8db38535ca8afceaf0bf12b",
      "afd03944d84895626b0825f4ab46907f", "87aa7cdea5ef619d4ff0b4241a1d6cb0"},
    {"Jefe", "what do ya want for nothing?", "a30e01098bc6dbbf45690f3a7e9e6d0f",
      "5bdcc146bf60754e6a042426089575c7", "af45d2e376484031617f78d2b58a6b1b",
      "164b7a7bfcf819e2e395fbe73b56e0a3"},
    {("\xaa"):rep(20), ("\xdd"):rep(50), "7fb3cb3588c6c1f6ffa9694d7d6ad264",
      "773ea91e36800e46854db8ebd09181a7", "88062608d3e6ad8a0aa2ace014c8a86f",
      "fa73b0089d56a284efb0f0756c890be9"},
    {("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
      "95e9a0db962095adaebe9b2d6f0dbce2", "60e431591ee0b67f0d8a26aacbf5b77f",
      "4ece084485813e9088d2c63a041bc5b4", "80b24263c7c1a3ebb71493c1dd7be8b4"},
  }

  it("gives what RFC 4231 says", function()
    for _, row in ipairs(vectors) do
      for i, name in ipairs {"sha224", "sha256", "sha384", "sha512"} do
        assert.equal(row[i + 2], hex(crypto.hmac(name, row[1], row[2])):sub(1, 32))
      end
    end
  end)

  it("is a digest of digests, with each digest, and any key", function()
    local blocks = {md5 = 64, sha1 = 64, sha224 = 64, sha256 = 64, sha384 = 128, sha512 = 128,
      ["sha3-256"] = 136, ["sha3-384"] = 104, ["sha3-512"] = 72}
    local function xor(text, with)
      return (text:gsub(".", function(c)
        return string.char(c:byte() ~ with)
      end))
    end
    for name, block in pairs(blocks) do
      for _, size in ipairs {0, 1, block, block + 1} do
        local key = crypto.random(size)
        local padded = #key > block and crypto.digest(name, key) or key
        padded = padded .. ("\0"):rep(block - #padded)
        local inner = crypto.digest(name, xor(padded, 0x36), "message")
        assert.equal(crypto.digest(name, xor(padded, 0x5c), inner), crypto.hmac(name, key, "mess", "age"))
        local hasher <close> = crypto.hasher(name, key)
        assert.equal(crypto.hmac(name, key, "message"), hasher:update("mes", "sage"):digest())
      end
    end
  end)
end)

describe("a hasher", function()
  it("goes on behind its digest, which can be asked for again", function()
    for _, key in ipairs {false, "key"} do
      local hasher <close> = crypto.hasher("sha256", key or nil)
      local function expected(text)
        return key and crypto.hmac("sha256", key, text) or crypto.digest("sha256", text)
      end
      assert.equal(expected "", hasher:digest())
      hasher:update "one"
      assert.equal(expected "one", hasher:digest())
      assert.equal(expected "one", hasher:digest())
      hasher:update "two"
      assert.equal(expected "onetwo", hasher:digest())
    end
  end)

  it("raises when it is closed, but for closing it again", function()
    local hasher = crypto.hasher "sha1"
    assert.equal("hasher (sha1)", tostring(hasher))
    assert.equal("hasher (hmac sha1)", tostring(crypto.hasher("sha1", "")))
    hasher:close()
    hasher:close()
    assert.equal("hasher (sha1, closed)", tostring(hasher))
    assert.matches("the hasher is closed", raised(hasher.update, hasher, "x"))
    assert.matches("the hasher is closed", raised(hasher.digest, hasher))
  end)

  it("raises for another object", function()
    local hasher <close> = crypto.hasher "md5"
    for _, wrong in ipairs {1, "x", {}, io.stdout} do
      for _, method in ipairs {"update", "digest", "close"} do
        assert.matches("neap.Hasher expected", raised(hasher[method], wrong))
      end
    end
    assert.is_nil(hasher.nothing)
  end)

  it("leaves no memory behind, though the collector sees little of it", function()
    local function resident()
      local file <close> = assert(io.open "/proc/self/statm")
      return file:read("n", "n") and file:read "n"
    end
    local function use()
      for _ = 1, child.sanitized and 2000 or 20000 do
        crypto.digest("sha256", "x")
        crypto.hmac("sha256", "x", "y")
      end
    end
    use()
    if child.sanitized then
      return -- it keeps what was freed
    end
    collectgarbage()
    local before = resident()
    use()
    collectgarbage()
    assert.is_true(resident() - before < 512, resident() - before)
  end)
end)

it("crypto.equal compares", function()
  assert.is_true(crypto.equal("", ""))
  assert.is_true(crypto.equal("a\0b", "a\0b"))
  assert.is_false(crypto.equal("a\0b", "a\0c"))
  assert.is_false(crypto.equal("a", "ab"))
  assert.is_false(crypto.equal("", "a"))
  assert.matches("string expected", raised(crypto.equal, "a"))
end)

describe("crypto.hkdf", function()
  -- RFC 5869, A.1 to A.7.
  local function range(from, to)
    local all = {}
    for i = from, to do
      all[#all + 1] = string.char(i)
    end
    return table.concat(all)
  end
  local vectors = {
    {"sha256", ("\x0b"):rep(22), range(0, 12), range(0xf0, 0xf9), 42,
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"sha256", range(0, 0x4f), range(0x60, 0xaf), range(0xb0, 0xff), 82,
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
      .. "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"sha256", ("\x0b"):rep(22), "", "", 42,
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    {"sha1", ("\x0b"):rep(11), range(0, 12), range(0xf0, 0xf9), 42,
      "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
    {"sha1", ("\x0c"):rep(22), nil, "", 42,
      "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48"},
  }

  it("gives what RFC 5869 says", function()
    for _, row in ipairs(vectors) do
      local key = crypto.hkdf {digest = row[1], key = row[2], salt = row[3], info = row[4], size = row[5]}
      assert.equal(row[6], hex(key))
    end
  end)

  it("gives one digest by default, and 255 of them at most", function()
    assert.equal(32, #crypto.hkdf {key = "secret"})
    assert.equal(64, #crypto.hkdf {key = "secret", digest = "sha512"})
    assert.equal(255 * 32, #crypto.hkdf {key = "secret", size = 255 * 32})
    assert.matches("option 'size': an integer from 1 to 8160 expected",
      raised(crypto.hkdf, {key = "x", size = 8161}))
  end)

  it("raises for wrong options", function()
    assert.matches("table expected", raised(crypto.hkdf, "key"))
    assert.matches("option 'key': a string expected, got nothing", raised(crypto.hkdf, {}))
    assert.matches("option 'info': a string expected, got table", raised(crypto.hkdf, {key = "", info = {}}))
    assert.matches("option 'size': an integer expected, got string", raised(crypto.hkdf, {key = "", size = "1"}))
    assert.matches("unknown option 'slat' %(did you mean 'salt'%?%)", raised(crypto.hkdf, {key = "", slat = ""}))
    assert.matches("unknown option 'key%?x'", raised(crypto.hkdf, {["key\0x"] = ""}))
    assert.matches("an option's name is a string, got a number", raised(crypto.hkdf, {"x"}))
    assert.matches("unknown digest 'md6'", raised(crypto.hkdf, {key = "", digest = "md6"}))
  end)
end)

describe("crypto.pbkdf2", function()
  local function derive(digest, password, salt, iterations, size)
    return hex(crypto.pbkdf2 {digest = digest, password = password, salt = salt,
      iterations = iterations, size = size})
  end

  it("gives what RFC 6070 and RFC 7914 say", function()
    assert.equal("0c60c80f961f0e71f3a9b524af6012062fe037a6", derive("sha1", "password", "salt", 1, 20))
    assert.equal("ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", derive("sha1", "password", "salt", 2, 20))
    assert.equal("4b007901b765489abead49d926f721d065a429c1", derive("sha1", "password", "salt", 4096, 20))
    assert.equal("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038", derive("sha1",
      "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25))
    assert.equal("56fa6aa75548099dcc37d7f03425e0c3", derive("sha1", "pass\0word", "sa\0lt", 4096, 16))
    assert.equal("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
      .. "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
      derive("sha256", "passwd", "salt", 1, 64))
  end)

  it("raises for wrong options", function()
    local function wrong(options)
      options.salt = options.salt or "salt"
      return raised(crypto.pbkdf2, options)
    end
    assert.matches("option 'password': a string expected", wrong {iterations = 1})
    assert.matches("option 'iterations': an integer expected, got nothing", wrong {password = ""})
    for _, n in ipairs {0, -1, 1 << 31} do
      assert.matches("option 'iterations': an integer from 1 to", wrong {password = "", iterations = n})
      assert.matches("option 'size': an integer from 1 to", wrong {password = "", iterations = 1, size = n})
    end
    assert.matches("'iterations' and 'size': 2%^31", wrong {password = "", salt = "",
      iterations = 2^30, size = 65})
    assert.matches("'itarations' %(did you mean 'iterations'", wrong {password = "", itarations = 1})
    assert.matches("option 'salt': a string expected, got boolean", wrong {password = "", salt = true})
  end)
end)

describe("what computes long", function()
  local long = {password = "password", salt = "salt", iterations = 100000}
  local expected = "0394a2ede332c9a13eb82e9b24631604c31df978b4e2f0fbd2c549944f9d79a5"

  --- Wait until no thread computes any more for a task that has given up.
  local function wait_for_threads(before)
    for _ = 1, 3000 do
      collectgarbage()
      if host.stats().handles <= before then
        return
      end
      task.sleep(0.01)
    end
    error "a thread goes on"
  end

  it("lets others run meanwhile", function()
    local ticks, result = 0, nil
    local ticker = task.spawn(function()
      while not result do
        ticks = ticks + 1
        task.sleep(0.001)
      end
    end)
    result = crypto.pbkdf2(long)
    ticker:join()
    assert.equal(expected, hex(result))
    assert.is_true(ticks > 3, ticks)
  end)

  it("is given up at once, and the thread then ends", function()
    local before = host.stats().handles
    local _, err = task.timeout(0.005, crypto.pbkdf2, long)
    assert.equal("ETIMEDOUT", err.code)
    local t = task.spawn(crypto.generate, "rsa", {bits = 8192})
    task.yield()
    t:cancel()
    assert.is_nil((t:join()))
    assert.is_true(host.stats().handles > before)
    wait_for_threads(before)
  end)

  it("is done by a few threads, whose places are handed on", function()
    local before = host.stats().handles
    local tasks, most = {}, 0
    for i = 1, 12 do
      tasks[i] = task.spawn(crypto.pbkdf2, i % 5 == 1 and long
        or {password = "password", salt = "salt", iterations = 10000})
    end
    for i = 1, 12, 5 do
      task.yield()
      tasks[i]:cancel()
    end
    for i, t in ipairs(tasks) do
      most = math.max(most, host.stats().handles - before)
      local result = t:join()
      assert.equal(i % 5 ~= 1 and "5ec02b91a4b59c6f59dd5fbe4ca649ece4fa8568cdb8ba36cf41426e8805522b",
        result and hex(result) or false)
    end
    assert.is_true(most <= 4, most)
    wait_for_threads(before)
  end)

  it("is done on the spot where Lua cannot suspend", function()
    local results = {}
    table.sort({1, 2}, function(a, b)
      results[#results + 1] = hex(crypto.pbkdf2(long))
      return a < b
    end)
    assert.equal(expected, results[1])
  end)

  it("is done on the spot where no thread can be had", function()
    local result = child.run_without_threads [[
      local crypto = require "neap.crypto"
      print(crypto.tohex(crypto.pbkdf2 {password = "password", salt = "salt", iterations = 100000}))
    ]]
    assert.equal(expected .. "\n", result.stdout, result.stderr)
  end)

  it("does not hold up the end of the program", function()
    local start = time.now()
    local result = child.run [[
      local task = require "neap.task"
      task.spawn(require "neap.crypto".pbkdf2, {password = "", salt = "", iterations = 2^31 - 1})
      task.sleep(0.01)
      os.exit(3, true)
    ]]
    assert.equal(3, result.code, result.stderr)
    assert.is_true(time.now() - start < 60)
  end)
end)

describe("base64", function()
  -- RFC 4648, 10.
  local vectors = {[""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
    foobar = "Zm9vYmFy"}

  it("is what RFC 4648 says, both ways", function()
    for plain, text in pairs(vectors) do
      assert.equal(text, crypto.tobase64(plain))
      assert.equal(plain, crypto.frombase64(text))
      local bare = text:gsub("=", "")
      assert.equal(bare, crypto.tobase64(plain, {pad = false}))
      assert.equal(plain, crypto.frombase64(bare, {pad = false}))
      assert.equal(bare, crypto.tobase64(plain, {url = true}))
      assert.equal(plain, crypto.frombase64(bare, {url = true}))
      assert.equal(text, crypto.tobase64(plain, {url = true, pad = true}))
      assert.equal(plain, crypto.frombase64(text, {url = true, pad = true}))
    end
  end)

  it("brings back any bytes", function()
    for n = 0, 300 do
      local some = crypto.random(n)
      for _, how in ipairs {{}, {url = true}, {pad = false}, {url = true, pad = true}} do
        assert.equal(some, crypto.frombase64(crypto.tobase64(some, how), how))
      end
    end
    assert.equal("+/+/", crypto.tobase64 "\xfb\xff\xbf")
    assert.equal("-_-_", crypto.tobase64("\xfb\xff\xbf", {url = true}))
  end)

  it("takes nothing else", function()
    local wrong = {
      {"Zg", nil, "wrong padding at byte 2"}, {"Zg=", nil, "wrong padding at byte 3"},
      {"Zg===", nil, "no letter of base64 at byte 3"}, {"=", nil, "wrong padding at byte 1"},
      {"==", nil, "wrong padding at byte 2"}, {"Z===", nil, "no letter of base64 at byte 2"},
      {"Zm9v=", nil, "wrong padding"}, {"Zm9v====", nil, "no letter of base64 at byte 5"},
      {"Zh==", nil, "bits that mean nothing at byte 2"}, {"Zm9=", nil, "bits that mean nothing at byte 3"},
      {"Zm 9v", nil, "no letter of base64 at byte 3"}, {"Zm9v\n", nil, "no letter of base64 at byte 5"},
      {"Zg==Zg==", nil, "no letter of base64 at byte 3"}, {"Zm9\0", nil, "no letter of base64 at byte 4"},
      {"Z", nil, "a letter is missing at byte 1"}, {"Zm9vY", nil, "a letter is missing at byte 5"},
      {"-_-_", nil, "no letter of base64 at byte 1"}, {"\xff\xfe\x80a", nil, "no letter of base64 at byte 1"},
      {"+/+/", {url = true}, "no letter of base64 at byte 1"}, {"Zg==", {url = true}, "wrong padding at byte 4"},
      {"Zh", {url = true}, "bits that mean nothing at byte 2"}, {"Zg==", {pad = false}, "wrong padding at byte 4"},
    }
    for _, row in ipairs(wrong) do
      local none, err = crypto.frombase64(row[1], row[2])
      assert.is_nil(none, row[1])
      assert.equal("EILSEQ", err.code)
      assert.matches(row[3], err.message, 1, true)
    end
    assert.matches("unknown option 'urls' %(did you mean 'url'", raised(crypto.tobase64, "", {urls = true}))
    assert.matches("option 'pad': a boolean expected, got string", raised(crypto.frombase64, "", {pad = "="}))
    assert.matches("table expected", raised(crypto.frombase64, "", true))
  end)
end)

describe("hexadecimal", function()
  it("goes both ways", function()
    assert.equal("", hex "")
    assert.equal("", bytes "")
    for n = 1, 100 do
      local some = crypto.random(n)
      assert.equal(some, bytes(hex(some)))
      assert.equal(some, bytes(hex(some):upper()))
    end
    assert.equal("000fff", hex "\0\x0f\xff")
  end)

  it("is strict", function()
    local wrong = {{"0", "a digit is missing at byte 1"}, {"000", "a digit is missing at byte 3"},
      {"0x00", "no hexadecimal digit at byte 2"}, {"00 0", "byte 3"}, {"0g", "byte 2"}, {"\0\0", "byte 1"},
      {"00\n", "byte 3"}, {":/@`", "byte 1"}}
    for _, row in ipairs(wrong) do
      local none, err = bytes(row[1])
      assert.is_nil(none)
      assert.equal("EILSEQ", err.code)
      assert.matches(row[2], err.message, 1, true)
    end
  end)
end)

describe("OpenSSL", function()
  before_each(folder.make)
  after_each(folder.remove)

  local function needs_loading()
    if core.linked then
      pending "OpenSSL is linked into this build"
    end
  end

  --- Run a script that finds this file as one of OpenSSL's.
  local function run_with(library, script)
    local env = process.env()
    env.LD_LIBRARY_PATH = folder.path
    assert(lfs.attributes(folder.path .. "/" .. library, "mode") == "file")
    return assert(process.run {child.neap, "-e", script, env = env})
  end

  local shows = [[
    local crypto = require "neap.crypto"
    print(#crypto.random(1), crypto.tohex(crypto.frombase64 "Zg=="))
    for _ = 1, 2 do
      local ok, err = pcall(crypto.digest, "md5", "")
      print(ok, err.code, err)
    end
  ]]

  it("is loaded when it is first needed, and not for the texts", function()
    needs_loading()
    local result = child.run [[
      local crypto = require "neap.crypto"
      local function has(name)
        local file <close> = assert(io.open "/proc/self/maps")
        return file:read "a":find(name, 1, true) ~= nil
      end
      crypto.tohex(crypto.frombase64 "Zg==" .. crypto.random(1))
      print(has "libcrypto.so", has "libssl.so")
      crypto.digest("md5", "")
      print(has "libcrypto.so", has "libssl.so")
    ]]
    assert.equal("false\tfalse\ntrue\tfalse\n", result.stdout, result.stderr)
  end)

  it("is missed by name", function()
    needs_loading()
    folder.write("libcrypto.so.3", "")
    local result = run_with("libcrypto.so.3", shows)
    local message = "false\tELIBACC\tTLS and neap%.crypto need OpenSSL 3: [^\n]*libcrypto%.so%.3: [^\n]*\n"
    assert.matches("^1\t66\n" .. message .. message .. "$", result.stdout, result.stderr)
  end)

  it("is refused where it lacks a function", function()
    needs_loading()
    local built = assert(process.run {
      "cc", "-x", "c", "-shared", "-fPIC", "-o", folder.path .. "/libcrypto.so.3", "-",
      input = "int ASN1_INTEGER_to_BN;",
    })
    assert(built.code == 0, built.stderr)
    local result = run_with("libcrypto.so.3", shows)
    local message = "false\tELIBBAD\tlibcrypto%.so%.3 has no [%w_]+: it is too old[^\n]*\n"
    assert.matches("^1\t66\n" .. message .. message .. "$", result.stdout, result.stderr)
  end)

  it("is begun by several threads at once", function()
    local result = child.run [[
      local task, worker = require "neap.task", require "neap.worker"
      local workers = {}
      for i = 1, 4 do
        workers[i] = function()
          print(assert(worker.run(function()
            local crypto = require "neap.crypto"
            return crypto.tohex(crypto.digest("md5", "abc")), crypto.generate "ec":verify("", "")
          end)))
        end
      end
      task.all(workers)
    ]]
    assert.equal(("900150983cd24fb0d6963f7d28e17f72\tfalse\n"):rep(4), result.stdout, result.stderr)
  end)

  it("is shared with luaossl", function()
    if not package.searchpath("_openssl", package.cpath) then
      pending "lua-luaossl is not installed"
    end
    local result = child.run [[
      local crypto, digest, pkey = require "neap.crypto", require "openssl.digest", require "openssl.pkey"
      local theirs = pkey.new {type = "EC", curve = "prime256v1"}
      local ours = assert(crypto.key(theirs:toPEM "private"))
      local sum = digest.new "sha256"
      sum:update "message"
      print(ours:verify("message", theirs:sign(sum)))
      sum = digest.new "sha256"
      sum:update "message"
      print(theirs:verify(ours:sign "message", sum))
      print(digest.new "sha256":final "abc" == crypto.digest("sha256", "abc"))
      print(crypto.key "junk")
      local copies, found = {}, 0
      for line in io.lines "/proc/self/maps" do
        local path = line:match "%S*libcrypto%S*"
        found = found + (path and not copies[path] and 1 or 0)
        copies[path or ""] = true
      end
      print(found)
    ]]
    assert.matches("^true\ntrue\ntrue\nnil\tkey: there is no key in this PEM, "
      .. "or a broken one %(EKEY%)\n1\n$", result.stdout, result.stderr)
  end)
end)

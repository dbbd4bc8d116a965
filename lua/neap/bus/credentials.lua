--- Who we are, to NATS: nkeys, which are keys of Ed25519 in base32 with a checksum, and the files
--- with a JWT and such a key.

local crypto = require "neap.crypto"
local error_object = require "neap.error"
local fs = require "neap.fs"

local byte, char, find, format = string.byte, string.char, string.find, string.format
local gsub, match, sub = string.gsub, string.match, string.sub
local concat = table.concat

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

--- What stands before 32 bytes of a seed, and of the public key, so that the base32 begins
--- with letters that say what it is: S and the kind (`U`, a user), or the kind.
local SEED = 18 << 3

--- PKCS #8 of an Ed25519 key, but for the 32 bytes (RFC 8410).
local PKCS8 = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"

local credentials = {}

local function to_base32(bytes)
  local out, acc, bits = {}, 0, 0
  for i = 1, #bytes do
    acc, bits = (acc << 8 | byte(bytes, i)) & 0xffff, bits + 8
    while bits >= 5 do
      bits = bits - 5
      local at = (acc >> bits & 31) + 1
      out[#out + 1] = sub(LETTERS, at, at)
    end
  end
  if bits > 0 then
    local at = (acc << (5 - bits) & 31) + 1
    out[#out + 1] = sub(LETTERS, at, at)
  end
  return concat(out)
end

local function from_base32(text)
  local out, acc, bits = {}, 0, 0
  for i = 1, #text do
    local at = find(LETTERS, sub(text, i, i), 1, true)
    if not at then
      return nil
    end
    acc, bits = (acc << 5 | at - 1) & 0xffff, bits + 5
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = char(acc >> bits & 0xff)
    end
  end
  if acc & (1 << bits) - 1 ~= 0 then
    return nil -- bits that would be dropped
  end
  return concat(out)
end

--- CRC-16/XMODEM.
local function crc16(bytes)
  local crc = 0
  for i = 1, #bytes do
    crc = crc ~ byte(bytes, i) << 8
    for _ = 1, 8 do
      crc = (crc & 0x8000 ~= 0 and crc << 1 ~ 0x1021 or crc << 1) & 0xffff
    end
  end
  return char(crc & 0xff, crc >> 8)
end

local function broken(words)
  return nil, error_object.new { code = "EKEY", op = "bus", message = words }
end

--- What signs by a seed, and its public key, as text; or nil and an error.
function credentials.key(seed)
  local bytes = find(seed, "^S[%u2-7]+$") and #seed == 58 and from_base32(seed)
  if not bytes or byte(bytes) & 0xf8 ~= SEED or crc16(sub(bytes, 1, -3)) ~= sub(bytes, -2) then
    return broken "the nkey is no seed (S..., 58 letters)"
  end
  local kind = (byte(bytes) & 7) << 5 | byte(bytes, 2) >> 3
  local key, err = crypto.key(format("-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n",
    crypto.tobase64(PKCS8 .. sub(bytes, 3, 34))))
  local public, pem
  if key then
    public, err = key:public()
  end
  if public then
    pem, err = public:pem()
  end
  if not pem then
    return nil, err
  end
  local der = crypto.frombase64((gsub(gsub(pem, "%-%-%-%-%-[^\n]*", ""), "%s", "")))
  local named = char(kind) .. sub(der, -32)
  return key, to_base32(named .. crc16(named))
end

--- A seed of 32 bytes: of a kind, `"U"`, `"A"`, `"O"`.
function credentials.seed(kind, bytes)
  local at = (find(LETTERS, kind, 1, true) - 1) << 3
  local named = char(SEED | at >> 5, (at & 31) << 3) .. bytes
  return to_base32(named .. crc16(named))
end

local function between(text, what)
  return match(text, "%-+BEGIN " .. what .. "%-+%s+([%w_.%-]-)%s+%-+END " .. what)
end

--- The JWT and the seed of a file; or nil and an error.
function credentials.file(path)
  local text, err = fs.read(path)
  if not text then
    return nil, err
  end
  local jwt, seed = between(text, "NATS USER JWT"), between(text, "USER NKEY SEED")
  if not jwt or not seed then
    return broken(path .. " has no JWT and seed of a user")
  end
  return jwt, seed
end

--- What is said of ourselves, in the table of CONNECT. `nonce` is what the server wants to be
--- signed. nil and an error.
function credentials.fill(to, server, opts, nonce)
  to.user = opts.user or server.user
  to.pass = opts.password or server.password
  to.auth_token = opts.token or server.token
  local seed = opts.nkey
  if opts.creds then
    local err
    to.jwt, err = credentials.file(opts.creds)
    if not to.jwt then
      return nil, err
    end
    seed = err
  end
  if seed then
    local key, name = credentials.key(seed)
    if not key then
      return nil, name
    end
    if not to.jwt then
      to.nkey = name
    end
    local signature, err = key:sign(nonce or "")
    if not signature then
      return nil, err
    end
    to.sig = crypto.tobase64(signature, { url = true })
  end
  return true
end

return credentials

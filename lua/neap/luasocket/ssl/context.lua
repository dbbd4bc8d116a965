--- `require "ssl.context"`: LuaSec's contexts, whose settings are made one by one, on neap's.
---
--- A setter gives true; or false, and why not.

local core = require "neap.tls.core"
local object = require "neap.luasocket.object"

local error, getmetatable, ipairs, next = error, getmetatable, ipairs, next
local select, setmetatable, type = select, setmetatable, type
local find, format = string.find, string.format

local piecewise = core.piecewise()

local context = {}

local Context = {__index = {}, __name = "SSL:Context"}

function Context.__tostring(self)
  return format("SSL context: %p", self)
end

--- Protocols by their names: the first version of TLS, and the last; 0: any. Below 1.2 there
--- is none.
local protocols = {any = {0x0303, 0}, sslv23 = {0x0303, 0}, tlsv1_2 = {0x0303, 0x0303}, tlsv1_3 = {0x0304, 0x0304}}

--- OpenSSL's bits; those that it knows of but that have no meaning any more are 0.
local options = {
  all = 0x80000850, allow_client_renegotiation = 0x100, allow_no_dhe_kex = 0x400,
  allow_unsafe_legacy_renegotiation = 0x40000, cipher_server_preference = 0x400000,
  cisco_anyconnect = 0x8000, cleanse_plaintext = 0x2, cookie_exchange = 0x2000,
  cryptopro_tlsext_bug = 0x80000000, disable_tlsext_ca_names = 0x200,
  dont_insert_empty_fragments = 0x800, enable_ktls = 0x8, enable_middlebox_compat = 0x100000,
  ignore_unexpected_eof = 0x80, legacy_server_connect = 0x4, no_anti_replay = 0x1000000,
  no_compression = 0x20000, no_dtlsv1 = 0, no_dtlsv1_2 = 0, no_encrypt_then_mac = 0x80000,
  no_extended_master_secret = 0x1, no_query_mtu = 0x1000, no_renegotiation = 0x40000000,
  no_session_resumption_on_renegotiation = 0x10000, no_sslv2 = 0, no_sslv3 = 0x2000000,
  no_ticket = 0x4000, no_tlsv1 = 0x4000000, no_tlsv1_1 = 0x10000000, no_tlsv1_2 = 0x8000000,
  no_tlsv1_3 = 0x20000000, prioritize_chacha = 0x200000, safari_ecdhe_ecdsa_bug = 0x40,
  tls_rollback_bug = 0x800000, tlsext_padding = 0x10, single_dh_use = 0, single_ecdh_use = 0,
  ephemeral_rsa = 0, microsoft_big_sslv3_buffer = 0, microsoft_sess_id_bug = 0,
  msie_sslv2_rsa_padding = 0, netscape_ca_dn_bug = 0, netscape_challenge_bug = 0,
  netscape_demo_cipher_change_bug = 0, netscape_reuse_cipher_change_bug = 0, pkcs1_check_1 = 0,
  pkcs1_check_2 = 0, ssleay_080_client_dh_bug = 0, sslref2_reuse_cert_type_bug = 0,
  tls_block_padding_bug = 0, tls_d5_bug = 0,
}

local verification = {none = 0, peer = 1, fail_if_no_peer_cert = 2, client_once = 4}

--- The ones that TLS 1.2 and 1.3 are spoken with.
local curves = {
  "P-256", "P-384", "P-521", "X25519", "X448", "brainpoolP256r1", "brainpoolP384r1",
  "brainpoolP512r1", "prime256v1", "secp256k1", "secp384r1", "secp521r1",
}

--- `require "ssl.config"`: what there is.
local config = {
  algorithms = {ec = true},
  capabilities = {alpn = true, curves_list = true, ecdh_auto = true},
  curves = {}, options = {}, protocols = {tlsv1_2 = true, tlsv1_3 = true},
}
for _, name in ipairs(curves) do
  config.curves[name] = true
end
for name in next, options do
  config.options[name] = true
end

--- Raise at the line of a function's caller if that is none.
local function check(self, name)
  if getmetatable(self) ~= Context then
    error(format("bad argument #1 to '%s' (SSL:Context expected, got %s)", name,
      self == nil and "no value" or type(self)), 3)
  end
  return self.raw
end

local function is(value)
  return getmetatable(value) == Context
end

--- A context without settings: it verifies nobody.
function context.create(protocol)
  local versions = protocols[object.text(protocol, 1, "create")]
  if not versions then
    return nil, format("invalid protocol (%s)", protocol)
  end
  local raw, err = core.context {
    given = {verify = false}, verify = false, tickets = true, timeout = 999999999, ciphers = "DEFAULT",
    chooses = true,
  }
  if not raw then
    return nil, format("error creating context (%s)", err.message)
  end
  piecewise.versions(raw, versions[1], versions[2])
  return setmetatable({raw = raw}, Context)
end

function context.setmode(self, mode)
  check(self, "setmode")
  mode = object.text(mode, 2, "setmode")
  if mode ~= "client" and mode ~= "server" then
    return false, format("invalid mode (%s)", mode)
  end
  self.mode = mode
  return true
end

local function read(path, doing)
  local text, err = core.file(path)
  if not text then
    return nil, format("error loading %s (%s)", doing, err.message)
  end
  return text
end

--- A password may be a function, which is asked where there is need for one.
function context.loadkey(self, path, password)
  local raw = check(self, "loadkey")
  local text, why = read(object.text(path, 2, "loadkey"), "private key")
  if not text then
    return false, why
  elseif type(password) == "function" then
    password = find(text, "ENCRYPTED", 1, true) and password() or nil
  end
  return piecewise.key(raw, text, type(password) == "string" and password or nil)
end

function context.loadcert(self, path)
  local raw = check(self, "loadcert")
  local text, why = read(object.text(path, 2, "loadcert"), "certificate")
  if not text then
    return false, why
  end
  return piecewise.cert(raw, text)
end

--- Is the key the certificate's?
function context.checkkey(self)
  return (piecewise.check(check(self, "checkkey")))
end

function context.locations(self, file, folder)
  return piecewise.locations(check(self, "locations"), file, folder)
end

function context.setcipher(self, names)
  return piecewise.ciphers(check(self, "setcipher"), object.text(names, 2, "setcipher"))
end

function context.setciphersuites(self, names)
  return piecewise.suites(check(self, "setciphersuites"), object.text(names, 2, "setciphersuites"))
end

--- The sum of bits by their names; nil, and the message for the name that is none.
local function bits(table, message, ...)
  local sum = 0
  for i = 1, select("#", ...) do
    local name = select(i, ...)
    local bit = table[name]
    if not bit then
      return nil, format(message, object.text(name, i + 1, "set", 1))
    end
    sum = sum | bit
  end
  return sum
end

function context.setverify(self, ...)
  local raw = check(self, "setverify")
  local sum, why = bits(verification, "invalid verify option (%s)", ...)
  if not sum then
    return false, why
  end
  return piecewise.verify(raw, sum)
end

function context.setoptions(self, ...)
  local raw = check(self, "setoptions")
  local sum, why = bits(options, "invalid option (%s)", ...)
  if not sum then
    return false, why
  end
  return piecewise.options(raw, sum)
end

--- What OpenSSL calls CRL_CHECK and CRL_CHECK_ALL, and two of our own.
local extended = {lsec_continue = 1, lsec_ignore_purpose = 2, crl_check = 4, crl_check_chain = 8}

--- Go on with a certificate that is refused, and note why; take one of any purpose; look for
--- those that were revoked, in lists of `locations`.
function context.setverifyext(self, ...)
  local raw = check(self, "setverifyext")
  local sum, why = bits(extended, "invalid verify option (%s)", ...)
  if not sum then
    return false, why
  end
  local revoked = sum & 12
  return piecewise.verifyext(raw, sum & 1 ~= 0, sum & 2 ~= 0, revoked == 8 and 12 or revoked)
end

Context.__index.setverifyext = context.setverifyext

function context.setdepth(self, depth)
  return piecewise.depth(check(self, "setdepth"), depth)
end

--- OpenSSL has parameters of its own, as strong as the certificate's key.
function context.setdhparam(self)
  piecewise.exchange(check(self, "setdhparam"))
end

function context.setcurveslist(self, names)
  local raw = check(self, "setcurveslist")
  if not piecewise.groups(raw, object.text(names, 2, "setcurveslist")) then
    return false, format("unknown elliptic curve in \"%s\"", names)
  end
  return true
end

function context.setcurve(self, name)
  local raw = check(self, "setcurve")
  if not piecewise.groups(raw, object.text(name, 2, "setcurve")) then
    return false, format("elliptic curve '%s' not supported", name)
  end
  return true
end

--- A client's protocols, as the extension has them.
function context.setalpn(self, list)
  return piecewise.alpn(check(self, "setalpn"), object.text(list, 2, "setalpn"))
end

--- A server's: a function from those of a client to its own.
function context.setalpncb(self, choose)
  check(self, "setalpncb")
  self.choose_protocols = choose
  return true
end

return {is = is, context = context, config = config, check = check, piecewise = piecewise}

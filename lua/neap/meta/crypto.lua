---@meta neap.crypto

--- What protocols need of cryptography: chance, digests, keys, signatures, and the texts
--- that they are carried in. TLS is `neap.tls`; ciphers are not here: who needs those by
--- hand takes luaossl, which loads beside it.
---
--- All but `random` and the texts is done by the system's OpenSSL 3, which is loaded when
--- it is first needed; where it is lacking, the function raises an error object that says
--- so (`err.code` is `"ELIBACC"`). Bytes are strings, and a digest is one of
--- `"md5"`, `"sha1"`, `"sha224"`, `"sha256"`, `"sha384"`, `"sha512"`, `"sha3-256"`,
--- `"sha3-384"`, `"sha3-512"`. A wrong name and an unknown option raise. What the system's
--- OpenSSL refuses (its configuration may forbid MD5) is returned: `nil, err`, with its
--- words and the code `"EOPENSSL"`.
---
--- `pbkdf2` with many iterations, and new RSA keys, take long: a thread computes them, and
--- only the task waits, four at a time; cancelling the task drops the result, and a
--- `pbkdf2` is computed to its end all the same, as one of the four. At the end of a worker
--- such a thread is waited for. What else is here is computed on the spot:
--- some hundred megabytes a second of a digest, some thousand signatures.

---@class neap.crypto
local crypto = {}

---@alias neap.crypto.Digest "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"|"sha3-256"|"sha3-384"|"sha3-512"

--- Bytes that nobody can guess: of the world that the program runs in, which is the
--- kernel's getrandom(2).
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(#crypto.random(16))  --> 16
--- print(#crypto.tohex(crypto.random(16)))  --> 32
--- ```
---@param n integer  how many, at most 2^31 - 1
---@return string bytes
function crypto.random(n) end

--- The digest of some strings, as of one.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local sum = crypto.digest("sha1", "abc")
--- print(#sum, crypto.tohex(sum))  --> 20 a9993e364706816aba3e25717850c26c9cd0d89d
--- print(crypto.digest("sha1", "a", "bc") == sum)  --> true
--- ```
---@param name neap.crypto.Digest
---@param ... string
---@return string? bytes
---@return neap.Error? err
function crypto.digest(name, ...) end

--- The HMAC (RFC 2104) of some strings, as of one. Compare it by `equal`.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local code = crypto.hmac("md5", "Jefe", "what do ya want ", "for nothing?")
--- print(crypto.tohex(code))  --> 750c783e6ab0b503eaa86e310a5db738
--- ```
---@param name neap.crypto.Digest
---@param key string
---@param ... string
---@return string? bytes
---@return neap.Error? err
function crypto.hmac(name, key, ...) end

--- A digest that is fed piece by piece; with a key, an HMAC.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local hasher <close> = crypto.hasher "sha1"
--- for _, piece in ipairs {"a", "b", "c"} do
---   hasher:update(piece)
--- end
--- print(crypto.tohex(hasher:digest()))  --> a9993e364706816aba3e25717850c26c9cd0d89d
--- ```
---@param name neap.crypto.Digest
---@param key? string
---@return neap.Hasher? hasher
---@return neap.Error? err
function crypto.hasher(name, key) end

--- Are the strings the same? It takes as long wherever they differ, so that nobody learns
--- from the time how much of a code was right. Their lengths are no secret.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local code = crypto.hmac("sha256", "key", "message")
--- print(crypto.equal(code, crypto.hmac("sha256", "key", "message")))  --> true
--- print(crypto.equal(code, crypto.hmac("sha256", "key", "massage")))  --> false
--- ```
---@param a string
---@param b string
---@return boolean same
function crypto.equal(a, b) end

--- Keys of a secret that is random enough already, such as that of a key exchange (HKDF,
--- RFC 5869). Not for passwords.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local secret = crypto.random(32)
--- local key = crypto.hkdf {key = secret, info = "from client to server", size = 16}
--- print(#key)  --> 16
--- ```
---@param options neap.crypto.HkdfOptions
---@return string? bytes
---@return neap.Error? err
function crypto.hkdf(options) end

---@class neap.crypto.HkdfOptions
---@field key string  the secret
---@field salt string?  random, and not secret; default none
---@field info string?  what the result is for; default nothing
---@field size integer?  bytes, at most 255 digests; default one digest
---@field digest neap.crypto.Digest?  default `"sha256"`

--- A key of a password (PBKDF2, RFC 8018). It is to take long, so that guessing does:
--- 600,000 iterations of SHA-256 are a common advice. Others run meanwhile.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local salt = crypto.random(16)
--- local key = crypto.pbkdf2 {password = "hunter2", salt = salt, iterations = 1000}
--- print(#key)  --> 32
--- ```
---@async
---@param options neap.crypto.Pbkdf2Options
---@return string? bytes
---@return neap.Error? err
function crypto.pbkdf2(options) end

---@class neap.crypto.Pbkdf2Options
---@field password string
---@field salt string  random, kept beside the result
---@field iterations integer  1 to 2^31 - 1, for all blocks of the digest's size that `size`
--- takes
---@field size integer?  bytes; default one digest
---@field digest neap.crypto.Digest?  default `"sha256"`

--- The key in a PEM: the first private one in it, or else the first public one. It never asks
--- at the terminal.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local pem = crypto.generate "ed25519":pem {password = "secret"}
--- print(crypto.key(pem, {password = "secret"}))  --> key (ed25519, 256 bits, private)
--- print(crypto.key(pem, {password = "scerets"}))  --> nil key: the password is wrong (EPASSWORD)
--- ```
---@param pem string
---@param options? { password: string? }
---@return neap.Key? key
---@return neap.Error? err  EKEY: there is none, a broken one, or one of another type; EPASSWORD:
--- it is encrypted, and the password lacks or is wrong
function crypto.key(pem, options) end

--- A new key. One of RSA takes some tenths of a second, or with 8192 bits many seconds,
--- while others run.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.generate "ed25519")  --> key (ed25519, 256 bits, private)
--- print(crypto.generate("ec", {curve = "P-384"}).curve)  --> P-384
--- ```
---@async
---@param type "ed25519"|"ec"|"rsa"
---@param options? neap.crypto.KeyOptions
---@return neap.Key? key
---@return neap.Error? err
function crypto.generate(type, options) end

---@class neap.crypto.KeyOptions
---@field curve ("P-256"|"P-384"|"P-521")?  of `"ec"`; default `"P-256"`
---@field bits integer?  of `"rsa"`: 2048 to 16384, an even number; default 3072

--- Base64 (RFC 4648), in one line.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.tobase64 "\xff\xfe")  --> //4=
--- print(crypto.tobase64("\xff\xfe", {url = true}))  --> __4
--- ```
---@param bytes string
---@param options? neap.crypto.Base64Options
---@return string text
function crypto.tobase64(bytes, options) end

--- What was encoded so. Nothing else is taken: no blank, no other letter, no padding too
--- many or too few, no bit that would be dropped. So one text stands for some bytes.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.frombase64 "aGVsbG8=")  --> hello
--- print(crypto.frombase64 "aGVsbG8")  --> nil frombase64: wrong padding at byte 7 (EILSEQ)
--- ```
---@param text string
---@param options? neap.crypto.Base64Options
---@return string? bytes
---@return neap.Error? err  EILSEQ, with the place
function crypto.frombase64(text, options) end

---@class neap.crypto.Base64Options
---@field url boolean?  the alphabet for URLs and file names: `-` and `_`
---@field pad boolean?  with `=` to whole fours; default true, and false with `url`

--- Hexadecimal, in small letters.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.tohex "\x00\xff")  --> 00ff
--- ```
---@param bytes string
---@return string text
function crypto.tohex(bytes) end

--- What was written so, in small letters or capitals, and nothing else: no blank, no `0x`.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.fromhex "00fF" == "\x00\xff")  --> true
--- print(crypto.fromhex "0xff")  --> nil fromhex: no hexadecimal digit at byte 2 (EILSEQ)
--- ```
---@param text string
---@return string? bytes
---@return neap.Error? err  EILSEQ, with the place
function crypto.fromhex(text) end

--- A digest, or an HMAC, of what comes piece by piece.
---@class neap.Hasher
local Hasher = {}

--- Take some more.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local hasher <close> = crypto.hasher("sha256", "key")
--- hasher:update("one", "two"):update "three"
--- print(hasher:digest() == crypto.hmac("sha256", "key", "onetwothree"))  --> true
--- ```
---@param ... string
---@return neap.Hasher? hasher  itself
---@return neap.Error? err
function Hasher:update(...) end

--- The digest of all that came until now. More may come, for another one.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local hasher <close> = crypto.hasher "md5"
--- print(crypto.tohex(hasher:digest()))  --> d41d8cd98f00b204e9800998ecf8427e
--- hasher:update "a"
--- print(crypto.tohex(hasher:digest()))  --> 0cc175b9c0f1b6a831c399e269772661
--- ```
---@return string? bytes
---@return neap.Error? err
function Hasher:digest() end

--- Free it at once; `<close>` does the same. The other methods then raise.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local hasher = crypto.hasher "md5"
--- hasher:close()
--- print(hasher)  --> hasher (md5, closed)
--- ```
function Hasher:close() end

--- A key, private or public. It never changes, and the collector frees it.
---@class neap.Key
---@field type "ed25519"|"ec"|"rsa"
---@field kind "private"|"public"  a private one has the public one in it
---@field bits integer
---@field curve string?  of `"ec"`: `"P-256"`, `"P-384"`, `"P-521"`
local Key = {}

--- Sign a message; it is digested here, where the scheme does that.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local key = crypto.generate "ec"
--- local signature = key:sign("message", {raw = true})
--- print(#signature)  --> 64
--- print(key:public():verify("message", signature, {raw = true}))  --> true
--- ```
---@param message string
---@param options? neap.crypto.SignOptions
---@return string? signature
---@return neap.Error? err
function Key:sign(message, options) end

---@class neap.crypto.SignOptions
---@field digest neap.crypto.Digest?  not of `"ed25519"`. Default: of `"ec"` that of the curve, SHA-256, 384
--- or 512; of `"rsa"` `"sha256"`
---@field raw boolean?  of `"ec"`: r and s side by side (as JWS has it), instead of DER
---@field padding ("pss"|"pkcs1")?  of `"rsa"`; default `"pss"`
---@field salt integer?  of `"rsa"` with PSS: its bytes; default as many as the digest, and to
--- verify, any

--- Is this a signature of the message by the key? Whatever the bytes are, a wrong one is no
--- error.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local key = crypto.generate "ed25519"
--- local signature = key:sign "message"
--- print(key:public():verify("message", signature))  --> true
--- print(key:verify("massage", signature))  --> false
--- print(key:verify("message", "nonsense"))  --> false
--- ```
---@param message string
---@param signature string
---@param options? neap.crypto.SignOptions  as it was signed
---@return boolean? good
---@return neap.Error? err
function Key:verify(message, signature, options) end

--- The key as text: PKCS #8 of a private one, encrypted where a password is given
--- (AES-256), SubjectPublicKeyInfo of a public one.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- local key = crypto.generate "ed25519"
--- print((key:pem():match "[^\n]*"))  --> -----BEGIN PRIVATE KEY-----
--- print((key:public():pem():match "[^\n]*"))  --> -----BEGIN PUBLIC KEY-----
--- ```
---@param options? { password: string? }
---@return string? pem
---@return neap.Error? err
function Key:pem(options) end

--- The public key of it.
---
--- ```lua
--- local crypto = require "neap.crypto"
---
--- print(crypto.generate("ec"):public())  --> key (ec, 256 bits, public)
--- ```
---@return neap.Key? key
---@return neap.Error? err
function Key:public() end

return crypto

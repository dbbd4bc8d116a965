--- What DNS numbers (IANA, Domain Name System parameters), and the data of its records.

local check = require "neap.packet.check"

local records = {}

records.types = check.enum {
  [1] = "A",
  [2] = "NS",
  [5] = "CNAME",
  [3] = "MD",
  [4] = "MF",
  [6] = "SOA",
  [7] = "MB",
  [8] = "MG",
  [9] = "MR",
  [12] = "PTR",
  [13] = "HINFO",
  [14] = "MINFO",
  [15] = "MX",
  [16] = "TXT",
  [17] = "RP",
  [18] = "AFSDB",
  [21] = "RT",
  [24] = "SIG",
  [26] = "PX",
  [28] = "AAAA",
  [30] = "NXT",
  [33] = "SRV",
  [35] = "NAPTR",
  [36] = "KX",
  [39] = "DNAME",
  [41] = "OPT",
  [43] = "DS",
  [46] = "RRSIG",
  [47] = "NSEC",
  [48] = "DNSKEY",
  [50] = "NSEC3",
  [52] = "TLSA",
  [64] = "SVCB",
  [65] = "HTTPS",
  [251] = "IXFR",
  [252] = "AXFR",
  [255] = "ANY",
  [257] = "CAA",
}

records.classes = check.enum {
  [1] = "IN",
  [3] = "CH",
  [4] = "HS",
  [254] = "NONE",
  [255] = "ANY",
}

records.opcodes = check.enum {
  [0] = "query",
  [1] = "iquery",
  [2] = "status",
  [4] = "notify",
  [5] = "update",
}

records.rcodes = check.enum {
  [0] = "noerror",
  [1] = "formerr",
  [2] = "servfail",
  [3] = "nxdomain",
  [4] = "notimp",
  [5] = "refused",
  [6] = "yxdomain",
  [7] = "yxrrset",
  [8] = "nxrrset",
  [9] = "notauth",
  [10] = "notzone",
}

--- Codes of EDNS options (IANA).
records.option_codes = check.enum {
  [3] = "nsid",
  [8] = "client-subnet",
  [10] = "cookie",
  [11] = "tcp-keepalive",
  [12] = "padding",
  [15] = "extended-error",
}

--- Keys of parameters of a service (RFC 9460, 14.3.2).
records.parameter_keys = check.enum {
  [0] = "mandatory",
  [1] = "alpn",
  [2] = "no-default-alpn",
  [3] = "port",
  [4] = "ipv4hint",
  [5] = "ech",
  [6] = "ipv6hint",
}

local signature = {{"type_covered", 16}, {"algorithm", 8}, {"labels", 8}, {"original_ttl", 32},
  {"expiration", 32}, {"inception", 32}, {"key_tag", 16}, {"signer", "target"},
  {"signature", "rest"}}
local next_one = {{"next_domain", "target"}, {"bitmap", "rest"}}
local service = {{"priority", 16}, {"target", "target"}, {"parameters", "parameters"}}

--- The data of a type: its fields in their order. "name" may be compressed, which
--- only RFC 1035's own may (RFC 3597, 4), "target" may not, but is read so. "string" has
--- its length in front, "rest" is all that follows. Every type is here whose data has names
--- that somebody may have compressed: bytes of them would point to anywhere in another
--- message.
records.layouts = {
  A = {{"address", "ipv4"}},
  AAAA = {{"address", "ipv6"}},
  NS = {{"nsdname", "name"}},
  CNAME = {{"cname", "name"}},
  PTR = {{"ptrdname", "name"}},
  MD = {{"madname", "name"}},
  MF = {{"madname", "name"}},
  MB = {{"madname", "name"}},
  MG = {{"mgmname", "name"}},
  MR = {{"newname", "name"}},
  MINFO = {{"rmailbx", "name"}, {"emailbx", "name"}},
  HINFO = {{"cpu", "string"}, {"os", "string"}},
  RP = {{"mbox", "target"}, {"txtdname", "target"}},
  AFSDB = {{"subtype", 16}, {"hostname", "target"}},
  RT = {{"preference", 16}, {"intermediate", "target"}},
  PX = {{"preference", 16}, {"map822", "target"}, {"mapx400", "target"}},
  KX = {{"preference", 16}, {"exchanger", "target"}},
  SIG = signature,
  RRSIG = signature,
  NXT = next_one,
  NSEC = next_one,
  DS = {{"key_tag", 16}, {"algorithm", 8}, {"digest_type", 8}, {"digest", "rest"}},
  DNSKEY = {{"flags", 16}, {"protocol", 8}, {"algorithm", 8}, {"public_key", "rest"}},
  DNAME = {{"target", "target"}},
  MX = {{"preference", 16}, {"exchange", "name"}},
  TXT = {{"txt", "strings"}},
  SRV = {{"priority", 16}, {"weight", 16}, {"port", 16}, {"target", "target"}},
  SOA = {{"mname", "name"}, {"rname", "name"}, {"serial", 32}, {"refresh", 32}, {"retry", 32},
    {"expire", 32}, {"minimum", 32}},
  NAPTR = {{"order", 16}, {"preference", 16}, {"flags", "string"}, {"services", "string"},
    {"regexp", "string"}, {"replacement", "target"}},
  CAA = {{"flags", 8}, {"tag", "string"}, {"value", "rest"}},
  TLSA = {{"usage", 8}, {"selector", 8}, {"matching", 8}, {"association", "rest"}},
  SVCB = service,
  HTTPS = service,
}

--- In a stream a message has its length in front: are here a length and a whole message?
function records.begins(bytes, from, to)
  local length = to - from > 0 and string.unpack(">I2", bytes, from)
  return length and length >= 12 and from + 1 + length <= to
end

return records

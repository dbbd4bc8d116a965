/*
** Sums over packets, for neap.packet: the Internet's checksum (RFC 1071), and
** CRC32c, which SCTP has (RFC 9260, appendix A).
*/

#include <lauxlib.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "net/functions.h"


/*
** sum(bytes, total) : integer
**
** The one's complement sum of 16-bit words in network order, an odd byte filled
** up by a zero, on top of a total; 0 to 65535.
*/

int sum_lua(lua_State *L) {
  size_t n;
  const char *at = luaL_checklstring(L, 1, &n);
  uint64_t total = (uint64_t)luaL_checkinteger(L, 2);
  uint64_t sum = 0;
  uint32_t four;
  unsigned char rest[4] = {0};
  /* In the machine's order: bytes that are swapped have their sum swapped. */
  for (; n >= sizeof four; n -= sizeof four, at += sizeof four) {
    memcpy(&four, at, sizeof four);
    sum += four;
  }
  memcpy(rest, at, n);
  memcpy(&four, rest, sizeof four);
  sum += four;
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  total += ntohs((uint16_t)sum);
  while (total >> 16 != 0)
    total = (total & 0xffff) + (total >> 16);
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}


/* The remainders of four bits, for the polynomial 0x1edc6f41, reflected. */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};


/*
** crc32c(bytes) : integer
*/

int crc32c_lua(lua_State *L) {
  size_t n;
  const char *at = luaL_checklstring(L, 1, &n);
  uint32_t crc = UINT32_MAX;
  for (; n > 0; n--, at++) {
    crc ^= (unsigned char)*at;
    crc = crc >> 4 ^ remainders[crc & 15];
    crc = crc >> 4 ^ remainders[crc & 15];
  }
  lua_pushinteger(L, (lua_Integer)(crc ^ UINT32_MAX));
  return 1;
}

#include "uv/nothing.h"

#include <arpa/nameser.h>
#include <stddef.h>


static unsigned get16(const unsigned char *at) {
  return (unsigned)at[0] << 8 | at[1];
}


static uint32_t get32(const unsigned char *at) {
  return (uint32_t)get16(at) << 16 | get16(at + 2);
}


/* Where a name in a message ends; NULL: it doesn't. */
static const unsigned char *skip_name(const unsigned char *at,
                                      const unsigned char *end) {
  while (at < end && *at != 0 && *at < 0xc0)
    at += 1 + *at;
  size_t n = at < end && *at != 0 ? 2 : 1;
  return at < end && n <= (size_t)(end - at) ? at + n : NULL;
}


static uint32_t soa_holds(uint32_t ttl, uint32_t minimum) {
  return ttl < minimum ? ttl : minimum;
}


uint32_t nothing_holds(const unsigned char *message, int size) {
  if (size < NS_HFIXEDSZ)
    return 0;
  const unsigned char *at = message + NS_HFIXEDSZ, *end = message + size;
  unsigned questions = get16(message + 4);
  unsigned records = get16(message + 6) + get16(message + 8);
  for (; questions > 0 && at != NULL; questions--) {
    at = skip_name(at, end);
    at = at != NULL && end - at >= NS_QFIXEDSZ ? at + NS_QFIXEDSZ : NULL;
  }
  for (; records > 0 && at != NULL; records--) {
    at = skip_name(at, end);
    if (at == NULL || end - at < NS_RRFIXEDSZ)
      return 0;
    unsigned length = get16(at + 8);
    const unsigned char *data = at + NS_RRFIXEDSZ;
    if (length > end - data)
      return 0;
    if (get16(at) == ns_t_soa && length >= 22)
      return soa_holds(get32(at + 4), get32(data + length - 4));
    at = data + length;
  }
  return 0;
}

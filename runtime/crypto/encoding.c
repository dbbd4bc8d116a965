/*
** Base64 and hexadecimal (RFC 4648), both ways, and strictly: what is decoded is what
** would be encoded, so there is one text for some bytes.  Without OpenSSL.
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "host/arguments.h"
#include "host/error.h"

static const char standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

typedef struct base64 {
  const char *alphabet;
  bool pads;
} base64;

/* A text is broken: where, from 1, and why. */
static int fail_at(lua_State *L, const char *op, size_t at, const char *why) {
  char text[96];
  snprintf(text, sizeof text, "%s at byte %zu", why, at);
  lua_pushnil(L);
  error_push_message(L, -EILSEQ, op, NULL, text);
  return 2;
}


static base64 read_options(lua_State *L) {
  static const char *const names[] = {"url", "pad", NULL};
  options_check(L, 2, names);
  bool url = option_flag(L, 2, "url", false);
  return (base64){url ? url_safe : standard, option_flag(L, 2, "pad", !url)};
}


/*
** tobase64(bytes, {url=, pad=}) : text
*/

/* Of one to three bytes; what is written. */
static size_t encode(const base64 *b, char *out, const unsigned char *p,
                     size_t n) {
  uint32_t bits = (uint32_t)p[0] << 16;
  if (n > 1)
    bits |= (uint32_t)p[1] << 8;
  if (n > 2)
    bits |= p[2];
  for (size_t i = 0; i < 4; i++)
    out[i] = i <= n ? b->alphabet[bits >> (18 - 6 * i) & 63] : '=';
  return b->pads || n >= 3 ? 4 : n + 1;
}


static int l_tobase64(lua_State *L) {
  size_t n, used = 0;
  const unsigned char *p = (const unsigned char *)luaL_checklstring(L, 1, &n);
  base64 how = read_options(L);
  luaL_argcheck(L, n <= INT32_MAX, 1, "less than 2 GiB expected");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, (n + 2) / 3 * 4);
  for (size_t i = 0; i < n; i += 3)
    used += encode(&how, out + used, p + i, n - i < 3 ? n - i : 3);
  luaL_pushresultsize(&b, used);
  return 1;
}


/*
** frombase64(text, {url=, pad=}) : bytes | nil, error
*/

static void index_alphabet(int8_t values[256], const char *alphabet) {
  memset(values, -1, 256);
  for (int i = 0; i < 64; i++)
    values[(unsigned char)alphabet[i]] = (int8_t)i;
}


static size_t without_padding(const char *text, size_t n) {
  size_t most = n >= 2 ? 2 : n, padding = 0;
  while (padding < most && text[n - padding - 1] == '=')
    padding++;
  return n - padding;
}


static size_t count_letters(const int8_t values[256], const char *text,
                            size_t n) {
  size_t i = 0;
  while (i < n && values[(unsigned char)text[i]] >= 0)
    i++;
  return i;
}


/* Two to four letters, as bits from the highest of 24 on. */
static uint32_t decode(const int8_t values[256], const char *text, size_t n) {
  uint32_t bits = 0;
  for (size_t i = 0; i < n; i++)
    bits |= (uint32_t)values[(unsigned char)text[i]] << (18 - 6 * i);
  return bits;
}


/* NULL, or why the text, of which `letters` are no padding, is not whole. */
static const char *lack(const base64 *b, size_t n, size_t letters) {
  size_t padding = b->pads ? (4 - letters % 4) % 4 : 0;
  if (letters % 4 == 1)
    return "a letter is missing";
  return n - letters != padding ? "wrong padding" : NULL;
}


static int l_frombase64(lua_State *L) {
  static const char op[] = "frombase64";
  size_t n, used = 0;
  const char *text = luaL_checklstring(L, 1, &n);
  base64 how = read_options(L);
  int8_t values[256];
  index_alphabet(values, how.alphabet);
  size_t letters = without_padding(text, n);
  size_t good = count_letters(values, text, letters);
  if (good < letters)
    return fail_at(L, op, good + 1, "no letter of base64");
  const char *why = lack(&how, n, letters);
  if (why != NULL)
    return fail_at(L, op, n, why);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n / 4 * 3 + 3);
  for (size_t i = 0; i < letters; i += 4) {
    size_t whole = letters - i < 4 ? letters - i - 1 : 3;
    uint32_t bits = decode(values, text + i, whole + 1);
    if ((bits & UINT32_C(0xffffff) >> 8 * whole) != 0)
      return fail_at(L, op, letters, "bits that mean nothing");
    for (size_t k = 0; k < whole; k++)
      out[used++] = (char)(bits >> (16 - 8 * k));
  }
  luaL_pushresultsize(&b, used);
  return 1;
}


/*
** tohex(bytes) : text
** fromhex(text) : bytes | nil, error
*/

static int l_tohex(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  size_t n;
  const unsigned char *p = (const unsigned char *)luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= INT32_MAX, 1, "less than 2 GiB expected");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, 2 * n);
  for (size_t i = 0; i < n; i++) {
    out[2 * i] = digits[p[i] >> 4];
    out[2 * i + 1] = digits[p[i] & 15];
  }
  luaL_pushresultsize(&b, 2 * n);
  return 1;
}


static int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}


static int l_fromhex(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n / 2);
  for (size_t i = 0; i < n; i++) {
    int value = digit(text[i]);
    if (value < 0)
      return fail_at(L, "fromhex", i + 1, "no hexadecimal digit");
    if (i < n / 2 * 2)
      out[i / 2] = (char)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
  }
  if (n % 2 != 0)
    return fail_at(L, "fromhex", n, "a digit is missing");
  luaL_pushresultsize(&b, n / 2);
  return 1;
}


static const luaL_Reg functions[] = {{"tobase64", l_tobase64},
                                     {"frombase64", l_frombase64},
                                     {"tohex", l_tohex},
                                     {"fromhex", l_fromhex},
                                     {NULL, NULL}};


void encoding_open(lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}

/*
** neap.json: values from text and text from values (RFC 8259), and what both ways
** share.
**
** An array is a table with the metatable that `json.array` sets, and null is the light
** userdata NULL, as C libraries for Lua have it.  Nothing here calls what a script has
** written: metamethods do not count.  Nothing is held in C, so any call of Lua's may
** raise.
*/

#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  JSON_DEPTH = 128, /* arrays and objects in each other */
  JSON_DEPTH_MOST = 10000,
  JSON_FLOAT = 32 /* room for any float's text */
};

/* The subsystem: registers neap.json.core. */
int json_open(lua_State *L);

/* Is the table at index marked as an array?  Mark the one on top. */
bool json_is_array(lua_State *L, int index);
void json_mark_array(lua_State *L);

/* Functions of the module; their first upvalue is the metatable of arrays. */
int json_encode(lua_State *L);
int json_decode(lua_State *L);

/* The text of a finite float, not terminated, and its length: the shortest, nearly, from
 * which the same one is read, with a point or an exponent. */
size_t json_print_float(char out[JSON_FLOAT], double value);

/* The decimal digits of n, 20 at most, not terminated; how many. */
size_t json_print_digits(char *out, uint64_t n);

/* The float that is nearest to digits * 10^exponent, where that is easily had. */
bool json_make_float(uint64_t digits, int exponent, double *out);

/* The one that a number of JSON's grammar at text stands for. */
double json_read_float(const char *text);

#endif

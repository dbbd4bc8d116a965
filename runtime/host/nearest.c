#include "host/nearest.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

enum { LONGEST_NAME = 24, FAR = 3 };


static int least(int a, int b) {
  return a < b ? a : b;
}


/* How many letters to insert, drop, change or swap to get from a to b. */
static int distance(const char *a, const char *b) {
  int n = (int)strlen(a), m = (int)strlen(b);
  int d[LONGEST_NAME + 1][LONGEST_NAME + 1];
  if (n > LONGEST_NAME || m > LONGEST_NAME)
    return INT_MAX;
  for (int i = 0; i <= n; i++) {
    for (int j = 0; j <= m; j++) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                      d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[n][m];
}


void nearest_try(nearest *n, const char *candidate) {
  int by = distance(n->written, candidate);
  if (by >= (n->name != NULL ? n->by : FAR))
    return;
  n->name = candidate;
  n->by = by;
}


int nearest_lua(lua_State *L) {
  nearest meant = {.written = luaL_checkstring(L, 1)};
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
    nearest_try(&meant, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pushstring(L, meant.name); /* the list holds it */
  return 1;
}

#include "host/lines.h"

#include <stdlib.h>
#include <string.h>

#include "host/hook.h"
#include "host/memory.h"

/* A source is found again by the address of its name, if that is still its name. */
enum { PLACES = 64 };

/* Lines above that are not counted: of code that was generated. */
enum { LINES = 1000000 };

typedef struct source source;
struct source {
  source *next;
  char *name;
  unsigned *hits; /* by line */
  int room;
  bool counts; /* it is a file */
};

struct lines {
  source *all;
  struct place {
    const char *at;
    source *is;
  } places[PLACES];
};


static source *find(struct lines *l, const char *name) {
  source *s = l->all;
  while (s != NULL && strcmp(s->name, name) != 0)
    s = s->next;
  if (s != NULL)
    return s;
  s = memory_new(sizeof *s);
  s->name = memory_text(name, strlen(name));
  s->counts = name[0] == '@';
  s->next = l->all;
  l->all = s;
  return s;
}


static source *source_of(struct lines *l, const char *name) {
  struct place *p = &l->places[(uintptr_t)name / 16 % PLACES];
  if (p->at != name || strcmp(p->is->name, name) != 0)
    *p = (struct place){name, find(l, name)};
  return p->is;
}


static void make_room(source *s, int line) {
  int room = s->room == 0 ? 256 : s->room;
  while (room <= line)
    room *= 2;
  s->hits = memory_grow(s->hits, (size_t)room * sizeof *s->hits);
  memset(s->hits + s->room, 0, (size_t)(room - s->room) * sizeof *s->hits);
  s->room = room;
}


static void on_line(lua_State *L, lua_Debug *ar) {
  int line = ar->currentline;
  lua_getinfo(L, "S", ar);
  source *s = source_of(host_of(L)->lines, ar->source);
  if (!s->counts || line < 0 || line > LINES)
    return;
  if (line >= s->room)
    make_room(s, line);
  s->hits[line]++;
}


void lines_free(host *h) {
  struct lines *l = h->lines;
  for (source *s = l != NULL ? l->all : NULL, *next; s != NULL; s = next) {
    next = s->next;
    free(s->name);
    free(s->hits);
    free(s);
  }
  free(l);
  h->lines = NULL;
}


/*
** start(): the lines of this coroutine, and of all that are made by what is counted, are
**   counted from now on
*/

static int l_start(lua_State *L) {
  host *h = host_of(L);
  if (h->lines == NULL)
    h->lines = memory_new(sizeof *h->lines);
  h->on_line = on_line;
  hook_put(L);
  return 0;
}


/*
** counts() : {[file] = {[line] = count}}
*/

static void push_hits(lua_State *L, const source *s) {
  lua_newtable(L);
  for (int i = 0; i < s->room; i++) {
    if (s->hits[i] == 0)
      continue;
    lua_pushinteger(L, s->hits[i]);
    lua_rawseti(L, -2, i);
  }
}


static int l_counts(lua_State *L) {
  const struct lines *l = host_of(L)->lines;
  lua_newtable(L);
  for (const source *s = l != NULL ? l->all : NULL; s != NULL; s = s->next) {
    if (!s->counts)
      continue;
    push_hits(L, s);
    lua_setfield(L, -2, s->name + 1);
  }
  return 1;
}


static const luaL_Reg functions[] = {
    {"start", l_start}, {"counts", l_counts}, {NULL, NULL}};


int luaopen_neap_lines(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

/*
** Which channels there are in the process: by name, and by who refers to them.
*/

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "worker/channel_parts.h"

/* The process's: channels with a name, and all counts of references. */
static struct {
  pthread_mutex_t lock;
  channel *first;
  unsigned count; /* with those that have no name */
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};


/*
** The registry
*/

static channel *make(const char *name, unsigned capacity) {
  channel *c = memory_new(sizeof *c);
  pthread_mutex_init(&c->lock, NULL);
  c->capacity = capacity;
  registry.count++;
  if (name != NULL) {
    c->name = memory_text(name, strlen(name));
    c->next = registry.first;
    registry.first = c;
  }
  return c;
}


channel *channel_find(const char *name, unsigned capacity) {
  channel *c = NULL;
  pthread_mutex_lock(&registry.lock);
  if (name != NULL)
    for (c = registry.first; c != NULL && strcmp(c->name, name) != 0;)
      c = c->next;
  if (c == NULL)
    c = make(name, capacity);
  c->refs++;
  pthread_mutex_unlock(&registry.lock);
  return c;
}


channel *channel_hold(channel *c) {
  pthread_mutex_lock(&registry.lock);
  c->refs++;
  pthread_mutex_unlock(&registry.lock);
  return c;
}


static void unregister(channel *c) {
  channel **at = &registry.first;
  while (*at != NULL && *at != c)
    at = &(*at)->next;
  if (*at == c)
    *at = c->next;
}


/*
** The end of channels, under the registry's lock
**
** A channel that only messages in channels refer to may be out of reach, as one
** that is in itself.  When it has lost its last other reference, it is looked at
** with all that it leads to and that nobody holds either: the *suspects*.  One
** that has more references than suspects hold is alive, and so is what it leads
** to; the others go.  (That is trial deletion: Bacon and Rajan, "Concurrent Cycle
** Collection in Reference Counted Systems", 2001.)
**
** Nobody has an end of a suspect, or gets one meanwhile, so that their queues
** rest, and need no lock of theirs.  A message is counted as queued before it is,
** and until it has been taken: what is in it then has a reference more than is
** found, and stays.
*/

static bool is_held(const channel *c) {
  return c->refs > c->queued || (c->name != NULL && c->count > 0);
}


/* Visit what is in a channel, as often as it is. */
static void each_inside(const channel *c, void (*visit)(channel *, void *),
                        void *arg) {
  for (const message *m = c->first; m != NULL; m = m->next)
    for (unsigned i = 0; i < m->channel_count; i++)
      visit(m->channels[i], arg);
}


/* The argument is the end of the list. */
static void suspect(channel *c, void *arg) {
  channel ***end = arg;
  if (is_held(c))
    return;
  c->inner++;
  if (c->state != UNSEEN)
    return;
  c->state = SUSPECT;
  **end = c;
  *end = &c->next_suspect;
}


static void revive(channel *c, void *arg) {
  channel ***end = arg;
  if (c->state != SUSPECT)
    return;
  c->state = ALIVE;
  **end = c;
  *end = &c->next_alive;
}


static channel *suspects_of(channel *c) {
  channel **end = &c->next_suspect;
  c->state = SUSPECT;
  for (const channel *s = c; s != NULL; s = s->next_suspect)
    each_inside(s, suspect, &end);
  return c;
}


static void revive_all(channel *suspects) {
  channel *first = NULL, **end = &first;
  for (channel *s = suspects; s != NULL; s = s->next_suspect)
    if (s->refs > s->inner)
      revive(s, &end);
  for (const channel *s = first; s != NULL; s = s->next_alive)
    each_inside(s, revive, &end);
}


/* The dead ones of them, in a list by `next_suspect`. */
static channel *sort_out(channel *suspects) {
  channel *dead = NULL, *next;
  for (channel *s = suspects; s != NULL; s = next) {
    next = s->next_suspect;
    s->next_suspect = NULL;
    if (s->state == SUSPECT) {
      s->next_suspect = dead;
      dead = s;
    }
    s->state = UNSEEN;
    s->inner = 0;
    s->next_alive = NULL;
  }
  return dead;
}


static void forsake(channel *c, void *arg) {
  (void)arg;
  c->refs--;
  c->queued--;
}


/* Nothing knows it any more, and it knows no channel. */
static void cut(channel *c) {
  each_inside(c, forsake, NULL);
  for (message *m = c->first; m != NULL; m = m->next)
    m->channel_count = 0;
  if (c->name != NULL)
    unregister(c);
  registry.count--;
}


static channel *bury(channel *c) {
  channel *suspects = suspects_of(c);
  revive_all(suspects);
  channel *dead = sort_out(suspects);
  for (channel *d = dead; d != NULL; d = d->next_suspect)
    cut(d);
  return dead;
}


static void free_channel(channel *c) {
  while (c->first != NULL) {
    message *m = c->first;
    c->first = m->next;
    message_free(m);
  }
  message_free(c->cause);
  pthread_mutex_destroy(&c->lock);
  free(c->name);
  free(c);
}


/* With a name, what it holds waits for others. */
void channel_drop(channel *c) {
  channel *dead, *next;
  pthread_mutex_lock(&registry.lock);
  c->refs--;
  assert(c->refs >= c->queued);
  dead = is_held(c) ? NULL : bury(c);
  pthread_mutex_unlock(&registry.lock);
  for (; dead != NULL; dead = next) {
    next = dead->next_suspect;
    free_channel(dead);
  }
}


void channel_queued(const message *m, int by) {
  if (m->channel_count == 0)
    return;
  pthread_mutex_lock(&registry.lock);
  for (unsigned i = 0; i < m->channel_count; i++)
    m->channels[i]->queued += (unsigned)by;
  pthread_mutex_unlock(&registry.lock);
}


/* channels() : how many there are in the process */
int channel_stats(lua_State *L) {
  pthread_mutex_lock(&registry.lock);
  lua_Integer n = registry.count;
  pthread_mutex_unlock(&registry.lock);
  lua_pushinteger(L, n);
  return 1;
}

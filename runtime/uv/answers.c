#include "uv/answers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/memory.h"


static void drop(answers *all, answer **at) {
  answer *a = *at;
  *at = a->next;
  all->count--;
  free(a->name);
  free(a->found);
  free(a);
}


static answer **place_of(answers *all, const char *name, int family) {
  answer **at = &all->first;
  while (*at != NULL &&
         ((*at)->family != family || strcasecmp((*at)->name, name) != 0))
    at = &(*at)->next;
  return at;
}


const answer *answers_find(answers *all, const char *name, int family,
                           uint64_t now) {
  answer **at = place_of(all, name, family), *a = *at;
  if (a == NULL)
    return NULL;
  if (a->until <= now) {
    drop(all, at);
    return NULL;
  }
  *at = a->next;
  a->next = all->first;
  all->first = a;
  return a;
}


void answers_keep(answers *all, const answer *a) {
  answer **at = place_of(all, a->name, a->family);
  if (*at == NULL && all->count == ANSWERS)
    for (at = &all->first; (*at)->next != NULL;)
      at = &(*at)->next;
  if (*at != NULL)
    drop(all, at);
  answer *kept = memory_new(sizeof *kept);
  *kept = *a;
  kept->name = memory_text(a->name, strlen(a->name));
  kept->found = memory_new((a->count + 1) * sizeof *a->found);
  if (a->count > 0)
    memcpy(kept->found, a->found, a->count * sizeof *a->found);
  kept->next = all->first;
  all->first = kept;
  all->count++;
}


void answers_forget(answers *all) {
  while (all->first != NULL)
    drop(all, &all->first);
}

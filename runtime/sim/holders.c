#include "sim/holders.h"

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"

enum { FIRST_ROOM = 64 }; /* a power of two */


/* IPv4's in IPv6's clothes. */
static void key_of(const address *a, unsigned char ip[16]) {
  if (a->u.any.sa_family == AF_INET6) {
    memcpy(ip, &a->u.in6.sin6_addr, 16);
    return;
  }
  memset(ip, 0, 10);
  memset(ip + 10, 0xff, 2);
  memcpy(ip + 12, &a->u.in4.sin_addr, 4);
}


/* Where it is, or would be. */
static size_t place_of(const holders *all, const unsigned char ip[16]) {
  uint64_t words[2];
  memcpy(words, ip, sizeof words);
  uint64_t hash = (words[0] ^ words[1] * UINT64_C(0x9e3779b97f4a7c15)) *
                  UINT64_C(0xff51afd7ed558ccd);
  size_t i = (size_t)(hash >> 32) & (all->room - 1);
  while (all->table[i].node != NULL && memcmp(all->table[i].ip, ip, 16) != 0)
    i = (i + 1) & (all->room - 1);
  return i;
}


struct node *holders_find(const holders *all, const address *a) {
  unsigned char ip[16];
  if (all->count == 0)
    return NULL;
  key_of(a, ip);
  return all->table[place_of(all, ip)].node;
}


static void put(holders *all, const unsigned char ip[16], struct node *n) {
  holder *x = &all->table[place_of(all, ip)];
  memcpy(x->ip, ip, 16);
  x->node = n;
}


static void rebuild(holders *all, size_t room) {
  holder *before = all->table;
  size_t n = all->room;
  all->room = room;
  all->table = memory_new(room * sizeof *all->table);
  for (size_t i = 0; i < n; i++)
    if (before[i].node != NULL)
      put(all, before[i].ip, before[i].node);
  free(before);
}


void holders_add(holders *all, const address *a, struct node *n) {
  unsigned char ip[16];
  if (2 * all->count >= all->room)
    rebuild(all, all->room > 0 ? 2 * all->room : FIRST_ROOM);
  key_of(a, ip);
  put(all, ip, n);
  all->count++;
}


/* It is seldom done: so the others are put in anew. */
void holders_remove(holders *all, const address *a) {
  unsigned char ip[16];
  if (holders_find(all, a) == NULL)
    return;
  key_of(a, ip);
  all->table[place_of(all, ip)].node = NULL;
  all->count--;
  rebuild(all, all->room);
}


void holders_close(holders *all) {
  free(all->table);
  *all = (holders){NULL, 0, 0};
}

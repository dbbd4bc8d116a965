#include "sim/mails.h"

#include <stdlib.h>

#include "host/memory.h"


struct node_mails *node_mails_of(node *n) {
  if (n->mails == NULL)
    n->mails = memory_new(sizeof *n->mails);
  return n->mails;
}


void mails_close_node(node *n) {
  netifs *all = n->mails != NULL ? &n->mails->interfaces : NULL;
  for (size_t i = 0; all != NULL && i < all->count; i++)
    free(all->list[i].addresses);
  if (all != NULL)
    free(all->list);
  free(n->mails);
  n->mails = NULL;
}

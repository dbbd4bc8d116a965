/*
** Chance for OpenSSL in a simulated world, whose keys and nonces are to be the same again.
*/

#include "crypto/openssl.h"
#include "sched/world.h"


static int draw(unsigned char *bytes, int n) {
  if (world_chance.draw == NULL)
    return RAND_OpenSSL()->bytes(bytes, n);
  world_chance.draw(world_chance.about, bytes, (size_t)n);
  return 1;
}


static int is_seeded(void) {
  return 1;
}


void openssl_draw_from_world(void) {
  static const RAND_METHOD method = {
      .bytes = draw, .pseudorand = draw, .status = is_seeded};
  RAND_set_rand_method(&method);
}

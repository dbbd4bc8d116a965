#include <ares.h>
#include <uv.h>

#include "uv/world.h"

void uv_world_versions(FILE *to) {
  fprintf(to, "libuv %s\nc-ares %s\n", uv_version_string(), ares_version(NULL));
}

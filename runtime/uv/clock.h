/*
** Time and chance, as sched/world.h wants them.
*/

#ifndef UV_CLOCK_H
#define UV_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_now(void *w);
uint64_t clock_coarse(void *w);
uint64_t clock_ticks(void *w);
int64_t clock_wall(void *w);
uint64_t clock_cpu(void *w);
uint64_t clock_thread_cpu(void *w);
void chance_draw(void *w, void *bytes, size_t n);

#endif

/*
** The table of what a node's host asks of its world (sched/world.h), and what is
** dropped with the host.
*/

#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "host/host.h"
#include "net/backend.h"
#include "sched/world.h"
#include "sys/system.h"

extern const world sim_world;
extern const struct system sim_system; /* system.c */
extern const backend sim_backend;      /* backend.c */

#endif

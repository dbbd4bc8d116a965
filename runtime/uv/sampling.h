/*
** A timer by which what a thread runs is sampled: world.sample.
*/

#ifndef UV_SAMPLING_H
#define UV_SAMPLING_H

int sampling_set(void *w, unsigned rate);

#endif

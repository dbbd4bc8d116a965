/*
** Powers of ten that are exact as floats, and the integers that are.
*/

#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

#include <float.h>

enum { NUMBER_POWERS = 23 }; /* from 10^0 on */

extern const double number_powers[NUMBER_POWERS];

/* Below it each integer is a float.  Where floats are computed with more bits than they
 * have, nothing is. */
#define NUMBER_EXACT (FLT_EVAL_METHOD == 0 ? 9007199254740992.0 : 0.0)

#endif

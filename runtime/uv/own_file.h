/*
** The file of this executable, where it carries a program (host/carried.h).
*/

#ifndef UV_OWN_FILE_H
#define UV_OWN_FILE_H

#include <stdbool.h>

/* Take the program from it, if there is one.  False: it has lost it, which has
 * been told. */
bool own_file_open(void);

#endif

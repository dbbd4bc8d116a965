/*
** Serial lines: how a device sends its bits.
*/

#ifndef FS_LINE_H
#define FS_LINE_H

enum line_parity { LINE_NONE, LINE_EVEN, LINE_ODD };
enum line_flow { LINE_FREE, LINE_HARDWARE, LINE_SOFTWARE };

typedef struct line {
  int speed; /* bits in a second; 0: leave the device as it is */
  int bits;  /* of a character, 5 to 8 */
  int stop;  /* bits behind it, 1 or 2 */
  enum line_parity parity;
  enum line_flow flow;
} line;

/* Set it, raw: bytes go through as they are, both ways.  0 or a negative errno. */
int line_set(int fd, const line *l);

#endif

/*
** The command line: argv to one verb and its options.
**
** An option is a row of `options` in command.c, a word such as `test` a row of
** `words`.  Options stand before the script, -e or the word; what follows
** those is the program's own.
*/

#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

typedef enum verb {
  VERB_FILE,   /* run a script */
  VERB_CODE,   /* run the text behind -e */
  VERB_PROMPT, /* run what is typed, or what standard input has */
  VERB_REMOTE, /* look into another neap; the word says how */
  VERB_TEST,   /* run specs */
  VERB_SHOW    /* print a text, and no more */
} verb;

typedef struct command {
  verb verb;
  int program;      /* the index of the script's name, of the code, or of the
                       word; its arguments follow */
  const char *text; /* of VERB_SHOW */
  bool interactive; /* a prompt follows the program */
  bool no_attach;   /* other processes get no prompt in this one */
  int workers;      /* that run the program; 0: the main thread does */
  bool traces;      /* trace the program */
  const char *trace_to, *trace_filter, *trace_format; /* NULL: the default */
  long trace_bytes;                                   /* -1: the default */
  int busy_poll; /* microseconds that a wait looks again and again before it
                       sleeps */
} command;

/* Fill in the command.  Returns 0, or the exit status of a wrong use, which
 * has been told on stderr. */
int command_parse(command *c, int argc, char **argv);

/* The exit status for a wrong use of the command line. */
enum { USAGE = 2 };

#endif

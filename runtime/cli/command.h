/*
** The command line: argv to one verb and its options.
**
** The grammar is that of lua(1), with more options, which are rows of `options`
** in command.c, and words such as `test`, which are rows of `words`.  Options
** stand before the script or the word; what follows it is the program's own.
*/

#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

typedef enum verb {
  VERB_FILE,   /* run a script */
  VERB_CODE,   /* run what stands behind -e, and no script */
  VERB_PROMPT, /* run what is typed, or what standard input has */
  VERB_REMOTE, /* look into another neap; the word says how */
  VERB_TEST,   /* run specs */
  VERB_SIM,    /* run a simulated world */
  VERB_LUARC,  /* write what editors want to know */
  VERB_BUILD,  /* make an executable that carries a script */
  VERB_SHOW    /* print a text, and no more */
} verb;

typedef struct command {
  int argc;
  char **argv;
  char **started; /* argv of the process: another one, where it carries its
                       program */
  verb verb;
  int program;            /* the index of the script's name or the word, whose
                       arguments follow; argc: there is none */
  int end;                /* of the options: the index behind the last one */
  const char *text;       /* to print first, or NULL */
  bool versions;          /* and what is inside, if that is all */
  bool codes;             /* there is an -e */
  bool no_environment;    /* Lua's variables are not looked at */
  bool interactive;       /* a prompt follows the program */
  bool restricts, allows; /* it runs under rules; which are these */
  bool no_attach;         /* other processes get no prompt in this one */
  int workers;            /* that run the program; 0: the main thread does */
  size_t memory;          /* bytes that a Lua state may have; 0: any */
  double watchdog[2]; /* seconds: before a task that gives no way is named, and
                             before that ends the process; 0: never */
  double drain;       /* seconds that what is served may take to end */
  bool traces;        /* trace the program */
  const char *trace_to, *trace_filter, *trace_format; /* NULL: the default */
  long trace_bytes;                                   /* -1: the default */
  const char *profile; /* the file of a profile; NULL: none is made */
  int busy_poll; /* microseconds that a wait looks again and again before it
                       sleeps */
} command;

/* What is done before the program, in the order of the command line. */
typedef struct command_step {
  char option; /* 'e', 'l' or 'W'; '-': --luasocket */
  const char *value;
} command_step;

/* The next step behind *at (at first 0), which moves on; false: there is none,
 * and *step is as it was. */
bool command_next(const command *c, int *at, command_step *step);

/* Fill in the command.  Returns 0, or the exit status of a wrong use, which
 * has been told on stderr. */
int command_parse(command *c, int argc, char **argv);

/* The same of an executable that carries its program, to which all of argv
 * belongs. */
int command_carried(command *c, int argc, char **argv);

/* Set up the rules of --restrict, if there are any, and what the kernel has behind them.
 * Returns as command_parse. */
int command_guard(const command *c);

/* The exit status for a wrong use of the command line. */
enum { USAGE = 2 };

#endif

#include "cli/command.h"

#include <errno.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: neap [OPTION...] SCRIPT [ARGUMENT...]    run a Lua script; - is "
    "standard input\n"
    "       neap [OPTION...] -e CODE [ARGUMENT...]   run code, with net, task, "
    "... at hand\n"
    "       neap                                     a prompt; what is not "
    "typed "
    "is run as a script\n"
    "       neap attach PID|PATH                     a prompt in a running "
    "neap\n"
    "       neap ps|socks PID|PATH                   its tasks, its sockets\n"
    "       neap test [ARGUMENT...]                  run specs with busted\n"
    "       neap -v | --help\n"
    "options:\n"
    "  -i      a prompt when the program has ended\n"
    "  --no-attach  nobody may attach to it (also: NEAP_ATTACH=0)\n"
    "  -w N    run the program in N workers, each a thread that shares nothing "
    "but channels\n"
    "  --busy-poll=MICROSECONDS  look for news so long before sleeping: "
    "answers sooner, on a processor of its own\n"
    "  --trace[=FILE]        show what the sockets do, on stderr or in a file; "
    "in\n"
    "                        FILE.pcapng as a capture for tshark\n"
    "  --trace-filter=WHAT   only there: tcp://10.0.0.0/8:80, udp, "
    "unix:/run/*\n"
    "  --trace-bytes=N       bytes of each event that are shown, 256\n"
    "  --trace-format=FORM   text or pcapng\n";

static const char version[] = "neap " NEAP_VERSION " (" LUA_RELEASE ")\n";

/* An option's value is what stands behind its = (long ones), or the next
 * argument (short ones). */
typedef struct option {
  const char *name;
  const char *value; /* what it is, in messages; NULL: it takes none */
  bool may;          /* the value may be left out */
  bool last;         /* it ends the options */
  bool (*take)(command *c, const char *value); /* false: told on stderr */
} option;


static bool take_code(command *c, const char *value) {
  (void)value;
  c->verb = VERB_CODE;
  return true;
}


static bool take_version(command *c, const char *value) {
  (void)value;
  c->verb = VERB_SHOW;
  c->text = version;
  return true;
}


static bool take_help(command *c, const char *value) {
  (void)value;
  c->verb = VERB_SHOW;
  c->text = usage;
  return true;
}


static bool take_interactive(command *c, const char *value) {
  (void)value;
  c->interactive = true;
  return true;
}


static bool take_no_attach(command *c, const char *value) {
  (void)value;
  c->no_attach = true;
  return true;
}


/* A number from least to most, or -1. */
static int number(const char *text, int least, int most) {
  char *end;
  long n = strtol(text, &end, 10);
  return *end != '\0' || end == text || n < least || n > most ? -1 : (int)n;
}


static bool take_workers(command *c, const char *value) {
  c->workers = number(value, 1, 1024);
  if (c->workers < 0)
    fprintf(stderr, "neap: -w: a number of workers from 1 to 1024 expected\n");
  return c->workers > 0;
}


static bool take_busy_poll(command *c, const char *value) {
  c->busy_poll = number(value, 0, 1000000);
  if (c->busy_poll < 0)
    fprintf(stderr,
            "neap: --busy-poll: microseconds from 0 to 1000000 expected\n");
  return c->busy_poll >= 0;
}


static bool take_trace(command *c, const char *value) {
  c->traces = true;
  c->trace_to = value;
  return true;
}


static bool take_trace_filter(command *c, const char *value) {
  c->traces = true;
  c->trace_filter = value;
  return true;
}


static bool take_trace_format(command *c, const char *value) {
  c->traces = true;
  c->trace_format = value;
  return true;
}


static bool take_trace_bytes(command *c, const char *value) {
  char *end;
  c->traces = true;
  errno = 0;
  c->trace_bytes = strtol(value, &end, 10);
  if (errno == 0 && end != value && *end == '\0' && c->trace_bytes >= 0)
    return true;
  fputs("neap: --trace-bytes: a whole number expected\n", stderr);
  return false;
}


static const option options[] = {
    {"-w", "N", false, false, take_workers},
    {"-e", "CODE", false, true, take_code},
    {"--busy-poll", "MICROSECONDS", false, false, take_busy_poll},
    {"-v", NULL, false, true, take_version},
    {"--version", NULL, false, true, take_version},
    {"-h", NULL, false, true, take_help},
    {"--help", NULL, false, true, take_help},
    {"-i", NULL, false, false, take_interactive},
    {"--no-attach", NULL, false, false, take_no_attach},
    {"--trace", "FILE", true, false, take_trace},
    {"--trace-filter", "WHAT", false, false, take_trace_filter},
    {"--trace-bytes", "N", false, false, take_trace_bytes},
    {"--trace-format", "FORM", false, false, take_trace_format},
};

static const struct word {
  const char *name;
  verb verb;
} words[] = {
    {"test", VERB_TEST},
    {"attach", VERB_REMOTE},
    {"ps", VERB_REMOTE},
    {"socks", VERB_REMOTE},
};


static const option *find(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
      return &options[i];
  return NULL;
}


static int misused(const char *what, const char *about) {
  fprintf(stderr, "neap: %s%s\n%s", what, about, usage);
  return USAGE;
}


/* Take the option at argv[*at], and move on behind it. */
static int take(command *c, int argc, char **argv, int *at, bool *last) {
  char *name = argv[(*at)++];
  size_t n = strcspn(name, "=");
  bool is_long = name[1] == '-';
  const option *o = find(name, n);
  const char *value = NULL;
  if (o == NULL || (!is_long && name[n] != '\0'))
    return misused("unknown option ", name);
  if (name[n] == '=')
    value = name + n + 1;
  else if (o->value != NULL && !is_long && *at < argc)
    value = argv[(*at)++];
  if (value == NULL && o->value != NULL && !o->may)
    return misused(o->value, " is expected behind an option");
  if (value != NULL && o->value == NULL)
    return misused("no value is expected: ", name);
  *last = o->last;
  return o->take(c, value) ? 0 : USAGE;
}


static verb verb_of(const char *word) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].name, word) == 0)
      return words[i].verb;
  return VERB_FILE;
}


static int check(const command *c) {
  if (c->workers == 0 || !c->traces)
    return 0;
  fputs("neap: --trace sees one thread, and -w starts others: call trace.start "
        "in the script\n",
        stderr);
  return USAGE;
}


int command_parse(command *c, int argc, char **argv) {
  int at = 1;
  bool last = false;
  memset(c, 0, sizeof *c);
  c->trace_bytes = -1;
  while (!last && at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
    int status = take(c, argc, argv, &at, &last);
    if (status != 0)
      return status;
  }
  if (last) {
    c->program = at - 1;
    return check(c);
  }
  if (at >= argc) {
    c->verb = VERB_PROMPT;
    c->program = at - 1;
    return 0;
  }
  c->verb = verb_of(argv[at]);
  c->program = at;
  return check(c);
}

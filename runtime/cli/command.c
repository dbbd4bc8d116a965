#include "cli/command.h"

#include <errno.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/amounts.h"
#include "cli/usage.h"
#include "guard/guard.h"
#include "host/carried.h"
#include "host/memory.h"

enum { DRAIN = 5 };

static const char version[] = "neap " NEAP_VERSION " (" LUA_RELEASE ")\n";

/* An option's value is what stands behind its = (long ones), or behind its
 * letter, in the same argument or the next (short ones). */
typedef struct option {
  const char *name;
  const char *value; /* what it is, in messages; NULL: it takes none */
  bool may;          /* the value may be left out */
  bool (*take)(command *c, const char *value); /* false: told on stderr */
} option;


static bool take_code(command *c, const char *value) {
  (void)value;
  c->codes = true;
  return true;
}


/* What is done in its turn, by command_next. */
static bool take_later(command *c, const char *value) {
  (void)c, (void)value;
  return true;
}


static bool take_no_environment(command *c, const char *value) {
  (void)value;
  c->no_environment = true;
  return true;
}


static bool take_version(command *c, const char *value) {
  (void)value;
  c->text = version;
  c->versions = true;
  return true;
}


static bool take_help(command *c, const char *value) {
  (void)value;
  c->verb = VERB_SHOW;
  c->text = command_usage;
  return true;
}


static bool take_luarc(command *c, const char *value) {
  (void)value;
  c->verb = VERB_LUARC;
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


static bool take_workers(command *c, const char *value) {
  c->workers = amount_number(value, 1, 1024);
  if (c->workers < 0)
    fprintf(stderr, "neap: -w: a number of workers from 1 to 1024 expected\n");
  return c->workers > 0;
}


static bool take_busy_poll(command *c, const char *value) {
  c->busy_poll = amount_number(value, 0, 1000000);
  if (c->busy_poll < 0)
    fprintf(stderr,
            "neap: --busy-poll: microseconds from 0 to 1000000 expected\n");
  return c->busy_poll >= 0;
}


static bool take_drain(command *c, const char *value) {
  const char *end;
  c->drain = amount_seconds(value, &end);
  if (c->drain >= 0 && *end == '\0')
    return true;
  fputs("neap: --drain: seconds from 0 to 1000000 expected\n", stderr);
  return false;
}


static bool take_memory(command *c, const char *value) {
  enum { LEAST = 1 << 20 };
  c->memory = amount_bytes(value);
  if (c->memory < LEAST)
    fputs("neap: --memory: a size of 1M at least expected, as 64M or 2G\n",
          stderr);
  return c->memory >= LEAST;
}


/* SECONDS, or SECONDS,END.  What looks more often does nothing else. */
static bool take_watchdog(command *c, const char *value) {
  const double least = 0.001;
  const char *end;
  double after = amount_seconds(value, &end), last = 0;
  bool ok = after >= least;
  if (ok && *end == ',') {
    last = amount_seconds(end + 1, &end);
    ok = last >= after;
  }
  c->watchdog[0] = after;
  c->watchdog[1] = last;
  if (ok && *end == '\0')
    return true;
  fputs("neap: --watchdog: seconds expected, 0.001 at least, or two numbers of "
        "them, as 5,60\n",
        stderr);
  return false;
}


static bool take_restrict(command *c, const char *value) {
  (void)value;
  c->restricts = true;
  return true;
}


/* What it says is read by command_guard. */
static bool take_allow(command *c, const char *value) {
  (void)value;
  c->allows = true;
  return true;
}


static bool take_profile(command *c, const char *value) {
  c->profile = value;
  return true;
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
    {"-w", "N", false, take_workers},
    {"-e", "CODE", false, take_code},
    {"-l", "MODULE", false, take_later},
    {"-W", NULL, false, take_later},
    {"-E", NULL, false, take_no_environment},
    {"-i", NULL, false, take_interactive},
    {"-v", NULL, false, take_version},
    {"--version", NULL, false, take_version},
    {"-h", NULL, false, take_help},
    {"--help", NULL, false, take_help},
    {"--allow-bind", "ADDRESS", true, take_allow},
    {"--allow-connect", "HOST", true, take_allow},
    {"--allow-env", "NAME", true, take_allow},
    {"--allow-listen", "ADDRESS", true, take_allow},
    {"--allow-read", "DIR", true, take_allow},
    {"--allow-run", NULL, false, take_allow},
    {"--allow-write", "DIR", true, take_allow},
    {"--busy-poll", "MICROSECONDS", false, take_busy_poll},
    {"--drain", "SECONDS", false, take_drain},
    {"--luarc", NULL, false, take_luarc},
    {"--luasocket", NULL, false, take_later},
    {"--memory", "SIZE", false, take_memory},
    {"--no-attach", NULL, false, take_no_attach},
    {"--profile", "FILE", false, take_profile},
    {"--restrict", NULL, false, take_restrict},
    {"--trace", "FILE", true, take_trace},
    {"--trace-filter", "WHAT", false, take_trace_filter},
    {"--trace-bytes", "N", false, take_trace_bytes},
    {"--trace-format", "FORM", false, take_trace_format},
    {"--watchdog", "SECONDS", false, take_watchdog},
};

static const struct word {
  const char *name;
  verb verb;
} words[] = {
    {"test", VERB_TEST},      {"attach", VERB_REMOTE}, {"ps", VERB_REMOTE},
    {"socks", VERB_REMOTE},   {"top", VERB_REMOTE},    {"stack", VERB_REMOTE},
    {"profile", VERB_REMOTE}, {"heap", VERB_REMOTE},   {"sim", VERB_SIM},
    {"build", VERB_BUILD},
};


static const option *find(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
      return &options[i];
  return NULL;
}


static int misused(const char *what, const char *about) {
  fprintf(stderr, "neap: %s%s (neap --help tells what there is)\n", what,
          about);
  return USAGE;
}


static bool is_option(const command *c, int at) {
  const char *word = at < c->argc ? c->argv[at] : "";
  return word[0] == '-' && word[1] != '\0' && strcmp(word, "--") != 0;
}


/* The option at *at, and its value or NULL; *at moves on behind both. */
static const option *next(const command *c, int *at, const char **value) {
  const char *word = c->argv[(*at)++];
  bool is_long = word[1] == '-';
  size_t n = is_long ? strcspn(word, "=") : 2;
  const option *o = find(word, n);
  *value = NULL;
  if (word[n] != '\0')
    *value = word + n + is_long;
  else if (o != NULL && o->value != NULL && !is_long && *at < c->argc)
    *value = c->argv[(*at)++];
  return o;
}


static int take(command *c, int *at) {
  const char *word = c->argv[*at], *value;
  const option *o = next(c, at, &value);
  if (o == NULL)
    return misused("unknown option ", word);
  if (value == NULL && o->value != NULL && !o->may)
    return misused(o->value, " is expected behind an option");
  if (value != NULL && o->value == NULL)
    return misused("no value is expected: ", word);
  return o->take(c, value) ? 0 : USAGE;
}


bool command_next(const command *c, int *at, command_step *step) {
  *at += *at == 0;
  while (*at < c->end) {
    const char *value;
    const option *o = next(c, at, &value);
    if (o->take == take_code || o->take == take_later) {
      *step = (command_step){o->name[1], value};
      return true;
    }
  }
  return false;
}


static verb verb_of(const char *word) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].name, word) == 0)
      return words[i].verb;
  return VERB_FILE;
}


/* Options before `build` are for what it makes. */
static int check_build(command *c) {
  command_step step;
  int at = 0;
  bool wrong = c->interactive;
  while (command_next(c, &at, &step))
    wrong |= step.option != '-';
  if (wrong)
    return misused("-e, -l, -i and -W", " are not for what neap build makes");
  c->workers = c->busy_poll = 0;
  c->memory = 0;
  c->watchdog[0] = 0;
  c->traces = false;
  c->profile = NULL;
  return 0;
}


/* It would be this process's, and not the hosts'. */
static int check_sim(const command *c) {
  command_step step;
  int at = 0;
  while (command_next(c, &at, &step))
    if (step.option == '-')
      return misused(
          "--luasocket does not reach simulated hosts: their scripts "
          "begin with require 'neap.luasocket'.install()",
          "");
  return 0;
}


static bool is_program(const command *c) {
  return c->verb == VERB_FILE || c->verb == VERB_CODE;
}


static int check(command *c) {
  if (c->allows && !c->restricts)
    return misused("--restrict is expected", " with what it allows");
  if (c->verb == VERB_BUILD)
    return check_build(c);
  if (c->verb == VERB_SIM && check_sim(c) != 0)
    return USAGE;
  if (c->restricts && (!is_program(c) || c->interactive))
    return misused("a script or -e CODE is expected", " behind --restrict");
  if (c->workers > 0 && !is_program(c))
    return misused("a script or -e CODE is expected", " behind -w");
  return 0;
}


/* What is to be done, when the options are known. */
static verb choose(const command *c, bool any_word) {
  if (c->program < c->argc)
    return any_word ? verb_of(c->argv[c->program]) : VERB_FILE;
  if (c->codes)
    return VERB_CODE;
  return c->text != NULL && !c->interactive ? VERB_SHOW : VERB_PROMPT;
}


int command_parse(command *c, int argc, char **argv) {
  int at = 1;
  *c = (command){.argc = argc,
                 .argv = argv,
                 .started = argv,
                 .trace_bytes = -1,
                 .drain = DRAIN};
  while (is_option(c, at)) {
    int status = take(c, &at);
    if (status != 0)
      return status;
    if (c->verb == VERB_SHOW)
      return 0;
    if (c->verb == VERB_LUARC) {
      c->end = c->program = argc;
      return at == argc ? 0 : misused(argv[at], " behind --luarc");
    }
  }
  c->end = at;
  bool cut = at < argc && strcmp(argv[at], "--") == 0;
  c->program = at + cut;
  c->verb = choose(c, !cut);
  return check(c);
}


static bool is_list(int argc, char **argv) {
  return argc == 2 && strcmp(argv[1], "--neap-list") == 0;
}


static int list(command *c) {
  carried_file file;
  for (size_t at = 0; carried_next(&at, &file);)
    if (file.length > 0)
      printf("%10zu %.*s\n", file.size, (int)file.length, file.path);
  *c = (command){.verb = VERB_SHOW};
  return 0;
}


/* A copy of the path of the script, which ends in a zero; for good. */
static char *text_of(const carried_file *script) {
  return memory_text(script->path, script->length);
}


static guard_deed deed_of(const char *name) {
  static const char *const names[] = {
      [GUARD_CONNECT] = "--allow-connect", [GUARD_LISTEN] = "--allow-listen",
      [GUARD_BIND] = "--allow-bind",       [GUARD_READ] = "--allow-read",
      [GUARD_WRITE] = "--allow-write",     [GUARD_RUN] = "--allow-run",
      [GUARD_ENV] = "--allow-env"};
  guard_deed deed = GUARD_CONNECT;
  while (strcmp(names[deed], name) != 0)
    deed++;
  return deed;
}


int command_guard(const command *c) {
  const char *value, *why = NULL;
  if (!c->restricts || !is_program(c))
    return 0;
  for (int at = 1; at < c->end;) {
    const char *word = c->argv[at];
    const option *o = next(c, &at, &value);
    if (o->take == take_allow)
      why = guard_allow(deed_of(o->name), value);
    if (why != NULL) {
      fprintf(stderr, "neap: %s: %s\n", word, why);
      return USAGE;
    }
  }
  bool is_file = c->verb == VERB_FILE && carried_by() == NULL;
  why = guard_begin(is_file ? c->argv[c->program] : NULL);
  if (why != NULL)
    fprintf(stderr, "neap: --restrict: %s\n", why);
  return why != NULL ? USAGE : 0;
}


/* argv[0], the words that it carries, "--", the script, and what it was given. */
int command_carried(command *c, int argc, char **argv) {
  carried_file own, script;
  size_t at = 0;
  if (is_list(argc, argv))
    return list(c);
  if (!carried_next(&at, &own) || !carried_next(&at, &script))
    return misused("this executable", " carries no script");
  size_t room = (size_t)argc + own.size + 4; /* argc may be 0 */
  char **all = memory_grow(NULL, room * sizeof *all);
  int n = 0;
  all[n++] = argv[0];
  for (const char *w = own.bytes; w < own.bytes + own.size; w += strlen(w) + 1)
    all[n++] = (char *)w;
  all[n++] = (char *)"--";
  all[n++] = text_of(&script);
  for (int i = 1; i < argc; i++)
    all[n++] = argv[i];
  all[n] = NULL;
  int status = command_parse(c, n, all);
  c->started = argv;
  return status;
}

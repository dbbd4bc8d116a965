/*
** A system call that fails, at every place in turn.
**
** For each feature of memory_faults.lua, for each function of fault_calls.h that it
** calls, and for each error which that can have, neap runs the feature while the first
** such call fails; then the second; and so on, until a run makes no further one.  Or,
** with -a, so do the allocations of C.  The feature may end well or fail, and say why:
** but the process must end, and in order.
**
** The first feature, 0, is that neap starts and ends.
**
**   faults [-a] [-e EACH] [-f FEATURE] [-l LAST] [-s STEP] SCRIPT [CALL ERROR N]
**
** EACH: of the faults every so many; LAST: no feature behind that one; STEP: of the
** features every so many.
**
** This is neap itself, with functions in the place of the C library's (fault_shim.c).
** A run is a fork of what has only begun.
*/

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/program.h"
#include "fault_shim.h"

/* The linker takes these for main and program_push of neap: CMakeLists.txt. */
int __wrap_main(int argc, char **argv);
int __real_main(int argc, char **argv);
void __wrap_program_push(lua_State *L, const command *c);


/* Seconds. */
enum { LIMIT = 10, PATIENCE = 40 };


/*
** A run
*/

static const char *script;
static fault_plan *shared; /* with the run */

static const char bound[] =
    "local feature, which, arm, wrong = ... return function() "
    "return feature(which, arm, wrong) end";


static int l_arm(lua_State *L) {
  atomic_store(&shared->over, lua_isnil(L, 1));
  atomic_store(&shared->armed, !lua_isnil(L, 1));
  return 0;
}


/* What is wrong where memory lacks: half of a write may go where a connection ends. */
static int l_wrong(lua_State *L) {
  (void)L;
  return 0;
}


void __wrap_program_push(lua_State *L, const command *c) {
  (void)c;
  int top = lua_gettop(L);
  if (shared->feature == 0) {
    if (luaL_loadstring(L, "") != LUA_OK)
      lua_error(L);
    return;
  }
  if (luaL_loadstring(L, bound) != LUA_OK || luaL_loadfile(L, script) != LUA_OK)
    lua_error(L);
  lua_pushinteger(L, shared->feature);
  lua_pushcfunction(L, l_arm);
  lua_pushcfunction(L, l_wrong);
  lua_call(L, lua_gettop(L) - top - 1, 1);
}


/* Behind all that neap does at its end, and before the sanitizer looks for leaks. */
static void on_end(void) {
  atomic_store(&shared->armed, false);
  shared->descriptors = fault_descriptors();
}


static _Noreturn void live(int output) {
  static char name[] = "neap";
  char *argv[] = {name, strdup(script), NULL};
  int null = open("/dev/null", O_RDONLY, 0);
  dup2(null, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close(null);
  close(output);
  atexit(on_end);
  plan = shared;
  atomic_store(&shared->armed, shared->feature == 0);
  int status = __real_main(2, argv);
  free(argv[1]);
  exit(status);
}


/*
** What came of it
*/

enum outcome { PASSED, FAILED, ENDED, SILENT, CRASHED, LEAKED, KEPT, HUNG };

enum { OUTCOMES = HUNG + 1 };

static const char *const outcome_names[] = {
    "passed", "failed",           "ended", "silent", "crashed",
    "leaked", "kept descriptors", "hung"};

static char said[16384]; /* by the run */
static int usual =
    INT_MAX; /* descriptors at the end of a run without a fault */


static bool has_said(const char *words) {
  return strstr(said, words) != NULL;
}


static void hear(int output) {
  ssize_t n = pread(output, said, sizeof said - 1, 0);
  said[n > 0 ? n : 0] = '\0';
}


static enum outcome judge(int status) {
  if (has_said("AddressSanitizer:") || has_said("runtime error:"))
    return CRASHED;
  if (has_said("LeakSanitizer:"))
    return LEAKED;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
    return FAILED; /* which a feature has sent itself */
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGABRT && !has_said("Assertion") &&
                   (has_said("neap: out of memory") ||
                    has_said("neap: aborted;"))
               ? ENDED
               : CRASHED;
  if (WEXITSTATUS(status) > EXIT_FAILURE)
    return CRASHED;
  if (WEXITSTATUS(status) != 0 && said[0] == '\0')
    return SILENT;
  if (shared->n > 0 && shared->descriptors > usual)
    return KEPT;
  return WEXITSTATUS(status) == 0 ? PASSED : FAILED;
}


/* Wait so many seconds; false: it has not ended, and is killed. */
static bool await(pid_t pid, int *status, int seconds) {
  sigset_t ended;
  struct timespec limit = {.tv_sec = seconds};
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  bool good = waitpid(pid, status, WNOHANG) == pid ||
              (sigtimedwait(&ended, NULL, &limit) == SIGCHLD &&
               waitpid(pid, status, WNOHANG) == pid);
  kill(-pid, SIGKILL); /* and its children */
  if (!good)
    waitpid(pid, status, 0);
  return good;
}


static enum outcome run_once(int seconds) {
  int status, output = memfd_create("output", MFD_CLOEXEC);
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ended, NULL);
  while (sigtimedwait(&ended, NULL, &(struct timespec){0}) > 0)
    ;
  memset((void *)shared->counts, 0, sizeof shared->counts);
  atomic_store(&shared->armed, false);
  atomic_store(&shared->reached, false);
  shared->descriptors = -1;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    sigprocmask(SIG_UNBLOCK, &ended, NULL);
    live(output);
  }
  bool good = pid > 0 && await(pid, &status, seconds);
  hear(output);
  close(output);
  return good ? judge(status) : HUNG;
}


/* A busy machine may take long once. */
static enum outcome run(void) {
  enum outcome o = run_once(LIMIT);
  return o == HUNG ? run_once(PATIENCE) : o;
}


/*
** All of them
*/

static struct {
  bool allocations;
  long each, seen;       /* of the faults every so many is tried */
  int first, last, step; /* features */
} choice = {.each = 1, .last = 1000000, .step = 1};

static long outcomes[CALLS][OUTCOMES];
static long findings;


static const char *error_name(int call) {
  static char number[16];
  const char *name =
      call == CALL_getaddrinfo ? NULL : strerrorname_np(shared->error);
  if (name != NULL)
    return name;
  snprintf(number, sizeof number, "%d", shared->error);
  return number;
}


/* What may end the process, if it says so: a lack of C's memory; and a pipe, for libuv
 * aborts where another thread has taken the last descriptor since neap looked. */
static bool may_end(int call) {
  return fault_calls[call].allocates || call == CALL_pipe2;
}


static void note(enum outcome o) {
  outcomes[shared->call][o]++;
  if (o <= FAILED || (o == ENDED && may_end(shared->call)))
    return;
  findings++;
  printf("faults: %s: -f %d %s %s %s %ld\n", outcome_names[o], shared->feature,
         script, fault_calls[shared->call].name, error_name(shared->call),
         shared->n);
  printf("%.3000s\n", said);
}


/* One point's fault; false: no such call was made. */
static bool try(int call, int error, long n) {
  shared->call = call;
  shared->error = error;
  shared->n = n;
  enum outcome o = run();
  if (!atomic_load(&shared->reached))
    return false;
  note(o);
  return true;
}


static bool is_chosen(void) {
  return choice.seen++ % choice.each == 0;
}


/* How far the first error gets, for the others is known. */
static void try_call(int call, long least) {
  long most = choice.each == 1 ? LONG_MAX : least;
  for (const int *e = fault_calls[call].errors; *e != 0; e++)
    for (long n = 1; n <= most; n++)
      if (is_chosen() && !try(call, *e, n)) {
        most = most == LONG_MAX ? n - 1 : most;
        break;
      }
}


/* False: there is no such feature. */
static bool try_feature(int feature) {
  long counts[CALLS];
  shared->feature = feature;
  shared->n = 0;
  enum outcome o = run();
  if (atomic_load(&shared->over))
    return false;
  if (shared->descriptors >= 0) /* else it did not wait for its threads */
    usual = shared->descriptors;
  if (o > FAILED) {
    printf("faults: feature %d: %s without a fault\n%s\n", feature,
           outcome_names[o], said);
    findings++;
    return true;
  }
  memcpy(counts, (void *)shared->counts, sizeof counts);
  for (int call = 0; call < CALLS; call++)
    if (counts[call] > 0 && fault_calls[call].allocates == choice.allocations)
      try_call(call, counts[call]);
  return true;
}


static long sum_of(enum outcome from, enum outcome to, int first, int end) {
  long n = 0;
  for (int call = first; call < end; call++)
    for (int o = from; o <= (int)to; o++)
      n += outcomes[call][o];
  return n;
}


static void tell_row(const char *name, int first, int end) {
  printf("%-24s %7ld %7ld %7ld %7ld %7ld\n", name,
         sum_of(PASSED, HUNG, first, end), sum_of(PASSED, PASSED, first, end),
         sum_of(FAILED, FAILED, first, end), sum_of(ENDED, ENDED, first, end),
         sum_of(SILENT, HUNG, first, end));
}


static void tell_all(void) {
  printf("%-24s %7s %7s %7s %7s %7s\n", "call", "faults", "passed", "failed",
         "ended", "wrong");
  for (int call = 0; call < CALLS; call++)
    if (sum_of(PASSED, HUNG, call, call + 1) > 0)
      tell_row(fault_calls[call].name, call, call + 1);
  tell_row("all", 0, CALLS);
}


static int error_of(const char *name) {
  enum { HIGHEST = 200 };
  for (int e = 1; e < HIGHEST; e++)
    if (strerrorname_np(e) != NULL && strcmp(strerrorname_np(e), name) == 0)
      return e;
  return (int)strtol(name, NULL, 10);
}


/* One again: with all it says. */
static int again(char **argv) {
  for (int call = 0; call < CALLS; call++)
    if (strcmp(fault_calls[call].name, argv[0]) == 0)
      shared->call = call;
  shared->feature = choice.first;
  if (run_once(LIMIT) != HUNG && shared->descriptors >= 0)
    usual = shared->descriptors;
  shared->error = error_of(argv[1]);
  shared->n = strtol(argv[2], NULL, 10);
  enum outcome o = run();
  printf("%s\nfaults: %s, %sreached, %d descriptors of %d\n", said,
         outcome_names[o], atomic_load(&shared->reached) ? "" : "not ",
         shared->descriptors, usual);
  return o > ENDED;
}


int __wrap_main(int argc, char **argv) {
  for (int o; (o = getopt(argc, argv, "ae:f:l:s:")) != -1;)
    switch (o) {
    case 'a':
      choice.allocations = true;
      break;
    case 'e':
      choice.each = strtol(optarg, NULL, 10);
      break;
    case 'f':
      choice.first = (int)strtol(optarg, NULL, 10);
      break;
    case 'l':
      choice.last = (int)strtol(optarg, NULL, 10);
      break;
    case 's':
      choice.step = (int)strtol(optarg, NULL, 10);
      break;
    default:
      return EXIT_FAILURE;
    }
  script = argv[optind];
  if (script == NULL || choice.each < 1 || choice.step < 1)
    return EXIT_FAILURE;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (argc - optind == 4)
    return again(argv + optind + 1);
  for (int f = choice.first; f <= choice.last && try_feature(f);
       f += choice.step)
    ;
  tell_all();
  return findings > 0;
}

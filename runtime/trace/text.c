/*
** The text form: a line an event, and a hexdump of its bytes.
**
** 0.001342  tcp 5         connects 127.0.0.1:40112 -> 127.0.0.1:7000
** 0.001501  tcp 5         -> 5 bytes
**   00000000  68 65 6c 6c 6f                                    |hello|
*/

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "host/harmless.h"
#include "trace/tracer.h"

enum {
  LINE = 2048, /* more than any line has */
  ROW = 16,    /* bytes in one of the hexdump */
  MARGIN = 2   /* blanks before it */
};

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define CYAN "\033[36m"


static void put(tracer *t, const char *text) {
  sink_put(&t->out, text, strlen(text));
}


__attribute__((format(printf, 2, 3))) static void
put_format(tracer *t, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int n = vsnprintf(sink_room(&t->out, LINE), LINE, format, list);
  va_end(list);
  sink_add(&t->out, n < LINE ? (size_t)n : LINE - 1);
}


static void colour(tracer *t, const char *how) {
  if (t->coloured)
    put(t, how);
}


static void put_piece(void *to, const char *piece, size_t n) {
  sink_put(to, piece, n);
}


/* Names come from outside. */
static void put_name(tracer *t, const char *text) {
  harmless_put(text, strlen(text), HARMLESS_LINE, put_piece, &t->out);
}


static void put_address(tracer *t, const address *a) {
  char text[ADDRESS_TEXT];
  address_print(t->host, a, text, sizeof text);
  put_name(t, text);
}


static size_t print_number(char *out, uint64_t n) {
  char digits[20];
  size_t count = 0;
  do
    digits[count++] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  size_t at = 0;
  while (count > 0)
    out[at++] = digits[--count];
  return at;
}


static void put_number(tracer *t, uint64_t n) {
  enum { MOST = 20 };
  sink_add(&t->out, print_number(sink_room(&t->out, MOST), n));
}


/*
** Hexdumps
*/

#define DIGITS(x) \
  x "0" x "1" x "2" x "3" x "4" x "5" x "6" x "7" x "8" x "9" x "a" x "b" x \
    "c" x "d" x "e" x "f"

/* Two digits for each byte. */
static const char pairs[] = DIGITS("0") DIGITS("1") DIGITS("2") DIGITS("3")
    DIGITS("4") DIGITS("5") DIGITS("6") DIGITS("7") DIGITS("8") DIGITS("9")
        DIGITS("a") DIGITS("b") DIGITS("c") DIGITS("d") DIGITS("e") DIGITS("f");


static char *put_hex(char *at, unsigned char c) {
  memcpy(at, pairs + 2 * c, 2);
  return at + 2;
}


/* Where the columns of a row are, from its margin on. */
enum { BYTES_AT = 10, TEXT_AT = BYTES_AT + 3 * ROW + 3 };


static void put_offset(char *at, size_t offset) {
  for (int shift = 24; shift >= 0; shift -= 8)
    at = put_hex(at, (unsigned char)(offset >> shift));
}


static char shown(unsigned char c) {
  return (unsigned char)(c - ' ') < 0x7f - ' ' ? (char)c : '.';
}


/* A gap halves the row. */
static void fill_row(char *restrict at, const unsigned char *restrict bytes,
                     size_t n) {
  char *restrict text = at + TEXT_AT;
  char *restrict column = at + BYTES_AT;
  for (size_t i = 0; i < n; i++) {
    column += i == ROW / 2;
    put_hex(column + 3 * i, bytes[i]);
    text[i] = shown(bytes[i]);
  }
  text[-1] = '|';
  text[n] = '|';
  text[n + 1] = '\n';
}


/* As packet.hexdump has them. */
static void put_row(tracer *t, size_t offset, const unsigned char *bytes,
                    size_t n) {
  char *start = sink_room(&t->out, MARGIN + TEXT_AT + ROW + 2);
  memset(start, ' ', MARGIN + TEXT_AT);
  put_offset(start + MARGIN, offset);
  fill_row(start + MARGIN, bytes, n);
  sink_add(&t->out, MARGIN + TEXT_AT + n + 2);
}


static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}


/* The next row of the pieces; `done` bytes of the first are used up. */
static size_t take_row(const struct iovec **v, size_t *done,
                       unsigned char row[ROW], size_t left) {
  size_t n = 0, most = least(ROW, left);
  while (n < most) {
    size_t some = least(most - n, (*v)->iov_len - *done);
    memcpy(row + n, (const char *)(*v)->iov_base + *done, some);
    n += some;
    *done += some;
    if (*done == (*v)->iov_len) {
      (*v)++;
      *done = 0;
    }
  }
  return n;
}


static void put_dump(tracer *t, const trace_event *e) {
  const struct iovec *v = e->v;
  size_t shown = least(e->size, t->bytes), done = 0;
  unsigned char row[ROW];
  for (size_t at = 0; at < shown;) {
    size_t n = take_row(&v, &done, row, shown - at);
    put_row(t, at, row, n);
    at += n;
  }
  if (shown < e->size && t->bytes > 0)
    put_format(t, "%*s... %zu bytes more\n", MARGIN, "", e->size - shown);
}


/*
** Lines
*/

static void put_head(tracer *t, const seen *x) {
  uint64_t us = (x->now - t->began) / 1000;
  char *start = sink_room(&t->out, LINE);
  char *at = start + print_number(start, us / 1000000);
  uint32_t rest = (uint32_t)(us % 1000000);
  *at = '.';
  for (int i = 6; i > 0; i--, rest /= 10)
    at[i] = (char)('0' + rest % 10);
  at += 7;
  sink_add(&t->out, (size_t)(at - start));
}


static void put_who(tracer *t, const flow *f) {
  char *start = sink_room(&t->out, LINE);
  size_t n = 2;
  memcpy(start, "  ", 2);
  if (f != NULL) {
    size_t kind = strlen(f->kind);
    memcpy(start + n, f->kind, kind);
    n += kind;
    start[n++] = ' ';
    n += print_number(start + n, f->serial);
  }
  while (n < 16)
    start[n++] = ' ';
  sink_add(&t->out, n);
}


static void begin_line(tracer *t, const seen *x) {
  colour(t, DIM);
  if (t->host->slot > 0)
    put_format(t, "[%d] ", t->host->slot);
  put_head(t, x);
  colour(t, PLAIN);
  put_who(t, x->f);
}


static void end_line(tracer *t) {
  colour(t, PLAIN);
  put(t, "\n");
}


/* Its ends, with an arrow from who connects to who listens. */
static void put_ends(tracer *t, const flow *f, const char *arrow) {
  bool unnamed = flow_is_unnamed(&f->local) && flow_is_unnamed(&f->remote);
  if (unnamed && f->name != NULL) {
    put(t, " ");
    put_name(t, f->name);
  }
  if (unnamed)
    return;
  if (!flow_is_unnamed(&f->local)) {
    put(t, " ");
    put_address(t, &f->local);
  }
  if (f->remote.length > 0) {
    put(t, arrow);
    put_address(t, &f->remote);
  }
}


static void put_listen(tracer *t, const seen *x) {
  put(t, "listens at ");
  put_name(t, x->f->name != NULL ? x->f->name : "?");
}


static void put_connect(tracer *t, const seen *x) {
  put(t, "connects");
  put_ends(t, x->f, " -> ");
}


static void put_connected(tracer *t, const seen *x) {
  put(t, "connected");
  if (x->f->is_message)
    put_ends(t, x->f, " <-> ");
}


static void put_accept(tracer *t, const seen *x) {
  put(t, "accepted");
  put_ends(t, x->f, " <- ");
  put_format(t, ", by listener %u", x->e->listener->serial);
}


static void put_open(tracer *t, const seen *x) {
  put(t, "open");
  put_ends(t, x->f, x->f->is_message ? " <-> " : " -> ");
}


static void put_count(tracer *t, const trace_event *e) {
  put_number(t, e->size);
  put(t, e->size == 1 ? " byte" : " bytes");
  if (e->v == NULL)
    put(t, " (relayed below, not seen)");
  if (e->full > e->size)
    put_format(t, " of %zu, cut", e->full);
}


static void put_peer(tracer *t, const seen *x, const char *which) {
  if (x->peer == NULL)
    return;
  put(t, which);
  put_address(t, x->peer);
}


static void put_read(tracer *t, const seen *x) {
  colour(t, CYAN);
  put(t, "<- ");
  put_count(t, x->e);
  put_peer(t, x, " from ");
}


static void put_write(tracer *t, const seen *x) {
  colour(t, GREEN);
  put(t, "-> ");
  put_count(t, x->e);
  put_peer(t, x, " to ");
}


static void put_end(tracer *t, const seen *x) {
  (void)x;
  colour(t, CYAN);
  put(t, "<- end");
}


static void put_shutdown(tracer *t, const seen *x) {
  (void)x;
  colour(t, GREEN);
  put(t, "-> end");
}


static void put_error(tracer *t, const seen *x) {
  const trace_event *e = x->e;
  colour(t, RED);
  put_format(t, "%s", e->op);
  if (e->where != NULL) {
    put(t, " ");
    put_name(t, e->where);
  }
  put_peer(t, x, " ");
  put_format(t, ": %s", error_code(e->status));
  if (e->size > 0)
    put_format(t, ", %zu bytes were not sent", e->size);
}


static void put_close(tracer *t, const seen *x) {
  put_format(t, "closes, %zu bytes are still to go out", x->e->size);
}


static void put_totals(tracer *t, const flow *f) {
  if (f->in > 0 || f->out > 0)
    put_format(t, ", %llu bytes in, %llu out", (unsigned long long)f->in,
               (unsigned long long)f->out);
}


static void put_closed(tracer *t, const seen *x) {
  put(t, "closed");
  put_totals(t, x->f);
}


static void put_reset(tracer *t, const seen *x) {
  colour(t, RED);
  put(t, "reset");
  put_totals(t, x->f);
}


static void put_spawn(tracer *t, const seen *x) {
  put_format(t, "child %d starts: ", x->e->pid);
  put_name(t, x->e->where);
}


static void put_exit(tracer *t, const seen *x) {
  const trace_event *e = x->e;
  put_format(t, "child %d ", e->pid);
  if (e->signal != 0)
    put_format(t, "was ended by signal %d: ", e->signal);
  else
    put_format(t, "exits with %d: ", e->code);
  put_name(t, e->where);
}


static void (*const lines[])(tracer *t, const seen *x) = {
    [TRACE_LISTEN] = put_listen,       [TRACE_CONNECT] = put_connect,
    [TRACE_CONNECTED] = put_connected, [TRACE_ACCEPT] = put_accept,
    [TRACE_OPEN] = put_open,           [TRACE_READ] = put_read,
    [TRACE_WRITE] = put_write,         [TRACE_END] = put_end,
    [TRACE_SHUTDOWN] = put_shutdown,   [TRACE_ERROR] = put_error,
    [TRACE_CLOSE] = put_close,         [TRACE_CLOSED] = put_closed,
    [TRACE_RESET] = put_reset,         [TRACE_SPAWN] = put_spawn,
    [TRACE_EXIT] = put_exit,
};


/* Of one that was open before. */
static void put_late(tracer *t, const seen *x) {
  flow *f = x->f;
  if (f == NULL || !f->is_late)
    return;
  f->is_late = false;
  begin_line(t, x);
  put(t, f->is_waiting ? "waits to be accepted" : "is open");
  put_ends(t, f, f->is_message ? " <-> " : " - ");
  end_line(t);
}


static void put_dropped(tracer *t) {
  if (t->untold == 0)
    return;
  put_format(t, "%*s... %llu events were dropped here\n", MARGIN, "",
             (unsigned long long)t->untold);
  t->untold = 0;
}


static void event(tracer *t, const seen *x) {
  put_dropped(t);
  put_late(t, x);
  begin_line(t, x);
  lines[x->e->kind](t, x);
  end_line(t);
  if (x->e->v != NULL)
    put_dump(t, x->e);
  tracer_ready(t);
}


const form text_form = {.name = "text", .event = event};

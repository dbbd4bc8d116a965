/*
** How OpenSSL reads and writes: what has arrived is there, or it is to come again; what
** it writes is always taken.  A BIO's data is the stream whose session's it is.
*/

#include <errno.h>
#include <string.h>

#include "host/memory.h"
#include "tls/tls.h"

/* Four records and what goes around them: a larger buffer, of a long chain of
 * certificates, is not kept. */
enum { ROOM = 4 * (16 * 1024 + 512) };


void bio_reserve(tls_host *h) {
  if (h->out != NULL)
    return;
  h->out = memory_grow(NULL, ROOM);
  h->out_room = ROOM;
}


static int read_some(BIO *b, char *to, size_t n, size_t *got) {
  tls_host *h = tls_host_of(BIO_get_data(b));
  BIO_clear_retry_flags(b);
  if (h->in_size == 0) {
    BIO_set_retry_read(b);
    return 0;
  }
  *got = n < h->in_size ? n : h->in_size;
  memcpy(to, h->in, *got);
  h->in += *got;
  h->in_size -= *got;
  return 1;
}


void bio_put(tls_host *h, const char *bytes, size_t n) {
  bio_reserve(h);
  if (h->out_room - h->out_size < n) {
    h->out_room = 2 * (h->out_size + n);
    h->out = memory_grow(h->out, h->out_room);
  }
  memcpy(h->out + h->out_size, bytes, n);
  h->out_size += n;
}


static int write_all(BIO *b, const char *bytes, size_t n, size_t *written) {
  stream *s = BIO_get_data(b);
  tls_host *h = tls_host_of(s);
  BIO_clear_retry_flags(b);
  *written = n;
  if (h->straight && h->out_size == 0) {
    struct iovec v[] = {{NULL, 0}, {(char *)bytes, n}};
    layer_send(s, v, 1);
  } else {
    bio_put(h, bytes, n);
  }
  return 1;
}


static long control(BIO *b, int command, long number, void *pointer) {
  (void)b, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}


static int create(BIO *b) {
  BIO_set_init(b, 1);
  return 1;
}


BIO_METHOD *bio_method(void) {
  BIO_METHOD *m =
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "neap");
  if (m == NULL)
    return NULL;
  BIO_meth_set_read_ex(m, read_some);
  BIO_meth_set_write_ex(m, write_all);
  BIO_meth_set_ctrl(m, control);
  BIO_meth_set_create(m, create);
  return m;
}


/* Detached meanwhile: what is answered to it may want to be sent before this call
 * returns. */
int session_send(stream *s) {
  tls_host *h = tls_host_of(s);
  char *bytes = h->out;
  size_t room = h->out_room;
  struct iovec v[] = {{NULL, 0}, {bytes, h->out_size}};
  if (h->out_size == 0)
    return layer_lower(s)->write_error;
  h->out = NULL;
  h->out_size = h->out_room = 0;
  int status = layer_send(s, v, 1);
  if (h->out == NULL && room == ROOM) {
    h->out = bytes;
    h->out_room = room;
  } else {
    free(bytes);
  }
  return status;
}

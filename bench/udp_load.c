/* usage: udp_load PORT WINDOW SECONDS [gso]
 *
 * The load of the UDP benchmarks: a client that keeps WINDOW datagrams of 64
 * bytes under way.  Each has a number, and bytes made of it; what comes back is
 * checked against them.  With `gso` it sends and receives many by one call, as
 * a client on a fast network does.
 *
 * Prints echoes a second, those that were not echoed, and those echoed wrong. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SIZE = 64, MOST = 1024, CALL = 64 };

typedef struct message {
  uint64_t words[SIZE / 8];
} message;

static message out[MOST], in[MOST];
static uint64_t next;
static long echoes, lost, wrong;

static void fill(message *m) {
  m->words[0] = ++next;
  for (int i = 1; i < SIZE / 8; i++)
    m->words[i] = m->words[i - 1] * UINT64_C(6364136223846793005) + 1;
}

static void check(const message *m, size_t size) {
  int bad = size != SIZE || m->words[0] == 0 || m->words[0] > next;
  for (int i = 1; i < SIZE / 8 && !bad; i++)
    bad = m->words[i] != m->words[i - 1] * UINT64_C(6364136223846793005) + 1;
  wrong += bad;
  echoes++;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One by one, but many a call. */
static void ask(int fd, int n) {
  struct mmsghdr m[CALL] = {0};
  struct iovec v[CALL];
  for (int i = 0; i < n; i++)
    fill(&out[i]);
  for (int done = 0; done < n;) {
    int part = n - done < CALL ? n - done : CALL;
    for (int i = 0; i < part; i++) {
      v[i] = (struct iovec){&out[done + i], SIZE};
      m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    }
    int sent = sendmmsg(fd, m, (unsigned)part, 0);
    done += sent > 0 ? sent : part;
  }
}

static int hear(int fd) {
  struct mmsghdr m[CALL] = {0};
  struct iovec v[CALL];
  for (int i = 0; i < CALL; i++) {
    v[i] = (struct iovec){&in[i], SIZE};
    m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
  }
  int n = recvmmsg(fd, m, CALL, MSG_WAITFORONE, NULL);
  for (int i = 0; i < n; i++)
    check(&in[i], m[i].msg_len);
  return n;
}

/* Many as one. */
static void ask_gso(int fd, int n) {
  for (int i = 0; i < n; i++)
    fill(&out[i]);
  for (int done = 0; done < n; done += CALL) {
    int part = n - done < CALL ? n - done : CALL;
    send(fd, &out[done], (size_t)part * SIZE, 0);
  }
}

static int hear_gso(int fd) {
  ssize_t n = recv(fd, in, sizeof in, 0);
  if (n < 0)
    return -1;
  if (n % SIZE != 0)
    wrong++;
  for (int i = 0; i < n / SIZE; i++)
    check(&in[i], SIZE);
  return (int)(n / SIZE);
}

/* What is not back after 100 ms is lost, and replaced. */
static void load(int fd, int window, double seconds, int gso) {
  double start = now();
  int due = window;
  while (now() - start < seconds) {
    (gso ? ask_gso : ask)(fd, due);
    due = (gso ? hear_gso : hear)(fd);
    if (due < 0) {
      lost += window;
      due = window;
    }
  }
  printf("%.0f %ld %ld\n", (double)echoes / (now() - start), lost, wrong);
}

int main(int argc, char **argv) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  struct timeval limit = {.tv_usec = 100000};
  int gso = argc == 5 && strcmp(argv[4], "gso") == 0;
  int window = argc > 2 ? atoi(argv[2]) : 0;
  if (argc != 4 + gso || window < 1 || window > MOST) {
    fprintf(stderr, "usage: udp_load PORT WINDOW SECONDS [gso]\n");
    return 2;
  }
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  a.sin_port = htons((uint16_t)atoi(argv[1]));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
    perror("connect");
    return 1;
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (gso && (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &(int){SIZE}, sizeof(int)) != 0 ||
              setsockopt(fd, IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int)) != 0)) {
    perror("UDP_SEGMENT, UDP_GRO");
    return 1;
  }
  load(fd, window, atof(argv[3]), gso);
  return 0;
}

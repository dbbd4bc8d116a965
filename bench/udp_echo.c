/* usage: udp_echo                       a UDP echo server, epoll, recvfrom, sendto
 *        udp_echo PORT WINDOW SECONDS   a client that keeps WINDOW datagrams of
 *                                       64 bytes under way; prints echoes per s */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, MOST = 64 };

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static int serve(void) {
  struct sockaddr_in a = loopback(0);
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  char bytes[65536];
  bind(fd, (struct sockaddr *)&a, n);
  getsockname(fd, (struct sockaddr *)&a, &n);
  printf("udp://127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
  for (;;) {
    ssize_t got;
    epoll_wait(epoll, &e, 1, -1);
    while (n = sizeof a, (got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&a, &n)) >= 0)
      sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&a, n);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sends again as many as came back; a lost one is replaced after 100 ms. */
static int ask(int port, int window, double seconds) {
  struct sockaddr_in a = loopback(port);
  struct timeval limit = {.tv_usec = 100000};
  struct mmsghdr m[MOST] = {0};
  struct iovec v[MOST];
  static char bytes[MOST][SIZE];
  long echoes = 0;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), due = window;
  connect(fd, (struct sockaddr *)&a, sizeof a);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (int i = 0; i < MOST; i++) {
    v[i] = (struct iovec){bytes[i], SIZE};
    m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
  }
  double start = now();
  while (now() - start < seconds) {
    sendmmsg(fd, m, (unsigned)due, 0);
    int got = recvmmsg(fd, m, (unsigned)window, MSG_WAITFORONE, NULL);
    due = got > 0 ? got : window;
    echoes += got > 0 ? got : 0;
  }
  printf("%.0f\n", (double)echoes / (now() - start));
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 1)
    return serve();
  if (argc == 4 && atoi(argv[2]) >= 1 && atoi(argv[2]) <= MOST)
    return ask(atoi(argv[1]), atoi(argv[2]), atof(argv[3]));
  fprintf(stderr, "usage: udp_echo [PORT WINDOW SECONDS]\n");
  return 2;
}

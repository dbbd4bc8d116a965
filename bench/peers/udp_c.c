/* usage: udp_c [batch]
 *
 * A UDP echo server by epoll: recvfrom and sendto, or recvmmsg and sendmmsg. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { MOST = 64, ROOM = 65536 };

static void echo_one_by_one(int fd) {
  static char bytes[ROOM];
  struct sockaddr_in a;
  socklen_t n = sizeof a;
  ssize_t got;
  while ((got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&a, &n)) >= 0)
    sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&a, n);
}

static void echo_batches(int fd) {
  static char bytes[MOST][ROOM];
  static struct sockaddr_in a[MOST];
  struct mmsghdr m[MOST] = {0};
  struct iovec v[MOST];
  for (int i = 0; i < MOST; i++) {
    v[i] = (struct iovec){bytes[i], ROOM};
    m[i].msg_hdr = (struct msghdr){.msg_name = &a[i], .msg_namelen = sizeof a[i],
                                   .msg_iov = &v[i], .msg_iovlen = 1};
  }
  int n = recvmmsg(fd, m, MOST, 0, NULL);
  for (int i = 0; i < n; i++)
    v[i].iov_len = m[i].msg_len;
  if (n > 0)
    sendmmsg(fd, m, (unsigned)n, 0);
}

int main(int argc, char **argv) {
  int batch = argc > 1 && strcmp(argv[1], "batch") == 0;
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(fd, (struct sockaddr *)&a, n);
  getsockname(fd, (struct sockaddr *)&a, &n);
  printf("127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
  for (;;) {
    epoll_wait(epoll, &e, 1, -1);
    (batch ? echo_batches : echo_one_by_one)(fd);
  }
}

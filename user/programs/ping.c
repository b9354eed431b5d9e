/* SPDX-License-Identifier: MIT */
/*
 * ping: ask another machine for echoes (4, or -c N), and compare each with what was sent. Each is
 * waited for a second, or -W N.
 */
#include "user.h"
#include "lib/ipv4.h"

static const char how[] = "[-c COUNT] [-s BYTES] [-W SECONDS] ADDRESS\n"
	"  for example: ping 10.0.2.2";

enum { BYTES_MAX = 1472, WAIT_MAX = 3600 };
static uint8_t sent[BYTES_MAX], got[BYTES_MAX + 1];

/* Ask once, and wait for the right answer. Result: 0, or the error. */
static int echo(int fd, const struct net_address *to, uint32_t bytes, uint32_t wait_ms)
{
	for (uint32_t i = 0; i < bytes; i++)
		sent[i] = (uint8_t)(i * 7 + to->port);
	uint64_t start = now_ns(), ns;
	int n = net_send(fd, to, sent, bytes);
	while (n >= 0) {
		struct net_address from;
		ns = now_ns() - start;
		if (ns >= wait_ms * 1000000ull)
			return -ETIMEDOUT;
		n = net_receive(fd, &from, got, sizeof(got),
				wait_ms - (uint32_t)div_u64(ns, 1000000));
		if (n >= 0 && from.address == to->address && from.port == to->port)
			break; /* not an answer to an earlier question */
	}
	if (n < 0)
		return n;
	if ((uint32_t)n != bytes || memcmp(sent, got, bytes) != 0)
		return -EIO;
	ns = now_ns() - start;
	printf("echo %u: %d bytes, %u us\n", to->port, n, (uint32_t)div_u64(ns, 1000));
	return 0;
}

int main(int argc, char **argv)
{
	struct net_address to = { 0 };
	uint32_t count = 4, bytes = 56, seconds = 1, answers = 0;
	int i = 1;
	if (help_wanted(argc, argv))
		usage(how, true);
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		uint32_t *number = strcmp(argv[i], "-c") == 0 ? &count
				 : strcmp(argv[i], "-s") == 0 ? &bytes
				 : strcmp(argv[i], "-W") == 0 ? &seconds : NULL;
		if (!number)
			usage(how, false);
		*number = strtou(argv[i + 1], NULL);
	}
	if (i + 1 != argc || !ipv4_parse(argv[i], &to.address) || !count || bytes > BYTES_MAX ||
	    !seconds || seconds > WAIT_MAX)
		usage(how, false);
	int fd = net_open(NET_ICMP, 0);
	if (fd < 0) {
		complain("network", fd);
		return 1;
	}
	for (uint32_t k = 0; k < count; k++) {
		to.port = k & 0xFFFF;
		int error = echo(fd, &to, bytes, seconds * 1000);
		if (error)
			complain(argv[i], error);
		answers += !error;
	}
	printf("%u of %u answered\n", answers, count);
	return answers != count;
}

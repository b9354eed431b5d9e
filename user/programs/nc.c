/* SPDX-License-Identifier: MIT */
/* nc: standard input goes to another machine as UDP datagrams, and what comes is printed. */
#include "user.h"
#include "lib/ipv4.h"

static const char how[] = "-u [-n N] [-w SECONDS] -l PORT | ADDRESS PORT\n"
	"  -l PORT: wait for datagrams at PORT, answer who sent the first one\n"
	"  ends with its input, and after N datagrams (-n), or when none came for SECONDS (-w)";

enum { BYTES_MAX = 1472, ASK_MS = 3600000 };
static char buf[BYTES_MAX];
static uint32_t wanted = 0xFFFFFFFF, wait_ms = ASK_MS;
static bool for_ever = true;

/* Print what comes from `to`. Result: 0, or the error. */
static int receive(int fd, const struct net_address *to)
{
	while (wanted) {
		struct net_address from;
		int n = net_receive(fd, &from, buf, sizeof(buf), wait_ms);
		if (n == -ETIMEDOUT && for_ever)
			continue;
		if (n < 0)
			return n == -ETIMEDOUT ? 0 : n;
		if (from.address != to->address || from.port != to->port)
			continue;
		wanted--;
		int error = write_all(1, buf, (uint32_t)n);
		if (error)
			return error;
	}
	return 0;
}

/* Send what is read, as it comes. Result: 0 at its end, or the error. */
static int send(int fd, const struct net_address *to)
{
	int n;
	while ((n = read(0, buf, sizeof(buf))) > 0) {
		n = net_send(fd, to, buf, (uint32_t)n);
		if (n < 0)
			break;
	}
	return n;
}

/* Wait for the first datagram, and print it. Result: 0, or the error. */
static int await_first(int fd, struct net_address *to)
{
	int n = net_receive(fd, to, buf, sizeof(buf), wait_ms);
	wanted--;
	return n < 0 ? n : write_all(1, buf, (uint32_t)n);
}

/* Read the options. Result: the port to listen at, or 0; *i: the first argument after them. */
static uint32_t options(int argc, char **argv, int *i)
{
	uint32_t listen = 0;
	bool udp = false;
	for (*i = 1; *i < argc && argv[*i][0] == '-'; ++*i) {
		char option = argv[*i][1];
		if (option == 'u') {
			udp = true;
			continue;
		}
		uint32_t number = *i + 1 < argc ? strtou(argv[++*i], NULL) : 0;
		if (option == 'l')
			listen = number;
		else if (option == 'n')
			wanted = number;
		else if (option == 'w')
			wait_ms = number * 1000, for_ever = false;
		if (!number || !strchr("lnw", option))
			usage(how, false);
	}
	if (!udp)
		usage(how, false);
	return listen;
}

int main(int argc, char **argv)
{
	struct net_address to = { 0 };
	int i, child = -1;
	if (help_wanted(argc, argv))
		usage(how, true);
	uint32_t listen = options(argc, argv, &i);
	if (i + (listen ? 0 : 2) != argc || (!listen && !ipv4_parse(argv[i], &to.address)))
		usage(how, false);
	to.port = listen ? 0 : strtou(argv[i + 1], NULL);
	int fd = net_open(NET_UDP, listen), error = fd < 0 ? fd : 0;
	if (!error && listen)
		error = await_first(fd, &to);
	if (!error) {
		child = fork();
		if (child == 0)
			exit(send(fd, &to) != 0);
		error = child < 0 ? child : receive(fd, &to);
	}
	if (child > 0 && error)
		kill(child);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (error)
		complain("network", error);
	return error != 0;
}

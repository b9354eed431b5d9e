/* SPDX-License-Identifier: MIT */
/*
 * tftp: get a file from another machine (RFC 1350, mode octet). Each block of 512 bytes is
 * acknowledged; what is not answered within a second is sent again.
 */
#include "user.h"
#include "lib/ipv4.h"

static const char how[] = "ADDRESS FILE [TO]\n  get FILE, and write it to TO, or to FILE here";

enum { READ_REQUEST = 1, DATA = 3, ACKNOWLEDGE = 4, ERROR = 5 };
enum { PORT = 69, BLOCK = 512, HEAD = 4, TRIES = 5, WAIT_MS = 1000 };

static uint8_t out[HEAD + 2 + NAME_MAX + 8], in[HEAD + BLOCK + 1];
static uint32_t out_bytes;

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/*
 * Send `out` until block number `block` comes. *server: its port is known after the first answer,
 * and others are not listened to. Result: bytes in `in`, or the error.
 */
static int next_block(int fd, struct net_address *server, uint32_t block)
{
	for (int tries = 0; tries < TRIES; tries++) {
		int n = net_send(fd, server, out, out_bytes);
		while (n >= 0) {
			struct net_address from;
			n = net_receive(fd, &from, in, sizeof(in), WAIT_MS);
			if (n < HEAD || from.address != server->address ||
			    (server->port != PORT && from.port != server->port))
				continue;
			if (get16(in) == ERROR)
				return -ENOENT;
			if (get16(in) != DATA || get16(in + 2) != (block & 0xFFFF))
				continue;
			*server = from;
			return n;
		}
		if (n != -ETIMEDOUT)
			return n;
	}
	return -ETIMEDOUT;
}

/* Get the file. Result: its bytes, or the error. */
static int get(int net, struct net_address *server, int file)
{
	int all = 0, n = HEAD + BLOCK, error = 0;
	for (uint32_t block = 1; n == HEAD + BLOCK && !error; block++) {
		n = next_block(net, server, block);
		if (n > HEAD + BLOCK)
			n = -EIO;
		if (n < 0)
			return n;
		error = write_all(file, in + HEAD, (uint32_t)n - HEAD);
		all += n - HEAD;
		put16(out, ACKNOWLEDGE);
		put16(out + 2, block);
		out_bytes = HEAD;
	}
	net_send(net, server, out, out_bytes); /* the last acknowledgement */
	return error ? error : all;
}

int main(int argc, char **argv)
{
	struct net_address server = { .port = PORT };
	if (help_wanted(argc, argv))
		usage(how, true);
	if (argc < 3 || argc > 4 || !ipv4_parse(argv[1], &server.address) ||
	    strlen(argv[2]) > NAME_MAX)
		usage(how, false);
	const char *to = argc == 4 ? argv[3] : last_part(argv[2]);
	put16(out, READ_REQUEST);
	out_bytes = 2 + (uint32_t)strlcpy((char *)out + 2, argv[2], NAME_MAX + 1) + 1;
	out_bytes += (uint32_t)strlcpy((char *)out + out_bytes, "octet", 6) + 1;
	int net = net_open(NET_UDP, 0);
	if (net < 0) {
		complain("network", net);
		return 1;
	}
	int file = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int n = file < 0 ? file : get(net, &server, file);
	if (n < 0) {
		complain(file < 0 ? to : argv[2], n);
		if (file >= 0)
			unlink(to);
		return 1;
	}
	printf("%s: %d bytes\n", to, n);
	return close(file) < 0;
}

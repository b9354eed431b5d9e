/* SPDX-License-Identifier: MIT */
/*
 * Guests' network: the Ethernet ring and the bridge in domain 0. The peer outside is the host that
 * the emulator plays, whose code is not ours; what passed is read from QEMU's record of frames.
 */
#include "rollback.h"

enum { FILE_BYTES = 3 * 512 }; /* its last block is full: an empty one follows */
static char text_of_file[FILE_BYTES + 1];

/* A folder for TFTP with a file of random letters. */
static const char *make_files(void)
{
	const char *folder = work_path("tftp");
	shell_must(20, "mkdir %s", folder);
	FILE *f = fopen(work_path("tftp/file"), "w");
	for (unsigned i = 0; i < FILE_BYTES; i++)
		text_of_file[i] = (char)('a' + rand() % 26);
	if (!f || fwrite(text_of_file, FILE_BYTES, 1, f) != 1 || fclose(f))
		give_up(BROKEN, "no file for TFTP");
	return folder;
}

/* Wait until the guest has ended; its last words must have each text. */
static void ends_with(struct machine *m, const char *name, const char *const *texts)
{
	const char *said = last_words(m, name);
	for (; *texts; texts++)
		CHECK(strstr(said, *texts), "%s did not say \"%s\"", name, *texts);
}
#define SAYS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* Echoes that domain 0 and two guests send each other, and those of a host outside; its file. */
static void talk(const struct test *t)
{
	struct machine_options o = t->machine;
	char words[400];
	unsigned tries = 0;
	o.net_files = make_files();
	struct machine *m = start_to_prompt(&o);
	command(m, "echo virtual >/proc/mode; dom create quiet net", 60);
	while (!strstr(output_of(m, "ping -c 2 10.0.2.16", 60), "2 of 2 answered"))
		CHECK(++tries < 5, "domain 0 gets no answer of the guest"); /* it starts */
	snprintf(words, sizeof(words), "dom create asks net vcpus=2 'cmdline=run=\"%s"
		 "ping -c 3 -s 1000 10.0.2.16; ping -c 4 -s 1472 10.0.2.15\"'",
		 o.bochs ? "" : "tftp 10.0.2.2 file /tmp/got; cat /tmp/got; ping -c 2 10.0.2.2; ");
	command(m, words, 60);
	/* Bochs's host talks to the card's own address only. */
	ends_with(m, "asks", SAYS("3 of 3 answered", "4 of 4 answered",
				  o.bochs ? "" : text_of_file, o.bochs ? "" : "2 of 2 answered"));
	command(m, "dom kill quiet", 60);
	end_native(m);
}

const struct test dom_net_tests[] = {
	{ .name = "dom-net", .run = talk, .seconds = 200, .machine = { .p2m = "shuffle:7" } },
	{ .name = "dom-net-4cpus", .run = talk, .seconds = 200, .machine = { .cpus = 4 } },
	{ .name = "dom-net-bochs", .run = talk, .seconds = 300,
	  .machine = { .bochs = true, .guests = true, .cmdline = "ip=10.0.2.15" } },
	{ 0 },
};

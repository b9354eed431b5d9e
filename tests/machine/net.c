/* SPDX-License-Identifier: MIT */
/*
 * The network: against hosts that the emulators play, whose code is not ours, and between two
 * machines; in both modes, and while the mode changes. What was sent is read from QEMU's record of
 * frames, files are compared on this host.
 */
#include "tests.h"

/* A folder for TFTP with a file of random bytes, whose last block is full: an empty one follows. */
enum { FILE_BYTES = 40 * 512 };
static const char *make_files(void)
{
	const char *folder = work_path("tftp");
	shell_must(20, "mkdir %s && head -c %u /dev/urandom >%s/file", folder, FILE_BYTES, folder);
	return folder;
}

/* Frames that a machine has sent and got, in QEMU's record. */
struct frames {
	unsigned arp_asked, arp_answered, echo_asked, echo_answered, file_blocks, wrong;
};

static unsigned word_at(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static bool sum_is_wrong(const uint8_t *at, unsigned bytes)
{
	uint32_t sum = 0;
	for (unsigned i = 0; i < bytes; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	return sum % 0xFFFF != 0;
}

static void count_frame(struct frames *n, const uint8_t *f, unsigned bytes)
{
	unsigned type = word_at(f + 12);
	if (type == 0x0806) {
		n->arp_asked += word_at(f + 20) == 1;
		n->arp_answered += word_at(f + 20) == 2;
	} else if (type == 0x0800) {
		unsigned payload = word_at(f + 16) - 20u;
		bool icmp = f[23] == 1, udp = f[23] == 17;
		n->wrong += sum_is_wrong(f + 14, 20) || payload + 34 > bytes ||
			    (icmp && sum_is_wrong(f + 34, payload));
		n->echo_asked += icmp && f[34] == 8;
		n->echo_answered += icmp && f[34] == 0;
		n->file_blocks += udp && word_at(f + 42) == 3;
	}
}

/* Read the record, which has libpcap's format: before each frame are 16 bytes, its size at 8. */
static struct frames read_frames(void)
{
	struct frames n = { 0 };
	uint8_t frame[2048];
	uint32_t head[6];
	FILE *file = fopen(work_path("frames"), "r");
	if (!file || fread(head, 24, 1, file) != 1 || head[0] != 0xA1B2C3D4)
		give_up(BROKEN, "QEMU wrote no record of frames");
	while (fread(head, 16, 1, file) == 1 && head[2] <= sizeof(frame) &&
	       fread(frame, head[2], 1, file) == 1)
		count_frame(&n, frame, head[2]);
	fclose(file);
	return n;
}

/* Files in the RAM disk, as run_command() has saved it: each must be the one that the host gave. */
static void compare(const char *const *names)
{
	char text[400];
	for (; *names; names++) {
		const char *got = work_path(*names);
		int status = shell(text, sizeof(text), 30, "PATH=$PATH:/usr/sbin:/sbin; "
				   "debugfs -R 'dump %s %s' %s 2>&1; cmp %s %s/file", *names, got,
				   work_path("ramdisk.ext2"), got, work_path("tftp"));
		CHECK(status == 0, "/%s is not the host's file: %s", *names, text);
	}
}

/*
 * Echoes and files of a host that the emulator plays. text: its address; number: bytes of a long
 * echo.
 */
static void emulators_host(const struct test *t)
{
	static const char *const names[] = { "native", "virtual", "switched", NULL };
	struct machine_options o = t->machine;
	char words[500];
	snprintf(words, sizeof(words),
		 "ping -c 2 %s && tftp %s file native && echo virtual > /proc/mode && "
		 "ping -c 2 -s %u %s && tftp %s file virtual && "
		 "switcher 8 2 tftp %s file switched && cat /proc/net && "
		 "usertests pointers_everywhere",
		 t->text, t->text, t->number, t->text, t->text, t->text);
	o.net_files = make_files();
	struct machine *m = run_command(&o, words, EXIT_OK, t->seconds);
	compare(names);
	const char *switched = strstr(m->log, "\nswitched ");
	CHECK(switched && atoi(switched + strlen("\nswitched ")) >= 16, "the mode did not change");
	if (o.bochs)
		return;
	struct frames n = read_frames();
	CHECK(n.arp_asked && n.arp_answered, "nobody asked by ARP, or nobody answered");
	CHECK(n.echo_asked == 4 && n.echo_answered == 4 && !n.wrong,
	      "of %u echoes %u were answered; %u packets are wrong", n.echo_asked,
	      n.echo_answered, n.wrong);
	CHECK(n.file_blocks >= 3 * (FILE_BYTES / 512 + 1), "only %u blocks came", n.file_blocks);
}

/* Echoes and datagrams between two machines; the one that asks changes its mode meanwhile. */
static void two_machines(const struct test *t)
{
	unsigned port = 20000 + (unsigned)getpid() % 20000 * 2;
	struct machine_options a = { .free_running = true, .cmdline = "ip=10.0.2.15" };
	struct machine_options b = t->machine;
	a.net_port = port + 1, b.net_port = port;
	b.cmdline = "ip=10.0.2.16";
	struct machine *asks = start_to_prompt(&a), *answers = start_to_prompt(&b);
	command(answers, "nc -u -n 1 -l 7000 < /etc/motd > got &", 20);
	/* An answer may be late on a busy host, which is no loss: both machines run freely. */
	command(asks, "ping -c 3 -W 60 10.0.2.16", 60);
	CHECK(strstr(asks->log, "3 of 3 answered"), "the other machine does not answer all");
	command(asks, "switcher 20 0 ping -c 20 -s 1000 -W 60 10.0.2.16", 60);
	CHECK(strstr(asks->log, "20 of 20 answered"), "echoes were lost while the mode changed");
	command(asks, "echo words for it | nc -u -n 1 10.0.2.16 7000 > got; cat got /etc/motd", 20);
	const char *got = strstr(asks->log, "cat got /etc/motd");
	CHECK(got, "no answer");
	command(asks, "sync", 20);
	command(answers, "cat got", 20);
	CHECK(strstr(answers->log, "\nwords for it\n"), "the datagram did not come");
	end_at_prompt(asks);
	end_at_prompt(answers);
}

#define FREE .free_running = true
const struct test net_tests[] = {
	{ .name = "net-host", .run = emulators_host, .seconds = 120, .text = "10.0.2.2",
	  .number = 1472, .machine = { .p2m = "shuffle:3" } },
	{ .name = "net-host-smp2", .run = emulators_host, .seconds = 120, .text = "10.0.2.2",
	  .number = 1472, .machine = { .cpus = 2, FREE } },
	/* Bochs's host answers short ones only. */
	{ .name = "net-host-bochs", .run = emulators_host, .seconds = 300, .text = "192.168.10.1",
	  .number = 80, .machine = { .bochs = true, .cmdline = "ip=192.168.10.15" } },
	{ .name = "net-two", .run = two_machines, .seconds = 120, .machine = { FREE } },
	{ .name = "net-two-bochs", .run = two_machines, .seconds = 200,
	  .machine = { .bochs = true } },
	{ 0 },
};

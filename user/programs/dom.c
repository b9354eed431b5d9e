/* SPDX-License-Identifier: MIT */
/* dom: make guests, see how they do, and end them: commands to /proc/domains, and a console. */
#include "user.h"

static const char how[] =
	"COMMAND\n"
	"  create NAME [mem=8M] [vcpus=1] [weight=256] [disk=FILE[:ro]] [net] [cmdline=WORDS]\n"
	"                 make a guest and let it run; without a disk its root is in its memory;\n"
	"                 net: it has a network card\n"
	"  list           all guests, and how those ended that are no more\n"
	"  top [TIMES]    each second, who has used the processors; Ctrl-C ends it\n"
	"  console NAME   a guest's screen and keyboard; Ctrl-] leaves it\n"
	"  pause NAME, resume NAME, weight NAME N\n"
	"  kill NAME      end a guest; forget one that has ended\n"
	"  for example: dom create web mem=16M && dom console web";

enum { NUMBER, NAME, STATE, KIB, VCPUS, WEIGHT, RAN, STOLEN, SWITCHES, EXITS, STATUS,
       REASON, FIELDS };
enum { GUESTS = 128, LINE = 256, SECOND = 1000, LEAVE = ']' & 0x1F };
enum { WEIGHT_MOST = 65535 };
static const char file[] = "/proc/domains";

static struct guest {
	char line[LINE], *field[FIELDS];
} guests[GUESTS];
static unsigned nr_guests;
static char reason[LINE]; /* why the builder failed */

static void cut(struct guest *g)
{
	char *s = g->line;
	for (unsigned i = 0; i < FIELDS; i++) {
		g->field[i] = s;
		char *blank = i < REASON ? strchr(s, ' ') : NULL;
		s = blank ? blank + 1 : s + strlen(s);
		if (blank)
			*blank = '\0';
	}
}

/* Read the file. */
static void look(void)
{
	static struct reader reader;
	char line[LINE];
	const char *rest;
	int got = open(file, O_RDONLY);
	reader = (struct reader){ .fd = got };
	nr_guests = 0;
	while (got >= 0 && (got = read_line(&reader, line, LINE)) > 0) {
		if (line[0] == '!') {
			if ((int)strtou(line + 2, &rest) == getpid())
				strlcpy(reason, rest + 1, LINE);
		} else if (nr_guests < GUESTS) {
			struct guest *g = &guests[nr_guests++];
			strlcpy(g->line, line, LINE);
			cut(g);
		}
	}
	if (got < 0) {
		complain(file, got);
		exit(1);
	}
	close(reader.fd);
}

/* --- orders: each is one write; what goes wrong is told in one sentence --- */

static struct guest_command order;

static int fail(const char *format, const char *word)
{
	dprintf(2, "dom: ");
	dprintf(2, format, word, word);
	dprintf(2, "\n");
	return 1;
}

static bool good_name(const char *name)
{
	const char *s = name;
	if (*s == '-')
		return false;
	while ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-')
		s++;
	return !*s && s != name;
}

static const char bad_disk[] = "disk %s cannot be used; it must be an ext2 image, as a copy of "
			       "/boot/guest.ext2 is";

static int tell_why(int error)
{
	bool create = order.what == GUEST_CREATE;
	look();
	switch (create && reason[0] && error != -ENODEV ? 0 : error) {
	case 0: return error == -ENOMEM
			? fail("the guest cannot be built: %s; try another mem= (`free` tells what "
			       "is left)", reason)
			: fail("the guest cannot be built: %s", reason);
	case -ENODEV: return fail("guests need virtual mode; `echo virtual >/proc/mode` first", "");
	case -EEXIST: return fail("there is a guest %s; take another name, or `dom kill %s`",
				  order.name);
	case -ESRCH: return fail("there is no guest %s; `dom list` shows all", order.name);
	case -ECHILD: return fail("%s has ended; `dom kill %s` forgets it", order.name);
	case -EBUSY: return fail("disk %s is another guest's; copy the file, and give the copy",
				 order.disk);
	case -ENOMEM: return fail("there is too little memory for %s; end another guest first",
				  order.name);
	case -ENOENT: return fail("disk %s cannot be used: there is no such file", order.disk);
	default: return create && order.disk[0] ? fail(bad_disk, order.disk)
						: fail("the kernel refuses: %s", strerror(error));
	}
}

static int give_order(void)
{
	int fd = open(file, O_WRONLY);
	int error = fd < 0 ? fd : write(fd, &order, sizeof(order));
	return error < 0 ? tell_why(error) : 0;
}

/* The number in a word NAME=NUMBER; KiB: M and K may follow. 0: it is none. */
static uint32_t number(const char *word, bool kib)
{
	const char *end, *value = strchr(word, '=') + 1;
	uint32_t n = strtou(value, &end);
	if (kib && n < 1 << 20 && (*end == 'M' || *end == 'K'))
		n *= *end++ == 'M' ? 1024 : 1;
	return *end || end == value ? 0 : n;
}

/* One option of create. Result: 0, or the exit status. */
static int option(char *word)
{
	static const struct { const char *name; uint32_t *value; } numbers[] = {
		{ "mem=", &order.mem_kib }, { "vcpus=", &order.vcpus },
		{ "weight=", &order.weight },
	};
	if (strncmp(word, "cmdline=", 8) == 0) {
		if (strlcpy(order.cmdline, word + 8, sizeof(order.cmdline)) >=
		    sizeof(order.cmdline))
			return fail("the command line is too long: it has at most 255 bytes", "");
		return 0;
	}
	if (strncmp(word, "disk=", 5) == 0) {
		char *end = word + strlen(word);
		order.read_only = end - word > 8 && strcmp(end - 3, ":ro") == 0;
		if (order.read_only)
			end[-3] = '\0';
		if (strlcpy(order.disk, word + 5, sizeof(order.disk)) >= sizeof(order.disk) ||
		    !order.disk[0])
			return fail("%s names no file; write it as in disk=FILE or disk=FILE:ro",
				    word);
		return 0;
	}
	if (strcmp(word, "net") == 0)
		return order.net = 1, 0;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strncmp(word, numbers[i].name, strlen(numbers[i].name)) != 0)
			continue;
		*numbers[i].value = number(word, i == 0);
		return *numbers[i].value ? 0
		       : fail("%s needs a number from 1 on, as in mem=8M vcpus=1 weight=256; "
			      "only mem= takes a letter, M or K", word);
	}
	return fail("%s is no option; `dom --help` lists them", word);
}

static int wrong_weight(void)
{
	return order.weight - 1 < WEIGHT_MOST ? 0
	       : fail("the weight of %s must be 1 to 65535; 256 is usual", order.name);
}

/* Whether a file has an ext2 image's mark. If it cannot be read the kernel will say why. */
static bool may_be_image(const char *path)
{
	enum { MARK_AT = 1024 + 56, MARK = 0xEF53 };
	static uint16_t words[MARK_AT / 2 + 1];
	int fd = open(path, O_RDONLY);
	int got = fd < 0 ? fd : read(fd, words, sizeof(words));
	close(fd);
	return got < 0 || words[MARK_AT / 2] == MARK;
}

static int create(int argc, char **argv)
{
	order.mem_kib = 8192;
	order.vcpus = 1;
	order.weight = 256;
	for (int i = 3; i < argc; i++) {
		int status = option(argv[i]);
		if (status)
			return status;
	}
	if (!good_name(order.name))
		return fail("a name has a-z, 0-9 and '-' only, and '-' not first; `%s` is none",
			    order.name);
	if (order.disk[0] && !may_be_image(order.disk))
		return fail(bad_disk, order.disk);
	return wrong_weight() ? 1 : give_order();
}

/* The words are wrong: say which, and how it goes. */
static void misused(const char *word) __attribute__((noreturn));
static void misused(const char *word)
{
	fail("%s is no command, or its words are too few or too many", word);
	usage(how, false);
}

/* The other orders. */
static int simple(int argc, char **argv)
{
	static const char *const words[] = {
		[GUEST_KILL] = "kill", [GUEST_PAUSE] = "pause", [GUEST_RESUME] = "resume",
		[GUEST_WEIGHT] = "weight",
	};
	for (unsigned i = GUEST_KILL; i < ARRAY_SIZE(words); i++)
		if (strcmp(argv[1], words[i]) == 0 && argc == 3 + (i == GUEST_WEIGHT)) {
			const char *end = "";
			order.what = i;
			order.weight = i == GUEST_WEIGHT ? strtou(argv[3], &end) : 256;
			if (*end)
				order.weight = 0; /* no number */
			return wrong_weight() ? 1 : give_order();
		}
	misused(argv[1]);
}

static const char *state_of(const struct guest *g)
{
	return strcmp(g->field[STATE], "killed") == 0 ? "ended" : g->field[STATE];
}

/* How it ended, in words; "-": it lives. */
static const char *end_of(const struct guest *g)
{
	static char text[LINE];
	bool panicked = strcmp(g->field[STATUS], "-1") == 0;
	if (strcmp(g->field[STATE], "killed") == 0)
		return "killed";
	if (strcmp(g->field[STATE], "ended") != 0)
		return "-";
	snprintf(text, LINE, "%s%s", g->field[REASON][0] ? "stopped: " : panicked ? "" : "status ",
		 g->field[REASON][0] ? g->field[REASON] :
		 panicked ? "panicked: its last words tell why" : g->field[STATUS]);
	return text;
}

static int list(void)
{
	look();
	printf("%-15s %-7s %7s %5s %6s %8s %8s %s\n", "NAME", "STATE", "KIB", "VCPUS", "WEIGHT",
	       "RAN ms", "STOLEN", "END");
	for (struct guest *g = guests; g < guests + nr_guests; g++)
		printf("%-15s %-7s %7s %5s %6s %8s %8s %s\n", g->field[NAME], state_of(g),
		       g->field[KIB], g->field[VCPUS], g->field[WEIGHT], g->field[RAN],
		       g->field[STOLEN], end_of(g));
	return 0;
}

/* Tenths of a percent of the last second. */
static void print_share(uint32_t now, uint32_t before, uint32_t passed)
{
	uint32_t share = passed && now > before ? (now - before) * 1000 / passed : 0;
	printf(" %4u.%u%%", share / 10, share % 10);
}

static int top(uint32_t times)
{
	static struct { char name[LINE]; uint32_t ran, stolen; } last[GUESTS];
	uint32_t then = 0;
	for (uint32_t i = 0; i < times; i++) {
		uint32_t now = (uint32_t)div_u64(now_ns(), 1000000);
		look();
		printf("\033[H\033[J%-15s %-7s %6s %6s   switches exits\n", "NAME", "STATE", "RAN",
		       "STOLEN");
		for (unsigned k = 0; k < nr_guests; k++) {
			const struct guest *g = &guests[k];
			uint32_t ran = strtou(g->field[RAN], NULL);
			uint32_t stolen = strtou(g->field[STOLEN], NULL);
			bool same = strcmp(last[k].name, g->field[NAME]) == 0;
			printf("%-15s %-7s", g->field[NAME], state_of(g));
			print_share(ran, same ? last[k].ran : ran, now - then);
			print_share(stolen, same ? last[k].stolen : stolen, now - then);
			printf("   %8s %5s\n", g->field[SWITCHES], g->field[EXITS]);
			strlcpy(last[k].name, g->field[NAME], LINE);
			last[k].ran = ran, last[k].stolen = stolen;
		}
		then = now;
		sleep(SECOND);
	}
	return 0;
}

/* --- console: one process shows, one types --- */

static struct guest_console guest;

static void show(void)
{
	int n;
	guest.bytes = sizeof(guest.text);
	while ((n = domain_console(&guest, false)) > 0)
		write_all(1, guest.text, (uint32_t)n);
	exit(0);
}

/* Exit status: 0: the user leaves; 1: there is nothing more to type. */
static void type(void)
{
	char buf[64];
	int n;
	guest.bytes = 1;
	while ((n = read(0, buf, sizeof(buf))) > 0)
		for (int at = 0, took; at < n; at += took) {
			if (buf[at] == LEAVE)
				exit(0);
			guest.text[0] = buf[at];
			took = domain_console(&guest, true);
			if (took < 0)
				exit(1);
			if (!took)
				sleep(10); /* its keyboard's buffer is full */
		}
	exit(1);
}

static int console(const char *name)
{
	int status, child[2], ended;
	strlcpy(guest.name, name, sizeof(guest.name));
	if (domain_console(&guest, false) < 0) {
		dprintf(2, "dom: there is no guest %s; `dom list` shows all\n", name);
		return 1;
	}
	look();
	const struct guest *g = guests, *after = guests + nr_guests;
	while (g < after && strcmp(g->field[NAME], name) != 0)
		g++;
	const char *state = g < after ? state_of(g) : "";
	if (strcmp(state, "ended") == 0)
		printf("%s has ended; its last words:\n", name);
	else
		printf("the console of %s; Ctrl-] leaves it\n", name);
	if (strcmp(state, "paused") == 0)
		printf("it is paused: `dom resume %s` lets it answer\n", name);
	tty_raw(1);
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		if (child[i] == 0 && i == 0)
			show();
		if (child[i] == 0)
			type();
	}
	do
		ended = waitpid(-1, &status, 0);
	while (ended == child[1] && status != WSTATUS_EXIT(0));
	for (int i = 0; i < 2; i++)
		if (child[i] > 0 && child[i] != ended && kill(child[i]) == 0)
			waitpid(child[i], &status, 0);
	tty_raw(0);
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *end = "";
	if (argc < 2 || help_wanted(argc, argv))
		usage(how, argc > 1);
	if (strcmp(argv[argc - 1], "--help") == 0)
		usage(how, true);
	if (strcmp(argv[1], "list") == 0 && argc == 2)
		return list();
	if (strcmp(argv[1], "top") == 0 && argc <= 3) {
		uint32_t times = argc == 3 ? strtou(argv[2], &end) : UINT32_MAX;
		if (*end || !times)
			misused(argv[1]);
		return top(times);
	}
	if (argc < 3)
		misused(argv[1]);
	if (strcmp(argv[1], "console") == 0 && argc == 3)
		return console(argv[2]);
	if (strlcpy(order.name, argv[2], sizeof(order.name)) >= sizeof(order.name))
		return fail("the name %s is too long; 15 characters are allowed", argv[2]);
	return strcmp(argv[1], "create") == 0 ? create(argc, argv) : simple(argc, argv);
}

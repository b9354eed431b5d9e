/* SPDX-License-Identifier: MIT */
/*
 * Guests by name. A guest that has ended gives its memory back at once: a task waits for ends. What
 * stays until it is forgotten is a record: how it ended, and its last words.
 */
#include "domain/control.h"
#include "domain/domain.h"
#include "domain/ports.h"
#include "fs/vnode.h"
#include "mm/vm.h"
#include "proc/task.h"
#include "split/split.h"

enum { NAME_BYTES = 16, COMMAND_BYTES = 1024, END_BYTES = 80 };

struct record {
	struct record *next;
	char name[NAME_BYTES], end[END_BYTES];
	int number; /* of the guest; 0: it has ended */
	uint32_t console_port;
	struct block_back *disk;
	volatile bool news;      /* its console's port was notified: output, or the end */
	struct domain_info info; /* the last one */
	char *words;             /* its last output, from position words_at on; NULL: lost */
	uint32_t words_at, words_bytes;
};

static struct mutex mutex; /* guards the records, and what follows */
static struct record *records;
static struct { int pid; char text[160]; } failure; /* the last command that failed */

static struct spinlock lock;  /* guards `events` */
static uint32_t events;       /* notifications of all consoles so far */
static struct wait_queue waiters;

/* --- with the mutex held --- */

/* Keep the reason of a failure. Result: error. */
static int fail(int error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(int error, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(failure.text, sizeof(failure.text), fmt, ap);
	va_end(ap);
	failure.pid = current()->pid;
	return error;
}

static struct record *find(const char *name)
{
	struct record *r = records;
	while (r && strcmp(r->name, name) != 0)
		r = r->next;
	return r;
}

static void forget(struct record *r)
{
	struct record **at = &records;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	kfree(r->words);
	kfree(r);
}

/* Read the guest's output from *position on. Result: bytes, 0 if there is none. */
static uint32_t output(const struct record *r, uint32_t *position, char *to, uint32_t bytes)
{
	if (r->number) {
		int n = domain_output(r->number, position, to, bytes);
		return n > 0 ? (uint32_t)n : 0;
	}
	uint32_t end = r->words_at + r->words_bytes;
	if (end - *position > r->words_bytes)
		*position = r->words_at; /* what is older is gone */
	uint32_t n = MIN(bytes, end - *position);
	memcpy(to, r->words + (*position - r->words_at), n);
	*position += n;
	return n;
}

static void keep_words(struct record *r)
{
	uint32_t at = 0, n;
	r->words = kmalloc(CONSOLE_BYTES);
	while (r->words && r->words_bytes < CONSOLE_BYTES &&
	       (n = output(r, &at, r->words + r->words_bytes, CONSOLE_BYTES - r->words_bytes)))
		r->words_bytes += n;
	r->words_at = at - r->words_bytes;
}

/* The guest has ended, or must: keep what is worth it, and take its memory back. */
static void end(struct record *r, bool killed)
{
	domain_info(r->number, &r->info);
	if (killed)
		strlcpy(r->end, "killed", END_BYTES);
	else if (r->info.reason[0])
		snprintf(r->end, END_BYTES, "stopped: %s", r->info.reason);
	else if (r->info.status == PANIC_STATUS)
		strlcpy(r->end, "panicked: its last words tell why", END_BYTES);
	else
		snprintf(r->end, END_BYTES, "status %u", r->info.status - OK_STATUS);
	keep_words(r);
	if (r->console_port)
		port_unbind(r->console_port);
	int error = domain_destroy(r->number);
	if (error)
		panic("guest %s cannot be ended (error %d)", r->name, error);
	r->number = 0;
	block_back_destroy(r->disk);
	r->disk = NULL;
}

/* --- events of consoles; the task that waits for ends --- */

static void tell(void)
{
	uint32_t flags = spin_lock_irq(&lock);
	events++;
	wake_all(&waiters);
	spin_unlock_irq(&lock, flags);
}

static void console_event(void *data)
{
	((struct record *)data)->news = true;
	tell();
}

/* Wait until there are more events than `seen`. Result: 0, -EINTR. */
static int wait_events(uint32_t seen)
{
	int error = 0;
	uint32_t flags = spin_lock_irq(&lock);
	while (events == seen && !error)
		error = wait_on(&waiters, &lock);
	spin_unlock_irq(&lock, flags);
	return error;
}

static void ends_main(void)
{
	for (uint32_t seen = 0;; wait_events(seen)) {
		seen = events;
		bool ended = false;
		mutex_lock(&mutex);
		for (struct record *r = records; r; r = r->next) {
			if (!r->number || !r->news)
				continue;
			r->news = false;
			domain_info(r->number, &r->info);
			if (r->info.state == DOMAIN_DEAD)
				end(r, false), ended = true;
		}
		mutex_unlock(&mutex);
		if (ended)
			tell(); /* readers of its console */
	}
}

/* --- create --- */

/*
 * The number that a word gives after its '='; unit: what 'K' and 'M' count in KiB is allowed.
 * Result: 0 if it is none.
 */
static uint32_t number(const char *word, bool unit)
{
	const char *end, *value = strchr(word, '=') + 1;
	uint32_t n = strtou(value, &end);
	if (unit && n < 1 << 20 && (*end == 'M' || *end == 'K'))
		n *= *end++ == 'M' ? 1024 : 1;
	return *end || end == value ? 0 : n;
}

static bool starts(const char *word, const char *with)
{
	return strncmp(word, with, strlen(with)) == 0;
}

/* One word of the command. Result: 0, or what fail() gives. */
static int option(struct domain_wish *w, char **disk, char *word)
{
	uint32_t *value = starts(word, "mem=") ? &w->mem_kib : starts(word, "vcpus=") ? &w->vcpus
			: starts(word, "weight=") ? &w->weight : NULL;
	if (starts(word, "cmdline=")) {
		w->cmdline = word + sizeof("cmdline=") - 1;
	} else if (starts(word, "disk=")) {
		*disk = word + sizeof("disk=") - 1;
		char *colon = strchr(*disk, ':');
		w->disk_read_only = colon && strcmp(colon, ":ro") == 0;
		if (w->disk_read_only)
			*colon = '\0';
	} else if (!value) {
		return fail(-EINVAL, "%s is no option; `dom --help` lists them", word);
	} else if (!(*value = number(word, value == &w->mem_kib))) {
		return fail(-EINVAL, "%s needs a number, as in mem=8M vcpus=1 weight=256", word);
	}
	return 0;
}

static bool good_name(const char *name)
{
	size_t n = strlen(name);
	for (const char *s = name; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '-')
			return false;
	return n > 0 && n < NAME_BYTES;
}

/* Prepare the disk, if one is wished for. Result: 0, or what fail() gives. */
static int open_disk(struct domain_wish *w, const char *path, struct block_back **disk)
{
	struct vnode *file;
	if (!path)
		return 0;
	int error = vfs_lookup(path, &file);
	if (error)
		return fail(error, "disk %s cannot be opened; make it first, or correct its name",
			    path);
	error = block_back_create(file, w->disk_read_only, disk, w->disk.pfns, &w->disk_sectors);
	if (error == -EBUSY)
		return fail(error, "disk %s is another guest's; give it to all with :ro, or copy it",
			    path);
	if (error)
		return fail(error, "disk %s is no file that can be a disk; give an ext2 image",
			    path);
	w->disk.n = 1 + BLOCK_BUFFERS;
	return 0;
}

/* Put a new guest into the records, and let it run. */
static void begin(struct record *r, const struct domain_born *born)
{
	static struct task *ends;
	r->console_port = born->console_port;
	r->next = records;
	records = r;
	if (!ends && (ends = task_create("domains", ends_main)))
		sched_ready(ends);
	if (r->disk)
		block_back_connect(r->disk, born->disk_port);
	port_bind(r->console_port, console_event, r);
	domain_run(r->number, true);
}

static int create(const char *name, char **words, unsigned n)
{
	struct domain_wish w = { .mem_kib = 8192, .vcpus = 1, .weight = 256, .cmdline = "",
				 .root = "/boot/guest.ext2" };
	struct domain_born born;
	struct record *old = find(name), *r;
	char *path = NULL;
	const char *why = "";
	int error = 0;
	if (!good_name(name))
		return fail(-EINVAL, "a name has 1 to 15 of a-z, 0-9 and '-'; choose another one");
	if (old && old->number)
		return fail(-EEXIST, "there is a guest %s; choose another name, or `dom kill %s`",
			    name, name);
	for (unsigned i = 0; i < n && !error; i++)
		error = option(&w, &path, words[i]);
	if (error)
		return error;
	r = kzalloc(sizeof(*r));
	if (!r)
		return fail(-ENOMEM, "there is no memory; end another guest or program first");
	strlcpy(r->name, name, NAME_BYTES);
	strlcpy(r->end, "-", END_BYTES);
	error = open_disk(&w, path, &r->disk);
	if (!error) {
		w.root = path ? NULL : w.root;
		r->number = domain_create(&w, &born, &why);
		if (r->number == -ENODEV)
			error = fail(-ENODEV, "guests need virtual mode; `echo virtual >/proc/mode`"
				     " first");
		else if (r->number < 0)
			error = fail(r->number, "%s is not there: %s", name, why);
	}
	if (error) {
		block_back_destroy(r->disk);
		kfree(r);
		return error;
	}
	if (old)
		forget(old);
	begin(r, &born);
	return 0;
}

/* --- commands --- */

/* Cut a command into words; "quotes" keep blanks in one. Result: how many, at most max. */
static unsigned cut(char *s, char **words, unsigned max)
{
	unsigned n = 0;
	for (;;) {
		while (*s == ' ' || *s == '\n')
			s++;
		if (!*s || n == max)
			return n;
		char *to = words[n++] = s;
		bool quoted = false;
		for (; *s && (quoted || (*s != ' ' && *s != '\n')); s++)
			if (*s == '"')
				quoted = !quoted;
			else
				*to++ = *s;
		s += *s != '\0';
		*to = '\0';
	}
}

static int command(char *text)
{
	char *words[12];
	unsigned n = cut(text, words, ARRAY_SIZE(words));
	if (n < 2)
		return fail(-EINVAL, "a command has at least two words; `dom --help` lists them");
	const char *what = words[0], *name = words[1];
	if (strcmp(what, "create") == 0)
		return create(name, words + 2, n - 2);
	struct record *r = find(name);
	if (!r)
		return fail(-ESRCH, "there is no guest %s; `dom list` shows all", name);
	if (strcmp(what, "kill") == 0) {
		if (r->number)
			end(r, true);
		else
			forget(r);
		return 0;
	}
	if (!r->number)
		return fail(-ESRCH, "%s has ended; `dom kill %s` forgets it", name, name);
	if (strcmp(what, "pause") == 0 || strcmp(what, "resume") == 0)
		return domain_run(r->number, what[0] == 'r');
	uint32_t weight = n > 2 ? strtou(words[2], NULL) : 0;
	if (strcmp(what, "weight") != 0)
		return fail(-EINVAL, "%s is no command; `dom --help` lists them", what);
	return domain_weight(r->number, weight, 0)
	       ? fail(-EINVAL, "a weight is a number from 1 to 65535; 256 is usual") : 0;
}

int domains_write(const void *buf, uint32_t bytes, bool user)
{
	char *text = bytes < COMMAND_BYTES ? kmalloc(COMMAND_BYTES) : NULL;
	int error = text ? 0 : bytes < COMMAND_BYTES ? -ENOMEM : -EINVAL;
	if (!error && user)
		error = copy_from_user(text, buf, bytes);
	else if (!error)
		memcpy(text, buf, bytes);
	if (!error) {
		text[bytes] = '\0';
		mutex_lock(&mutex);
		error = command(text);
		mutex_unlock(&mutex);
		tell();
	}
	kfree(text);
	return error ? error : (int)bytes;
}

/* --- showing --- */

static uint32_t ms(uint64_t ns)
{
	div64(&ns, 1000000);
	return (uint32_t)ns;
}

int domains_show(char *buf, size_t size)
{
	size_t n = 0;
	mutex_lock(&mutex);
	for (struct record *r = records; r; r = r->next) {
		if (r->number)
			domain_info(r->number, &r->info);
		const struct domain_info *i = &r->info;
		n = appendf(buf, size, n, "%d %s %s %u %u %u %u %u %u %u %s\n", r->number, r->name,
			    !r->number ? "ended" : i->state == DOMAIN_PAUSED ? "paused" : "runs",
			    r->number ? i->frames * (PAGE_SIZE / 1024) : 0, i->vcpus, i->weight,
			    ms(i->ran), ms(i->stolen), i->switches, i->exits, r->end);
	}
	if (failure.pid)
		n = appendf(buf, size, n, "! %d %s\n", failure.pid, failure.text);
	mutex_unlock(&mutex);
	return (int)n;
}

/* --- consoles --- */

int sys_domain_read(uint32_t name, uint32_t position, uint32_t buf, uint32_t bytes)
{
	char key[NAME_BYTES], text[256];
	uint32_t at, n = 0, seen;
	int error = copy_string_from_user(key, (const char *)name, NAME_BYTES);
	if (error >= 0)
		error = copy_from_user(&at, (const void *)position, sizeof(at));
	while (error >= 0 && !n) {
		seen = events;
		mutex_lock(&mutex);
		const struct record *r = find(key);
		if (r)
			n = output(r, &at, text, MIN(bytes, (uint32_t)sizeof(text)));
		bool more = r && r->number && bytes && !n;
		mutex_unlock(&mutex);
		if (!r)
			return -ESRCH;
		if (!more)
			break;
		error = wait_events(seen);
	}
	if (error >= 0)
		error = copy_to_user((void *)buf, text, n);
	if (error >= 0)
		error = copy_to_user((void *)position, &at, sizeof(at));
	return error < 0 ? error : (int)n;
}

int sys_domain_write(uint32_t name, uint32_t buf, uint32_t bytes)
{
	char key[NAME_BYTES], text[64];
	uint32_t some = MIN(bytes, (uint32_t)sizeof(text));
	int error = copy_string_from_user(key, (const char *)name, NAME_BYTES);
	if (error >= 0)
		error = copy_from_user(text, (const void *)buf, some);
	if (error < 0)
		return error;
	mutex_lock(&mutex);
	const struct record *r = find(key);
	error = r && r->number ? domain_input(r->number, text, some) : -ESRCH;
	mutex_unlock(&mutex);
	return error;
}

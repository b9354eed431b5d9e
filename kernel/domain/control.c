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

enum { END_BYTES = 80 };

struct record {
	struct record *next;
	char name[GUEST_NAME_BYTES], end[END_BYTES];
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
static struct { int pid; const char *why; } failure; /* the last guest that was not built */

static struct spinlock lock;  /* guards `events` */
static uint32_t events;       /* notifications of all consoles so far */
static struct wait_queue waiters;

static void tell(void)
{
	uint32_t flags = spin_lock_irq(&lock);
	events++;
	wake_all(&waiters);
	spin_unlock_irq(&lock, flags);
}

/* --- with the mutex held --- */

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
	port_unbind(r->console_port);
	domain_destroy(r->number);
	r->number = 0;
	block_back_destroy(r->disk);
	r->disk = NULL;
	tell(); /* who reads its console */
}

/* --- events of consoles; the task that waits for ends --- */

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
		mutex_lock(&mutex);
		for (struct record *r = records; r; r = r->next) {
			if (!r->number || !r->news)
				continue;
			r->news = false;
			domain_info(r->number, &r->info);
			if (r->info.state >= DOMAIN_DYING)
				end(r, false);
		}
		mutex_unlock(&mutex);
	}
}

/* --- create --- */

static bool good_name(const char *name)
{
	const char *s = name;
	while ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-')
		s++;
	return !*s && s != name;
}

/* Build the guest of a new record. Result: 0, or an error. */
static int build(struct record *r, const struct guest_command *c, struct domain_born *born)
{
	struct domain_wish w = { .mem_kib = c->mem_kib, .vcpus = c->vcpus, .weight = c->weight,
				 .cmdline = c->cmdline, .disk_read_only = c->read_only };
	struct vnode *file;
	int error = 0;
	if (!c->disk[0]) {
		w.root = "/boot/guest.ext2";
	} else if (!(error = vfs_lookup(c->disk, &file))) {
		error = block_back_create(file, c->read_only, &r->disk, w.disk.pfns,
					  &w.disk_sectors);
		w.disk.n = 1 + BLOCK_BUFFERS;
	}
	if (error)
		return error;
	r->number = domain_create(&w, born, &failure.why);
	if (r->number < 0)
		failure.pid = current()->pid;
	return MIN(r->number, 0);
}

static int create(const struct guest_command *c)
{
	static struct task *ends;
	struct domain_born born;
	struct record *old = find(c->name), *r;
	if (!good_name(c->name))
		return -EINVAL;
	if (old && old->number)
		return -EEXIST;
	if (!ends && (ends = task_create("domains", ends_main)))
		sched_ready(ends);
	r = ends ? kzalloc(sizeof(*r)) : NULL;
	int error = r ? build(r, c, &born) : -ENOMEM;
	if (error) {
		if (r)
			block_back_destroy(r->disk);
		kfree(r);
		return error;
	}
	if (old)
		forget(old);
	strlcpy(r->name, c->name, GUEST_NAME_BYTES);
	strlcpy(r->end, "-", END_BYTES);
	r->console_port = born.console_port;
	r->next = records;
	records = r;
	if (r->disk)
		block_back_connect(r->disk, born.disk_port);
	port_bind(r->console_port, console_event, r);
	return domain_run(r->number, true);
}

/* --- commands --- */

static int command(const struct guest_command *c)
{
	struct record *r = find(c->name);
	failure.pid = 0;
	if (c->what == GUEST_CREATE)
		return create(c);
	if (!r)
		return -ESRCH;
	if (c->what == GUEST_KILL && !r->number)
		return forget(r), 0;
	if (!r->number)
		return -ECHILD;
	switch (c->what) {
	case GUEST_KILL: return end(r, true), 0;
	case GUEST_PAUSE:
	case GUEST_RESUME: return domain_run(r->number, c->what == GUEST_RESUME);
	case GUEST_WEIGHT: return domain_weight(r->number, c->weight);
	default: return -EINVAL;
	}
}

int domains_write(const void *buf, uint32_t bytes, bool user)
{
	struct guest_command *c = kmalloc(sizeof(*c));
	int error = !c ? -ENOMEM : bytes != sizeof(*c) || !user ? -EINVAL
		    : copy_from_user(c, buf, sizeof(*c));
	if (!error) {
		c->name[sizeof(c->name) - 1] = c->disk[sizeof(c->disk) - 1] = '\0';
		c->cmdline[sizeof(c->cmdline) - 1] = '\0';
		mutex_lock(&mutex);
		error = command(c);
		mutex_unlock(&mutex);
	}
	kfree(c);
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
		n = appendf(buf, size, n, "! %d %s\n", failure.pid, failure.why);
	mutex_unlock(&mutex);
	return (int)n;
}

/* --- consoles --- */

/* Wait for output. Result: bytes, 0 if the guest has ended; -ESRCH, -EINTR. */
static int wait_output(struct guest_console *c)
{
	for (int error = 0;;) {
		uint32_t seen = events;
		mutex_lock(&mutex);
		const struct record *r = find(c->name);
		uint32_t n = r ? output(r, &c->position, c->text, c->bytes) : 0;
		bool ended = !r || !r->number || !c->bytes;
		mutex_unlock(&mutex);
		if (n || ended || error)
			return r ? n ? (int)n : error : -ESRCH;
		error = wait_events(seen);
	}
}

static int type(const struct guest_console *c)
{
	mutex_lock(&mutex);
	const struct record *r = find(c->name);
	int n = r && r->number ? domain_input(r->number, c->text, c->bytes) : -ESRCH;
	mutex_unlock(&mutex);
	return n;
}

int sys_domain_console(uint32_t console, uint32_t write)
{
	struct guest_console c;
	if (copy_from_user(&c, (const void *)console, sizeof(c)))
		return -EFAULT;
	c.name[sizeof(c.name) - 1] = '\0';
	c.bytes = MIN(c.bytes, (uint32_t)sizeof(c.text));
	int n = write ? type(&c) : wait_output(&c);
	return n > 0 && !write && copy_to_user((void *)console, &c, sizeof(c)) ? -EFAULT : n;
}

/* SPDX-License-Identifier: MIT */
/*
 * Guests by name. A guest that has ended gives its memory back at once: a task waits for ends. What
 * stays until it is forgotten is a record: how it ended, and its last words.
 */
#include "domain/control.h"
#include "domain/ports.h"
#include "fs/vnode.h"
#include "mm/vm.h"
#include "proc/task.h"
#include "split/split.h"

struct record {
	struct record *next;
	char name[GUEST_NAME_BYTES];
	struct guest guest; /* number 0: it has ended */
	bool killed;
	struct back *disk, *net; /* NULL: none */
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
	if (r->guest.number) {
		struct domain_op o = { .address = (uint32_t)to, .n = bytes,
				       .position = *position };
		int n = guest_op(&r->guest, DOMAIN_OUTPUT, &o);
		*position = o.position;
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

static void destroy(struct record *r)
{
	domain_destroy(&r->guest);
	back_destroy(r->disk);
	back_destroy(r->net);
	r->disk = r->net = NULL;
}

static void look(struct record *r)
{
	struct domain_op o = { 0 };
	if (r->guest.number && !guest_op(&r->guest, DOMAIN_INFO, &o))
		r->info = o.info;
}

/* The guest has ended, or must: keep what is worth it, and take its memory back. */
static void end(struct record *r, bool killed)
{
	look(r);
	r->killed = killed;
	keep_words(r);
	destroy(r);
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
			if (!r->guest.number || !r->news)
				continue;
			r->news = false;
			look(r);
			if (r->info.state >= DOMAIN_DYING)
				end(r, false);
		}
		mutex_unlock(&mutex);
	}
}

/* --- create --- */

/* A name stands in a line of /proc/domains. */
static bool good_name(const char *s)
{
	if (!*s)
		return false;
	while (*s > ' ')
		s++;
	return !*s;
}

/* Start a task, unless it runs already. Result: whether it does. */
static bool start(struct task **task, const char *name, void (*run)(void))
{
	if (!*task && (*task = task_create(name, run)))
		sched_ready(*task);
	return *task;
}

/* Build the guest of a new record, and let it run. Result: 0, or an error. */
static int build(struct record *r, const struct guest_command *c)
{
	static struct task *ends, *backs;
	struct domain_wish w = { .mem_kib = c->mem_kib, .vcpus = c->vcpus, .weight = c->weight,
				 .cmdline = c->cmdline };
	struct vnode *file;
	int error = start(&ends, "domains", ends_main) && start(&backs, "rings", back_main)
		    ? 0 : -ENOMEM;
	if (!c->disk[0]) {
		w.root = "/boot/guest.ext2";
	} else if (!error && !(error = vfs_lookup(c->disk, &file))) {
		error = block_back_create(file, c->read_only, &r->disk);
	}
	if (!error && c->net && !(r->net = net_back_create()))
		error = -ENOMEM;
	if (error)
		return error;
	w.disk = r->disk;
	w.net = r->net;
	error = domain_create(&r->guest, &w, &failure.why);
	if (error) {
		failure.pid = current()->pid;
		return error;
	}
	if (r->disk)
		back_connect(r->disk, r->guest.disk_port);
	if (r->net)
		back_connect(r->net, r->guest.net_port);
	port_bind(r->guest.console_port, console_event, r);
	return guest_op(&r->guest, DOMAIN_RUN, &(struct domain_op){ .on = true });
}

static int create(const struct guest_command *c)
{
	struct record *old = find(c->name), *r;
	if (!good_name(c->name))
		return -EINVAL;
	if (old && old->guest.number)
		return -EEXIST;
	r = kzalloc(sizeof(*r));
	int error = r ? build(r, c) : -ENOMEM;
	if (error) {
		if (r)
			destroy(r);
		kfree(r);
		return error;
	}
	if (old)
		forget(old);
	strlcpy(r->name, c->name, GUEST_NAME_BYTES);
	r->next = records;
	records = r;
	return 0;
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
	bool alive = r->guest.number, kill = c->what == GUEST_KILL;
	if (kill)
		return alive ? end(r, true) : forget(r), 0;
	if (!alive)
		return -ECHILD;
	if (c->what > GUEST_WEIGHT)
		return -EINVAL;
	return guest_op(&r->guest, c->what == GUEST_WEIGHT ? DOMAIN_WEIGHT : DOMAIN_RUN,
			&(struct domain_op){ .weight = c->weight, .on = c->what == GUEST_RESUME });
}

int domains_write(const void *buf, uint32_t bytes, bool user)
{
	static struct guest_command c; /* the mutex guards it, too */
	mutex_lock(&mutex);
	int error = bytes != sizeof(c) || !user ? -EINVAL : copy_from_user(&c, buf, sizeof(c));
	if (!error) {
		c.name[sizeof(c.name) - 1] = c.disk[sizeof(c.disk) - 1] = '\0';
		c.cmdline[sizeof(c.cmdline) - 1] = '\0';
		error = command(&c);
	}
	mutex_unlock(&mutex);
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
		look(r);
		const struct domain_info *i = &r->info;
		unsigned number = r->guest.number;
		n = appendf(buf, size, n, "%u %s %s %u %u %u %u %u %u %u %d %s\n", number, r->name,
			    r->killed ? "killed" : !number ? "ended"
			    : i->state == DOMAIN_PAUSED ? "paused" : "runs",
			    number ? i->frames * (PAGE_SIZE / 1024) : 0, i->vcpus, i->weight,
			    ms(i->ran), ms(i->stolen), i->switches, i->exits,
			    i->status - OK_STATUS, i->reason);
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
		bool ended = !r || !r->guest.number || !c->bytes;
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
	int n = r && r->guest.number
		? guest_op(&r->guest, DOMAIN_INPUT, &(struct domain_op){
			.address = (uint32_t)c->text, .n = c->bytes }) : -ESRCH;
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

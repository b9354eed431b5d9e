/* SPDX-License-Identifier: MIT */
/*
 * What the back ends have in common. One task serves all guests in turn, each at most as many
 * messages as a ring has, so that none waits for another's stream of requests.
 */
#include "domain/ports.h"
#include "fs/vnode.h"
#include "mm/frame.h"
#include "proc/task.h"
#include "split/split.h"

struct back *backs;
struct spinlock backs_lock;
static struct mutex mutex;   /* held while the list changes, and while one of it is served */
static struct spinlock lock; /* guards `work` */
static bool work;            /* a back end is notified */
static struct wait_queue server;

/* A port's handler, too. */
static void wake_server(void *back)
{
	((struct back *)back)->notified = true;
	uint32_t flags = spin_lock_irq(&lock);
	work = true;
	wake_all(&server);
	spin_unlock_irq(&lock, flags);
}

static void serve_all(void)
{
	mutex_lock(&mutex);
	for (struct back *b = backs; b; b = b->next)
		if (b->port && b->notified) {
			b->notified = false;
			int more = b->serve(b);
			if (more > 0)
				wake_server(b);
			if (more >= 0)
				continue;
			b->port = 0;
			printk("split: a guest is disconnected: its ring is broken\n");
		}
	mutex_unlock(&mutex);
}

void back_main(void)
{
	for (;;) {
		uint32_t flags = spin_lock_irq(&lock);
		while (!work)
			wait_on_unkillable(&server, &lock);
		work = false;
		spin_unlock_irq(&lock, flags);
		serve_all();
	}
}

struct back *back_create(int (*serve)(struct back *b), unsigned pages)
{
	struct back *b = kzalloc(sizeof(*b));
	if (!b)
		return NULL;
	b->serve = serve;
	while (b->nr_pages < pages) {
		pfn_t pfn = frame_alloc(0);
		if (pfn == NO_FRAME)
			return back_destroy(b), NULL;
		b->pages[b->nr_pages++] = memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
	}
	return b;
}

/* Put b into the list, or take it out. */
static void list(struct back *b, bool in)
{
	struct back **at = &backs;
	mutex_lock(&mutex);
	spin_lock(&backs_lock);
	while (*at && *at != b)
		at = &(*at)->next;
	if (in)
		*at = b;
	else if (*at)
		*at = b->next;
	spin_unlock(&backs_lock);
	mutex_unlock(&mutex);
}

void back_connect(struct back *b, unsigned port)
{
	b->port = port;
	list(b, true);
	port_bind(port, wake_server, b);
	wake_server(b);
}

void back_destroy(struct back *b)
{
	if (!b)
		return;
	list(b, false);
	while (b->nr_pages)
		frame_free(virt_to_pfn(b->pages[--b->nr_pages]), 0);
	vnode_put(b->file);
	kfree(b);
}

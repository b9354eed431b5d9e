/* SPDX-License-Identifier: MIT */
/*
 * What pipes and path resolution stand on in the kernel, replaced for tests on this host: locks and
 * sleep by the host's threads, memory by its allocator. A sleeping thread wakes only when it is
 * woken, so a lost wakeup hangs the test.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "layout.h"
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* the header's current(), not called */
#define current header_current
#include "proc/task.h"
#undef current
static _Thread_local struct task self;
static struct task *current(void) { return &self; }
#include "kernel/fs/pipe.c"
#include "kernel/fs/vfs.c"

#define ARENA (1024 * 1024)
#define BULK 3000000u

/* the host's */
extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
enum { HOST_PRIVATE = 2, HOST_ANONYMOUS = 0x20, HOST_FIXED_NOREPLACE = 0x100000 };

static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static bool scattered; /* the allocator has no large blocks */
static int frames_taken, objects;

void spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}
void spin_unlock(struct spinlock *l) { __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE); }

int wait_on(struct wait_queue *q, struct spinlock *l)
{
	if (self.hazard & HAZARD_KILLED)
		return -EINTR;
	pthread_mutex_lock(&sleeping);
	self.state = TASK_SLEEPING;
	self.next = q->first;
	q->first = &self;
	spin_unlock(l);
	while (self.state == TASK_SLEEPING)
		pthread_cond_wait(&woken, &sleeping);
	pthread_mutex_unlock(&sleeping);
	spin_lock(l);
	return 0;
}

void wake_all(struct wait_queue *q)
{
	pthread_mutex_lock(&sleeping);
	for (; q->first; q->first = q->first->next)
		q->first->state = TASK_READY;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&sleeping);
}

pfn_t frame_alloc(unsigned order)
{
	if (scattered && order)
		return NO_FRAME;
	frames_taken += 1 << order;
	return 16;
}
void frame_free(pfn_t pfn, unsigned order) { (void)pfn, frames_taken -= 1 << order; }
void *kzalloc(size_t bytes) { return objects++, calloc(1, bytes); }
void kfree(void *p) { objects--, free(p); }
size_t strlcpy(char *to, const char *from, size_t size)
{
	size_t n = strlen(from);
	memcpy(to, from, MIN(n + 1, size));
	return n;
}

static char *const bad = (char *)16;
int copy_from_user(void *to, const void *from, size_t n)
{
	return from == bad ? -EFAULT : (memcpy(to, from, n), 0);
}
static void (*during_copy)(void); /* called once, at the next copy_to_user() */
int copy_to_user(void *to, const void *from, size_t n)
{
	void (*meanwhile)(void) = during_copy;
	during_copy = NULL;
	if (meanwhile)
		meanwhile();
	return to == bad ? -EFAULT : (memcpy(to, from, n), 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Pipes between threads, where a lost waking hangs and a wrong byte shows; and path resolution
 * over a small tree in memory, where each vnode counts its references.
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
extern unsigned alarm(unsigned seconds);

/*
 * --- stand-ins: locks and sleep by the host's threads, exact so that no spurious waking hides a
 * lost one ---
 */

static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static bool scattered; /* no large blocks */
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
static void (*during_copy)(void); /* once */
int copy_to_user(void *to, const void *from, size_t n)
{
	void (*meanwhile)(void) = during_copy;
	during_copy = NULL;
	if (meanwhile)
		meanwhile();
	return to == bad ? -EFAULT : (memcpy(to, from, n), 0);
}

/* --- pipes --- */

static int pipe_setup(void **state)
{
	(void)state;
	alarm(60); /* a lost waking */
	return mmap((void *)(uintptr_t)KERNEL_BASE, ARENA, 3,
		    HOST_PRIVATE | HOST_ANONYMOUS | HOST_FIXED_NOREPLACE, -1,
		    0) != (void *)(uintptr_t)KERNEL_BASE;
}

static void test_pipe_ends(void **state)
{
	char buf[PIPE_ATOMIC] = "";
	(void)state;
	struct pipe *p = pipe_create();
	assert_int_equal(frames_taken, 16);
	assert_int_equal(pipe_write(p, "hello", 5), 5);
	assert_int_equal(pipe_write(p, bad, 5), -EFAULT);
	assert_int_equal(pipe_read(p, bad, 5), -EFAULT); /* takes nothing */
	assert_int_equal(pipe_read(p, buf, 0), 0);
	assert_int_equal(pipe_read(p, buf, 100), 5);
	assert_memory_equal(buf, "hello", 5);
	self.hazard = HAZARD_KILLED;
	assert_int_equal(pipe_read(p, buf, 1), -EINTR);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pipe_write(p, buf, PIPE_ATOMIC), PIPE_ATOMIC);
	assert_int_equal(pipe_write(p, buf, 1), -EINTR); /* full */
	assert_int_equal(pipe_read(p, buf, 1), 1);
	assert_int_equal(pipe_write(p, buf, 2), -EINTR); /* small ones whole or not at all */
	assert_int_equal(pipe_write(p, buf, 1), 1);
	self.hazard = 0;
	pipe_close(p, true);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pipe_read(p, buf, PIPE_ATOMIC), PIPE_ATOMIC);
	assert_int_equal(pipe_read(p, buf, 1), 0);
	pipe_close(p, false);
	p = pipe_create();
	pipe_close(p, false);
	assert_int_equal(pipe_write(p, "x", 1), -EPIPE);
	assert_int_equal(pipe_write(p, "x", 0), 0);
	pipe_close(p, true);
	assert_int_equal(frames_taken + objects, 0);
}

struct flow { /* of one writer: records that carry their writer and number */
	struct pipe *p;
	uint32_t writer, records, seed;
};
struct record { uint32_t bytes, writer, number; };

static void *writer_main(void *arg)
{
	struct flow *f = arg;
	char buf[PIPE_ATOMIC];
	uint32_t seed = f->seed;
	for (uint32_t i = 0; i < f->records; i++) {
		struct record r = { sizeof(r) + (seed = seed * 1103515245 + 12345) %
							(PIPE_ATOMIC - sizeof(r)),
				    f->writer, i };
		memset(buf, (int)(f->writer + i), r.bytes);
		memcpy(buf, &r, sizeof(r));
		if (pipe_write(f->p, buf, r.bytes) != (int)r.bytes)
			abort();
	}
	return NULL;
}

static void read_all(struct pipe *p, char *to, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		int n = pipe_read(p, to + done, bytes - done);
		assert_in_range(n, 1, bytes - done);
		done += (uint32_t)n;
	}
}

/*
 * Several writers of whole records, one reader: nothing torn, nothing lost, each writer's records
 * in order.
 */
static void test_pipe_records(void **state)
{
	enum { WRITERS = 4, RECORDS = 3000 };
	(void)state;
	for (int small = 0; small < 2; small++) {
		scattered = small;
		struct pipe *p = pipe_create();
		struct flow flows[WRITERS];
		pthread_t threads[WRITERS];
		uint32_t next[WRITERS] = { 0 };
		for (uint32_t i = 0; i < WRITERS; i++) {
			flows[i] = (struct flow){ p, i, RECORDS, i + 1 };
			assert_int_equal(pthread_create(&threads[i], NULL, writer_main, &flows[i]),
					 0);
		}
		for (unsigned n = 0; n < WRITERS * RECORDS; n++) {
			static char body[PIPE_ATOMIC];
			struct record r;
			read_all(p, (char *)&r, sizeof(r));
			assert_in_range(r.writer, 0, WRITERS - 1);
			assert_int_equal(r.number, next[r.writer]++);
			read_all(p, body, r.bytes - sizeof(r));
			for (uint32_t i = 0; i < r.bytes - sizeof(r); i++)
				assert_int_equal((uint8_t)body[i], (uint8_t)(r.writer + r.number));
		}
		for (unsigned i = 0; i < WRITERS; i++)
			pthread_join(threads[i], NULL);
		pipe_close(p, true);
		pipe_close(p, false);
		assert_int_equal(frames_taken + objects, 0);
	}
	scattered = false;
}

static void *reader_main(void *arg)
{
	struct flow *f = arg;
	static _Thread_local char buf[7000];
	uint32_t sum = 0;
	for (int n; (n = pipe_read(f->p, buf, 1 + f->writer * 2000)) > 0; f->records += (uint32_t)n)
		for (int i = 0; i < n; i++)
			sum += (uint8_t)buf[i];
	f->seed = sum;
	return NULL;
}

/*
 * One writer of much more than fits, several readers: every byte arrives once, and all see the
 * end.
 */
static void test_pipe_readers(void **state)
{
	enum { READERS = 3 };
	(void)state;
	struct pipe *p = pipe_create();
	struct flow flows[READERS];
	pthread_t threads[READERS];
	char *data = malloc(BULK);
	uint32_t sum = 0, got = 0, got_sum = 0;
	for (uint32_t i = 0; i < BULK; i++)
		sum += (uint8_t)(data[i] = (char)(i * 7));
	for (uint32_t i = 0; i < READERS; i++) {
		flows[i] = (struct flow){ .p = p, .writer = i };
		assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &flows[i]), 0);
	}
	assert_int_equal(pipe_write(p, data, BULK), BULK);
	pipe_close(p, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		got += flows[i].records;
		got_sum += flows[i].seed;
	}
	pipe_close(p, false);
	free(data);
	assert_int_equal(got, BULK);
	assert_int_equal(got_sum, sum);
	assert_int_equal(frames_taken + objects, 0);
}

static struct pipe *shared_pipe;
static pthread_t second;

static void *second_main(void *arg)
{
	char c = 0;
	(void)arg;
	return (void *)(uintptr_t)(pipe_read(shared_pipe, &c, 1) == 1 ? c : 0);
}

/* Start a second reader, and let it find the first one busy. */
static void second_start(void)
{
	assert_int_equal(pthread_create(&second, NULL, second_main, NULL), 0);
	for (bool asleep = false; !asleep; sched_yield()) {
		pthread_mutex_lock(&sleeping);
		asleep = shared_pipe->ends[false].queue.first;
		pthread_mutex_unlock(&sleeping);
	}
}

/*
 * A reader that waits for its turn only is woken by the reader before it: no writer may come any
 * more.
 */
static void test_pipe_turns(void **state)
{
	char c;
	void *result;
	(void)state;
	struct pipe *p = shared_pipe = pipe_create();
	assert_int_equal(pipe_write(p, "12", 2), 2);
	during_copy = second_start;
	assert_int_equal(pipe_read(p, &c, 1), 1);
	assert_int_equal(c, '1');
	pthread_join(second, &result);
	assert_int_equal((uintptr_t)result, '2');
	pipe_close(p, false);
	pipe_close(p, true);
	assert_int_equal(frames_taken + objects, 0);
}

/* --- paths --- */

static struct node {
	const char *name;
	int parent;
	bool dir;
	struct vnode vn;
} tree[] = {
	{ "disk", 0, true, { 0 } }, { "a", 0, true, { 0 } }, { "b", 1, true, { 0 } },
	{ "f", 2, false, { 0 } },
	{ "proc", 0, true, { 0 } }, { "dev", 0, true, { 0 } }, { "PROC", 6, true, { 0 } },
	{ "mode", 6, false, { 0 } },
	{ "DEV", 8, true, { 0 } },
};

static int tree_lookup(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	struct node *d = container_of(dir, struct node, vn);
	assert_true(d->dir);
	assert_in_range(length, 1, NAME_MAX);
	if (is_dotdot(name, length)) {
		*out = vnode_get(&tree[d->parent].vn);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		if (&tree[tree[i].parent] == d && &tree[i] != d && strlen(tree[i].name) == length &&
		    memcmp(tree[i].name, name, length) == 0) {
			*out = vnode_get(&tree[i].vn);
			return 0;
		}
	return -ENOENT;
}

static void tree_release(struct vnode *vn)
{
	fail_msg("%s lost a reference", container_of(vn, struct node, vn)->name);
}
static const struct vnode_ops tree_ops = { .lookup = tree_lookup, .release = tree_release };

int ext2_mount(struct blockdev *disk, struct vnode **out)
{
	(void)disk;
	*out = vnode_get(&tree[0].vn);
	return 0;
}
struct vnode *pseudofs_root(const char *which)
{
	return vnode_get(&tree[strcmp(which, "proc") ? 8 : 6].vn);
}

static int path_setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		tree[i].vn = (struct vnode){ .ops = &tree_ops,
					     .refs = 1,
					     .mode = tree[i].dir ? S_IFDIR : S_IFREG };
	return vfs_init(NULL);
}

static unsigned references(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		n += tree[i].vn.refs;
	return n;
}

static void test_lookup(void **state)
{
	static char longest[NAME_MAX + 3], too_long[NAME_MAX + 3], inside[NAME_MAX + 8];
	const struct { const char *path; int found; } cases[] = {
		{ "/", 0 }, { "//", 0 }, { ".", 2 }, { "..", 1 }, { "../..", 0 },
		{ "../../../..", 0 }, { "/..", 0 }, { "/../.", 0 },
		{ "/a/b/f", 3 }, { "f", 3 }, { "./f", 3 }, { "../b//./f", 3 }, { "/a/b/", 2 },
		{ "/a//b///", 2 },
		{ "/a/b/f/", -ENOTDIR }, { "f/..", -ENOTDIR }, { "f/x", -ENOTDIR },
		{ "f/.", -ENOTDIR }, { "", -ENOENT },
		{ "/x", -ENOENT }, { "/x/y", -ENOENT }, { "/a/", 1 }, { "/pro", -ENOENT },
		{ "/procx", -ENOENT },
		{ "/proc", 6 }, { "/proc/", 6 }, { "/proc/.", 6 }, { "/proc/mode", 7 },
		{ "/proc/..", 0 }, { "/proc/../dev", 8 },
		{ "/proc/../a/b/f", 3 }, { "../../proc/mode", 7 }, { "/proc/mode/", -ENOTDIR },
		{ "/a/proc", -ENOENT },
		{ longest, -ENOENT }, { too_long, -ENAMETOOLONG }, { inside, -ENAMETOOLONG },
	};
	struct cwd *c = malloc(sizeof(*c) + 8);
	(void)state;
	memset(longest, 'n', NAME_MAX);
	memset(too_long, 'n', NAME_MAX + 1);
	memset(inside, 'n', NAME_MAX + 1);
	memcpy(inside + NAME_MAX + 1, "/f", 3);
	c->vn = &tree[2].vn;
	self.cwd = c;
	unsigned before = references();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vnode *vn;
		int error = vfs_lookup(cases[i].path, &vn);
		int found = error ? error : (int)(container_of(vn, struct node, vn) - tree);
		if (found != cases[i].found)
			fail_msg("\"%s\" gives %d, not %d", cases[i].path, found, cases[i].found);
		if (!error)
			vnode_put(vn);
		assert_int_equal(references(), before);
	}
	self.cwd = NULL;
	free(c);
}

static void test_last(void **state)
{
	const struct { const char *path, *name; int dir; bool plain, slash, mount; } cases[] = {
		{ "/new", "new", 0, true, false, false },
		{ "/a/new/", "new", 1, true, true, false },
		{ "/", "", 0, false, false, false }, { "/a/..", "..", 1, false, false, false },
		{ "/a/./", ".", 1, false, true, false },
		{ "/proc", "proc", 0, true, false, true },
		{ "/proc/new", "new", 6, true, false, false },
	};
	(void)state;
	unsigned before = references();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct path_end e;
		assert_int_equal(path_parent(cases[i].path, &e), 0);
		assert_ptr_equal(e.dir, &tree[cases[i].dir].vn);
		assert_int_equal(e.length, strlen(cases[i].name));
		assert_memory_equal(e.name, cases[i].name, e.length);
		assert_int_equal(e.plain, cases[i].plain);
		assert_int_equal(e.slash, cases[i].slash);
		assert_int_equal(path_is_mount(&e), cases[i].mount);
		vnode_put(e.dir);
	}
	assert_int_equal(references(), before);
	assert_true(path_same_fs(&tree[0].vn, &tree[2].vn));
	assert_false(path_same_fs(&tree[0].vn, &tree[6].vn));
	assert_false(path_same_fs(&tree[8].vn, &tree[6].vn));
}

static void test_normalize(void **state)
{
	const struct { const char *from, *path, *out; } cases[] = {
		{ "/", ".", "/" }, { "/", "a", "/a" }, { "/a", "b/", "/a/b" },
		{ "/a/b", "..", "/a" }, { "/a", "..", "/" },
		{ "/a", "../..", "/" }, { "/a", "/", "/" }, { "/a", "//b//c", "/b/c" },
		{ "/a", "./x/../y", "/a/y" },
		{ "/abc", "...", "/abc/..." }, { "/a", "../../b", "/b" },
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		/* the sanitizer watches its end */
		char *out = malloc(strlen(cases[i].from) + strlen(cases[i].path) + 2);
		uint32_t n = path_normalize(out, cases[i].from, cases[i].path);
		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(out));
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest pipes[] = {
		cmocka_unit_test(test_pipe_ends), cmocka_unit_test(test_pipe_records),
		cmocka_unit_test(test_pipe_readers),
		cmocka_unit_test(test_pipe_turns),
	};
	const struct CMUnitTest paths[] = {
		cmocka_unit_test(test_lookup), cmocka_unit_test(test_last),
		cmocka_unit_test(test_normalize),
	};
	int failed = cmocka_run_group_tests(pipes, pipe_setup, NULL);
	return failed + cmocka_run_group_tests(paths, path_setup, NULL);
}

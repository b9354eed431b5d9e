/* SPDX-License-Identifier: MIT */
/*
 * Pipes between threads: ends, records of several writers, several readers; part of
 * test_pipe_path.c.
 */
static int pipe_setup(void **state)
{
	(void)state;
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
	assert_int_equal(pipe_read(p, bad, 5), -EFAULT); /* and nothing is taken */
	assert_int_equal(pipe_read(p, buf, 0), 0);
	assert_int_equal(pipe_read(p, buf, 100), 5);
	assert_memory_equal(buf, "hello", 5);
	self.hazard = HAZARD_KILLED;
	assert_int_equal(pipe_read(p, buf, 1), -EINTR);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pipe_write(p, buf, PIPE_ATOMIC), PIPE_ATOMIC);
	assert_int_equal(pipe_write(p, buf, 1), -EINTR); /* full */
	assert_int_equal(pipe_read(p, buf, 1), 1);
	/* a small write goes in as a whole, or not at all */
	assert_int_equal(pipe_write(p, buf, 2), -EINTR);
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

struct flow { /* the records of one writer, which name their writer and their number */
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
 * Several writers of whole records, one reader: no record is torn or lost, and those of each writer
 * come in order.
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
 * One writer of much more than fits into the pipe, several readers: every byte arrives once, and
 * each reader sees the end.
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
 * A reader that waits for its turn must be woken by the reader before it; perhaps no writer ever
 * comes again.
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

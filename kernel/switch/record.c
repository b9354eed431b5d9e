/* SPDX-License-Identifier: MIT */
/* /proc/mode, /proc/switch and /proc/vmm: orders as text, and what happened. */
#include "switch/record.h"
#include "mm/vm.h"
#include "switch/switch.h"
#include "vo/vo.h"

#define HISTORY 32

extern struct vmm_shared vmm_shared[];

static struct switch_record history[HISTORY];
static uint32_t nr_switches;

static uint64_t read_tsc(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

void record_begin(struct switch_record *r)
{
	r->start = r->at = read_tsc();
	memset(r->ticks, 0, sizeof(r->ticks));
}

void record_phase(struct switch_record *r, unsigned phase)
{
	uint64_t t = read_tsc();
	r->ticks[phase] = (uint32_t)(t - r->at);
	r->at = t;
}

void record_end(const struct switch_record *r) { history[nr_switches++ % HISTORY] = *r; }

static const char *reason(int error)
{
	switch (error) {
	case -EBUSY: return "the VO was in use at every try, or a page table is mapped writable";
	case -ETIMEDOUT: return "a CPU did not answer";
	case -EIO: return "rehearsed failure";
	case -EPERM: return "a page table maps what the kernel does not own";
	default: return "error";
	}
}

int switch_show(char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "# number direction total");
	for (unsigned p = 0; p < NR_PHASES; p++)
		n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), " %s", phases[p].name);
	n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), " retries cpus pinned result\n");
	for (uint32_t i = nr_switches > HISTORY ? nr_switches - HISTORY : 0; i < nr_switches; i++) {
		const struct switch_record *r = &history[i % HISTORY];
		n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), "%u %s %u", i + 1, r->attach ? "attach" : "detach",
				      (uint32_t)(r->at - r->start));
		for (unsigned p = 0; p < NR_PHASES; p++)
			n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), " %u", r->ticks[p]);
		n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), " %u %u %u ", r->retries, r->cpus, r->pinned);
		if (r->error)
			n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), "%s: %s (%d)\n", phases[r->failed].name,
					      reason(r->error), r->error);
		else
			n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), "ok\n");
	}
	return (int)n;
}

int vmm_show(char *buf, size_t size)
{
	static const char *const names[NR_EXITS] = VMM_EXIT_NAMES;
	size_t n = (size_t)snprintf(buf, size, vmm_present() ? "block %08x\n" : "none\n", vmm_block());
	for (unsigned e = 0; e < NR_EXITS && vmm_present(); e++) {
		n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), "%s", names[e]);
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), " %u", vmm_shared[cpu].exits[e]);
		n += (size_t)snprintf(buf + MIN(n, size), size - MIN(n, size), "\n");
	}
	return (int)n;
}

/* The word that was written, without its newline. Result: 0, -EFAULT, -EINVAL. */
static int word_from(char *word, size_t size, const void *buf, uint32_t bytes, bool user)
{
	if (bytes == 0 || bytes >= size)
		return -EINVAL;
	if (user ? copy_from_user(word, buf, bytes) : (memcpy(word, buf, bytes), 0))
		return -EFAULT;
	word[bytes] = '\0';
	if (word[bytes - 1] == '\n')
		word[bytes - 1] = '\0';
	return 0;
}

int mode_write(const void *buf, uint32_t bytes, bool user)
{
	char word[16];
	int error = word_from(word, sizeof(word), buf, bytes, user);
	if (error)
		return error;
	if (strcmp(word, "virtual") != 0 && strcmp(word, "native") != 0)
		return -EINVAL;
	error = switch_mode(word[0] == 'v');
	return error ? error : (int)bytes;
}

int switch_write(const void *buf, uint32_t bytes, bool user)
{
	char word[32];
	int error = word_from(word, sizeof(word), buf, bytes, user);
	if (error || strncmp(word, "fail ", 5) != 0)
		return error ? error : -EINVAL;
	for (unsigned p = PHASE_GATHER; p < PHASE_COMMIT; p++)
		if (strcmp(word + 5, phases[p].name) == 0)
			return switch_rehearse(p), (int)bytes;
	return -EINVAL;
}

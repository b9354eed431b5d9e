/* SPDX-License-Identifier: MIT */
/*
 * Orders to the switch, which come as writes to /proc/mode and /proc/switch; and the text of
 * /proc/vmm.
 */
#include "domain/domain.h"
#include "domain/guest.h"
#include "mm/vm.h"
#include "switch/record.h"
#include "switch/switch.h"

extern struct vmm_shared vmm_shared[]; /* kernel/vo/virtual.c */

int vmm_show(char *buf, size_t size)
{
	static const char *const names[NR_EXITS] = VMM_EXIT_NAMES;
	if (!vmm_present())
		return (int)appendf(buf, size, 0, "none\n");
	size_t n = appendf(buf, size, 0, "block %08x\n", vmm_block());
	for (unsigned e = 0; e < NR_EXITS; e++) {
		n = appendf(buf, size, n, "%s", names[e]);
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			n = appendf(buf, size, n, " %u", vmm_shared[cpu].exits[e]);
		n = appendf(buf, size, n, "\n");
	}
	return (int)n;
}

/*
 * Copy the word that was written, without its newline. user: buf is a user address. Result: 0,
 * -EFAULT, -EINVAL.
 */
static int word_from(char *word, size_t size, const void *buf, uint32_t bytes, bool user)
{
	if (bytes == 0 || bytes >= size)
		return -EINVAL;
	if (!user)
		memcpy(word, buf, bytes);
	else if (copy_from_user(word, buf, bytes))
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
	if (guest_start)
		return -EPERM;
	if (nr_guests && word[0] == 'n')
		return -EBUSY;
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

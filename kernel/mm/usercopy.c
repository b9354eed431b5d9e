/* SPDX-License-Identifier: MIT */
/*
 * Copies between kernel and user memory. The access itself finds out whether an address is good: where it faults and
 * mm_fault cannot help, the trap handler looks the instruction up in the table `.fixups` and goes on at its second
 * address, with ECX telling how much was left.
 */
#include "mm/vm.h"

static bool user_range(uint32_t address, size_t bytes) { return bytes <= USER_END && address <= USER_END - bytes; }

static int copy(void *to, const void *from, size_t bytes)
{
	uint32_t left = bytes >> 2;
	__asm__ volatile("1: rep movsl\n"
			 "   movl %[tail], %%ecx\n"
			 "2: rep movsb\n"
			 "3:\n"
			 ".pushsection .fixups, \"a\"\n"
			 ".long 1b, 3b, 2b, 3b\n"
			 ".popsection"
			 : "+c"(left), "+D"(to), "+S"(from)
			 : [tail] "r"(bytes & 3)
			 : "memory");
	return left ? -EFAULT : 0;
}

int copy_from_user(void *to, const void *user_from, size_t bytes)
{
	return user_range((uint32_t)user_from, bytes) ? copy(to, user_from, bytes) : -EFAULT;
}

int copy_to_user(void *user_to, const void *from, size_t bytes)
{
	return user_range((uint32_t)user_to, bytes) ? copy(user_to, from, bytes) : -EFAULT;
}

int copy_string_from_user(char *to, const char *user_from, size_t size)
{
	for (size_t n = 0; n < size;) { /* at most to the end of the page: the next may not be there */
		uint32_t from = (uint32_t)user_from + n, some = MIN(PAGE_SIZE - (from & ~PAGE_MASK), MIN(size - n, 64u));
		if (copy_from_user(to + n, (const void *)from, some))
			return -EFAULT;
		size_t length = strnlen(to + n, some);
		if (length < some)
			return (int)(n + length);
		n += some;
	}
	return -ENAMETOOLONG;
}

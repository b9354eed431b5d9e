/* SPDX-License-Identifier: MIT */
/*
 * Copies between kernel and user memory. The access itself finds out whether an address
 * is good. If it faults and mm_fault cannot help, the trap handler looks for the
 * instruction's address in the table `.fixups`, and execution continues at the second
 * address of that entry. ECX then tells that something was left to copy.
 */
#include "mm/vm.h"

static bool user_range(uint32_t address, size_t bytes)
{
	return bytes <= USER_END && address <= USER_END - bytes;
}

/* Result: 0, or -EFAULT if the copy stopped at a bad address. */
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
	for (size_t n = 0; n < size;) {
		/* Only up to the page's end: the string may end before, and no page may follow. */
		uint32_t from = (uint32_t)user_from + n, in_page = PAGE_SIZE - (from & ~PAGE_MASK);
		uint32_t some = MIN(in_page, MIN(size - n, 64u));
		if (copy_from_user(to + n, (const void *)from, some))
			return -EFAULT;
		size_t length = strnlen(to + n, some);
		if (length < some)
			return (int)(n + length);
		n += some;
	}
	return -ENAMETOOLONG;
}

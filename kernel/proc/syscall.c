/* SPDX-License-Identifier: MIT */
/*
 * System calls: the table that the entry code uses, and the calls on processes, memory
 * and time. What each call does is described in syscalls.def.
 */
#include "dev/console.h"
#include "domain/control.h"
#include "fs/file.h"
#include "mm/vm.h"
#include "net/net.h"
#include "proc/task.h"

static int sys_exit(uint32_t code) { task_exit(WSTATUS_EXIT(code)); }

static int sys_fork(void) { return task_fork(); }

static int sys_waitpid(uint32_t pid, uint32_t status, uint32_t options)
{
	int s = 0, result;
	if (options & ~(uint32_t)WNOHANG)
		return -EINVAL;
	/* A bad address must be found before the child is freed. */
	if (status && copy_to_user((void *)status, &s, sizeof(s)))
		return -EFAULT;
	result = task_wait((int)pid, &s, (int)options);
	if (result > 0 && status)
		copy_to_user((void *)status, &s, sizeof(s));
	return result;
}

/*
 * Copy the strings of argv into args, one after the other. *bytes: their size in all.
 * Result: how many, or an error.
 */
static int copy_args(uint32_t argv, char *args, size_t *bytes)
{
	for (int argc = 0;; argc++) {
		uint32_t s;
		if (copy_from_user(&s, (const void *)(argv + (uint32_t)argc * 4), 4))
			return -EFAULT;
		if (!s)
			return argc;
		int length = copy_string_from_user(args + *bytes, (const char *)s,
						   ARG_BYTES_MAX - *bytes);
		if (length < 0)
			return length == -ENAMETOOLONG ? -E2BIG : length;
		*bytes += (size_t)length + 1;
	}
}

static int sys_exec(uint32_t path, uint32_t argv)
{
	enum { ORDER = 3 }; /* of the buffer: arguments, then the path */
	_Static_assert(ARG_BYTES_MAX + PATH_MAX <= PAGE_SIZE << ORDER, "fits");
	pfn_t pfn = frame_alloc(ORDER);
	if (pfn == NO_FRAME)
		return -ENOMEM;
	char *args = pfn_to_virt(pfn), *name = args + ARG_BYTES_MAX;
	size_t bytes = 0;
	int result = copy_string_from_user(name, (const char *)path, PATH_MAX);
	if (result >= 0)
		result = copy_args(argv, args, &bytes);
	if (result >= 0)
		result = task_exec(name, (unsigned)result, args, bytes);
	frame_free(pfn, ORDER);
	return result;
}

static int sys_getpid(void) { return current()->pid; }

static int sys_getppid(void) { return current()->ppid; }

static int sys_kill(uint32_t pid) { return task_kill((int)pid); }

static int sys_mmap(uint32_t address, uint32_t bytes, uint32_t prot, uint32_t fd, uint32_t offset)
{
	struct vnode *vn = NULL;
	uint32_t file_bytes = 0;
	if ((int)fd != -1) {
		struct file *f = file_of((int)fd);
		if (!f)
			return -EBADF;
		vn = f->vn;
		if (!vn || (vn->mode & S_IFMT) != S_IFREG || !vn->ops->page)
			return -ENODEV;
		if ((f->flags & O_ACCMODE) == O_WRONLY)
			return -EACCES;
		file_bytes = vn->size > offset ? vn->size - offset : 0;
	}
	return mm_map(current()->mm, address, bytes, (int)prot, vn, offset, MIN(file_bytes, bytes));
}

static int sys_munmap(uint32_t address, uint32_t bytes)
{
	return mm_unmap(current()->mm, address, bytes);
}

static int sys_mprotect(uint32_t address, uint32_t bytes, uint32_t prot)
{
	return mm_protect(current()->mm, address, bytes, (int)prot);
}

static int sys_sleep(uint32_t ms) { return sleep_ms(ms); }

static int sys_yield(void)
{
	schedule();
	return 0;
}

static int sys_clock(uint32_t to)
{
	uint64_t now = VO(time, now)();
	return copy_to_user((void *)to, &now, sizeof(now));
}

static int sys_setpgid(uint32_t pid, uint32_t pgid) { return task_set_group((int)pid, (int)pgid); }

static int sys_tty_foreground(uint32_t pgid) { return tty_set_foreground((int)pgid); }

static int sys_tty_raw(uint32_t raw) { return raw > 1 ? -EINVAL : tty_set_raw(raw); }

static int sys_shutdown(uint32_t status)
{
	if (status > 0x7F - OK_STATUS)
		return -EINVAL;
	int error = vfs_unmount();
	if (error)
		printk("shutdown: the disk could not be written (error %d); run e2fsck\n", error);
	printk("shutdown: status %u; the machine may be turned off\n", status);
	VO(cpu, shutdown)(OK_STATUS + status);
	__builtin_unreachable();
}

#define SYSCALL(number, name, arguments) [number] = (void *)sys_##name,
void *const syscall_table[] = {
#include "syscalls.def"
};
const uint32_t syscall_count = ARRAY_SIZE(syscall_table);

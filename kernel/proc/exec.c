/* SPDX-License-Identifier: MIT */
/*
 * exec: build the new program's address space beside the old one, and exchange them when
 * nothing can fail any more.
 */
#include "fs/vnode.h"
#include "mm/vm.h"
#include "proc/elf.h"
#include "proc/task.h"

#define STACK_BYTES (256 * 1024)
#define STACK_START (USER_END - STACK_BYTES)

/* Map the file's segments. *entry: where the program begins. */
static int load(struct mm *mm, struct vnode *vn, uint32_t *entry)
{
	struct elf_image image;
	pfn_t header;
	int error = vn->ops->page(vn, 0, &header);
	if (error)
		return error;
	error = elf_parse(pfn_to_virt(header), PAGE_SIZE, vn->size, STACK_START, &image);
	frame_put(header);
	for (unsigned i = 0; !error && i < image.n; i++) {
		const struct elf_segment *s = &image.segments[i];
		int32_t at = mm_map(mm, s->start, s->bytes, s->prot, s->file_bytes ? vn : NULL,
				    s->offset, s->file_bytes);
		error = at < 0 && at >= -EUCLEAN ? at : 0;
	}
	*entry = image.entry;
	return error;
}

/* Write to the new program's memory. Result: 0, -ENOMEM. */
static int put(struct mm *mm, uint32_t address, const void *from, uint32_t bytes)
{
	for (uint32_t done = 0, some; done < bytes; done += some) {
		void *to = mm_touch(mm, address + done);
		if (!to)
			return -ENOMEM;
		some = MIN(bytes - done, PAGE_SIZE - ((address + done) & ~PAGE_MASK));
		memcpy(to, (const char *)from + done, some);
	}
	return 0;
}

/*
 * Lay out the stack as a program finds it (System V ABI, i386, 3-31), from *esp up:
 *   argc | argv[0] .. argv[argc-1] | 0 | 0 (no environment) | the strings | USER_END
 */
static int push_args(struct mm *mm, unsigned argc, const char *args, size_t args_bytes,
		     uint32_t *esp)
{
	uint32_t strings = (USER_END - args_bytes) & ~3u, sp = strings - (argc + 3) * 4;
	const uint32_t zeros[2] = { 0, 0 };
	int error = put(mm, strings, args, args_bytes);
	*esp = sp;
	error = error ? error : put(mm, sp, &argc, 4);
	for (const char *s = args; !error && argc--; s += strlen(s) + 1) {
		uint32_t at = strings + (uint32_t)(s - args);
		error = put(mm, sp += 4, &at, 4);
	}
	return error ? error : put(mm, sp + 4, zeros, 8);
}

/*
 * Make mm and the new program the current process's; free what belonged to the old one.
 */
static void change_over(struct mm *mm, const char *name, uint32_t entry, uint32_t esp)
{
	struct task *t = current();
	struct mm *old = t->mm;
	vo_hold(); /* no mode switch or context switch while t->mm is not the loaded one */
	task_set_mm(mm);
	sched_load_mm(t);
	vo_release();
	if (old)
		mm_destroy(old);
	fpu_drop(t);
	t->fault_handler = t->fault_restorer = 0;
	strlcpy(t->name, name, sizeof(t->name));
	*user_trap_frame(t) = (struct trap_frame){
		.gs = SEL_UDATA, .fs = SEL_UDATA, .es = SEL_UDATA, .ds = SEL_UDATA,
		.eip = entry, .cs = SEL_UCODE, .eflags = EFLAGS_IF | EFLAGS_FIXED,
		.esp = esp, .ss = SEL_UDATA,
	};
}

int task_exec(const char *path, unsigned argc, const char *args, size_t args_bytes)
{
	struct vnode *vn;
	uint32_t entry, esp = 0;
	int error = vfs_lookup(path, &vn);
	if (error)
		return error;
	struct mm *mm = NULL;
	if ((vn->mode & S_IFMT) == S_IFDIR)
		error = -EISDIR;
	else if ((vn->mode & S_IFMT) != S_IFREG || !vn->ops->page)
		error = (vn->mode & S_IFMT) == S_IFLNK ? -ELOOP : -EACCES;
	else if (!(mm = mm_create()))
		error = -ENOMEM;
	error = error ? error : load(mm, vn, &entry);
	if (!error) {
		int32_t at = mm_map(mm, STACK_START, STACK_BYTES, PROT_READ | PROT_WRITE,
				    NULL, 0, 0);
		error = (uint32_t)at == STACK_START ?
			push_args(mm, argc, args, args_bytes, &esp) : at;
	}
	vnode_put(vn);
	if (!error) {
		const char *name = path;
		for (const char *s = path; *s; s++)
			if (*s == '/' && s[1])
				name = s + 1;
		change_over(mm, name, entry, esp);
	} else if (mm) {
		mm_destroy(mm);
	}
	return error;
}

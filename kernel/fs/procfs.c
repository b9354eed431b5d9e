/* SPDX-License-Identifier: MIT */
/*
 * Files made of functions: /proc shows the kernel's state as text made at the moment of reading, /dev has the devices.
 * Both are flat directories that exist once and for ever.
 */
#include "boot/boot.h"
#include "dev/dev.h"
#include "fs/file.h"
#include "mm/vm.h"
#include "proc/task.h"
#include "switch/switch.h"

#define TEXT_ORDER 3 /* room for one file's text: 32 KiB */

struct entry {
	const char *name;
	int (*show)(char *buf, size_t size); /* of a proc file; as snprintf */
	int (*read)(void *buf, uint32_t bytes, bool user);
	int (*write)(const void *buf, uint32_t bytes, bool user);
};

struct tree {
	struct vnode vn;
	const struct entry *entries;
	unsigned n;
	struct vnode files[16];
};

/* --- /proc --- */

static int mode_show(char *buf, size_t size) { return snprintf(buf, size, VO(cpu, ring)() ? "virtual\n" : "native\n"); }

static int uptime_show(char *buf, size_t size)
{
	uint64_t hundredths = VO(time, now)();
	div64(&hundredths, 10000000);
	uint32_t rest = div64(&hundredths, 100);
	return snprintf(buf, size, "%u.%02u\n", (uint32_t)hundredths, rest);
}

static int files_show(char *buf, size_t size) { return snprintf(buf, size, "open %u\n", files_open()); }

static int cmdline_show(char *buf, size_t size) { return snprintf(buf, size, "%s\n", boot_info.cmdline); }

static int cpuinfo_show(char *buf, size_t size)
{
	uint32_t eax = 0, ebx, ecx, edx, vendor[4] = { 0 };
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(vendor[0]), "=c"(vendor[2]), "=d"(vendor[1]));
	eax = 1;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return snprintf(buf, size, "cpus %u\nvendor %s\nfamily %u model %u stepping %u\nfeatures %08x %08x\n", nr_cpus,
			(const char *)vendor, eax >> 8 & 15, eax >> 4 & 15, eax & 15, edx, ecx);
}

static const struct entry proc_entries[] = {
	{ .name = "cmdline", .show = cmdline_show }, { .name = "cpuinfo", .show = cpuinfo_show },
	{ .name = "files", .show = files_show },     { .name = "interrupts", .show = irq_show },
	{ .name = "kmsg", .show = kmsg_show },	     { .name = "meminfo", .show = meminfo_show },
	{ .name = "memmap", .show = memmap_show },   { .name = "mode", .show = mode_show, .write = mode_write },
	{ .name = "switch", .show = switch_show, .write = switch_write },
	{ .name = "tasks", .show = task_list_show }, { .name = "uptime", .show = uptime_show },
	{ .name = "vmm", .show = vmm_show },	     { .name = "vo", .show = vo_show },
};

/* --- /dev --- */

static int null_read(void *buf, uint32_t bytes, bool user)
{
	(void)buf, (void)bytes, (void)user;
	return 0;
}

static int null_write(const void *buf, uint32_t bytes, bool user)
{
	(void)buf, (void)user;
	return (int)bytes;
}

static int zero_read(void *buf, uint32_t bytes, bool user)
{
	static const char zeros[512];
	for (uint32_t done = 0, some; done < bytes; done += some) {
		some = MIN(bytes - done, (uint32_t)sizeof(zeros));
		if (!user)
			memset((char *)buf + done, 0, some);
		else if (copy_to_user((char *)buf + done, zeros, some))
			return done ? (int)done : -EFAULT;
		if (current()->hazard & HAZARD_KILLED)
			return -EINTR;
	}
	return (int)bytes;
}

static const struct entry dev_entries[] = {
	{ .name = "console", .read = tty_read, .write = tty_write },
	{ .name = "null", .read = null_read, .write = null_write },
	{ .name = "zero", .read = zero_read, .write = null_write },
};

/* --- the operations --- */

static struct tree *tree_of(const struct vnode *vn) { return vn->fs; }

static const struct entry *entry_of(const struct vnode *vn) { return &tree_of(vn)->entries[vn - tree_of(vn)->files]; }

static int lookup(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	struct tree *t = tree_of(dir);
	for (unsigned i = 0; i < t->n; i++)
		if (strncmp(t->entries[i].name, name, length) == 0 && !t->entries[i].name[length]) {
			*out = vnode_get(&t->files[i]);
			return 0;
		}
	return -ENOENT;
}

static int readdir(struct vnode *dir, uint32_t *cookie, struct dirent_sink *sink)
{
	struct tree *t = tree_of(dir);
	for (; *cookie < t->n + 2; ++*cookie) {
		const char *name = *cookie == 0 ? "." : *cookie == 1 ? ".." : t->entries[*cookie - 2].name;
		const struct vnode *vn = *cookie < 2 ? dir : &t->files[*cookie - 2];
		if (!sink->emit(sink, name, (unsigned)strlen(name), vn->ino, vn->mode >> 12))
			break;
	}
	return 0;
}

static int read_text(const struct entry *e, uint32_t offset, void *to, uint32_t bytes, bool user)
{
	pfn_t pfn = frame_alloc(TEXT_ORDER);
	if (pfn == NO_FRAME)
		return -ENOMEM;
	char *text = pfn_to_virt(pfn);
	const uint32_t size = PAGE_SIZE << TEXT_ORDER;
	uint32_t length = (uint32_t)e->show(text, size), n; /* not within MIN(), which would make the text twice */
	length = MIN(length, size - 1);
	n = offset < length ? MIN(length - offset, bytes) : 0;
	int error = 0;
	if (user)
		error = copy_to_user(to, text + offset, n);
	else
		memcpy(to, text + offset, n);
	frame_free(pfn, TEXT_ORDER);
	return error ? error : (int)n;
}

static int read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user)
{
	const struct entry *e = entry_of(vn);
	return e->show ? read_text(e, offset, buf, bytes, user) : e->read(buf, bytes, user);
}

static int write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user)
{
	(void)offset;
	return entry_of(vn)->write ? entry_of(vn)->write(buf, bytes, user) : -EPERM;
}

static int stat(struct vnode *vn, struct stat *st)
{
	*st = (struct stat){ .st_dev = 2, .st_ino = vn->ino, .st_mode = vn->mode, .st_nlink = 1, .st_size = vn->size };
	return 0;
}

static void release(struct vnode *vn) { panic("the last reference to /proc or /dev inode %u was dropped", vn->ino); }

static const struct vnode_ops dir_ops = { .lookup = lookup, .readdir = readdir, .stat = stat, .release = release };
static const struct vnode_ops file_ops = { .read = read, .write = write, .stat = stat, .release = release };

struct vnode *synth_root(const char *which)
{
	static struct tree trees[2];
	bool proc = strcmp(which, "proc") == 0;
	struct tree *t = &trees[proc];
	t->entries = proc ? proc_entries : dev_entries;
	t->n = proc ? ARRAY_SIZE(proc_entries) : ARRAY_SIZE(dev_entries);
	t->vn = (struct vnode){ .ops = &dir_ops, .refs = 1, .ino = 1, .mode = S_IFDIR | 0555, .fs = t, .size = t->n + 2 };
	for (unsigned i = 0; i < t->n; i++)
		t->files[i] = (struct vnode){ .ops = &file_ops, .refs = 1, .ino = 2 + i, .fs = t,
					      .mode = !t->entries[i].show ? S_IFCHR | 0666 :
						      t->entries[i].write ? S_IFREG | 0644 : S_IFREG | 0444 };
	return vnode_get(&t->vn);
}

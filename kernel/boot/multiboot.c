/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 (specification 0.6.96, 3.3): copies the loader's information into boot_info,
 * and trusts no length in it.
 */
#include "boot/boot.h"
#include "domain/guest.h"
#include "layout.h"

#define MULTIBOOT_BOOTED 0x2BADB002
enum { HAS_MEMORY = 1, HAS_CMDLINE = 4, HAS_MODULES = 8, HAS_MMAP = 64 };

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
		mmap_length, mmap_addr;
};

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct multiboot_range {
	uint32_t size; /* bytes that follow */
	uint64_t base, bytes;
	uint32_t type;
} __attribute__((packed));

struct boot_info boot_info;

/* Where the boot directory maps a machine address. */
static const void *at(uint32_t machine) { return (const void *)(KERNEL_BASE + machine); }

static void add_range(uint64_t base, uint64_t bytes, uint32_t type)
{
	if (base >= 1ull << 32)
		return;
	if (boot_info.nr_ranges == MAX_RANGES)
		panic("boot: the memory map has more than %u ranges", MAX_RANGES);
	boot_info.ranges[boot_info.nr_ranges++] =
		(struct memory_range){ base, MIN(bytes, (1ull << 32) - base), type };
}

static void parse_ranges(const struct multiboot_info *info)
{
	if (!(info->flags & HAS_MMAP)) { /* mem_lower: KiB from 0 on; mem_upper: from 1 MiB on */
		add_range(0, (uint64_t)info->mem_lower << 10, 1);
		add_range(1 << 20, (uint64_t)info->mem_upper << 10, 1);
		return;
	}
	for (uint32_t done = 0; done + sizeof(struct multiboot_range) <= info->mmap_length;) {
		const struct multiboot_range *r = at(info->mmap_addr + done);
		add_range(r->base, r->bytes, r->type);
		if (r->size > info->mmap_length)
			break;
		done += MAX(r->size, 20u) + 4;
	}
}

static void parse_modules(const struct multiboot_info *info)
{
	const struct multiboot_module *m = at(info->mods_addr);
	uint32_t n = info->flags & HAS_MODULES ? info->mods_count : 0;
	if (n > MAX_MODULES)
		panic("boot: %u boot modules are more than %u", n, MAX_MODULES);
	for (uint32_t i = 0; i < n; i++) {
		struct boot_module *to = &boot_info.modules[boot_info.nr_modules];
		const char *text = m[i].string ? at(m[i].string) : "";
		size_t length = strlen(text), room = sizeof(to->text) - 1;
		if (m[i].end <= m[i].start || m[i].start & ~PAGE_MASK)
			panic("boot: the boot module `%s` is empty, or begins within a page", text);
		to->machine = m[i].start;
		to->bytes = m[i].end - m[i].start;
		strlcpy(to->text, text + (length > room ? length - room : 0), sizeof(to->text));
		boot_info.nr_modules++;
	}
}

void boot_parse(uint32_t magic, uint32_t machine)
{
	const struct multiboot_info *info = at(machine);
	if (magic != MULTIBOOT_BOOTED)
		panic("boot: not started by a Multiboot 1 loader (EAX is %#x); "
		      "use GRUB's `multiboot` or QEMU's -kernel", magic);
	if (!(info->flags & (HAS_MEMORY | HAS_MMAP)))
		panic("boot: the loader passed no memory map");
	if ((info->flags & HAS_CMDLINE) && info->cmdline) {
		size_t room = sizeof(boot_info.cmdline);
		if (strlcpy(boot_info.cmdline, at(info->cmdline), room) >= room)
			panic("boot: the command line is longer than %zu bytes", room - 1);
	}
	parse_ranges(info);
	parse_modules(info);
}

/*
 * Copy one word of the command line without its quotes; the character after a backslash is
 * copied as it stands. GRUB passes a word with spaces in quotes, and puts a backslash before
 * each quote and each backslash of the word. Result: where the rest of the line begins.
 */
static const char *next_word(const char *s, char *word, size_t size)
{
	bool quoted = false;
	size_t n = 0;
	while (*s == ' ')
		s++;
	for (; *s && (quoted || *s != ' '); s++) {
		if (*s == '"') {
			quoted = !quoted;
			continue;
		}
		if (*s == '\\' && s[1])
			s++;
		if (n + 1 < size)
			word[n++] = *s;
	}
	word[n] = '\0';
	return s;
}

bool boot_option(const char *name, char *buf, size_t size)
{
	static char word[sizeof(boot_info.cmdline)];
	size_t length = strlen(name);
	for (const char *s = boot_info.cmdline; *s;) {
		s = next_word(s, word, sizeof(word));
		if (strncmp(word, name, length) == 0 && word[length] == '=') {
			strlcpy(buf, word + length + 1, size);
			return true;
		}
	}
	return false;
}

void boot_check_options(void)
{
	static const char *const known[] = { "ip", "mode", "p2m", "panic", "root", "run" };
	char word[40];
	uint32_t seen = 0, names = guest_start != NULL; /* nobody names a guest's kernel */
	for (const char *s = boot_info.cmdline; *s;) {
		s = next_word(s, word, sizeof(word));
		if (!*word) /* blanks at the end */
			continue;
		char *end = strchr(word, '=');
		bool ok = !end && !names++; /* QEMU and GRUB pass the kernel's own name */
		for (unsigned i = 0; i < ARRAY_SIZE(known) && !ok; i++) {
			size_t length = end ? (size_t)(end - word) : 0;
			ok = strlen(known[i]) == length && strncmp(word, known[i], length) == 0;
			if (ok && seen >> i & 1)
				printk("boot: `%s` ignored; the first %s= counts\n", word,
				       known[i]);
			seen |= (uint32_t)ok << i;
		}
		if (!ok)
			printk("boot: unknown option `%s` ignored; "
			       "known are ip=, mode=, p2m=, panic=, root=, run=\n", word);
	}
	const struct boot_module *m = boot_info.modules;
	for (; m < boot_info.modules + boot_info.nr_modules; m++)
		if (m != boot_module("vmm") && m != boot_module("rootfs"))
			printk("boot: the module `%s` is ignored; one vmm and one rootfs count\n",
			       m->text);
}

const struct boot_module *boot_module(const char *word)
{
	size_t length = strlen(word);
	const struct boot_module *m = boot_info.modules;
	for (; m < boot_info.modules + boot_info.nr_modules; m++) {
		const char *name = m->text;
		for (const char *s = name; *s; s++)
			if ((*s == ' ' || *s == '/') && s[1] && s[1] != ' ')
				name = s + 1;
		if (strncmp(name, word, length) == 0 &&
		    (!name[length] || name[length] == '.' || name[length] == ' '))
			return m;
	}
	return NULL;
}

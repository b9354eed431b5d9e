/* SPDX-License-Identifier: MIT */
/*
 * What a Bochs machine boots without GRUB: an option ROM (bochs_loader.S) with the Multiboot
 * information (specification 0.6.96, 3.3), and a disk with the contents of kernel and modules. The
 * BIOS runs as before; GRUB and a CD drive would take 30 times as long as all the rest.
 */
#include "emulators.h"
#include "x86.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	INFO = 0x5000, ROM = 0xD0000, ROM_BYTES = 0x4000, /* as in bochs_loader.S */
	HEAD = 16, MODULES = 2,
	SECTOR = 512, TRACKS = 16 * 63 * SECTOR, /* a disk has whole cylinders */
};
enum { HAS_CMDLINE = 4, HAS_MODULES = 8, HAS_MAP = 64 };

struct piece { uint32_t address, sectors; };
struct multiboot_module { uint32_t start, end, text, reserved; };
struct multiboot {
	struct { uint32_t flags, memory[2], device, cmdline, modules, modules_at, symbols[4],
		 map_length, map_at; } info;
	struct multiboot_module modules[MODULES];
	char text[1500];
};

extern const uint8_t bochs_loader[], bochs_loader_end[]; /* bochs_rom.S */

struct image {
	FILE *disk;
	struct piece pieces[1000];
	unsigned nr_pieces;
	struct multiboot multiboot;
	size_t text_bytes;
};

/*
 * Put bytes on the disk, which belong at a machine address. Pages of zeros stay out: that is what
 * the memory of a new machine holds.
 */
static void put(struct image *image, uint32_t address, const uint8_t *bytes, size_t size)
{
	static const uint8_t zeros[PAGE_SIZE];
	for (size_t done = 0; done < size; done += PAGE_SIZE) {
		uint8_t page[PAGE_SIZE] = { 0 };
		size_t part = size - done < PAGE_SIZE ? size - done : PAGE_SIZE;
		struct piece *last = &image->pieces[image->nr_pieces - 1];
		uint32_t at = address + (uint32_t)done, sectors = PAGE_SIZE / SECTOR;
		memcpy(page, bytes + done, part);
		if (memcmp(page, zeros, PAGE_SIZE) == 0)
			continue;
		if (image->nr_pieces && last->address + last->sectors * SECTOR == at)
			last->sectors += sectors;
		else if (image->nr_pieces + 1 == sizeof(image->pieces) / sizeof(image->pieces[0]))
			give_up(BROKEN, "too many pieces for Bochs's disk");
		else
			image->pieces[image->nr_pieces++] = (struct piece){ at, sectors };
		fwrite(page, 1, PAGE_SIZE, image->disk);
	}
}

/* Append a text to the information. Result: its machine address. */
static uint32_t add_text(struct image *image, const char *text)
{
	size_t at = image->text_bytes;
	if (at + strlen(text) + 1 > sizeof(image->multiboot.text))
		give_up(BROKEN, "a kernel command line of %zu bytes is too long", strlen(text));
	strcpy(image->multiboot.text + at, text);
	image->text_bytes += strlen(text) + 1;
	return INFO + (uint32_t)(offsetof(struct multiboot, text) + at);
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	uint8_t *bytes = NULL;
	if (f && fseek(f, 0, SEEK_END) == 0) {
		*size = (size_t)ftell(f);
		rewind(f);
		bytes = malloc(*size);
	}
	if (!bytes || fread(bytes, 1, *size, f) != *size)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	fclose(f);
	return bytes;
}

/* Put a file on the disk as the next module. Result: the address after it, of a page. */
static uint32_t add_module(struct image *image, uint32_t address, const char *path,
			   const char *text)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);
	uint32_t end = address + (uint32_t)size;
	image->multiboot.modules[image->multiboot.info.modules++] =
		(struct multiboot_module){ address, end, add_text(image, text), 0 };
	put(image, address, bytes, size);
	free(bytes);
	return (end + PAGE_SIZE - 1) & PAGE_MASK;
}

/* Fill the disk. Result: the machine address of the kernel's first instruction. */
static uint32_t fill_disk(struct image *image, const struct machine *m)
{
	char modules[1400];
	uint32_t begin, end, entry;
	uint8_t *kernel = symbol_file_image(&begin, &end, &entry);
	put(image, begin, kernel, end - begin);
	free(kernel);
	image->multiboot.info.cmdline = add_text(image, machine_cmdline(m));
	image->multiboot.info.flags = HAS_CMDLINE | HAS_MODULES | HAS_MAP;
	image->multiboot.info.modules_at = INFO + offsetof(struct multiboot, modules);
	end = (end + PAGE_SIZE - 1) & PAGE_MASK;
	if (m->o.modules)
		snprintf(modules, sizeof(modules), "%s", m->o.modules);
	else
		snprintf(modules, sizeof(modules), "%s vmm,%s/rootfs.ext2 rootfs", vmm_file,
			 build_dir);
	for (char *path = strtok(modules, ","); path; path = strtok(NULL, ",")) {
		char *name = strrchr(path, ' ');
		*name++ = '\0';
		end = add_module(image, end, path, name);
	}
	if (end > (uint64_t)m->o.mem << 20)
		give_up(FAILED, "kernel and modules are too large for the machine: they need "
			"%u MiB, the machine has %u", (end >> 20) + 1, m->o.mem);
	return entry;
}

/* Write the ROM: the loader, what it needs to know, and a last byte that makes its sum 0. */
static void write_rom(const struct image *image, uint32_t entry, const char *path)
{
	static uint8_t rom[ROM_BYTES];
	size_t info = (size_t)(bochs_loader_end - bochs_loader);
	size_t list = info + sizeof(image->multiboot);
	size_t list_bytes = (image->nr_pieces + 1) * sizeof(struct piece);
	if (list + list_bytes >= ROM_BYTES)
		give_up(BROKEN, "Bochs's option ROM is too small");
	uint32_t head[] = { (uint32_t)info, sizeof(image->multiboot), ROM + (uint32_t)list, entry };
	uint8_t sum = 0;
	memcpy(rom, bochs_loader, info);
	memcpy(rom + HEAD, head, sizeof(head));
	memcpy(rom + info, &image->multiboot, sizeof(image->multiboot));
	memcpy(rom + list, image->pieces, list_bytes);
	rom[2] = ROM_BYTES / SECTOR;
	for (size_t i = 0; i < ROM_BYTES - 1; i++)
		sum += rom[i];
	rom[ROM_BYTES - 1] = (uint8_t)-sum;
	FILE *f = fopen(path, "w");
	if (!f || fwrite(rom, 1, ROM_BYTES, f) != ROM_BYTES || fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}

void bochs_make_image(const struct machine *m, const char *rom, const char *disk)
{
	struct image *image = calloc(1, sizeof(*image));
	image->disk = fopen(disk, "w");
	if (!image->disk)
		give_up(BROKEN, "%s: %s", disk, strerror(errno));
	uint32_t entry = fill_disk(image, m);
	long size = ftell(image->disk);
	if (fclose(image->disk) != 0 || truncate(disk, (size / TRACKS + 1) * TRACKS) < 0)
		give_up(BROKEN, "%s: %s", disk, strerror(errno));
	write_rom(image, entry, rom);
	free(image);
}

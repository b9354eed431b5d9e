/* SPDX-License-Identifier: MIT */
/*
 * The emulator v86 as a third one, under Node. web/server.js makes it answer as QEMU does: the same
 * serial pipes, machine protocol, GDB stub and memory file. So all else is done by qemu.c, qmp.c
 * and gdb.c. It counts instructions as QEMU does, which have the same length of time there.
 */
#include "emulators.h"
#include <stdlib.h>

enum { CHUNK = 65536 }; /* as in web/server.js */

size_t v86_flags(const struct machine *m)
{
	return m->ram_bytes / CHUNK;
}

void v86_show(struct machine *m, uint32_t address, size_t bytes)
{
	const volatile uint8_t *shown = m->ram + m->ram_bytes;
	char text[32];
	for (size_t i = address / CHUNK; i * CHUNK < address + bytes; i++) {
		if (shown[i])
			continue;
		snprintf(text, sizeof(text), "{\"chunk\": %zu}", i);
		free(qmp_if_there(m, "show-memory", text));
	}
}

/* Only one test at a time calls npm. */
static void need_package(void)
{
	char text[2000];
	if (shell(text, sizeof(text), 120,
		  "flock %s/npm.lock env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "
		  "make -s %s/web/node_modules/.package-lock.json 2>&1", build_dir, build_dir) != 0)
		give_up(SKIPPED, "npm's registry is not to be had here, and with it v86 "
				 "(web/package.json):\n%s", text);
}

void v86_arguments(struct machine *m, int ram, struct arguments *a)
{
	const struct machine_options *o = &m->o;
	if (o->cpus > 1 || o->iso || o->iso_file || o->modules || o->disk || o->net_files ||
	    o->net_port || o->free_running)
		give_up(BROKEN, "v86 has one CPU, no disk and no network, and counts instructions");
	need_package();
	if (asprintf(&m->by_hand, "make web, and open %s/web/index.html#cmdline=%s", build_dir,
		     machine_cmdline(m)) < 0)
		give_up(BROKEN, "no memory");
	arg(a, "node"), arg(a, "web/server.js"), arg(a, "%s", build_dir);
	arg(a, "%s", kernel_file), arg(a, "%s", vmm_file), arg(a, "%u", o->mem);
	arg(a, "%d", ram), arg(a, "%s", machine_path(m, "")), arg(a, "%s", machine_cmdline(m));
}

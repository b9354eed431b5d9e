/* SPDX-License-Identifier: MIT */
/* What a machine boots: the kernel's command line, and an ISO with GRUB made for one machine. */
#include "emulators.h"
#include <errno.h>
#include <string.h>

const char *machine_cmdline(const struct machine *m)
{
	static char text[1024];
	const char *more = m->o.cmdline;
	snprintf(text, sizeof(text), "p2m=%s%s%s", m->o.p2m ? m->o.p2m : "identity",
		 more ? " " : "", more ? more : "");
	return text;
}

const char *machine_make_iso(const struct machine *m)
{
	const char *path = work_path("boot.iso"), *tree = work_path("iso");
	bool root = !m->o.modules;
	shell_must(10, "mkdir -p '%s/boot/grub' && cp '%s' '%s/boot/cinnabar' && "
		       "cp '%s' '%s/boot/vmm'", tree, kernel_file, tree, vmm_file, tree);
	if (root)
		shell_must(10, "cp '%s/rootfs.ext2' '%s/boot'", build_dir, tree);
	FILE *f = fopen(work_path("iso/boot/grub/grub.cfg"), "w");
	if (!f)
		give_up(BROKEN, "grub.cfg: %s", strerror(errno));
	/* GRUB reads quotes in the command line as the kernel does. */
	fprintf(f, "set timeout=0\nmenuentry cinnabar {\n\tmultiboot /boot/cinnabar %s\n%s}\n",
		machine_cmdline(m),
		root ? "\tmodule /boot/vmm vmm\n"
		       "\tmodule --nounzip /boot/rootfs.ext2 rootfs\n" : "");
	fclose(f);
	shell_must(60, "grub-mkrescue -o '%s' '%s'", path, tree);
	return path;
}

/* SPDX-License-Identifier: MIT */
/* The console of a guest: the VMM keeps its last output, and what is typed for it. */
#ifndef SPLIT_CONSOLE_FRONT_H
#define SPLIT_CONSOLE_FRONT_H

/* Add the console; output works. Context: boot of a guest, before anything is printed. */
void console_front_init(void);
/* Let input come. Context: boot, after console_front_init(). */
void console_front_listen(void);

#endif

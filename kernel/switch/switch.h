/* SPDX-License-Identifier: MIT */
/*
 * The kernel's half of the mode switch: the VMM's image at boot, and the phases of attach and
 * detach.
 */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include "mm/p2m.h"
#include "proc/task.h"
#include "vmm_abi.h"

/* --- image.c: the VMM's image --- */

/*
 * vmm_reserve - choose machine memory for the boot module `vmm`, clear of all modules.
 * usable: nr ranges. Result: the frames; none if there is no such module, or no room. Context:
 * boot.
 */
struct frame_range vmm_reserve(const struct frame_range *usable, unsigned nr);
/*
 * vmm_place - copy the image there and fill its page tables; the upper slots of `directory`
 * then show it. Context: boot, while the boot directory is in use.
 */
void vmm_place(pte_t *directory);
/*
 * vmm_warm_up - let the VMM build all that attach needs. Context: boot, after the last
 * map_machine().
 */
void vmm_warm_up(void);
/*
 * vmm_call - call the dormant VMM: an operation of vmm_abi.h for a CPU. Result: as vmm_abi.h says.
 * Context: ring 0, interrupts off.
 */
int vmm_call(uint32_t op, unsigned cpu, uint32_t argument);
/* Whether there is a VMM that is warmed up. Any context. */
bool vmm_present(void);
/* Machine address of the VMM's memory; 0 if there is none. Any context. */
uint32_t vmm_block(void);

/* --- switch.c: the phases --- */

/*
 * switch_mode - attach or detach the VMM, and wait until that is done. Result: 0, also if the
 * mode is that already; -ENODEV without a VMM; -EBUSY after too many retries (VO in use),
 * -ETIMEDOUT (a CPU did not answer), -EINTR (this process was killed), -EIO (rehearsed), or the
 * VMM's error. After an error the mode is unchanged, and /proc/switch has the reason. Context:
 * process.
 */
int switch_mode(bool to_virtual);
/*
 * switch_at_boot - attach for mode=virtual on the command line. With one CPU there is nobody to
 * meet: the phases run without request, gather and quiesce. Result: as switch_mode(). Context:
 * the first process, whose program is loaded but does not run yet.
 */
int switch_at_boot(void);
/* switch_interrupt - VEC_SWITCH arrived, and its end was signalled. Context: interrupts off. */
void switch_interrupt(void);

/* --- orders.c: the files of /proc; results as those of read, write and show there --- */

/*
 * /proc/mode: "native", "virtual". Result: as switch_mode(); also -EPERM in a guest, and -EBUSY for
 * native while there are guests.
 */
int mode_write(const void *buf, uint32_t bytes, bool user);
int switch_write(const void *buf, uint32_t bytes, bool user); /* /proc/switch: "fail PHASE" */
int switch_show(char *buf, size_t size); /* /proc/switch: a line for each of the last switches */
int vmm_show(char *buf, size_t size);    /* /proc/vmm: what the VMM counts */

#endif

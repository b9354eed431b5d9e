/* SPDX-License-Identifier: MIT */
/* The kernel's half of the mode switch: loading the VMM at boot, and the phases of attach and detach. */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include "mm/p2m.h"
#include "proc/task.h"
#include "vmm_abi.h"

/*
 * vmm_reserve - choose machine memory for the boot module `vmm`, clear of the other modules. usable: nr ranges.
 * Result: the frames, empty if there is no such module or no room. Context: boot.
 */
struct frame_range vmm_reserve(const struct frame_range *usable, unsigned nr);
/* Copy the image there and fill its page tables; the upper slots of `directory` then show it. Boot directory in use. */
void vmm_place(pte_t *directory);
/* Let the VMM build all that attach needs. Context: boot, after the kernel's last mapping (map_machine). */
void vmm_warm_up(void);
/* Enter the dormant VMM: an operation of vmm_abi.h. Ring 0, interrupts off (but for warm-up). */
int vmm_call(uint32_t op, unsigned cpu, uint32_t argument);
bool vmm_present(void);
uint32_t vmm_block(void); /* its machine address, for /proc/memmap */

/*
 * switch_mode - attach or detach the VMM, and wait until that is done. Result: 0, also if the mode is that already; -ENODEV
 * without a VMM; -EBUSY after too many retries (VO in use), -ETIMEDOUT (a CPU did not answer), -EIO or what the VMM says;
 * then everything is as before, and /proc/switch has the reason. Context: process.
 */
int switch_mode(bool to_virtual);
/*
 * switch_at_boot - attach for mode=virtual on the command line: with one CPU the phases follow each other here, without
 * request, gather and quiesce, since no other CPU and no other task can be in their way. Result: as switch_mode().
 * Context: the first process, its program loaded but not running yet.
 */
int switch_at_boot(void);
/* The dedicated vector came. Interrupts off; its end was signalled. */
void switch_interrupt(void);

int mode_write(const void *buf, uint32_t bytes, bool user);   /* /proc/mode: "native" or "virtual" */
int switch_write(const void *buf, uint32_t bytes, bool user); /* /proc/switch: "fail PHASE", one rehearsed failure */
int switch_show(char *buf, size_t size);                      /* /proc/switch: a line for each of the last switches */
int vmm_show(char *buf, size_t size);                         /* /proc/vmm: exits by reason */

#endif

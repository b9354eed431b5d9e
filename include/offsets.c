/* SPDX-License-Identifier: MIT */
/*
 * The layouts of structures, for all that cannot read C: the entries in assembly, and the
 * programs that look at a machine from outside. The build compiles this file to assembly and
 * makes offsets.h of it (tools/offsets): FIELD(task, hazard) becomes TASK_HAZARD, SIZE(task)
 * becomes TASK_BYTES.
 */
#include "dev/dev.h"
#include "mm/area.h"
#include "mm/frame_table.h"
#include "mm/p2m.h"
#include "proc/task.h"
#include "switch/rendezvous.h"
#include "vo/vo.h"
#include "vmm/guest.h"
#include "vmm/mem/frames.h"
#define guest kernel_guest /* kernel and VMM each have a struct guest */
#include "split/split.h"
#undef guest

#define EMIT(name, value) __asm__ volatile("->" name " %c0" : : "i"(value))
#define FIELD(type, member) EMIT(#type "." #member, offsetof(struct type, member))
#define SIZE(type) EMIT(#type ".bytes", sizeof(struct type))
#define CONSTANT(name) EMIT(#name, name)

void offsets(void);

void offsets(void)
{
	/* kernel: tasks, and the frames of interrupted code */
	FIELD(back, next);
	FIELD(back, port);
	FIELD(back, serve);
	EMIT("back.in", offsetof(struct back, wire.in));
	FIELD(ring, page);
	FIELD(ring, slots);
	FIELD(ring, slot_bytes);
	FIELD(ring, taken);
	FIELD(task, kernel_esp);
	FIELD(task, hazard);
	FIELD(task, trap_frames);
	FIELD(task, preempt);
	FIELD(task, cpu);
	FIELD(task, preempted_next);
	FIELD(task, state);
	FIELD(task, pid);
	FIELD(task, ppid);
	FIELD(task, mm);
	FIELD(task, name);
	CONSTANT(TASK_STACK_BYTES);
	CONSTANT(MAX_TASKS);
	SIZE(trap_frame);
	FIELD(trap_frame, gs);
	FIELD(trap_frame, fs);
	FIELD(trap_frame, es);
	FIELD(trap_frame, ds);
	FIELD(trap_frame, edi);
	FIELD(trap_frame, esi);
	FIELD(trap_frame, ebp);
	FIELD(trap_frame, outer);
	FIELD(trap_frame, ebx);
	FIELD(trap_frame, edx);
	FIELD(trap_frame, ecx);
	FIELD(trap_frame, eax);
	FIELD(trap_frame, vector);
	FIELD(trap_frame, error);
	FIELD(trap_frame, eip);
	FIELD(trap_frame, cs);
	FIELD(trap_frame, eflags);
	FIELD(trap_frame, esp);
	FIELD(trap_frame, ss);

	/* kernel: memory */
	FIELD(mm, directory);
	FIELD(mm, areas);
	FIELD(mm, pages);
	FIELD(mm, slots);
	SIZE(frame);
	FIELD(frame, order);
	FIELD(frame, refs);
	FIELD(frame, kind);
	CONSTANT(NO_FRAME);

	/* kernel: the VO, records of switches, the end of a run */
	SIZE(vo);
	FIELD(vo, cpu.shutdown);
	FIELD(vo, irq.save);
	FIELD(vo, irq.restore);
	FIELD(vo, time.now);
	SIZE(switch_record);
	FIELD(switch_record, attach);
	FIELD(switch_record, error);
	FIELD(switch_record, start);
	FIELD(switch_record, ends);
	FIELD(switch_record, failed);
	FIELD(switch_record, fail);
	SIZE(rendezvous);
	EMIT("topology.com1_level", offsetof(struct topology, isa[4].level));
	FIELD(rendezvous, attach);
	FIELD(rendezvous, leader);
	FIELD(rendezvous, wanted);
	FIELD(rendezvous, arrived);
	FIELD(rendezvous, busy);
	FIELD(rendezvous, done);
	FIELD(rendezvous, order);
	FIELD(rendezvous, first_order);
	FIELD(rendezvous, step);
	FIELD(rendezvous, step_attach);
	FIELD(rendezvous, result);
	CONSTANT(PANIC_STATUS);
	CONSTANT(OK_STATUS);

	/* the VMM's operations */
	CONSTANT(VMM_FORGET);

	/* both */
	FIELD(vmm_shared, vif);
	FIELD(vmm_shared, pending);
	FIELD(vmm_shared, address);
	FIELD(vmm_shared, exits);
	EMIT("vmm_shared.page_faults", offsetof(struct vmm_shared, exits[EXIT_PAGE_FAULT]));
	EMIT("vmm_shared.bounces", offsetof(struct vmm_shared, exits[EXIT_BOUNCED]));

	/* the machine, as kernel and VMM know it */
	FIELD(vmm_machine, nr_mfns);
	FIELD(vmm_machine, block);
	FIELD(vmm_machine, block_bytes);

	/* VMM: processors and domains */
	CONSTANT(CPU_BYTES);
	CONSTANT(VMM_GDT_ENTRIES);
	CONSTANT(SEL_VMM_CODE);
	CONSTANT(SEL_VMM_DATA);
	FIELD(cpu, current);
	FIELD(cpu, hazard);
	FIELD(cpu, fpu_owner);
	FIELD(cpu, index);
	FIELD(cpu, attached);
	FIELD(cpu, window_base);
	FIELD(cpu, halted);
	FIELD(cpu, queue_lock);
	FIELD(cpu, timers);
	FIELD(cpu, began);
	FIELD(cpu, since);
	FIELD(cpu, ended);
	FIELD(cpu, idled);
	FIELD(cpu, native.tr);
	FIELD(cpu, native.dr7);
	FIELD(cpu, native.sysenter_cs);
	EMIT("cpu.native_gdt", offsetof(struct cpu, native.gdtr.base));
	FIELD(cpu, tss);
	FIELD(tss, esp1);
	FIELD(cpu, df_tss);
	FIELD(cpu, gdt);
	SIZE(regs);
	FIELD(regs, es);
	FIELD(regs, ds);
	FIELD(regs, edi);
	FIELD(regs, esi);
	FIELD(regs, ebp);
	FIELD(regs, ebx);
	FIELD(regs, edx);
	FIELD(regs, ecx);
	FIELD(regs, eax);
	FIELD(regs, vector);
	FIELD(regs, error);
	FIELD(regs, eip);
	FIELD(regs, cs);
	FIELD(regs, eflags);
	FIELD(regs, esp);
	FIELD(regs, ss);
	SIZE(vcpu);
	FIELD(vcpu, domain);
	FIELD(vcpu, shared);
	FIELD(vcpu, directory);
	FIELD(vcpu, nr_fresh);
	FIELD(vcpu, fresh_limit);
	EMIT("vcpu.fresh_max", ARRAY_SIZE(((struct vcpu *)0)->fresh));
	FIELD(vcpu, last_table);
	FIELD(vcpu, timer_next);
	FIELD(vcpu, turn);
	FIELD(turn, key);
	FIELD(turn, warp_ns);
	FIELD(vcpu, ran);
	FIELD(vcpu, cpu);
	FIELD(vmm_machine, nr_mfns);
	FIELD(vcpu, regs);
	FIELD(vcpu, fs);
	FIELD(vcpu, gs);
	FIELD(vcpu, fpu_traps);
	FIELD(vcpu, fpu);
	FIELD(domain, id);
	FIELD(domain, state);
	FIELD(domain, nr_vcpus);
	FIELD(domain, guest);
	FIELD(domain, rights);
	FIELD(domain, ports);
	FIELD(domain, nr_ports);
	FIELD(domain, served);
	FIELD(domain, nr_pfns);
	FIELD(domain, directory);
	FIELD(domain, shared);
	FIELD(domain, handlers);
	FIELD(domain, generation);
	FIELD(domain, listed);
	FIELD(domain, nr_listed);
	FIELD(domain, direct_map_tables);
	FIELD(domain, kernel_pdes);
	FIELD(domain, nr_masked_mappings);
	FIELD(domain, vcpus);
	FIELD(guest, owned);
	SIZE(port);
	FIELD(port, used);
	CONSTANT(VMM_OWNER);

	/* VMM: the frame table */
	SIZE(frame_entry);
	FIELD(frame_entry, home);
	FIELD(frame_entry, generation);
	FIELD(frame_entry, use);
	CONSTANT(FRAME_ENTRY_OWNER);
	CONSTANT(HOME_W);
	CONSTANT(BASE_SHIFT);
	CONSTANT(BASE_MASK);
	CONSTANT(TYPE_SHIFT);
	CONSTANT(COUNT_MASK);
	CONSTANT(FOR_EVER);
	CONSTANT(END_OF_LIST);
	CONSTANT(NO_TABLE);
	CONSTANT(PTE_ALLOWED);
	CONSTANT(WRITABLE);
	CONSTANT(TABLE);
	CONSTANT(DIRECTORY);
	CONSTANT(SHARED);
	CONSTANT(LENT);
}

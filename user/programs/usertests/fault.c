/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: a program that does something forbidden in ring 3 ends, with the exception's vector
 * in its status, and nothing else is disturbed.
 */
#include "test.h"

static uint32_t zero;
static uint32_t kernel_at = KERNEL_BASE + 0x100000;
static struct { uint16_t limit; uint32_t base; } __attribute__((packed)) table = {0xFFFF, 0};
static uint32_t far_kernel[2] = {KERNEL_BASE + KERNEL_LOAD, SEL_KCODE};
static const int32_t bounds[2] = {1, 2};

#define INSTRUCTION(name, ...) static void name(void) { __asm__ volatile(__VA_ARGS__); }

INSTRUCTION(do_divide, "xorl %%edx, %%edx; movl $1, %%eax; divl %0" : : "m"(zero) : "eax", "edx")
INSTRUCTION(do_divide_overflow, "movl $-1, %%edx; movl $2, %%ecx; divl %%ecx"
	    : : : "eax", "ecx", "edx")
INSTRUCTION(do_breakpoint, "int3")
INSTRUCTION(do_into, "movl $0x7FFFFFFF, %%eax; addl $1, %%eax; into" : : : "eax")
INSTRUCTION(do_bound, "movl $5, %%eax; bound %%eax, %0" : : "m"(bounds) : "eax")
INSTRUCTION(do_ud2, "ud2")
INSTRUCTION(do_lock_bad, ".byte 0xF0, 0x90")
INSTRUCTION(do_cli, "cli")
INSTRUCTION(do_sti, "sti")
INSTRUCTION(do_hlt, "hlt")
INSTRUCTION(do_in, "inb $0x64, %%al" : : : "eax")
INSTRUCTION(do_out, "xorl %%eax, %%eax; outb %%al, $0x20" : : : "eax")
INSTRUCTION(do_out_exit, "movl $0xF4, %%edx; outb %%al, %%dx" : : : "edx")
INSTRUCTION(do_ins, "movl $0x1F0, %%edx; movl %0, %%edi; insw"
	    : : "r"(&zero) : "edx", "edi", "memory")
INSTRUCTION(do_lgdt, "lgdt %0" : : "m"(table))
INSTRUCTION(do_lidt, "lidt %0" : : "m"(table))
INSTRUCTION(do_lldt, "xorl %%eax, %%eax; lldt %%ax" : : : "eax")
INSTRUCTION(do_ltr, "movl %0, %%eax; ltr %%ax" : : "i"(SEL_TSS) : "eax")
INSTRUCTION(do_read_cr0, "movl %%cr0, %%eax" : : : "eax")
INSTRUCTION(do_write_cr0, "movl %eax, %cr0")
INSTRUCTION(do_write_cr3, "movl %eax, %cr3")
INSTRUCTION(do_write_cr4, "movl %eax, %cr4")
INSTRUCTION(do_debug_register, "movl %eax, %dr7")
INSTRUCTION(do_clts, "clts")
INSTRUCTION(do_lmsw, "lmsw %%ax" : :)
INSTRUCTION(do_invlpg, "invlpg %0" : : "m"(zero))
INSTRUCTION(do_rdmsr, "xorl %%ecx, %%ecx; rdmsr" : : : "eax", "ecx", "edx")
INSTRUCTION(do_wrmsr, "movl $0x1B, %%ecx; wrmsr" : : : "ecx")
INSTRUCTION(do_int_timer, "int $0xEF")
INSTRUCTION(do_int_irq, "int $0x21")
INSTRUCTION(do_int_switch, "int $0xF2")
INSTRUCTION(do_int_pf, "int $14")
INSTRUCTION(do_int_gp, "int $13")
INSTRUCTION(do_int_df, "int $8")
INSTRUCTION(do_int_nmi, "int $2")
INSTRUCTION(do_int_unused, "int $0x81")
INSTRUCTION(do_load_kernel_ds, "movl %0, %%eax; movw %%ax, %%ds" : : "i"(SEL_KDATA) : "eax")
INSTRUCTION(do_load_kernel_ss, "movl %0, %%eax; movw %%ax, %%ss" : : "i"(SEL_KDATA) : "eax")
INSTRUCTION(do_load_null_ss, "xorl %%eax, %%eax; movw %%ax, %%ss" : : : "eax")
INSTRUCTION(do_load_tss, "movl %0, %%eax; movw %%ax, %%es" : : "i"(SEL_TSS | 3) : "eax")
/* 0x1F: a selector of an LDT, and there is no LDT. */
INSTRUCTION(do_load_ldt, "movl $0x1F, %%eax; movw %%ax, %%fs" : : : "eax")
INSTRUCTION(do_load_beyond, "movl $0xFFFB, %%eax; movw %%ax, %%gs" : : : "eax")
INSTRUCTION(do_far_jump, "ljmp *%0" : : "m"(far_kernel))
INSTRUCTION(do_far_task, "lcall %0, $0" : : "i"(SEL_TSS))
INSTRUCTION(do_far_return, "pushl %0; pushl %1; lret" : : "i"(SEL_KCODE), "m"(kernel_at))
INSTRUCTION(do_iret_kernel, "pushl $2; pushl %0; pushl %1; iretl" : :
	    "i"(SEL_KCODE), "m"(kernel_at))
/* With NT set IRET goes to the task in the TSS's back link. */
INSTRUCTION(do_iret_task, "pushl $0x4002; popfl; iretl")
INSTRUCTION(do_read_kernel, "movl (%0), %%eax" : : "r"(kernel_at) : "eax")
INSTRUCTION(do_write_kernel, "movl %%eax, (%0)" : : "r"(kernel_at))
INSTRUCTION(do_jump_kernel, "jmp *%0" : : "r"(kernel_at))
INSTRUCTION(do_trap_flag, "pushfl; orl $0x100, (%esp); popfl; nop; nop")
INSTRUCTION(do_x87, "fninit; pushl $0x340; fldcw (%esp); fld1; pushl $0; fidivl (%esp); fwait")
/* Sixteen bytes: an instruction has at most fifteen. */
INSTRUCTION(do_long, ".fill 15, 1, 0x2E; .byte 0x90")

static const struct { const char *name; void (*run)(void); int vector; } faults[] = {
	{"div by 0", do_divide, 0}, {"div overflow", do_divide_overflow, 0},
	{"int3", do_breakpoint, 3}, {"into", do_into, 4}, {"bound", do_bound, 5},
	{"ud2", do_ud2, 6}, {"lock nop", do_lock_bad, 6}, {"cli", do_cli, 13},
	{"sti", do_sti, 13}, {"hlt", do_hlt, 13}, {"in", do_in, 13}, {"out", do_out, 13},
	{"out 0xF4", do_out_exit, 13}, {"ins", do_ins, 13}, {"lgdt", do_lgdt, 13},
	{"lidt", do_lidt, 13}, {"lldt", do_lldt, 13}, {"ltr", do_ltr, 13},
	{"mov from cr0", do_read_cr0, 13}, {"mov to cr0", do_write_cr0, 13},
	{"mov to cr3", do_write_cr3, 13}, {"mov to cr4", do_write_cr4, 13},
	{"mov to dr7", do_debug_register, 13}, {"clts", do_clts, 13}, {"lmsw", do_lmsw, 13},
	{"invlpg", do_invlpg, 13}, {"rdmsr", do_rdmsr, 13}, {"wrmsr", do_wrmsr, 13},
	{"int 0xEF", do_int_timer, 13}, {"int 0x21", do_int_irq, 13},
	{"int 0xF2", do_int_switch, 13}, {"int 14", do_int_pf, 13}, {"int 13", do_int_gp, 13},
	{"int 8", do_int_df, 13}, {"int 2", do_int_nmi, 13}, {"int 0x81", do_int_unused, 13},
	{"kernel ds", do_load_kernel_ds, 13}, {"kernel ss", do_load_kernel_ss, 13},
	{"null ss", do_load_null_ss, 13}, {"tss in es", do_load_tss, 13},
	{"ldt in fs", do_load_ldt, 13}, {"selector beyond the table", do_load_beyond, 13},
	{"far jump", do_far_jump, 13}, {"far call to a task", do_far_task, 13},
	{"far return", do_far_return, 13}, {"iret to ring 0", do_iret_kernel, 13},
	{"trap flag", do_trap_flag, 1}, {"x87 error", do_x87, 16},
	{"long instruction", do_long, 13}, {"read kernel", do_read_kernel, 14},
	{"write kernel", do_write_kernel, 14}, {"jump to kernel", do_jump_kernel, 14},
};

/*
 * Each forbidden instruction ends its process with the right vector. WBINVD is left out: QEMU 10
 * executes it in ring 3, as if it did nothing.
 */
TEST(fault_vectors)
{
	for (int i = 0; i < COUNT(faults); i++) {
		int status = status_of(faults[i].run);
		if (status != WSTATUS_FAULT(faults[i].vector))
			fail("%s: status 0x%x, not vector %d", faults[i].name, (uint32_t)status,
			     faults[i].vector);
	}
}

/*
 * An IRET with NT set uses the back link of the TSS, which names no task. The exception is the
 * program's, not the kernel's.
 */
TEST(fault_nested_task)
{
	int status = status_of(do_iret_task);
	check(status == WSTATUS_FAULT(10) || status == WSTATUS_FAULT(VEC_GP));
}

/*
 * A program can neither read nor write in the kernel's range or the VMM's, nor jump there: paging
 * or segment limits refuse it.
 */
TEST(fault_kernel_range)
{
	static const uint32_t at[] = {
		KERNEL_BASE, KERNEL_BASE + 0x100000, KERNEL_MAP_BASE, VMM_BASE - 0x1000, VMM_BASE,
		VMM_BASE + 0x1000, 0xFFC00000, 0xFFFFF000, 0xFFFFFFFC,
	};
	static void (*const ways[])(void) = {do_read_kernel, do_write_kernel, do_jump_kernel};
	for (int i = 0; i < COUNT(at); i++)
		for (int way = 0; way < COUNT(ways); way++) {
			kernel_at = at[i];
			int status = status_of(ways[way]);
			if (status != WSTATUS_FAULT(VEC_PF) && status != WSTATUS_FAULT(VEC_GP))
				fail("way %d at 0x%x: status 0x%x", way, at[i], (uint32_t)status);
		}
}

INSTRUCTION(do_sysenter, ".byte 0x0F, 0x34")
INSTRUCTION(do_sysexit, ".byte 0x0F, 0x35")
INSTRUCTION(do_syscall, ".byte 0x0F, 0x05")
INSTRUCTION(do_icebp, ".byte 0xF1")
INSTRUCTION(do_rsm, ".byte 0x0F, 0xAA")
INSTRUCTION(do_vmcall, ".byte 0x0F, 0x01, 0xC1")

/* Other instructions that lead into ring 0 fault; the exception depends on the processor. */
TEST(fault_other_doors)
{
	static void (*const doors[])(void) = {
		do_sysenter, do_sysexit, do_syscall, do_icebp, do_rsm, do_vmcall,
	};
	for (int i = 0; i < COUNT(doors); i++) {
		int status = status_of(doors[i]);
		if (!WIFFAULT(status))
			fail("door %d: status 0x%x", i, (uint32_t)status);
	}
}

static const char *vm86_code;

/* Go to vm86_code in virtual-8086 mode, at 0800:0000, with IOPL 3. EAX is ready for fork(). */
static void enter_vm86(void)
{
	char *page = mmap((void *)0x8000, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1, 0);
	check(page == (char *)0x8000);
	memcpy(page, vm86_code, 8);
	__asm__ volatile("pushl $0x1B; pushl $0x1B; pushl $0x1B; pushl $0x1B\n" /* gs fs ds es */
			 "pushl $0x800; pushl $0xF00; pushl %1; pushl $0x800; pushl $0\n"
			 "iretl"
			 : : "a"(CALL_fork),
			     "i"(EFLAGS_VM | EFLAGS_IOPL | EFLAGS_IF | EFLAGS_FIXED));
}

/*
 * IRET outside of ring 0 does not set EFLAGS.VM, so it faults at the selector. QEMU's TCG does set
 * it: then the program ends at its first exception, or at the next interrupt.
 */
TEST(fault_virtual_8086)
{
	static const char *const codes[] = {
		"\x0F\x0B", "\xCC", "\xCE", "\xF4", "\xEB\xFE", "\xCD\x80\xEB\xFE",
		"\xCD\x82\xEB\xFE", "\xA1\xFF\xFF", "\xE4\x60\xEB\xFE",
	};
	for (int i = 0; i < COUNT(codes); i++) {
		vm86_code = codes[i];
		int status = status_of(enter_vm86);
		if (status != WSTATUS_FAULT(VEC_GP))
			fail("code %d: status 0x%x", i, (uint32_t)status);
	}
}

static void misaligned(void)
{
	static uint32_t words[3];
	__asm__ volatile("pushfl; orl %0, (%%esp); popfl" : : "i"(EFLAGS_AC) : "cc");
	*(volatile uint32_t *)((char *)words + 1) = 1;
	/* The alignment of the kernel's own accesses is not checked. */
	raw_call(CALL_clock, (uint32_t)words + 1, 0, 0, 0, 0);
	__asm__ volatile("pushfl; andl %0, (%%esp); popfl" : : "i"(~EFLAGS_AC) : "cc");
}

/* A program may turn alignment checking on: at most the program itself faults. */
TEST(fault_alignment)
{
	int status = status_of(misaligned);
	check(status == 0 || status == WSTATUS_FAULT(17));
}

static void out_flags(void)
{
	__asm__ volatile("pushl $0x3FFAFF; popfl" : : : "cc"); /* all but TF and DF */
	uint32_t flags = eflags();
	__asm__ volatile("pushl $0x202; popfl" : : : "cc");
	check_is(flags & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF);
}

/* POPF in ring 3 cannot change IF and IOPL. */
TEST(fault_popf) { check_child(out_flags); }

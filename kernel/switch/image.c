/* SPDX-License-Identifier: MIT */
/*
 * The VMM's image: it comes as a boot module and gets a block of machine memory that p2m leaves
 * out, mapped at VMM_BASE in every address space. The block holds the image, the frame table
 * and the page tables of the VMM's 64 MiB. From warm-up on the VMM needs no more memory.
 */
#include "switch/switch.h"
#include "boot/boot.h"
#include "dev/dev.h"
#include "mm/vm.h"
#include "proc/elf.h"
#include "vo/virtual.h"

#define HEADER_BYTES 512 /* of the ELF file: its headers lie there */

extern uint64_t idt[256];
extern struct vmm_shared vmm_shared[];

static const struct boot_module *module;
static struct elf_image image;
_Static_assert(VMM_FAILED(PANIC_STATUS), "the VMM turns the machine off after a panic");

static struct vmm_boot boot;
static const struct vmm_header *header; /* NULL: no VMM, or not warmed up */

/* Where the boot directory maps a machine address. */
static void *machine_at(uint32_t machine) { return (void *)(KERNEL_BASE + machine); }

bool vmm_present(void) { return header; }

uint32_t vmm_block(void) { return boot.machine.block; }

int vmm_call(uint32_t op, unsigned cpu, uint32_t argument)
{
	return header->call(op, cpu, argument);
}

/*
 * Parse the module into `image`. Result: whether it is a VMM of our ABI version that fits its
 * place.
 */
static bool image_ok(void)
{
	const void *file = machine_at(module->machine);
	uint32_t header_bytes = MIN(module->bytes, (uint32_t)HEADER_BYTES);
	if (elf_parse(file, header_bytes, module->bytes, 0xFFFFF000, &image))
		return false;
	for (unsigned i = 0; i < image.n; i++) {
		const struct elf_segment *s = &image.segments[i];
		uint32_t end = s->start + s->bytes - VMM_BASE;
		if (s->start < VMM_BASE || end > VMM_BLOCK_MAX)
			return false;
		boot.machine.image_bytes = MAX(boot.machine.image_bytes, end);
	}
	const struct vmm_header *h = (const void *)((const char *)file + image.segments[0].offset);
	return image.segments[0].start == VMM_BASE && image.segments[0].file_bytes >= sizeof(*h) &&
	       h->magic == VMM_MAGIC && h->abi == VMM_ABI_VERSION;
}

/*
 * The first frame of the highest run of `frames` machine frames in a range that has no boot
 * module in it, or NO_FRAME.
 */
static mfn_t place_in(struct frame_range r, uint32_t frames)
{
	uint32_t end = MIN(r.end, (uint32_t)MAX_PFNS);
	for (bool moved = true; moved;) {
		if (end < r.first + frames)
			return NO_FRAME;
		moved = false;
		for (unsigned i = 0; i < boot_info.nr_modules; i++) {
			const struct boot_module *m = &boot_info.modules[i];
			mfn_t first = m->machine >> PAGE_SHIFT;
			if (end > first && end - frames < first + DIV_UP(m->bytes, PAGE_SIZE))
				end = first, moved = true;
		}
	}
	return end - frames;
}

struct frame_range vmm_reserve(const struct frame_range *usable, unsigned nr)
{
	module = boot_module("vmm");
	if (!module)
		return (struct frame_range){ 0 };
	if (!image_ok()) {
		printk("vmm: the boot module is not an image of ABI version %u; going on without\n",
		       VMM_ABI_VERSION);
		module = NULL;
		return (struct frame_range){ 0 };
	}
	boot.machine.nr_mfns = nr_mfns;
	boot.machine.block_bytes = boot.machine.image_bytes + VMM_TABLES * PAGE_SIZE +
				   ROUND_UP(nr_mfns * VMM_FRAME_BYTES, PAGE_SIZE);
	uint32_t frames = boot.machine.block_bytes / PAGE_SIZE;
	for (unsigned i = nr; i-- > 0 && boot.machine.block_bytes <= VMM_BLOCK_MAX;) {
		mfn_t at = place_in(usable[i], frames);
		if (at != NO_FRAME && at >= virt_to_pfn(machine_at(KERNEL_LOAD))) {
			boot.machine.block = at << PAGE_SHIFT;
			return (struct frame_range){ at, at + frames };
		}
	}
	printk("vmm: no room for %u KiB; going on without\n", boot.machine.block_bytes / 1024);
	module = NULL;
	return (struct frame_range){ 0 };
}

void vmm_place(pte_t *directory)
{
	if (!module)
		return;
	memset(machine_at(boot.machine.block), 0, boot.machine.block_bytes);
	for (unsigned i = 0; i < image.n; i++) {
		const struct elf_segment *s = &image.segments[i];
		const char *from = (const char *)machine_at(module->machine) + s->offset;
		memcpy(machine_at(boot.machine.block + s->start - VMM_BASE), from, s->file_bytes);
	}
	uint32_t tables = boot.machine.block + boot.machine.block_bytes - VMM_TABLES * PAGE_SIZE;
	pte_t *table = machine_at(tables);
	const pte_t flags = PTE_P | PTE_W | PTE_A | PTE_D | PTE_G;
	for (uint32_t i = 0; i < boot.machine.block_bytes / PAGE_SIZE; i++)
		table[i] = (boot.machine.block + i * PAGE_SIZE) | flags;
	for (unsigned i = 0; i < VMM_TABLES; i++)
		directory[VMM_SLOT + i] = (tables + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A;
}

void vmm_warm_up(void)
{
	if (!module)
		return;
	header = (const struct vmm_header *)VMM_BASE;
	boot.machine.nr_cpus = nr_cpus;
	boot.nr_pfns = nr_pfns;
	boot.directory = pfn_to_mfn(virt_to_pfn(kernel_directory));
	boot.shared = pfn_to_mfn(virt_to_pfn(vmm_shared)) << PAGE_SHIFT;
	boot.idt = idt;
	boot.machine.lapic = topology.lapic;
	boot.machine.ioapic = topology.ioapic;
	boot.machine.lapic_hz = native_lapic_hz();
	boot.machine.ns_multiplier = native_ns_multiplier();
	boot.machine.off_port = topology.off_port;
	boot.machine.off_value = topology.off_value;
	memcpy(boot.machine.apic_id, topology.apic_id, sizeof(boot.machine.apic_id));
	for (unsigned line = 0; line < NR_IRQ; line++) {
		boot.machine.line[line].pin = topology.isa[line].pin;
		boot.machine.line[line].entry = native_irq_entry(line);
	}
	uint32_t flags = VO(irq, save)();
	int error = vmm_call(VMM_WARM_UP, this_cpu(), (uint32_t)&boot);
	VO(irq, restore)(flags);
	if (error) {
		printk("vmm: warm-up failed (error %d); going on without\n", error);
		header = NULL;
	}
}

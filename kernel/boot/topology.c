/* SPDX-License-Identifier: MIT */
/*
 * Finds processors and interrupt controllers: in ACPI's MADT (ACPI 6.4, 5.2.12), else in
 * the MP table (MultiProcessor Specification 1.4, 4); else it assumes what every PC has. And
 * what turns the machine off, in ACPI's FADT and DSDT.
 * Firmware tables are input: lengths and sums are checked.
 */
#include "dev/dev.h"

#define LOW_BYTES 0x100000u /* the first MiB, in which the pointers to the tables are */
#define TABLE_BYTES_MAX 0x10000u
#define RSDT_BYTES_MAX 1024u /* each entry costs a mapping, which stays */

struct topology topology;
static const uint8_t *low; /* the first MiB, mapped */
static unsigned left_out;  /* processors */

static bool sum_ok(const void *p, uint32_t bytes)
{
	uint8_t sum = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
	return sum == 0;
}

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }

/* Find a structure of `bytes` bytes with this signature and a right sum in [from, to), or NULL. */
static const uint8_t *scan(uint32_t from, uint32_t to, const char *signature, uint32_t bytes)
{
	for (uint32_t at = from & ~15u; at + bytes <= to; at += 16) {
		const uint8_t *p = low + at;
		if (memcmp(p, signature, strlen(signature)) == 0 && sum_ok(p, bytes))
			return p;
	}
	return NULL;
}

/* Look where firmware puts its pointers: in the extended BIOS data area and in the BIOS itself. */
static const uint8_t *find_pointer(const char *signature, uint32_t bytes)
{
	uint32_t ebda = (uint32_t)get16(low + 0x40E) << 4;
	const uint8_t *p = NULL;
	if (ebda >= 0x400 && ebda < 0xA0000)
		p = scan(ebda, MIN(ebda + 1024, 0xA0000u), signature, bytes);
	return p ? p : scan(0xE0000, LOW_BYTES, signature, bytes);
}

static void add_cpu(uint8_t apic_id)
{
	for (unsigned i = 0; i < topology.nr_cpus; i++)
		if (topology.apic_id[i] == apic_id) /* the boot processor, or listed twice */
			return;
	if (topology.nr_cpus < ARRAY_SIZE(topology.apic_id))
		topology.apic_id[topology.nr_cpus++] = apic_id;
	else
		left_out++;
}

/*
 * flags: polarity and trigger, as MADT and MP table encode them. 3 means active low, and
 * level; all other values mean what ISA has: active high, and edge.
 */
static void add_override(unsigned line, unsigned pin, unsigned flags)
{
	if (line < NR_IRQ && pin < 256) {
		topology.isa[line].pin = (uint8_t)pin;
		topology.isa[line].low = (flags & 3) == 3;
		topology.isa[line].level = (flags >> 2 & 3) == 3;
	}
}

/* --- ACPI --- */

/* Map the table at a machine address. Result: NULL if signature, length or sum is wrong. */
static const uint8_t *map_table(uint32_t machine, const char *signature)
{
	const uint8_t *head = map_machine(machine, 36, 0);
	uint32_t bytes = get32(head + 4);
	if (memcmp(head, signature, 4) != 0 || bytes < 36 || bytes > TABLE_BYTES_MAX)
		return NULL;
	const uint8_t *table = map_machine(machine, bytes, 0);
	return sum_ok(table, bytes) ? table : NULL;
}

void topology_parse_madt(const uint8_t *madt)
{
	uint32_t bytes = get32(madt + 4);
	topology.lapic = get32(madt + 36);
	for (uint32_t at = 44; at + 2 <= bytes; at += madt[at + 1]) {
		const uint8_t *e = madt + at;
		if (e[1] < 2 || at + e[1] > bytes)
			break;
		if (e[0] == 0 && e[1] >= 8 && get32(e + 4) & 1)
			add_cpu(e[3]);
		else if (e[0] == 1 && e[1] >= 12 && get32(e + 8) == 0)
			topology.ioapic = get32(e + 4);
		else if (e[0] == 2 && e[1] >= 10)
			add_override(e[3], get32(e + 4), get16(e + 8));
	}
}

/*
 * The port is PM1a_CNT of the FADT (ACPI 6.4, 5.2.9). The value for it stands in the DSDT, in
 * the code for Name (_S5, Package { value, ... }): a name, the package's code 0x12 and its
 * length in 1 to 4 bytes, the number of values, and a value as 0, 1, or 0x0A and a byte
 * (7.4.2, 20.2.4, 20.2.5.4).
 */
static void find_power_off(const uint8_t *fadt)
{
	enum { SLP_EN = 0x2000 };
	const uint8_t *dsdt = get32(fadt + 4) >= 68 ? map_table(get32(fadt + 40), "DSDT") : NULL;
	uint32_t bytes = dsdt ? get32(dsdt + 4) : 0;
	for (uint32_t at = 36; at + 12 <= bytes; at++) {
		const uint8_t *p = dsdt + at;
		if (memcmp(p, "_S5_\x12", 5) != 0)
			continue;
		p += 5 + 1 + (p[5] >> 6) + 1;
		topology.off_port = get16(fadt + 64);
		topology.off_value = (uint16_t)((p[p[0] == 0x0A] & 7) << 10 | SLP_EN);
		return;
	}
}

static bool find_acpi(void)
{
	bool found = false;
	const uint8_t *rsdp = find_pointer("RSD PTR ", 20);
	const uint8_t *rsdt = rsdp ? map_table(get32(rsdp + 16), "RSDT") : NULL;
	uint32_t bytes = rsdt ? MIN(get32(rsdt + 4), RSDT_BYTES_MAX) : 0;
	for (uint32_t at = 36; at + 4 <= bytes; at += 4) {
		const uint8_t *madt = found ? NULL : map_table(get32(rsdt + at), "APIC");
		const uint8_t *fadt = madt || topology.off_port
					      ? NULL : map_table(get32(rsdt + at), "FACP");
		if (fadt)
			find_power_off(fadt);
		if (madt && get32(madt + 4) >= 44) {
			topology_parse_madt(madt);
			found = true;
		}
	}
	return found;
}

/* --- MP table --- */

void topology_parse_mp(const uint8_t *mp)
{
	uint32_t bytes = get16(mp + 4), at = 44;
	topology.lapic = get32(mp + 36);
	for (unsigned left = get16(mp + 34); left && at + 8 <= bytes; left--) {
		const uint8_t *e = mp + at;
		if (e[0] == 0 && at + 20 <= bytes && e[3] & 1)
			add_cpu(e[1]);
		else if (e[0] == 2 && e[3] & 1)
			topology.ioapic = get32(e + 4);
		else if (e[0] == 3 && e[1] == 0)
			add_override(e[5], e[7], get16(e + 2));
		at += e[0] == 0 ? 20 : 8;
	}
}

static bool find_mp(void)
{
	const uint8_t *pointer = find_pointer("_MP_", 16);
	uint32_t machine = pointer ? get32(pointer + 4) : 0;
	if (!machine)
		return false;
	const uint8_t *head = map_machine(machine, 44, 0);
	uint32_t bytes = get16(head + 4);
	if (memcmp(head, "PCMP", 4) != 0 || bytes < 44)
		return false;
	const uint8_t *mp = map_machine(machine, bytes, 0);
	if (!sum_ok(mp, bytes))
		return false;
	topology_parse_mp(mp);
	return true;
}

void topology_find(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	topology = (struct topology){ .nr_cpus = 1, .apic_id = { (uint8_t)(ebx >> 24) },
				      .lapic = 0xFEE00000, .ioapic = 0xFEC00000 };
	for (unsigned line = 0; line < NR_IRQ; line++)
		topology.isa[line].pin = (uint8_t)(line == 0 ? 2 : line);
	low = map_machine(0, LOW_BYTES, 0);
	left_out = 0;
	if (!find_acpi() && !find_mp())
		printk("topology: no ACPI and no MP table; "
		       "one processor and the usual addresses are taken\n");
	unmap_machine(low); /* and the tables: a guest may get this memory */
	if (left_out)
		printk("topology: %u of %u processors are used; more cannot be\n",
		       topology.nr_cpus, topology.nr_cpus + left_out);
}

void topology_check(void)
{
	static const struct { unsigned bit; const char *name; } needed[] = { /* CPUID 1, EDX */
		{ 9, "a local APIC" }, { 4, "a time-stamp counter" }, { 3, "4 MiB pages" },
		{ 0, "an FPU" },
	};
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (!(edx & 1u << needed[i].bit))
			panic("boot: the processor has not %s, which the kernel needs",
			      needed[i].name);
	volatile uint32_t *ioapic = map_machine(topology.ioapic, PAGE_SIZE, PTE_W | PTE_PCD);
	ioapic[0] = 1; /* version; in bits 16 to 23 the last of its pins (82093AA, 3.2.2) */
	uint32_t last = ioapic[4] >> 16 & 0xFF;
	if (last < NR_IRQ - 1 || last > 239)
		panic("boot: the machine has no I/O APIC at %#x, which the kernel needs",
		      topology.ioapic);
}

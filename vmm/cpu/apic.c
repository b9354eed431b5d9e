/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of the CPU that runs, mapped at page VMM_LAPIC_PAGE of the VMM's addresses
 * (SDM vol. 3, chapter 11).
 */
#include "vmm/cpu/cpu.h"

enum {
	LAPIC_EOI = 0xB0, LAPIC_SERVED = 0x100, LAPIC_ICR = 0x300, LAPIC_ICR_HIGH = 0x310,
	LAPIC_INITIAL = 0x380,
};
#define ICR_PENDING 0x1000
#define ICR_ASSERT 0x4000

void apic_send(unsigned cpu, unsigned vector)
{
	while (LAPIC[LAPIC_ICR / 4] & ICR_PENDING)
		;
	LAPIC[LAPIC_ICR_HIGH / 4] = (uint32_t)machine.apic_id[cpu] << 24;
	LAPIC[LAPIC_ICR / 4] = ICR_ASSERT | vector;
}

bool apic_serves(unsigned vector)
{
	return LAPIC[(LAPIC_SERVED + vector / 32 * 16) / 4] >> vector % 32 & 1;
}

void apic_end(void) { LAPIC[LAPIC_EOI / 4] = 0; }

int apic_tick(unsigned hz)
{
	if (hz == 0 || hz > 1000)
		return -EINVAL;
	LAPIC[LAPIC_INITIAL / 4] = MAX(machine.lapic_hz / hz, 1u);
	return 0;
}

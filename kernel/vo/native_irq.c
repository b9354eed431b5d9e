/* SPDX-License-Identifier: MIT */
/*
 * The native VO: interrupt controllers and time. ISA lines go through the IOAPIC to the boot
 * CPU; the old PICs are silenced. Each CPU's local APIC ticks and sends interrupts to other
 * CPUs. The clock is the time-stamp counter, measured once against the PIT, whose frequency is
 * known.
 */
#include "vo/native.h"
#include "dev/dev.h"
#include "proc/task.h"

enum { /* local APIC registers (SDM vol. 3, 11.4.1) */
	LAPIC_TPR = 0x80, LAPIC_EOI = 0xB0, LAPIC_SVR = 0xF0,
	LAPIC_ICR = 0x300, LAPIC_ICR_HIGH = 0x310, LAPIC_TIMER = 0x320,
	LAPIC_LINT0 = 0x350, LAPIC_LINT1 = 0x360, LAPIC_ERROR = 0x370,
	LAPIC_INITIAL = 0x380, LAPIC_COUNT = 0x390, LAPIC_DIVIDE = 0x3E0,
};
#define LVT_MASKED 0x10000
#define LVT_PERIODIC 0x20000
#define LVT_NMI 0x400
#define SVR_ENABLE 0x100
#define ICR_PENDING 0x1000
#define ICR_ASSERT 0x4000
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_ALL_OTHERS 0xC0000
#define IOAPIC_TABLE 0x10 /* redirection entry n: registers 0x10 + 2n, 0x11 + 2n (82093AA, 3.2.4) */
#define IOAPIC_LEVEL 0x8000
#define IOAPIC_LOW 0x2000
#define IOAPIC_MASKED 0x10000
#define PIT_HZ 1193182u
#define CALIBRATION_COUNT (PIT_HZ / 500) /* 2 ms */
#define CALIBRATION_ATTEMPTS 8
#define CALIBRATION_LOOKS 500
#define CALIBRATION_SPINS 10000 /* between two looks at the clocks: in an emulator looks are slow */

static volatile uint32_t *lapic, *ioapic;
static struct spinlock ioapic_lock;
static uint32_t lapic_hz;
static uint64_t tsc_start;
static uint32_t ns_multiplier; /* ns = ticks * ns_multiplier / 2^24 */

static uint32_t lapic_read(unsigned reg) { return lapic[reg / 4]; }
static void lapic_write(unsigned reg, uint32_t value) { lapic[reg / 4] = value; }

static uint64_t read_tsc(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

/* --- interrupt controllers --- */

static void ioapic_write(unsigned reg, uint32_t value)
{
	ioapic[0] = reg;
	ioapic[4] = value;
}

uint32_t native_irq_entry(unsigned line)
{
	return (VEC_IRQ + line) | (topology.isa[line].level ? IOAPIC_LEVEL : 0) |
	       (topology.isa[line].low ? IOAPIC_LOW : 0);
}

/* Lead an ISA line to the boot CPU, masked or not. Called with ioapic_lock held. */
static void route(unsigned line, bool masked)
{
	ASSERT_HELD(&ioapic_lock);
	unsigned entry = IOAPIC_TABLE + 2u * topology.isa[line].pin;
	ioapic_write(entry + 1, (uint32_t)topology.apic_id[0] << 24);
	ioapic_write(entry, native_irq_entry(line) | (masked ? IOAPIC_MASKED : 0));
}

/*
 * Give even a spurious interrupt of the two PICs a handler, then mask both (8259A, ICW1 to
 * ICW4).
 */
static void silence_pics(void)
{
	static const struct { uint8_t port, value; } steps[] = {
		{ 0x20, 0x11 }, { 0xA0, 0x11 }, { 0x21, VEC_IRQ }, { 0xA1, VEC_IRQ + 8 },
		{ 0x21, 4 }, { 0xA1, 2 }, { 0x21, 1 }, { 0xA1, 1 }, { 0x21, 0xFF }, { 0xA1, 0xFF },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
		native_io_out8(steps[i].port, steps[i].value);
}

void native_irq_init(unsigned cpu)
{
	if (cpu == 0) {
		silence_pics();
		lapic = map_machine(topology.lapic, PAGE_SIZE, PTE_W | PTE_PCD);
		ioapic = map_machine(topology.ioapic, PAGE_SIZE, PTE_W | PTE_PCD);
		ioapic[0] = 1;
		for (unsigned pin = 0, pins = (ioapic[4] >> 16 & 0xFF) + 1; pin < pins; pin++)
			ioapic_write(IOAPIC_TABLE + 2 * pin, IOAPIC_MASKED);
	}
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_TIMER, LVT_MASKED);
	lapic_write(LAPIC_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LINT1, LVT_NMI);
	lapic_write(LAPIC_ERROR, LVT_MASKED);
	lapic_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
	lapic_write(LAPIC_EOI, 0);
}

void native_irq_mask(unsigned line, bool masked)
{
	uint32_t flags = spin_lock_irq(&ioapic_lock);
	route(line, masked);
	spin_unlock_irq(&ioapic_lock, flags);
}

void native_irq_end(unsigned vector)
{
	(void)vector;
	lapic_write(LAPIC_EOI, 0);
}

static void send_icr(unsigned apic_id, uint32_t command)
{
	uint32_t flags = native_irq_save();
	while (lapic_read(LAPIC_ICR) & ICR_PENDING)
		;
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, command);
	native_irq_restore(flags);
}

void native_irq_send(unsigned cpu, unsigned vector)
{
	if (!lapic)
		return; /* a panic before native_irq_init() */
	if (cpu == IPI_OTHERS)
		send_icr(0, ICR_ALL_OTHERS | ICR_ASSERT | vector);
	else
		send_icr(topology.apic_id[cpu], ICR_ASSERT | vector);
}

static void delay_us(uint32_t us)
{
	uint64_t end = native_time_now() + (uint64_t)us * 1000;
	while (native_time_now() < end)
		;
}

int native_cpu_start(unsigned apic_id, uint32_t trampoline)
{
	send_icr(apic_id, ICR_INIT | ICR_ASSERT);
	delay_us(10000);
	for (int i = 0; i < 2; i++) {
		send_icr(apic_id, ICR_STARTUP | ICR_ASSERT | trampoline >> PAGE_SHIFT);
		delay_us(200);
	}
	return lapic_read(LAPIC_ICR) & ICR_PENDING ? -ETIMEDOUT : 0;
}

/* --- time --- */

/* The clocks at one moment. The PIT and the local APIC's timer count down. */
struct clocks {
	uint64_t tsc;
	uint32_t lapic, pit;
	uint32_t took; /* ticks of the time-stamp counter that it took to read the three */
};

static struct clocks read_clocks(void)
{
	struct clocks c = { .tsc = read_tsc() };
	native_io_out8(0x43, 0x80); /* hold channel 2's count for the next two reads (8254) */
	c.lapic = lapic_read(LAPIC_COUNT);
	c.took = (uint32_t)(read_tsc() - c.tsc);
	c.pit = native_io_in8(0x42);
	c.pit |= (uint32_t)native_io_in8(0x42) << 8;
	return c;
}

/*
 * Let PIT channel 2 count down from 65536, for 55 ms, and read the clocks 2 ms apart. A machine
 * whose time-stamp counter runs for a second and more meanwhile has no PIT; but an emulator's host
 * may also have stopped it for so long, which takes few looks.
 */
static void read_clocks_twice(struct clocks *start, struct clocks *end)
{
	unsigned looks = 0;
	native_io_out8(0x43, 0xB0); /* channel 2, two bytes, mode 0 (8254) */
	native_io_out8(0x42, 0);
	native_io_out8(0x42, 0);
	lapic_write(LAPIC_INITIAL, 0xFFFFFFFF);
	*start = read_clocks();
	do {
		for (unsigned i = 0; i < CALIBRATION_SPINS; i++)
			__asm__ volatile("");
		*end = read_clocks();
		if (++looks > CALIBRATION_LOOKS && end->tsc - start->tsc > UINT32_MAX)
			panic("boot: the interval timer (PIT) does not count");
	} while ((uint16_t)(start->pit - end->pit) < CALIBRATION_COUNT);
}

/* Result: the rate, in units of `by` Hz, of a clock that counted n in `pit` ticks of the PIT. */
static uint32_t rate(uint64_t n, uint16_t pit, uint32_t by)
{
	n *= PIT_HZ;
	div64(&n, pit);
	div64(&n, by);
	return (uint32_t)n;
}

/*
 * Measure the time-stamp counter and the local APIC's timer against the PIT. Firmware, or an
 * emulator's host, may stop the CPU in the middle. Between the two readings that does no harm,
 * unless the PIT's output has risen meanwhile (port 0x61): its count began again. Within a
 * reading it does: the attempt with the shortest readings counts, and the first one whose
 * readings took less than 1/256 of the time is good enough.
 */
static void calibrate(void)
{
	struct clocks start, end;
	uint32_t tsc_khz = 0, best = 0xFFFFFFFF;
	lapic_write(LAPIC_DIVIDE, 0xB); /* by 1 */
	native_io_out8(0x61, (native_io_in8(0x61) & ~2u) | 1);
	tsc_start = read_tsc();
	for (int i = 0; i < CALIBRATION_ATTEMPTS; i++) {
		read_clocks_twice(&start, &end);
		uint16_t pit = (uint16_t)(start.pit - end.pit);
		uint32_t ticks = (uint32_t)(end.tsc - start.tsc);
		uint32_t took = native_io_in8(0x61) & 0x20 ? 0xFFFFFFFF : start.took + end.took;
		if (took > best)
			continue;
		best = took;
		lapic_hz = rate(start.lapic - end.lapic, pit, 1);
		tsc_khz = rate(ticks, pit, 1000);
		if (took < ticks / 256)
			break;
	}
	lapic_write(LAPIC_INITIAL, 0);
	uint64_t multiplier = 1000000ull << 24;
	div64(&multiplier, MAX(tsc_khz, 4000u));
	ns_multiplier = (uint32_t)multiplier;
}

uint32_t native_lapic_hz(void) { return lapic_hz; }

uint32_t native_ns_multiplier(void) { return ns_multiplier; }

void native_time_set(uint64_t tsc, uint32_t multiplier)
{
	tsc_start = tsc;
	ns_multiplier = multiplier;
}

void native_time_start_tick(unsigned hz)
{
	if (lapic_hz == 0)
		calibrate();
	lapic_write(LAPIC_DIVIDE, 0xB);
	lapic_write(LAPIC_TIMER, LVT_PERIODIC | VEC_TIMER);
	lapic_write(LAPIC_INITIAL, MAX(lapic_hz / hz, 1u));
}

uint64_t native_time_now(void)
{
	uint64_t ticks = read_tsc() - tsc_start;
	uint64_t low = (ticks & 0xFFFFFFFF) * ns_multiplier, high = (ticks >> 32) * ns_multiplier;
	return (low >> 24) + (high << 8);
}

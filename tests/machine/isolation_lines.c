/* SPDX-License-Identifier: MIT */
/*
 * Lines of devices while the kernel is attached (rule 25): a level-triggered one, by the power
 * button of QEMU's PC, whose line is the ACPI interrupt, COM1's as if it were one, and one whose
 * vector has no gate. And more devices than a PC has.
 */
#include "isolation.h"
#include "offsets.h"

enum { ACPI_LINE = 9, KEYBOARD_LINE = 1, SECONDS = 20 };
enum { PM1_STATUS = 0x600, PM1_ENABLE = 0x602, PM1_CONTROL = 0x604, POWER_BUTTON = 0x100 };
enum { IOAPIC_TABLE = 0x10, IOAPIC_MASKED = 0x10000, NO_GATE = 0x99 };

static void port_out(struct machine *m, unsigned port, unsigned value)
{
	char text[40];
	snprintf(text, sizeof(text), "o /h %#x %#x", port, value);
	free(qmp_human(m, text));
}

/* The IOAPIC's entry for a pin. */
static uint64_t pin_entry(struct machine *m, unsigned pin)
{
	char name[20], *text = qmp_human(m, "info pic");
	snprintf(name, sizeof(name), "pin %-2u 0x", pin);
	const char *at = strstr(text, name);
	CHECK(at, "QEMU shows no pin %u of the IOAPIC:\n%s", pin, text);
	uint64_t value = strtoull(at + strlen(name), NULL, 16);
	free(text);
	return value;
}

/* Execute a hypercall in ring 1, so that an interrupt comes. Then the line must be like this. */
static void want_line(struct victim *v, const struct call *c, bool masked, bool pending,
		      const char *when)
{
	want_result(v, 0, c);
	bool is_masked = pin_entry(v->m, ACPI_LINE) & IOAPIC_MASKED;
	bool is_pending = shared_word(v, SHARED_PENDING) >> ACPI_LINE & 1;
	CHECK(is_masked == masked, "%s: line %u is %smasked", when, ACPI_LINE,
	      is_masked ? "" : "not ");
	CHECK(is_pending == pending, "%s: event %u is %spending", when, ACPI_LINE,
	      is_pending ? "" : "not ");
	set_shared_word(v, SHARED_PENDING,
			shared_word(v, SHARED_PENDING) & ~(1u << ACPI_LINE));
}

/* 25: a level-triggered line is masked from its interrupt to HC_END, and never lost. */
void level_line(struct victim *v)
{
	const struct call nothing = { HC_FLUSH, 0, 0, 0, 0, 0 };
	const struct call end = { HC_END, ACPI_LINE, 0, 0, 0, 0 };
	const struct call mask = { HC_MASK, ACPI_LINE, 1, 0, 0, 0 };
	const struct call unmask = { HC_MASK, ACPI_LINE, 0, 0, 0, 0 };
	port_out(v->m, PM1_ENABLE, POWER_BUTTON);
	port_out(v->m, PM1_CONTROL, 1);
	want_line(v, &mask, true, false, "after HC_MASK");
	free(qmp(v->m, "system_powerdown", NULL));
	want_line(v, &nothing, true, false, "a device asks at a masked line");
	want_line(v, &unmask, true, true, "the line is let through");
	want_line(v, &nothing, true, false, "the device is not served");
	want_line(v, &end, true, true, "HC_END, and the device still asks");
	port_out(v->m, PM1_STATUS, POWER_BUTTON); /* the device is served */
	want_line(v, &end, false, false, "HC_END, and the device is served");
	free(qmp(v->m, "system_powerdown", NULL));
	want_line(v, &nothing, true, true, "the device asks once more");
	port_out(v->m, PM1_ENABLE, 0), port_out(v->m, PM1_CONTROL, 0);
	port_out(v->m, PM1_STATUS, POWER_BUTTON);
	want_line(v, &mask, true, false, "at the end");
}

/*
 * 25: Bochs has no level-triggered line of ours. So the kernel is told, before it sets the IOAPIC,
 * that COM1's is one: all that is typed comes only if the VMM masks and ends it as it must.
 */
void level_serial(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	uint32_t at = symbol("topology") - KERNEL_BASE + TOPOLOGY_COM1_LEVEL;
	if (!m->o.bochs)
		gdb_connect(m);
	debug_break(m, symbol("topology_check"), true);
	CHECK(debug_run(m, SECONDS), "topology_check() is not called");
	uint32_t word = physical_word(m, at & ~3u) | 1u << at % 4 * 8;
	physical_write(m, at & ~3u, &word, sizeof(word));
	debug_break(m, symbol("topology_check"), false);
	machine_continue(m);
	machine_expect(m, PROMPT, 60);
	command(m, "echo typed natively; echo virtual > /proc/mode", SECONDS);
	for (unsigned i = 0; i < 5; i++)
		command(m, "echo typed in virtual mode, where each byte asks; ls /bin", SECONDS);
	machine_stop(m);
	check_mode(m, true);
	CHECK(physical_word(m, at & ~3u) == word, "the line is no level-triggered one any more");
	machine_continue(m);
	end_native(m);
}

/* --- more devices than a PC has --- */

enum { CONFIG_ADDRESS = 0xCF8, CONFIG_DATA = 0xCFC, COMMAND = 4, BUSES = 0x18, BUS_MASTER = 4 };

/* The lower half of a word of a function's PCI configuration, which port_out() may store, then. */
static unsigned pci_word(struct machine *m, unsigned bus, unsigned slot, unsigned function,
			 unsigned at)
{
	char text[40];
	snprintf(text, sizeof(text), "o /w %#x %#x", CONFIG_ADDRESS,
		 1u << 31 | bus << 16 | slot << 11 | function << 8 | at);
	free(qmp_human(m, text));
	snprintf(text, sizeof(text), "i /h %#x", CONFIG_DATA);
	char *said = qmp_human(m, text), *value = strstr(said, "= ");
	CHECK(value, "no PCI configuration: %s", said);
	unsigned command = (unsigned)strtoul(value + 2, NULL, 16);
	free(said);
	return command;
}

/* The PCI command register of a function on bus 0. */
static unsigned pci_command(struct machine *m, unsigned slot, unsigned function)
{
	return pci_word(m, 0, slot, function, COMMAND);
}

/* 41: of 40 devices that could write to memory none can after an attach. */
void bus_masters(const struct test *t)
{
	enum { FIRST = 4, LAST = 8 };
	struct machine *m = machine_start(&t->machine);
	for (unsigned slot = FIRST; slot <= LAST; slot++)
		for (int f = 7; f >= 0; f--) {
			char text[100];
			snprintf(text, sizeof(text), "{\"driver\":\"edu\",\"addr\":\"%x.%d\","
				 "\"multifunction\":true}", slot, f);
			free(qmp(m, "device_add", text));
		}
	machine_continue(m);
	machine_expect(m, PROMPT, SECONDS);
	for (unsigned i = 0; i < (LAST + 1 - FIRST) * 8; i++) {
		unsigned command = pci_command(m, FIRST + i / 8, i % 8);
		port_out(m, CONFIG_DATA, command | BUS_MASTER);
	}
	command(m, "echo virtual > /proc/mode", SECONDS);
	machine_stop(m);
	check_mode(m, true);
	for (unsigned i = 0; i < (LAST + 1 - FIRST) * 8; i++)
		CHECK(!(pci_command(m, FIRST + i / 8, i % 8) & BUS_MASTER),
		      "PCI device %x.%u, which is number %u, can still write to memory",
		      FIRST + i / 8, i % 8, i + 1);
	machine_continue(m);
	end_native(m);
}

/*
 * 41: the same behind a bridge, and behind one behind it. QEMU lets a device behind a bridge store
 * into memory whatever the bridge's own bit says. The native kernel gives the buses other numbers,
 * so that the devices are not where they were at boot.
 */
void behind_bridges(const struct test *t)
{
	static const char *const devices[] = {
		"{\"driver\":\"pci-bridge\",\"id\":\"b1\",\"chassis_nr\":1,\"addr\":\"5\"}",
		"{\"driver\":\"edu\",\"bus\":\"b1\",\"addr\":\"1\"}",
		"{\"driver\":\"pci-bridge\",\"id\":\"b2\",\"chassis_nr\":2,\"bus\":\"b1\","
		"\"addr\":\"2\"}",
		"{\"driver\":\"edu\",\"bus\":\"b2\",\"addr\":\"3\"}",
	};
	const struct { unsigned bus, slot; } edu[] = { { 1, 1 }, { 2, 3 } };
	struct machine *m = machine_start(&t->machine);
	for (unsigned i = 0; i < COUNT(devices); i++)
		free(qmp(m, "device_add", devices[i]));
	machine_continue(m);
	machine_expect(m, PROMPT, SECONDS);
	for (unsigned i = 0; i < COUNT(edu); i++) {
		unsigned command = pci_word(m, edu[i].bus, edu[i].slot, 0, COMMAND);
		CHECK(command != 0xFFFF, "no device on bus %u", edu[i].bus);
		port_out(m, CONFIG_DATA, command | BUS_MASTER);
	}
	CHECK(pci_word(m, 1, 2, 0, BUSES) == 0x0201, "the inner bridge has other buses");
	port_out(m, CONFIG_DATA, 0x0901);
	CHECK(pci_word(m, 0, 5, 0, BUSES) == 0x0100, "the outer bridge has other buses");
	port_out(m, CONFIG_DATA, 0x0700);
	CHECK(pci_word(m, 1, 1, 0, COMMAND) == 0xFFFF, "the buses have their numbers still");
	command(m, "echo virtual > /proc/mode", SECONDS);
	machine_stop(m);
	check_mode(m, true);
	for (unsigned i = 0; i < COUNT(edu); i++)
		CHECK(!(pci_word(m, edu[i].bus, edu[i].slot, 0, COMMAND) & BUS_MASTER),
		      "the device on bus %u can still write to memory", edu[i].bus);
	machine_continue(m);
	end_native(m);
}

/* Boot with so many more PCI functions, all but the bridges behind bridges. */
static struct machine *with_functions(const struct test *t, unsigned left)
{
	enum { SLOTS = 31, FUNCTIONS = 8 };
	struct machine *m = machine_start(&t->machine);
	char text[120];
	for (unsigned bridge = 1; left; bridge++) {
		snprintf(text, sizeof(text), "{\"driver\":\"pci-bridge\",\"id\":\"b%u\","
			 "\"chassis_nr\":%u,\"addr\":\"%x\"}", bridge, bridge, 4 + bridge);
		free(qmp(m, "device_add", text));
		left--;
		for (unsigned slot = 1; slot <= SLOTS; slot++) {
			unsigned n = left < FUNCTIONS ? left : FUNCTIONS;
			left -= n;
			while (n--) {
				snprintf(text, sizeof(text), "{\"driver\":\"pci-testdev\","
					 "\"bus\":\"b%u\",\"addr\":\"%x.%u\","
					 "\"multifunction\":true}", bridge, slot, n);
				free(qmp(m, "device_add", text));
			}
		}
	}
	machine_continue(m);
	machine_expect(m, PROMPT, SECONDS);
	return m;
}

/* 41: of more PCI functions than the VMM can note it could turn off some only: it refuses them. */
void too_many_functions(const struct test *t)
{
	enum { MOST = 512 };
	uint32_t few, all;
	struct machine *m = with_functions(t, 0);
	machine_stop(m);
	virtual_read(m, machine_cpu(m, 0).cr3, vmm_symbol("nr_devices"), &few, sizeof(few));
	machine_quit(m);
	m = with_functions(t, MOST - few);
	command(m, "echo virtual > /proc/mode", SECONDS);
	machine_stop(m);
	check_mode(m, true);
	virtual_read(m, machine_cpu(m, 0).cr3, vmm_symbol("nr_devices"), &all, sizeof(all));
	CHECK(all == MOST, "of %u functions the VMM knows %u", MOST, all);
	machine_continue(m);
	end_native(m);
	m = with_functions(t, MOST - few + 1);
	CHECK(strstr(m->log, "vmm: refused: the machine has too many PCI devices"),
	      "the VMM does not refuse %u functions", MOST + 1);
	command(m, "echo virtual > /proc/mode", SECONDS);
	CHECK(strstr(m->log, "no such device"), "an attach without a warm-up");
	machine_stop(m);
	struct cpu_state c = machine_cpu(m, 0);
	CHECK(c.idt.base < VMM_BASE && c.gdt.base < VMM_BASE, "the VMM's tables are loaded");
	machine_continue(m);
	end_at_prompt(m);
}

/* --- a vector without a gate --- */

/* Press a key, and take it from the controller: the kernel learns nothing of it. */
static void press(struct machine *m)
{
	static const char *const key[] = { "a" };
	qmp_keys(m, key, 1);
	machine_pump(m);
	for (unsigned i = 0; i < 4; i++)
		free(qmp_human(m, "i /b 0x60"));
}

static uint32_t exits(struct machine *m, unsigned kind)
{
	return physical_word(m, symbol("vmm_shared") - KERNEL_BASE + SHARED_EXITS + 4 * kind);
}

/*
 * 41: in native mode the kernel gives a line a vector for which the VMM has no gate. Its interrupts
 * are ended and do nothing, in ring 0 (the CPU idles in the VMM), 1 and 3.
 */
void vector_without_gate(const struct test *t)
{
	struct victim *v = native_start(&t->machine);
	struct machine *m = v->m;
	uint32_t pin = IOAPIC_TABLE + 2 * KEYBOARD_LINE;
	run_native(v, "set_pin", NO_GATE << 8 | pin);
	command(m, "echo virtual > /proc/mode", SECONDS);
	machine_stop(m);
	uint32_t before = exits(m, EXIT_PROTECTION);
	machine_continue(m);
	press(m);
	command(m, "echo the first; sleep 0", SECONDS);
	machine_send(m, "work; echo status $?\n");
	for (unsigned i = 0; i < 20; i++)
		press(m);
	machine_expect(m, "\nstatus 0", SECONDS);
	machine_expect(m, PROMPT, SECONDS);
	machine_stop(m);
	uint32_t lost = exits(m, EXIT_PROTECTION) - before;
	CHECK(lost > 1, "only %u interrupts with vector %#x came: this proves nothing", lost,
	      NO_GATE);
	machine_continue(m);
	end_at_prompt(m);
}

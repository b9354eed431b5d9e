/* SPDX-License-Identifier: MIT */
/* What the files of tests share: the form of a test, and checks that several of them make. */
#ifndef TESTS_H
#define TESTS_H

#include "machine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A test runs in a process of its own and passes by returning. machine: what it is to start, if it uses that. */
struct test {
	const char *name;
	void (*run)(const struct test *t);
	unsigned seconds; /* limit for the whole test */
	struct machine_options machine;
	const char *text; /* command, expected message, or whatever run() makes of it */
	unsigned number;
};

/* Each file's tests; the end has no name. soak: with --soak only. */
extern const struct test boot_tests[], native_tests[], program_tests[], hostile_tests[], disk_tests[], document_tests[];
extern const struct test soak_tests[], switch_tests[], switch_soak_tests[], rollback_tests[], rollback_soak_tests[];
extern const struct test isolation_tests[], isolation_soak_tests[];
void bench(const struct test *t), bench_switch(const struct test *t), demo(const struct test *t); /* --bench and so on */

#define PROMPT "$ "
#define CHECK(x, ...) do { if (!(x)) give_up(FAILED, __VA_ARGS__); } while (0)

/* Start, wait for the prompt. */
struct machine *start_to_prompt(const struct machine_options *o);
/* Type a command at the prompt and wait for the next one. */
void command(struct machine *m, const char *text, double seconds);
/* Sync and end a machine that is at its prompt, and check its file system. */
void end_at_prompt(struct machine *m);
/* Start with run="command", wait for the end, want the exit status (QEMU's), check the file system if want is EXIT_OK. */
struct machine *run_command(const struct machine_options *o, const char *text, int want, double seconds);
/* N1 and the memory invariants, on a stopped machine (native.c); in virtual mode V1 to V6. */
void check_native(struct machine *m);
void check_mode(struct machine *m, bool virtual_mode);
void check_cpu_virtual(struct machine *m, unsigned i, const struct cpu_state *c); /* virtual.c: V1, V2, V5, V6 */
void check_whole(struct machine *m); /* V1 to V6, and V7 if no CPU is within the VMM */
/* Everything that must be as before after a pair of switches (N2): what we can read of it, as text. A stopped machine. */
char *fingerprint(struct machine *m, char *text, size_t size);
void check_frame_table(struct machine *m); /* virtual.c: V7. No CPU may be in the VMM */

#endif

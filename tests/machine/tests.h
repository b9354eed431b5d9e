/* SPDX-License-Identifier: MIT */
/* What the runner runs: the lists of the machine tests, one for each file. */
#ifndef TESTS_H
#define TESTS_H

#include "judge.h"

/* A list ends with a test that has no name. */
typedef const struct test test_list[];
extern test_list boot_tests, hang_tests, limit_tests, native_tests, program_tests, switch_tests;
extern test_list rollback_tests, sweep_tests;
extern test_list isolation_tests, hostile_tests, disk_tests, net_tests, shell_tests;
extern test_list memory_out_tests, dom_tests, dom_net_tests, dom_lies_tests, guest_tests,
	guest_soak_tests;
extern test_list gdb_tests, gdb_look_tests, gdb_tool_tests;
extern test_list grader_submission_tests, grader_tests, grader_environment_tests;
extern test_list grader_run_tests, grader_sandbox_tests, grader_layout_tests;
extern test_list grader_outcome_tests;
extern test_list grader_report_tests, grader_text_tests, grader_page_tests;
extern test_list document_tests, build_tests, course_tests, sensitive_tests;
extern test_list trace_tests, trace_report_tests, bench_tests, web_tests;
/* With --soak only. */
extern test_list boot_soak_tests, hang_soak_tests, soak_tests, switch_soak_tests;
extern test_list sweep_soak_tests, document_soak_tests, trace_soak_tests;
extern test_list isolation_soak_tests, dom_soak_tests, memory_out_soak_tests;
extern test_list grader_soak_tests;
extern test_list grader_report_soak_tests, grader_outcome_soak_tests;
extern test_list grader_run_soak_tests, build_soak_tests, course_soak_tests, web_soak_tests;
/* As many as there are wrong submissions (labs.c). */
const struct test *lab_tests(bool soak);

/* --bench, --bench-switch, --demo: shown, not judged (bench.c, show.c). */
void bench(const struct test *t);
void bench_switch(const struct test *t);
void demo(const struct test *t);
void demo_domains(const struct test *t); /* dom.c */
void bench_domains(const struct test *t); /* domains_bench.c */

/*
 * The part of usertests in which processes share pages, descriptors and CPUs: for Bochs with
 * several CPUs, which takes a minute for the whole suite (make soak).
 */
#define USERTESTS_SHARING \
	"usertests cow_many cow_kernel_writes mmap_after_fork munmap_splits mprotect_splits " \
	"fpu_preemption handler_repairs_page pipe_many_writers kill_any_state"

/* From now on the debug build is booted; SKIPPED if it is not there (programs.c). */
void use_debug_build(void);
/* The same with the VMM of SCHED=robin, or of EXIT=eager. */
void use_robin_build(void);
void use_eager_build(void);

/*
 * What needs BOUND, ICEBP, single steps by EFLAGS.TF, or EFLAGS.NT at an IRET, all of which v86
 * ignores (docs/isolation.md).
 */
#define V86_LACKS "fault_vectors fault_other_doors flags_single_step fault_nested_task"
#define USERTESTS_V86 "usertests -not " V86_LACKS
/*
 * The part of usertests that an emulator could answer otherwise than QEMU: exceptions, flags,
 * registers, FPU, the rights of pages. It is for Bochs and v86, where the whole suite takes twenty
 * seconds (make soak).
 */
#define USERTESTS_PROCESSOR_V86 \
	"usertests fault_popf fault_alignment fault_virtual_8086 fault_kernel_range flags_odd " \
	"flags_nested_task flags_direction fpu_fork fpu_sse fpu_x87 regs_preemption " \
	"regs_system_call handler_hostile_flags handler_nests cow_kernel_writes mprotect_splits " \
	"munmap_splits pointers_everywhere"
#define USERTESTS_PROCESSOR USERTESTS_PROCESSOR_V86 " " V86_LACKS

/* text: a command on this host that must succeed (documents.c). */
void host_command(const struct test *t);

/* Before a command with make: it is not part of the make that may have started the tests. */
#define ALONE "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "

/* SKIPPED unless what drives the browser is installed, or can be (trace.c). */
void need_browser(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Comes before each file of kernel, VMM and programs (Makefile). No source can ask which other
 * files there are, so a submission means the same in its student's tree and where it is graded.
 */
#pragma GCC system_header /* what follows takes names away that are the compiler's own */
#undef __has_include
#ifndef __clang__ /* whose own headers ask */
#undef __has_include_next
#endif

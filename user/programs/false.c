/* SPDX-License-Identifier: MIT */
/* false: does nothing, and fails. */
#include "user.h"

int main(void) { return 1; }

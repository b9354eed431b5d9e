/* SPDX-License-Identifier: MIT */
/* true: does nothing, successfully. */
#include "user.h"

int main(void) { return 0; }

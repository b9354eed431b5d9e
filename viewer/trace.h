/* SPDX-License-Identifier: MIT */
/* The old names of viewer.h. */
#include "viewer.h"
#define trace recording
#define trace_begin recording_begin
#define trace_end recording_end

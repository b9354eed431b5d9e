/* SPDX-License-Identifier: MIT */
/* Guests are born, live and die: the plain case, before any attack. */
#include "isolation_guests.h"

/* A guest prints, stops with a status, and leaves all that it had. */
void guest_lives(struct victim *v)
{
	static const char words[] = "I am a guest\n";
	struct guest_plan g = { .first = 16, .vcpus = 1, .label = "guest_hello" };
	guest_make(v, &g);
	guest_set_word(v, &g, GUEST_DATA, 4, sizeof(words) - 1);
	for (unsigned i = 0; i < sizeof(words); i += 4)
		guest_set_word(v, &g, GUEST_DATA, 8 + i, *(const uint32_t *)(const void *)(words + i));
	REFUSED(v, -EBUSY, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	guest_run(v, &g, true);
	guest_await_end(v, &g);
	struct domain_info info = guest_info(v, &g);
	CHECK(info.state == DOMAIN_DYING && info.status == 7, "state %u, status %u: %s",
	      info.state, info.status, info.reason);
	struct domain_op op = { .domain = g.number, .n = 256,
				.address = pool_address(v, DATA_PAGE) + 2048 };
	int n = domain_call(v, DOMAIN_OUTPUT, &op);
	char said[256] = "";
	virtual_read(v->m, v->start.cr3, op.address, said, sizeof(said));
	CHECK(n == sizeof(words) - 1 && memcmp(said, words, (size_t)n) == 0,
	      "its output has %d bytes: %s", n, said);
	guest_end(v, &g);
	ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
}

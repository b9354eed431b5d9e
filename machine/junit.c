/* SPDX-License-Identifier: MIT */
/* Verdicts as JUnit XML, for systems that show the results of tests. */
#include "judge.h"
#include <errno.h>

static void xml_text(FILE *f, const char *s)
{
	for (; *s; s++)
		if (strchr("<>&\"", *s))
			fprintf(f, "&#%d;", *s);
		else if (*s >= ' ' || *s == '\n' || *s == '\t')
			fputc(*s, f);
		else if ((unsigned char)*s >= 128)
			fputc('?', f); /* a guest may write anything */
}

void judge_write_junit(const char *path, const char *suite, const struct result *results,
		       unsigned n, double seconds)
{
	static const char *const elements[] = { NULL, "failure", "skipped", "error" };
	unsigned count[4] = { 0 }, done = 0;
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	for (const struct result *r = results; r < results + n; r++)
		count[r->outcome] += r->done, done += r->done;
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	fprintf(f, "<testsuite name=\"%s\" tests=\"%u\" failures=\"%u\" errors=\"%u\" "
		"skipped=\"%u\" time=\"%.1f\">\n",
		suite, done, count[FAILED], count[BROKEN], count[SKIPPED], seconds);
	for (const struct result *r = results; r < results + n; r++) {
		const char *element = elements[r->outcome];
		if (!r->done)
			continue;
		fprintf(f, "<testcase classname=\"%s\" name=\"%s\" time=\"%.1f\">", suite,
			r->test.name, r->seconds);
		if (element) {
			fprintf(f, "<%s>", element);
			xml_text(f, r->reason);
			fprintf(f, "</%s>", element);
		}
		fprintf(f, "</testcase>\n");
	}
	fprintf(f, "</testsuite>\n");
	fclose(f);
}

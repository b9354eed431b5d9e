/* SPDX-License-Identifier: MIT */
/* The page: viewer.html with style, script and data put where it says so. All are within this program (viewer.S). */
#include "trace.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern const char viewer_html[], viewer_css[], decode_js[], draw_js[], viewer_js[];

/* JSON in a script element: "</" would end it. */
static void write_json(FILE *f, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : strdup("null");
	for (const char *s = text; *s; s++) {
		fputc(*s, f);
		if (s[0] == '<' && s[1] == '/')
			fputc('\\', f);
	}
	free(text);
}

void page_write(const char *path, json_t *trace, json_t *reference)
{
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	for (const char *s = viewer_html; *s;) {
		const char *mark = strstr(s, "@@"), *end = mark ? strstr(mark + 2, "@@") : NULL;
		if (!end) {
			fputs(s, f);
			break;
		}
		fwrite(s, 1, (size_t)(mark - s), f);
		switch (mark[2]) {
		case 'S': fputs(viewer_css, f); break;
		case 'V': fputs(decode_js, f), fputs(draw_js, f), fputs(viewer_js, f); break;
		case 'T': write_json(f, trace); break;
		case 'R': write_json(f, reference); break;
		}
		s = end + 2;
	}
	if (fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}

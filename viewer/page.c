/* SPDX-License-Identifier: MIT */
/*
 * The page: viewer.html, with style, scripts and recordings put in place of its marks. All its
 * files are strings in this program (viewer.S).
 */
#include "viewer.h"
#include <stdlib.h>
#include <string.h>

extern const char viewer_html[], viewer_css[], viewer_js[];

/*
 * Write JSON for a script element, which "</script" would end. Only strings can hold a "<"; there
 * it is written as an escape.
 */
static void write_json(FILE *f, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : strdup("null");
	for (const char *s = text; *s; s++)
		if (*s == '<')
			fputs("\\u003c", f);
		else
			fputc(*s, f);
	free(text);
}

void page_write(FILE *f, json_t *recording, json_t *reference)
{
	for (const char *s = viewer_html; *s;) {
		const char *mark = strstr(s, "@@"), *end = mark ? strstr(mark + 2, "@@") : NULL;
		if (!end) {
			fputs(s, f);
			break;
		}
		fwrite(s, 1, (size_t)(mark - s), f);
		switch (mark[2]) { /* STYLE, VIEWER, TRACE, REFERENCE */
		case 'S': fputs(viewer_css, f); break;
		case 'V': fputs(viewer_js, f); break;
		case 'T': write_json(f, recording); break;
		case 'R': write_json(f, reference); break;
		}
		s = end + 2;
	}
}

/* SPDX-License-Identifier: MIT */
/* What the grader's pages have in common (html.h). */
#include "html.h"
#include <ctype.h>

static const char common_style[] =
	":root{color-scheme:light dark;"
	"--bad:#b3261e;--good:#1b6e3c;--dim:#5c5c5c;--line:#ccc;--box:#f4f4f4;--link:#0b57d0}\n"
	"@media(prefers-color-scheme:dark){"
	":root{--bad:#ff8a80;--good:#7bd88f;--dim:#aaa;--line:#444;--box:#1e1e1e;--link:#8ab4f8}}\n"
	"*{box-sizing:border-box}\n"
	"body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem auto;padding:0 1rem;"
	"overflow-wrap:anywhere}\n"
	"h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:0}h3{font-size:1rem}\n"
	"a{color:var(--link)}p{margin:.4rem 0}.dim{color:var(--dim)}\n"
	"code,pre{font-family:ui-monospace,monospace;font-size:.85rem}\n"
	"pre{background:var(--box);padding:.6rem;white-space:pre-wrap;margin:.4rem 0}\n"
	"table{border-collapse:collapse}th{text-align:left;font-weight:600}\n"
	"summary{cursor:pointer}details{margin:.3rem 0}\n"
	".pass{color:var(--good)}.fail,.error,.refused{color:var(--bad)}.skip{color:var(--dim)}\n";

void html_bytes(FILE *f, const char *s, size_t n)
{
	for (; n > 0; s++, n--)
		if (strchr("<>&\"'", *s) && *s)
			fprintf(f, "&#%d;", *s);
		else
			fputc(*s, f);
}

void html_text(FILE *f, const char *s)
{
	html_bytes(f, s ? s : "", s ? strlen(s) : 0);
}

void html_address(FILE *f, const char *s)
{
	for (; *s; s++)
		if (isalnum((unsigned char)*s) || strchr("-._~", *s))
			fputc(*s, f);
		else
			fprintf(f, "%%%02X", (unsigned char)*s);
}

void html_begin(FILE *f, const char *title, const char *style)
{
	fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	html_text(f, title);
	fprintf(f, "</title>\n<style>\n%s%s</style>\n<h1>", common_style, style);
	html_text(f, title);
	fprintf(f, "</h1>\n");
}

const char *json_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

long long json_number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* SPDX-License-Identifier: MIT */
/*
 * The answers to a lab's questions: labs/LAB/answers.md, which students fill in. A question is a
 * line `## Question N.k: TEXT`; the answer is all that follows up to the next one. No points depend
 * on them. The report shows them to the person who grades.
 */
#include "grader.h"
#include <ctype.h>

static const char heading[] = "## Question ", unanswered[] = "(your answer)";

/* The next question from s on, which begins a line; NULL if there is none. */
static const char *next_question(const char *s)
{
	while (s && strncmp(s, heading, strlen(heading)) != 0) {
		s = strchr(s, '\n');
		s += s != NULL;
	}
	return s;
}

/* The question with the same number; NULL if there is none. */
static const char *find_question(const char *text, const char *question)
{
	size_t n = strcspn(question, ":\n");
	const char *s = text;
	while ((s = next_question(s)) && (strncmp(s, question, n) != 0 || !strchr(":\r\n", s[n])))
		s += strlen(heading);
	return s;
}

/* The answer to a question, without blanks around it; "" if there is none. To be freed. */
static char *answer_to(const char *question)
{
	const char *s = question + strcspn(question, "\n"), *next = next_question(s + (*s == '\n'));
	const char *end = next ? next : s + strlen(s);
	while (s < end && isspace((unsigned char)*s))
		s++;
	if (strncmp(s, unanswered, strlen(unanswered)) == 0)
		s += strlen(unanswered); /* students also write below these words */
	while (s < end && isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	return strndup(s, (size_t)(end - s));
}

json_t *answers_read(const char *questions, const char *text)
{
	json_t *all = json_array();
	const char *q = next_question(questions);
	for (; q; q = next_question(q + strlen(heading))) {
		const char *given = text ? find_question(text, q) : NULL;
		char *answer = given ? answer_to(given) : strdup("");
		char *title = text_line(q + 3, strcspn(q + 3, "\r\n"));
		json_array_append_new(all, json_pack("{s:o,s:o}", "question", report_text(title),
						     "answer", report_text(answer)));
		free(answer), free(title);
	}
	return all;
}

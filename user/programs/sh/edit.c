/* SPDX-License-Identifier: MIT */
/*
 * The line editor. Keys come one by one from the raw terminal; after each change the line is drawn
 * again from the place of the change on.
 */
#include "sh.h"

#define CONTROL(c) ((c) & 0x1F)
enum {
	KEY_UP = 'A', KEY_DOWN = 'B', KEY_RIGHT = 'C', KEY_LEFT = 'D', KEY_END = 'F',
	KEY_HOME = 'H', KEY_DELETE = '~', ERASE = 0x7F,
};

static char history[HISTORY_MAX][LINE_MAX];
static int nr_history; /* lines ever entered */

static struct { char *text; uint32_t length, at, size; } line;

static void cursor_back(uint32_t n)
{
	while (n--)
		printf("\b");
}

/*
 * Print the line from position `from` on, where the cursor is; print blanks over the rest of a
 * longer old line; put the cursor where it belongs.
 */
static void redraw(uint32_t from, uint32_t old_length)
{
	uint32_t blanks = old_length > line.length ? old_length - line.length : 0;
	printf("%.*s%*s", (int)(line.length - from), line.text + from, (int)blanks, "");
	cursor_back(line.length + blanks - line.at);
	flush();
}

static void erase(uint32_t from, uint32_t to)
{
	uint32_t old = line.length;
	if (line.at > from)
		cursor_back(line.at - from);
	memmove(line.text + from, line.text + to, line.length - to + 1);
	line.length -= to - from;
	line.at = from;
	redraw(from, old);
}

static void insert(char c)
{
	if (line.length + 1 >= line.size)
		return;
	memmove(line.text + line.at + 1, line.text + line.at, line.length - line.at + 1);
	line.text[line.at++] = c;
	line.length++;
	redraw(line.at - 1, 0);
}

static void move_to(uint32_t at)
{
	if (at < line.at)
		cursor_back(line.at - at);
	else
		printf("%.*s", (int)(at - line.at), line.text + line.at);
	line.at = at;
	flush();
}

static void replace(const char *text)
{
	uint32_t old = line.length;
	cursor_back(line.at);
	strlcpy(line.text, text, line.size);
	line.at = line.length = strlen(line.text);
	redraw(0, old);
}

static void show_history(int *shown, int step)
{
	int to = *shown + step, oldest = nr_history > HISTORY_MAX ? nr_history - HISTORY_MAX : 0;
	if (to < oldest || to > nr_history)
		return;
	*shown = to;
	replace(to == nr_history ? "" : history[to % HISTORY_MAX]);
}

static char read_key(void)
{
	char c = 0;
	return read(0, &c, 1) == 1 ? c : CONTROL('D');
}

/* The rest of a key that begins with Esc: Esc [ LETTER, or Esc [ NUMBER ~ */
static void escape(int *shown)
{
	static const char numbered[] = {
		[1] = KEY_HOME, [3] = KEY_DELETE, [4] = KEY_END, [7] = KEY_HOME, [8] = KEY_END,
	};
	uint32_t number = 0;
	if (read_key() != '[')
		return;
	char c = read_key();
	for (; (c >= '0' && c <= '9') || c == ';'; c = read_key())
		number = number * 10 + (uint32_t)(c - '0');
	switch (c != '~' ? c : number < sizeof(numbered) ? numbered[number] : '\0') {
	case KEY_UP: show_history(shown, -1); break;
	case KEY_DOWN: show_history(shown, 1); break;
	case KEY_RIGHT: move_to(line.at + (line.at < line.length)); break;
	case KEY_LEFT: move_to(line.at - (line.at > 0)); break;
	case KEY_HOME: move_to(0); break;
	case KEY_END: move_to(line.length); break;
	case KEY_DELETE:
		if (line.at < line.length)
			erase(line.at, line.at + 1);
	}
}

static uint32_t word_start(void)
{
	uint32_t at = line.at;
	while (at && line.text[at - 1] == ' ')
		at--;
	while (at && line.text[at - 1] != ' ')
		at--;
	return at;
}

/* Complete the word before the cursor from the directory that it names, or from /bin. */
static void complete(void)
{
	char path[PATH_MAX], found[NAME_MAX + 1] = "";
	uint32_t start = line.at, slash;
	while (start && line.text[start - 1] != ' ')
		start--;
	for (slash = line.at; slash > start && line.text[slash - 1] != '/';)
		slash--;
	snprintf(path, sizeof(path), "%.*s", (int)(slash - start), line.text + start);
	uint32_t typed = line.at - slash;
	struct dir d;
	if (dir_open(&d, slash > start ? path : start ? "." : "/bin"))
		return;
	for (struct dirent *e; (e = dir_next(&d));) {
		uint32_t same = 0;
		if (strncmp(e->d_name, line.text + slash, typed) != 0 || e->d_name[0] == '.')
			continue;
		if (!found[0])
			snprintf(found, sizeof(found), "%s%c", e->d_name,
				 e->d_type == S_IFDIR >> 12 ? '/' : ' ');
		while (found[same] && found[same] == e->d_name[same])
			same++;
		if (found[same] && e->d_name[same])
			found[same] = '\0';
	}
	dir_close(&d);
	for (const char *s = found + (found[0] ? typed : 0); *s; s++)
		insert(*s);
}

/* Result: 0 while the line goes on, 1 at Enter, -1 at the end of input. */
static int key(char c, int *shown)
{
	if (c == '\r' || c == '\n')
		return 1;
	if (c == CONTROL('D') && line.length == 0)
		return -1;
	if (c == CONTROL('C')) {
		printf("^C");
		line.length = line.at = 0;
		line.text[0] = '\0';
		return 1;
	}
	if ((c == '\b' || c == ERASE) && line.at)
		erase(line.at - 1, line.at);
	else if (c == CONTROL('D') && line.at < line.length)
		erase(line.at, line.at + 1);
	else if (c == CONTROL('U'))
		erase(0, line.at);
	else if (c == CONTROL('K'))
		erase(line.at, line.length);
	else if (c == CONTROL('W'))
		erase(word_start(), line.at);
	else if (c == CONTROL('A'))
		move_to(0);
	else if (c == CONTROL('E'))
		move_to(line.length);
	else if (c == '\t')
		complete();
	else if (c == 0x1B)
		escape(shown);
	else if ((uint8_t)c >= ' ' && c != ERASE)
		insert(c);
	return 0;
}

int edit_line(char *text, uint32_t size)
{
	char path[PATH_MAX];
	int shown = nr_history, end = 0;
	if (getcwd(path, sizeof(path)) < 0)
		strlcpy(path, "?", sizeof(path));
	line.text = text;
	line.size = size;
	line.length = line.at = 0;
	text[0] = '\0';
	tty_raw(1); /* before the prompt: from then on this program echoes, not the kernel */
	printf("cinnabar:%s$ ", path);
	flush();
	while (!end)
		end = key(read_key(), &shown);
	tty_raw(0);
	printf("\n");
	if (line.length)
		strlcpy(history[nr_history++ % HISTORY_MAX], text, LINE_MAX);
	return end > 0;
}

void history_show(void)
{
	for (int i = nr_history > HISTORY_MAX ? nr_history - HISTORY_MAX : 0; i < nr_history; i++)
		printf("%4d  %s\n", i + 1, history[i % HISTORY_MAX]);
}

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
	BELL = 7, PASTE = 200, /* Esc [ 200 ~ and Esc [ 201 ~ */
};

static char history[HISTORY_MAX][LINE_MAX];
static int nr_history; /* lines ever entered */
static bool pasting;   /* between the marks of a bracketed paste: Tab is a blank */

/* at: the cursor's byte. cut: something had no place. bad: a byte was not UTF-8. */
static struct { char *text; uint32_t length, at, size; bool cut, bad; } line;
static char unread; /* a key that comes next, or 0 */

/* A letter of several bytes (UTF-8) takes one column: its first byte counts. */
static bool is_first(char c) { return (c & 0xC0) != 0x80; }

static uint32_t columns(uint32_t from, uint32_t to)
{
	uint32_t n = 0;
	for (; from < to; from++)
		n += is_first(line.text[from]);
	return n;
}

static uint32_t before(uint32_t at)
{
	while (at && !is_first(line.text[--at]))
		;
	return at;
}

static uint32_t after(uint32_t at)
{
	while (at < line.length && !is_first(line.text[++at]))
		;
	return at;
}

static void repeat(char c, uint32_t n)
{
	while (n--)
		print(&c, 1);
}

/*
 * Print the line from position `from` on, where the cursor is; print blanks over the rest of an
 * old line of so many more columns; put the cursor where it belongs.
 */
static void redraw(uint32_t from, uint32_t blanks)
{
	print(line.text + from, line.length - from);
	repeat(' ', blanks);
	repeat('\b', columns(line.at, line.length) + blanks);
	flush();
}

static void erase(uint32_t from, uint32_t to)
{
	uint32_t blanks = columns(from, to);
	if (line.at > from)
		repeat('\b', columns(from, line.at));
	memmove(line.text + from, line.text + to, line.length - to + 1);
	line.length -= to - from;
	line.at = from;
	line.cut = line.cut && line.length;
	line.bad = line.bad && line.length;
	redraw(from, blanks);
}

static void insert(const char *text, uint32_t n)
{
	if (line.length + n >= line.size) {
		line.cut = true;
		print("\a", 1);
		flush();
		return;
	}
	memmove(line.text + line.at + n, line.text + line.at, line.length - line.at + 1);
	memcpy(line.text + line.at, text, n);
	line.at += n;
	line.length += n;
	redraw(line.at - n, 0);
}

static void move_to(uint32_t at)
{
	if (at < line.at)
		repeat('\b', columns(at, line.at));
	else
		print(line.text + line.at, at - line.at);
	line.at = at;
	flush();
}

static void replace(const char *text)
{
	uint32_t old = columns(0, line.length), now;
	repeat('\b', columns(0, line.at));
	strlcpy(line.text, text, line.size);
	line.at = line.length = strlen(line.text);
	now = columns(0, line.length);
	redraw(0, old > now ? old - now : 0);
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
	char c = unread;
	unread = 0;
	if (c)
		return c;
	return read(0, &c, 1) == 1 ? c : CONTROL('D');
}

/* Whether a letter's bytes are the shortest for it, and it is one at all (RFC 3629, 3). */
static bool is_utf8(const char *s, uint32_t n)
{
	static const uint32_t least[] = { [2] = 0x80, [3] = 0x800, [4] = 0x10000 };
	uint32_t code = (uint8_t)s[0] & (0xFFu >> n);
	for (uint32_t i = 1; i < n; i++)
		code = code << 6 | (s[i] & 0x3F);
	return code >= least[n] && code <= 0x10FFFF && code >> 11 != 0xD800 >> 11;
}

/*
 * The rest of a letter of UTF-8 that begins with c. A byte that is none, of a terminal with another
 * set of letters, makes the line useless: without it the line would be another one.
 */
static void insert_letter(char c)
{
	char letter[4] = { c };
	uint32_t n = 1, bytes = 1;
	for (uint8_t bits = (uint8_t)c; bits >= 0xC0 && bytes < 4; bits = (uint8_t)(bits << 1))
		bytes++;
	for (; n < bytes && !is_first(c = read_key()); n++)
		letter[n] = c;
	if (n < bytes)
		unread = c;
	bool bad = n < bytes || !is_first(letter[0]) || !is_utf8(letter, n);
	line.bad |= bad;
	insert(bad ? "?" : letter, bad ? 1 : n);
}

/* The rest of a terminal's answer, up to BEL or to Esc \, which is a key that does nothing. */
static void skip_string(void)
{
	char c;
	while ((c = read_key()) < 0 || c >= ' ')
		;
	unread = c == BELL ? 0 : c;
}

/*
 * The rest of a key that begins with Esc: Esc [ LETTER, Esc O LETTER, or Esc [ NUMBER ~; more may
 * stand before the last character (ECMA-48, 5.4). Linux's console sends Esc [ [ LETTER for F1 to
 * F5. What cannot belong to it is a key of its own.
 */
static void escape(int *shown)
{
	static const char numbered[] = {
		[1] = KEY_HOME, [3] = KEY_DELETE, [4] = KEY_END, [7] = KEY_HOME, [8] = KEY_END,
	};
	uint32_t number = 0;
	char c = read_key();
	bool more = c == '[' || c == 'O';
	if (c >= ' ' && strchr("]PX^_", c)) /* ECMA-48, 5.6 */
		skip_string();
	while (more && (c = read_key()) >= ' ' && c < '@')
		number = number * 10 + (uint32_t)(c - '0');
	if (c < ' ')
		unread = c;
	if (!more || c < ' ' || (c == '[' && read_key()))
		return;
	switch (c != '~' ? c : number < sizeof(numbered) ? numbered[number] : '\0') {
	case KEY_UP: show_history(shown, -1); break;
	case KEY_DOWN: show_history(shown, 1); break;
	case KEY_RIGHT: move_to(after(line.at)); break;
	case KEY_LEFT: move_to(before(line.at)); break;
	case KEY_HOME: move_to(0); break;
	case KEY_END: move_to(line.length); break;
	case KEY_DELETE:
		erase(line.at, after(line.at));
	}
	if (c == '~' && (number == PASTE || number == PASTE + 1))
		pasting = number == PASTE;
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

static void show_prompt(void)
{
	char path[PATH_MAX];
	if (getcwd(path, sizeof(path)) < 0)
		strlcpy(path, "?", sizeof(path));
	printf("cinnabar:%s$ ", path);
	flush();
}

/* Insert how the word before the cursor goes on, or show the candidates. */
static void complete_word(void)
{
	static struct fields names;
	static char text[LINE_MAX], more[LINE_MAX];
	uint32_t column = 0;
	strlcpy(text, line.text, line.at + 1);
	complete(text, more, sizeof(more), &names);
	if (more[0]) {
		insert(more, strlen(more));
		return;
	}
	for (int i = 0; i < names.n; i++) {
		const char *name = last_part(names.argv[i]);
		column += strlen(name) + 2;
		printf("%s%s", i == 0 || column > 79 ? "\n" : "  ", name);
		column = column > 79 ? strlen(name) : column;
	}
	if (names.n == 0) {
		print("\a", 1);
		flush();
		return;
	}
	printf("\n");
	show_prompt();
	print(line.text, line.at);
	redraw(line.at, 0);
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
		erase(before(line.at), line.at);
	else if (c == CONTROL('D'))
		erase(line.at, after(line.at));
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
	else if (c == '\t' && !pasting)
		complete_word();
	else if (c == 0x1B)
		escape(shown);
	else if (((uint8_t)c >= ' ' && c != ERASE) || c == '\t')
		insert_letter(c == '\t' ? ' ' : c);
	return 0;
}

int edit_line(char *text, uint32_t size)
{
	int shown = nr_history, end = 0;
	line.text = text;
	line.size = size;
	line.length = line.at = 0;
	line.cut = line.bad = pasting = false;
	text[0] = '\0';
	tty_raw(1); /* before the prompt: from then on this program echoes, not the kernel */
	show_prompt();
	while (!end)
		end = key(read_key(), &shown);
	tty_raw(0);
	printf("\n");
	if (line.cut || line.bad) {
		if (line.cut)
			dprintf(2, "sh: line too long: it may have %u bytes; nothing of it is "
				"run\n", size - 1);
		else
			dprintf(2, "sh: a letter is not UTF-8; nothing of the line is run\n");
		text[0] = '\0';
	} else if (line.length)
		strlcpy(history[nr_history++ % HISTORY_MAX], text, LINE_MAX);
	return end > 0;
}

void history_show(void)
{
	for (int i = nr_history > HISTORY_MAX ? nr_history - HISTORY_MAX : 0; i < nr_history; i++)
		printf("%4d  %s\n", i + 1, history[i % HISTORY_MAX]);
}

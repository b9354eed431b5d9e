/* SPDX-License-Identifier: MIT */
/*
 * The terminal over the consoles in use. A line is edited here and can be read after Enter; in
 * raw mode each character can be read at once. Input comes from interrupt handlers, so the locks
 * are taken with interrupts off. Order: lock, then console_lock.
 */
#include "dev/console.h"
#include "mm/vm.h"
#include "proc/task.h"

#define INPUT_BYTES 4096u
#define CONTROL(c) ((c) & 0x1F)
enum { CHUNK = 128, ERASE = 0x7F, ESCAPE = 0x1B, BELL = 7 };

static struct spinlock console_lock; /* guards the consoles' output */
static struct spinlock lock;         /* guards what follows, but not foreground */
static struct console *consoles;     /* changed with both locks held, read with one */
static struct wait_queue readers;
static char input[INPUT_BYTES]; /* a ring */
/*
 * Positions in the ring, not reduced modulo INPUT_BYTES: [read_at, line_at) can be read,
 * [line_at, write_at) is being edited.
 */
static uint32_t read_at, line_at, write_at;
static bool raw;
static bool held;     /* a console waits for a reader */
static bool too_long; /* a character of the edited line had no place */
static int foreground; /* the group that Ctrl-C kills, 0 if none */
/* Where in an escape sequence the last character was: line editing ignores such sequences. */
static enum { NORMAL, ESCAPED, SEQUENCE, STRING } skipping;

/* Put a console into the list (on), or take it out. */
static void change(struct console *c, bool on)
{
	uint32_t flags = spin_lock_irq(&lock), more = spin_lock_irq(&console_lock);
	struct console **at = &consoles;
	while (*at && *at != c)
		at = &(*at)->next;
	if (on)
		c->next = NULL, *at = c;
	else if (*at)
		*at = c->next;
	spin_unlock_irq(&console_lock, more);
	spin_unlock_irq(&lock, flags);
}

void console_add(struct console *c) { change(c, true); }

void console_remove(struct console *c) { change(c, false); }

bool console_may_write(void) { return !panicking || panicking == 1 + this_cpu(); }

void console_write(const char *text, uint32_t bytes)
{
	bool alone = panicking;
	uint32_t flags = alone ? 0 : spin_lock_irq(&console_lock);
	for (struct console *c = consoles; c; c = c->next)
		c->write(c, text, bytes);
	if (!alone)
		spin_unlock_irq(&console_lock, flags);
}

/* --- line editing: with `lock` held --- */

static char last(void) { return input[(write_at - 1) % INPUT_BYTES]; }

/* Erase a character: its last byte, and in UTF-8 all bytes back to its first one. */
static void erase_one(void)
{
	while ((last() & 0xC0) == 0x80 && write_at - 1 != line_at)
		write_at--;
	write_at--;
	console_write("\b \b", 3);
}

static void store(char c)
{
	ASSERT_HELD(&lock);
	if (write_at - read_at < INPUT_BYTES)
		input[write_at++ % INPUT_BYTES] = c;
}

static void end_line(void)
{
	ASSERT_HELD(&lock);
	line_at = write_at;
	wake_all(&readers);
}

/*
 * Result: whether c belongs to an escape sequence (ECMA-48, 5.4 and 5.6): a key, Esc LETTER,
 * Esc O LETTER, Esc [ ... LETTER, of Linux's console Esc [ [ LETTER; or a terminal's answer,
 * Esc ] ..., up to BEL or Esc \. What cannot belong to it ends it, so that no line is swallowed.
 */
static bool skip_sequence(char c)
{
	bool control = (uint8_t)c < ' ', ascii = (uint8_t)c < 0x80, text = skipping == STRING;
	if (c == ESCAPE) {
		skipping = ESCAPED;
	} else if (skipping == NORMAL) {
		return false;
	} else if (control || (!ascii && !text)) {
		skipping = NORMAL;
		return text && c == BELL;
	} else if (skipping == ESCAPED && (c == '[' || c == 'O')) {
		skipping = SEQUENCE;
	} else if (skipping == ESCAPED && strchr("]PX^_", c)) {
		skipping = STRING;
	} else if (!text && (skipping == ESCAPED || c >= '@')) {
		skipping = c == '[' ? ESCAPED : NORMAL;
	}
	return true;
}

/* A line of which a part is missing must not be read: it could be a command. */
static void drop_line(void)
{
	static const char text[] = "tty: the line was too long, and is not read\n";
	console_write(text, sizeof(text) - 1);
	write_at = line_at;
	too_long = false;
}

static void edit(char c)
{
	if (skip_sequence(c))
		return;
	if (c == '\b' || c == ERASE) {
		if (write_at != line_at)
			erase_one();
	} else if (c == CONTROL('U')) {
		while (write_at != line_at)
			erase_one();
	} else if (c == CONTROL('W')) {
		while (write_at != line_at && last() == ' ')
			erase_one();
		while (write_at != line_at && last() != ' ')
			erase_one();
	} else if (c == CONTROL('D')) {
		if (write_at == line_at)
			store(CONTROL('D')); /* read as the end of input */
		end_line();
	} else if (c == '\n') {
		console_write(&c, 1);
		if (too_long)
			drop_line();
		else
			store(c);
		end_line();
	} else if ((uint8_t)c >= ' ' || c == '\t') {
		/* One place stays free for the newline. */
		bool room = write_at - read_at < INPUT_BYTES - 1;
		if (room)
			store(c);
		too_long |= !room;
		console_write(!room ? "\a" : c == '\t' ? " " : &c, 1);
	}
}

/* --- input and output --- */

void tty_input(char c)
{
	uint32_t flags = spin_lock_irq(&lock);
	int victims = 0;
	if (c == '\r')
		c = '\n';
	if (raw) {
		store(c);
		end_line();
	} else if (c == CONTROL('C')) {
		victims = foreground;
		console_write("^C\n", 3);
		write_at = line_at;
		skipping = NORMAL;
		too_long = false;
	} else {
		edit(c);
	}
	spin_unlock_irq(&lock, flags);
	if (victims)
		task_kill_group(victims);
}

bool tty_has_room(void)
{
	uint32_t flags = spin_lock_irq(&lock);
	/* If no line is complete nobody reads, so the line must be edited on. */
	bool room = write_at - read_at < INPUT_BYTES - 1 || read_at == line_at;
	held = !room;
	spin_unlock_irq(&lock, flags);
	return room;
}

/*
 * Take what can be read now: at most `bytes`, up to the end of a line or Ctrl-D. With the
 * lock held.
 */
static uint32_t take(char *to, uint32_t bytes)
{
	ASSERT_HELD(&lock);
	uint32_t n = 0;
	while (n < bytes && read_at != line_at) {
		char c = input[read_at++ % INPUT_BYTES];
		if (!raw && c == CONTROL('D')) {
			if (n) /* the text before Ctrl-D comes first; the next read gives 0 */
				read_at--;
			break;
		}
		to[n++] = c;
		if (c == '\n')
			break;
	}
	if (held && (write_at - read_at <= INPUT_BYTES / 2 || read_at == line_at)) {
		held = false;
		for (struct console *c = consoles; c; c = c->next)
			if (c->resume)
				c->resume(c);
	}
	return n;
}

int tty_read(void *buf, uint32_t bytes, bool user)
{
	char line[CHUNK];
	int error = 0;
	uint32_t n = 0, flags;
	if (bytes == 0)
		return 0;
	flags = spin_lock_irq(&lock);
	while (!error && read_at == line_at)
		error = wait_on(&readers, &lock);
	if (!error)
		n = take(line, MIN(bytes, (uint32_t)CHUNK));
	spin_unlock_irq(&lock, flags);
	if (error)
		return error;
	if (!user)
		memcpy(buf, line, n);
	else if (copy_to_user(buf, line, n))
		return -EFAULT;
	return (int)n;
}

int tty_write(const void *buf, uint32_t bytes, bool user)
{
	char chunk[CHUNK];
	for (uint32_t done = 0, some; done < bytes; done += some) {
		some = MIN(bytes - done, (uint32_t)CHUNK);
		if (!user)
			memcpy(chunk, (const char *)buf + done, some);
		else if (copy_from_user(chunk, (const char *)buf + done, some))
			return done ? (int)done : -EFAULT;
		console_write(chunk, some);
	}
	return (int)bytes;
}

int tty_set_foreground(int pgid)
{
	if (pgid < 0)
		return -EINVAL;
	foreground = pgid;
	return 0;
}

int tty_set_raw(bool on)
{
	uint32_t flags = spin_lock_irq(&lock);
	raw = on;
	skipping = NORMAL;
	too_long = false;
	end_line();
	spin_unlock_irq(&lock, flags);
	return 0;
}

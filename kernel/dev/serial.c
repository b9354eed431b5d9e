/* SPDX-License-Identifier: MIT */
/*
 * COM1 (16550A). Output is polled, so that it works in every context, a panic included.
 * Input comes by interrupt. Output waits for the line with interrupts off, longer than the UART
 * can keep what comes meanwhile: so the waiting CPU takes it, for the interrupt that follows.
 */
#include "dev/console.h"
#include "dev/dev.h"
#include "proc/lock.h"
#include "vo/vo.h"

enum { COM1 = 0x3F8, DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCRATCH = 7 };
enum { LSR_READY = 1, LSR_EMPTY = 0x20, LSR_SENT = 0x40, LCR_DLAB = 0x80, LCR_8N1 = 3 };
enum { IER_READY = 1, IER_EMPTY = 2 };
/* DTR; RTS lets the other side send; OUT2 connects the interrupt line on a PC; LOOP: no line. */
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum { RECEIVED_BYTES = 4096 };
#define POLLS 100000 /* then the character is sent anyway */

static struct spinlock lock; /* guards what follows, and the UART's input */
static char received[RECEIVED_BYTES]; /* a ring */
static uint32_t read_at, write_at;    /* positions in it, not reduced modulo its size */

static uint8_t in(unsigned reg) { return VO(io, in8)((uint16_t)(COM1 + reg)); }
static void out(unsigned reg, uint8_t value) { VO(io, out8)((uint16_t)(COM1 + reg), value); }

static void let_send(bool on) { out(MCR, MCR_DTR | MCR_OUT2 | (on ? MCR_RTS : 0)); }

/* Move what the UART has to the ring. */
static void receive(void)
{
	ASSERT_HELD(&lock);
	while (write_at - read_at < RECEIVED_BYTES && in(LSR) & LSR_READY) {
		received[write_at++ % RECEIVED_BYTES] = (char)in(DATA);
		if (write_at - read_at == RECEIVED_BYTES / 2)
			let_send(false);
	}
}

/* Result: the next character, or -1 if nothing has come. */
static int next(void)
{
	uint32_t flags = spin_lock_irq(&lock);
	receive();
	bool some = read_at != write_at;
	int c = some ? (uint8_t)received[read_at++ % RECEIVED_BYTES] : -1;
	if (some && write_at - read_at == RECEIVED_BYTES / 2 - 1)
		let_send(true);
	spin_unlock_irq(&lock, flags);
	return c;
}

/* The UART's transmitter is empty soon; its interrupt then passes on what the ring has. */
static void receive_while_sending(void)
{
	uint32_t flags = spin_lock_irq(&lock), before = write_at;
	receive();
	if (write_at != before)
		out(IER, IER_READY | IER_EMPTY);
	spin_unlock_irq(&lock, flags);
}

static void put(char c)
{
	uint8_t status;
	for (int i = 0; !((status = in(LSR)) & LSR_EMPTY) && i < POLLS; i++)
		if (status & LSR_READY && !panicking)
			receive_while_sending();
	out(DATA, (uint8_t)c);
}

static void serial_write(struct console *c, const char *text, uint32_t bytes)
{
	(void)c;
	for (uint32_t i = 0; i < bytes && console_may_write(); i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}

/*
 * Pass what came in to tty_input(), as long as there is room; keep the rest, and if that is much,
 * let the sender wait, if it obeys RTS.
 */
static void interrupt(void)
{
	bool room;
	int c;
	out(IER, 0); /* also ends the interrupt of an empty transmitter */
	while ((room = tty_has_room()) && (c = next()) >= 0)
		tty_input((char)c);
	uint32_t flags = spin_lock_irq(&lock);
	if (!room)
		receive();
	out(IER, write_at - read_at < RECEIVED_BYTES ? IER_READY : 0);
	spin_unlock_irq(&lock, flags);
}

static void serial_resume(struct console *c)
{
	(void)c;
	out(IER, IER_READY | IER_EMPTY);
}

static struct console console = {
	.name = "serial", .write = serial_write, .resume = serial_resume,
};

void serial_init(void)
{
	out(SCRATCH, 0xA5);
	if (in(SCRATCH) != 0xA5)
		return; /* there is no such device */
	out(IER, 0);
	out(LCR, LCR_DLAB);
	out(0, 1); /* divisor 1: 115200 baud */
	out(1, 0);
	out(LCR, LCR_8N1);
	for (int i = 0; !(in(LSR) & LSR_SENT) && i < POLLS; i++)
		; /* what the loader still sends would come back */
	out(MCR, MCR_LOOP); /* nothing comes from the line now */
	uint32_t flags = spin_lock_irq(&lock);
	receive(); /* what came before: FCR throws it away */
	spin_unlock_irq(&lock, flags);
	out(FCR, 0x07); /* FIFOs on and empty, interrupt at the first character */
	out(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	console_add(&console);
}

void serial_listen(void)
{
	irq_install(4, interrupt);
	serial_resume(&console); /* for what came before */
}

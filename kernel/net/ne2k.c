/* SPDX-License-Identifier: MIT */
/*
 * An NE2000 on the ISA bus (National Semiconductor DP8390D/NS32490D, "Network Interface
 * Controller"). The card has its own memory: a place for a frame to send, and a ring of pages of
 * 256 bytes, into which it puts what comes. The kernel moves frames through the data port.
 *
 * The interrupt only says that something came: its handler closes the card's mask and wakes the
 * task that receives. That task clears the card's status, and then looks how far the ring is full.
 * When it has taken all that, it opens the mask. What came after the look has set the status again,
 * and interrupts at once.
 */
#include "dev/dev.h"
#include "net/net.h"
#include "proc/task.h"

enum { BASE = 0x300, DATA = BASE + 0x10, RESET = BASE + 0x1F };
/* Registers, of page 0 where nothing else is said. */
enum { CR = 0, PSTART = 1, PSTOP = 2, BNRY = 3, TPSR = 4, TBCR = 5, ISR = 7, RSAR = 8 };
enum { RBCR = 10, RCR = 12, TCR = 13, DCR = 14, IMR = 15, PAGE1_MAC = 1, PAGE1_CURR = 7 };
enum { STOP = 1, START = 2, TRANSMIT = 4, READ = 8, WRITE = 0x10, NO_DMA = 0x20, PAGE1 = 0x40 };
enum { RECEIVED = 0x01, OVERWRITTEN = 0x10, DMA_DONE = 0x40, RESET_DONE = 0x80 };
enum { WORDS = 0x49, LOOPBACK = 2, BROADCASTS = 4, ALL = 0x10 }; /* of DCR, TCR, RCR */
enum { TX_PAGE = 0x40, RX_FIRST = 0x46, RX_END = 0x80 }; /* card memory that every NE2000 has */
#define BLOCK 512u          /* bytes that the VO moves at once */
#define SEND_NS 20000000ull /* the longest frame takes 1.3 ms */

static struct mutex card;        /* guards the registers but IMR, and what follows */
static uint8_t next_page;        /* where the next frame begins */
static uint8_t end_page;         /* where the ring ended at the last look */
static struct spinlock lock;     /* guards what follows */
static bool came;                /* the interrupt came; IMR is 0 */
static struct wait_queue queue;  /* the task that receives */
static struct netdev device;

static uint8_t in(unsigned reg) { return VO(io, in8)((uint16_t)(BASE + reg)); }
static void out(unsigned reg, uint32_t value)
{
	VO(io, out8)((uint16_t)(BASE + reg), (uint8_t)value);
}
static void out_pair(unsigned reg, uint32_t value)
{
	out(reg, value);
	out(reg + 1, value >> 8);
}

static void interrupt(void)
{
	uint32_t flags = spin_lock_irq(&lock);
	out(IMR, 0);
	came = true;
	wake_all(&queue);
	spin_unlock_irq(&lock, flags);
}

/*
 * Begin to move at most so many bytes from or to card memory. In the ring the card goes on at its
 * beginning after its end.
 */
static void begin(uint32_t at, uint32_t bytes, uint32_t way)
{
	out_pair(RBCR, bytes);
	out_pair(RSAR, at);
	out(CR, START | way);
}

/* Move some of them; their number is rounded up to a multiple of 4. */
static void move(uint8_t *buf, uint32_t bytes, bool write)
{
	bytes = ROUND_UP(bytes, 4u);
	for (uint32_t some; bytes; buf += some, bytes -= some) {
		some = MIN(bytes, BLOCK);
		if (write)
			VO(io, out16_block)(DATA, buf, some / 2);
		else
			VO(io, in16_block)(DATA, buf, some / 2);
	}
}

/* Begin with an empty ring; what was in it is lost. IMR stays. */
static void start(void)
{
	out(CR, STOP | NO_DMA);
	out(DCR, WORDS);
	out_pair(RBCR, 0);
	out(RCR, BROADCASTS | ALL); /* guests have addresses of their own */
	out(TCR, LOOPBACK);
	out(PSTART, RX_FIRST);
	out(PSTOP, RX_END);
	out(BNRY, RX_FIRST);
	out(TPSR, TX_PAGE);
	next_page = end_page = RX_FIRST + 1;
	out(CR, STOP | NO_DMA | PAGE1);
	for (unsigned i = 0; i < MAC_BYTES; i++)
		out(PAGE1_MAC + i, device.mac[i]);
	out(PAGE1_CURR, next_page);
	out(CR, STOP | NO_DMA);
	out(ISR, 0xFF);
	out(CR, START | NO_DMA);
	out(TCR, 0);
}

static void look(void)
{
	out(ISR, RECEIVED);
	out(CR, START | NO_DMA | PAGE1);
	end_page = in(PAGE1_CURR);
	out(CR, START | NO_DMA);
}

/*
 * Take a frame out of the ring. Before each frame lie four bytes: status, next frame's page, length
 * with these four. Result: its bytes; 0: there is none.
 */
static uint32_t take(uint8_t *buf)
{
	uint8_t head[4] __attribute__((aligned(4)));
	if (next_page == end_page)
		return 0;
	begin((uint32_t)next_page << 8, FRAME_ROOM, READ);
	move(head, sizeof(head), false);
	uint32_t bytes = (head[2] | (uint32_t)head[3] << 8) - sizeof(head);
	if (in(ISR) & OVERWRITTEN || head[1] < RX_FIRST || head[1] >= RX_END || bytes < 14 ||
	    bytes > FRAME_MAX) {
		start(); /* the card lost its place, or there is another card */
		return 0;
	}
	move(buf, bytes, false);
	out(CR, START | NO_DMA);
	next_page = head[1];
	out(BNRY, next_page == RX_FIRST ? RX_END - 1 : next_page - 1);
	return bytes;
}

static uint32_t ne2k_receive(struct netdev *d, void *buf)
{
	(void)d;
	for (;;) {
		mutex_lock(&card);
		uint32_t bytes = take(buf);
		if (!bytes)
			out(IMR, RECEIVED | OVERWRITTEN);
		mutex_unlock(&card);
		if (bytes)
			return bytes;
		uint32_t flags = spin_lock_irq(&lock);
		while (!came)
			wait_on_unkillable(&queue, &lock);
		came = false;
		spin_unlock_irq(&lock, flags);
		mutex_lock(&card);
		look();
		mutex_unlock(&card);
	}
}

static int ne2k_send(struct netdev *d, const void *frame, uint32_t bytes)
{
	(void)d;
	mutex_lock(&card);
	uint64_t end = VO(time, now)() + SEND_NS;
	while (in(CR) & TRANSMIT && VO(time, now)() < end)
		schedule();
	int error = in(CR) & TRANSMIT ? -EIO : 0;
	if (error) {
		start();
	} else {
		out(ISR, DMA_DONE);
		begin(TX_PAGE << 8, ROUND_UP(bytes, 4u), WRITE);
		move((uint8_t *)frame, bytes, true);
		for (unsigned polls = 0; !(in(ISR) & DMA_DONE) && polls < 1000; polls++)
			;
		out_pair(TBCR, bytes);
		out(CR, START | NO_DMA | TRANSMIT);
	}
	mutex_unlock(&card);
	return error;
}

/* The card's address: the first of 16 bytes at 0 of its memory, each twice; the last two are W. */
static bool read_mac(void)
{
	uint8_t prom[32] __attribute__((aligned(4)));
	begin(0, sizeof(prom), READ);
	move(prom, sizeof(prom), false);
	for (unsigned i = 0; i < MAC_BYTES; i++)
		device.mac[i] = prom[2 * i];
	return prom[28] == 'W' && prom[30] == 'W';
}

struct netdev *ne2k_init(void)
{
	if (in(CR) == 0xFF)
		return NULL; /* no card drives the bus */
	uint8_t any = VO(io, in8)(RESET);
	VO(io, out8)(RESET, any);
	for (unsigned polls = 0; !(in(ISR) & RESET_DONE) && polls < 10000; polls++)
		;
	out(CR, STOP | NO_DMA);
	out(IMR, 0);
	out(DCR, WORDS);
	if (!(in(ISR) & RESET_DONE) || !read_mac())
		return NULL;
	device.name = "ne2k";
	device.send = ne2k_send;
	device.receive = ne2k_receive;
	start();
	irq_install(3, interrupt); /* the card does not tell its line: 3 in Bochs, 9 in QEMU */
	irq_install(9, interrupt);
	return &device;
}

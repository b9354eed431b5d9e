/* SPDX-License-Identifier: MIT */
/*
 * Domains: what a guest, the domain with control, and the VMM agree on, beside vmm_abi.h.
 *
 * Birth: the control domain allocates frames of its own and writes the guest's image, tables and
 * start record into them. It opens a domain (DOMAIN_OPEN), gives the frames (DOMAIN_GIVE), lends
 * the pages of rings (DOMAIN_LEND), pairs ports (DOMAIN_PAIR), and lets the VMM check all of it
 * (DOMAIN_BIRTH). The guest is there then, paused. DOMAIN_RUN lets it run.
 * Death: DOMAIN_KILL, or the guest's own end. Then DOMAIN_TAKE gives the frames back, scrubbed,
 * and DOMAIN_CLOSE forgets the domain.
 */
#ifndef DOMAIN_ABI_H
#define DOMAIN_ABI_H

#include "vmm_abi.h"

#define MAX_DOMAINS 128   /* domain 0 included */
#define GUEST_MAX_VCPUS 4
#define GUEST_PORTS 16    /* of a guest; port 0 is none */
#define CONTROL_PORTS 512 /* of domain 0 */
#define CONSOLE_BYTES 4096 /* of a guest's last output, which the VMM keeps */
#define CONSOLE_PORT 1     /* of a guest: the VMM sends to its peer after HC_CONSOLE_OUT */
#define CONSOLE_CALL 256   /* bytes that one HC_CONSOLE_OUT or HC_CONSOLE_IN moves at most */
#define CONSOLE_TYPED 256  /* bytes that the VMM keeps for HC_CONSOLE_IN */
#define GUEST_LOANS 64     /* frames that may be lent to a guest */
/* Frames that the VMM takes of the giver for the state of a guest with n vCPUs. */
#define DOMAIN_FRAMES(n) (3 + (n))
#define DOMAIN_FRAMES_MAX DOMAIN_FRAMES(GUEST_MAX_VCPUS)

#define CMDLINE_BYTES 512

#ifndef __ASSEMBLER__

/*
 * What follows the struct vmm_shared of each CPU in a domain's shared page, from SHARED_REST on.
 * The VMM writes `time`; both sides change the bits of ports.
 */
#define SHARED_REST (VMM_MAX_CPUS * sizeof(struct vmm_shared))
struct vmm_time { /* of a vCPU; odd version: the VMM is writing */
	volatile uint32_t version, multiplier; /* ns = ticks * multiplier / 2^24 */
	volatile uint64_t tsc, ns;     /* at time-stamp `tsc` the domain was `ns` old */
	volatile uint64_t stolen;      /* ns that it wanted to run and did not; up to 1 ms late */
};
struct shared_rest {
	struct vmm_time time[VMM_MAX_CPUS];
	volatile uint32_t wall; /* seconds since 1970 when the domain was 0 ns old */
	volatile uint32_t port_pending[CONTROL_PORTS / 32];
	volatile uint32_t port_masked[CONTROL_PORTS / 32];
};

enum { START_MAGIC = 0x74726174 }; /* "tart" */
/* The start record: in a page of the guest's, whose address is in ESI at the guest's entry. */
struct domain_start {
	uint32_t magic, abi, bytes; /* bytes: of this record */
	uint32_t domain;            /* the guest's number, for its banner only */
	uint32_t nr_pfns, nr_mfns, nr_vcpus;
	uint32_t shared;            /* pfn of the shared page */
	/* Kernel addresses of what the builder made; the m2p has pages only where the guest owns
	   frames, and one page of NO_FRAME for all others. */
	uint32_t p2m, m2p, directory, direct_map;
	uint32_t map_tables, map_used; /* tables of KERNEL_MAP_BASE; their first used pages */
	uint32_t taken_first, taken_end; /* pfns that the builder has used beside the image */
	uint32_t root, root_bytes;  /* pfn of a root file system in memory; bytes, or 0 */
	struct domain_channel { /* port 0: none */
		uint32_t port, ring; /* ring: a kernel address */
	} disk, net;
	uint32_t disk_sectors, disk_read_only;
	uint8_t mac[6], unused[2]; /* of the network card; */
	uint32_t ip;               /* its IPv4 address, unless option ip= says another one */
	uint32_t console_port; /* something was typed, or there is room again */
	char cmdline[CMDLINE_BYTES];
};

/* Operations of HC_DOMAIN: number, kernel address of a struct domain_op. Need RIGHT_MACHINE. */
enum {
	DOMAIN_OPEN,   /* frames[DOMAIN_FRAMES(vcpus)], vcpus, weight: result: the guest's number */
	DOMAIN_GIVE,   /* n frames: they leave the caller's direct map and are the guest's */
	DOMAIN_LEND,   /* n frames of the caller's: the guest's kernel tables may map them, too */
	DOMAIN_PAIR,   /* result: a port of the caller's, paired with port `port` of the guest */
	DOMAIN_BIRTH,  /* directory, shared, eip, esi, handlers: check all; -EAGAIN: call again */
	DOMAIN_RUN,    /* on: let it run, or pause it */
	DOMAIN_WEIGHT, /* weight (256 is usual), warp (microseconds) */
	DOMAIN_KILL,   /* end it; -EAGAIN: call again */
	DOMAIN_TAKE,   /* n frames of a dead guest come to free pfns of the caller's, scrubbed */
	DOMAIN_CLOSE,  /* forget a guest that owns nothing; its state's frames come back at pfns */
	DOMAIN_INFO,   /* info */
	DOMAIN_OUTPUT, /* address, n: the guest's output from `position` on; result: bytes */
	DOMAIN_INPUT,  /* address, n: bytes typed; result: bytes taken */
};
enum domain_state { DOMAIN_NONE, DOMAIN_UNBORN, DOMAIN_PAUSED, DOMAIN_RUNS, DOMAIN_DYING,
		    DOMAIN_DEAD };

/*
 * What BIRTH wants. All given frames are the guest's memory: pfn 0 to n - 1, each once in the
 * direct map at KERNEL_BASE. The directory has no user entries, a table for each slot of the
 * direct map, and any further tables below VMM_BASE; its entries have PTE_A. Tables, directory
 * and shared page are given frames, each at its page of the direct map. A table is mapped
 * nowhere else but read-only. Kernel tables map frames of the guest's, and lent ones beyond the
 * direct map; nothing else. No page table of the giver may map a given frame. The VMM makes the
 * homes of tables and directory read-only, and writes its own entries of the directory.
 * The guest begins at eip in ring 1, flat segments, ESP 0, virtual IF 0, CR0.TS 1, and ESI.
 */
#define DOMAIN_OP_FRAMES 16

struct domain_info {
	uint64_t ran, stolen;     /* ns */
	uint32_t state, frames, vcpus, weight;
	uint32_t status;          /* how it ended: VMM_*_STATUS, or its own */
	char reason[64];          /* the rule that it broke, in words */
	uint32_t switches, exits; /* domain switches to it; its exits */
};

struct domain_op {
	uint32_t domain, n; /* n: at most DOMAIN_OP_FRAMES frames */
	uint32_t frames[DOMAIN_OP_FRAMES]; /* mfns */
	uint32_t pfns[DOMAIN_OP_FRAMES];   /* DOMAIN_TAKE: their new homes */
	uint32_t vcpus, weight, warp, on, port;
	uint32_t directory, shared, eip, esi; /* mfns; the first vCPU's registers */
	uint32_t handlers; /* address of 256 words, the guest's handlers; 0: the caller's own */
	uint32_t address, position; /* position: bytes since birth; the VMM stores the next one */
	struct domain_info info;
};
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * A model of a file system in memory: nodes, names, contents, handles, mappings; for test_ext2.c.
 */
#include "ext2_host.h"

#define NAMES 40 /* in a directory; 0 is lost+found */
#define NODES 64
#define CONTENT (400u * 1024) /* with blocks of 1 KiB it needs two levels of pointers */

/* --- the model --- */

static struct node {
	bool used, dir;
	int parent, entries[NAMES]; /* directory: node + 1 */
	uint32_t size, links;
	char *data;
	struct vnode *handle; /* kept open */
} nodes[NODES];

/* Pages that a program has mapped: their content must not change. */
static struct mapping { pfn_t pfn; char content[PAGE_SIZE]; } mappings[24];

static const char *name_of(int name)
{
	static char text[NAME_MAX + 1];
	int n = sprintf(text, name ? "%d." : "lost+found", name);
	for (; name && n < name * 97 % NAME_MAX; n++)
		text[n] = (char)('a' + (name + n) % 26);
	text[n] = '\0';
	return text;
}

#define NAME(name) name_of(name), (unsigned)strlen(name_of(name))

static struct vnode *open_node(int n)
{
	struct vnode *dir, *vn;
	if (n == 0 || nodes[n].handle)
		return vnode_get(n ? nodes[n].handle : root);
	for (int d = 0; d < NODES; d++)
		for (int i = 0; nodes[d].used && i < NAMES; i++)
			if (nodes[d].entries[i] == n + 1) {
				dir = open_node(d);
				CHECK(dir->ops->lookup(dir, NAME(i), &vn) == 0);
				vnode_put(dir);
				return vn;
			}
	fail_msg("seed %u: node %d has no name", seed, n);
	abort();
}

static int new_node(bool dir, int parent)
{
	for (int n = 0; n < NODES; n++)
		if (!nodes[n].used) {
			nodes[n] = (struct node){
				.used = true, .dir = dir, .parent = parent, .links = 1
			};
			nodes[n].data = dir ? NULL : calloc(1, CONTENT);
			return n;
		}
	return -1;
}

/* Forget a node if its last name and its last handle are gone. */
static void settle(int n)
{
	if (nodes[n].links == 0 && !nodes[n].handle) {
		free(nodes[n].data);
		nodes[n] = (struct node){ 0 };
	}
}

static bool is_empty(int n)
{
	for (int i = 0; i < NAMES; i++)
		if (nodes[n].entries[i])
			return false;
	return true;
}

static bool nearly_full(void)
{
	return filesystem.super->free_blocks < 8 || filesystem.super->free_inodes == 0;
}

/*
 * Whether the result of an operation is `want`, the model's; when the disk is full, -ENOSPC is
 * right, too.
 */
static bool agrees(int got, int want, const char *what)
{
	if (got != want && !(want == 0 && got == -ENOSPC && nearly_full()))
		fail_msg("seed %u: %s gives %d, not %d", seed, what, got, want);
	return got == 0;
}

static int random_node(bool dir)
{
	int n = (int)below(NODES);
	while (!nodes[n].used || nodes[n].dir != dir || (!dir && !nodes[n].data))
		n = (n + 1) % NODES;
	return n;
}

static void model_reset(void)
{
	for (int n = 0; n < NODES; n++)
		free(nodes[n].data), nodes[n] = (struct node){ 0 };
	new_node(true, 0);
	nodes[0].entries[0] = new_node(true, 0) + 1;
	nodes[new_node(false, 0)].links = 0; /* so that random_node() always finds one */
}

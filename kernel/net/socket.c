/* SPDX-License-Identifier: MIT */
/*
 * Sockets: what programs open to send and receive. A socket is a vnode of no file system, so that
 * descriptors, fork and exit treat it as they treat files. It has a port of UDP, or an identifier
 * of ICMP echo, and a queue of the packets that came for it.
 */
#include "fs/file.h"
#include "net/net.h"
#include "mm/frame.h"
#include "mm/vm.h"
#include "proc/task.h"

enum { QUEUE_MAX = 16, FIRST_FREE_PORT = 49152, HEADER = 8 /* of UDP and of ICMP */ };

struct packet {
	struct packet *next;
	struct net_address from;
	uint32_t bytes;
	uint8_t data[];
};

struct socket {
	struct vnode vn;
	uint8_t protocol;
	uint16_t port;
	struct socket *next;
	struct packet *first, **last; /* its queue */
	unsigned queued;
	struct task *reader; /* asleep until a packet comes */
};

static struct spinlock lock; /* guards the list of sockets, and their queues */
static struct socket *sockets;

static struct socket *find(uint8_t protocol, uint16_t port)
{
	ASSERT_HELD(&lock);
	struct socket *s = sockets;
	while (s && (s->protocol != protocol || s->port != port))
		s = s->next;
	return s;
}

/* --- packets --- */

bool socket_input(uint8_t protocol, uint16_t port, const struct net_address *from,
		  const uint8_t *data, uint32_t bytes)
{
	struct packet *p = kmalloc(sizeof(*p) + bytes);
	if (!p)
		return false;
	*p = (struct packet){ .from = *from, .bytes = bytes };
	memcpy(p->data, data, bytes);
	spin_lock(&lock);
	struct socket *s = find(protocol, port);
	bool room = s && s->queued < QUEUE_MAX;
	if (room) {
		*s->last = p;
		s->last = &p->next;
		s->queued++;
		if (s->reader)
			sleep_end(s->reader);
	}
	spin_unlock(&lock);
	if (!room)
		kfree(p);
	return room;
}

/* Take the next packet; wait for it until `end`. Result: 0, -ETIMEDOUT, -EINTR, -EBUSY. */
static int take(struct socket *s, uint64_t end, struct packet **p)
{
	int error = 0;
	spin_lock(&lock);
	if (s->reader)
		error = -EBUSY; /* one process at a time */
	while (!error && !s->first) {
		s->reader = current();
		error = VO(time, now)() >= end ? -ETIMEDOUT : sleep_until(end, &lock);
		s->reader = NULL;
	}
	*p = s->first;
	if (!error) {
		s->first = s->first->next;
		s->queued--;
		if (!s->first)
			s->last = &s->first;
	}
	spin_unlock(&lock);
	return error;
}

/* --- sockets --- */

static void socket_free(struct vnode *vn)
{
	struct socket *s = container_of(vn, struct socket, vn), **at = &sockets;
	if (__atomic_sub_fetch(&vn->refs, 1, __ATOMIC_ACQ_REL))
		return;
	spin_lock(&lock);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	spin_unlock(&lock);
	for (struct packet *p = s->first, *next; p; p = next) {
		next = p->next;
		kfree(p);
	}
	kfree(s);
}

static int socket_stat(struct vnode *vn, struct stat *st)
{
	*st = (struct stat){ .st_mode = vn->mode, .st_nlink = 1 };
	return 0;
}

static const struct vnode_ops socket_ops = { .stat = socket_stat, .release = socket_free };

static struct socket *socket_of(uint32_t fd)
{
	struct file *f = file_of((int)fd);
	return f && f->vn && f->vn->ops == &socket_ops ? container_of(f->vn, struct socket, vn)
							: NULL;
}

/* Put the socket into the list. port: wanted, or 0 for any. Result: 0, -EADDRINUSE. */
static int bind(struct socket *s, uint16_t port)
{
	static uint16_t next_port = FIRST_FREE_PORT;
	spin_lock(&lock);
	for (unsigned tries = 0; !port && tries < 0x10000 - FIRST_FREE_PORT; tries++) {
		if (!find(s->protocol, next_port))
			port = next_port;
		next_port = (uint16_t)((next_port + 1) | FIRST_FREE_PORT);
	}
	bool taken = !port || find(s->protocol, port);
	if (!taken) {
		s->port = port;
		s->next = sockets;
		sockets = s;
	}
	spin_unlock(&lock);
	return taken ? -EADDRINUSE : 0;
}

int sys_net_open(uint32_t protocol, uint32_t port)
{
	if ((protocol != NET_UDP && protocol != NET_ICMP) || port > 0xFFFF)
		return -EINVAL;
	if (!net.card)
		return -ENODEV;
	struct socket *s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->vn = (struct vnode){ .ops = &socket_ops, .refs = 1, .mode = S_IFSOCK | 0666 };
	s->protocol = (uint8_t)protocol;
	s->last = &s->first;
	int error = bind(s, (uint16_t)port);
	if (error) {
		kfree(s);
		return error;
	}
	struct file *f = file_create(O_RDWR, &s->vn, NULL);
	if (!f) {
		vnode_put(&s->vn);
		return -ENOMEM;
	}
	int fd = file_install(f);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* Write the header before a payload of `bytes`, which lies HEADER bytes after at. */
static void write_header(const struct socket *s, const struct net_address *to, uint8_t *at,
			 uint32_t bytes)
{
	bool udp = s->protocol == NET_UDP;
	memset(at, 0, HEADER);
	if (udp) {
		put16(at, s->port);
		put16(at + 2, to->port);
		put16(at + 4, HEADER + bytes);
	} else {
		at[0] = 8; /* echo */
		put16(at + 4, s->port);
		put16(at + 6, to->port);
	}
	uint16_t sum = net_sum(net.address, to->address, s->protocol, at, HEADER + bytes);
	put16(at + (udp ? 6 : 2), sum || !udp ? sum : 0xFFFF); /* UDP: 0 means no sum */
}

int sys_net_send(uint32_t fd, uint32_t to, uint32_t buf, uint32_t bytes)
{
	struct socket *s = socket_of(fd);
	struct net_address address;
	if (!s)
		return -EBADF;
	if (bytes > IP_PAYLOAD_MAX - HEADER)
		return -EMSGSIZE;
	if (copy_from_user(&address, (const void *)to, sizeof(address)))
		return -EFAULT;
	uint8_t *frame = kmalloc(FRAME_ROOM);
	if (!frame)
		return -ENOMEM;
	uint8_t *at = frame + IP_PAYLOAD;
	int error = copy_from_user(at + HEADER, (const void *)buf, bytes);
	if (!error) {
		write_header(s, &address, at, bytes);
		error = net_output(frame, address.address, s->protocol, HEADER + bytes);
	}
	kfree(frame);
	return error ? error : (int)bytes;
}

int sys_net_receive(uint32_t fd, uint32_t from, uint32_t buf, uint32_t bytes, uint32_t ms)
{
	struct socket *s = socket_of(fd);
	struct packet *p;
	if (!s)
		return -EBADF;
	int error = take(s, VO(time, now)() + (uint64_t)ms * 1000000, &p);
	if (error)
		return error;
	bytes = MIN(bytes, p->bytes);
	error = copy_to_user((void *)buf, p->data, bytes);
	if (!error)
		error = copy_to_user((void *)from, &p->from, sizeof(p->from));
	kfree(p);
	return error ? error : (int)bytes;
}

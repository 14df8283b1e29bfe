/*
 * gab.h - programs on the ports of GAB: agreed memberships, guaranteed
 * point-to-point messages and atomic broadcast.
 *
 * A program opens a port of the node it runs on, receives the memberships of
 * the port and all that is broadcast on it, in the same order at every member,
 * and sends. It talks to gabd over run/gab.sock below the root of the node.
 *
 *     cc chat.c $(pkg-config --cflags --libs gab)
 *
 * Every call returns 0 or a positive number on success and -errno otherwise;
 * errno itself is not touched. The manual, gab_open(3) and the others, says
 * which errors each call has. Nothing is global: ports are independent of each
 * other, and several threads may use different ports at the same time. What
 * threads may do on the same port is said at gab_recv.
 */
#ifndef GAB_H
#define GAB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest message, in bytes. */
#define GAB_MAX_MESSAGE   65536

/* Flags of a send. */
enum {
    GAB_SAFE = 1,      /* broadcasts: delivered nowhere before every member holds it */
    GAB_MORE = 2,      /* more follows at once: may be held until a send without it,
                          a gab_flush or a gab_recv, to travel together */
    GAB_NONBLOCK = 4   /* -EAGAIN instead of waiting for room */
};

/* Types of events. */
enum {
    GAB_EV_DELIVER = 1,   /* a message */
    GAB_EV_VIEW = 2,      /* a new membership of the port */
    GAB_EV_CLOSED = 3,    /* the last event: GAB closed the port */
    GAB_EV_STATUS = 4     /* only jeopardy or visible changed, see GAB_OPT_STATUS */
};

/* Flags of gab_options. */
enum {
    GAB_OPT_ACK = 1,      /* each view is acknowledged with gab_ack; the next waits for it */
    GAB_OPT_KERNEL = 2,   /* dies only with its process; its ejection halts the node */
    GAB_OPT_SHARED = 4,   /* all shared openers of a node are one member of the port */
    GAB_OPT_STATUS = 8    /* GAB_EV_STATUS is delivered, too */
};

/* An open port. */
typedef struct gab_port gab_port;

/* How to open a port. Set everything to zero, then size, then what is wanted. */
typedef struct {
    uint32_t size;           /* sizeof(gab_options) */
    uint32_t heartbeat_ms;   /* 0: supervised only by whether it reads; else 100 to 3600000: a
                                program that for so long is in none of gab_recv, the sends
                                and gab_flush is killed. Questions make gab_fd readable */
    const char *root;        /* root folder of the node; NULL: MUSTER_ROOT, or / without it */
    const char *name;        /* for listings, cut after 64 bytes; NULL: that of the program */
    uint32_t flags;          /* GAB_OPT_..., or-ed */
} gab_options;

/* A set of nodes: bit n of bits[n / 64], counted from 1 << 0, is node n. */
typedef struct {
    uint64_t bits[2];
} gab_nodeset;

/* What gab_recv gives. Fields that the type does not have are zero. */
typedef struct {
    uint32_t type;          /* GAB_EV_... */
    uint32_t sender;        /* DELIVER: id of the node that sent it */
    uint32_t broadcast;     /* DELIVER: 1 if by broadcast, 0 if to this node */
    uint32_t safe;          /* DELIVER: 1 if GAB_SAFE */
    uint64_t generation;    /* of the view: the new one, or that in which it is delivered */
    uint64_t sequence;      /* DELIVER: position in the order, the same at all members and
                               strictly rising while the port is open; 0 if to this node */
    const void *data;       /* DELIVER: the message, valid until the next gab_recv on this
                               port, or its gab_close; not aligned */
    size_t len;             /* DELIVER: bytes of it */
    gab_nodeset members;    /* VIEW, STATUS: nodes with this port open */
    gab_nodeset joined;     /* VIEW: members that were not in the view before; in the first, all */
    gab_nodeset left;       /* VIEW: those of the view before that are gone */
    gab_nodeset jeopardy;   /* VIEW, STATUS: members to which one link is left, as this node
                               sees it */
    gab_nodeset visible;    /* VIEW, STATUS: nodes of the cluster without this port open */
    int32_t reason;         /* CLOSED: -ECONNRESET gabd died, -ESHUTDOWN it was stopped,
                               -ESTALE this node was ejected, -ENOBUFS the program did not
                               read, -ETIME no heartbeat, -EPROTO a fault of the library */
} gab_event;

/*
 * Opens a port, a letter; A to Z are for users. options may be NULL. *out is
 * the port, or NULL on failure. Returns when gabd has accepted; the first view
 * comes as an event, at once or when the cluster has formed.
 */
int gab_open(char port, const gab_options *options, gab_port **out);

/*
 * Sends len bytes to every member of the port, this one included; data may be
 * used again at once. Waits for room, not for the delivery. Success means that
 * it will be ordered, unless a CLOSED event says otherwise; failure that nothing
 * was sent. What gabd's socket has no room for lies in the library until the
 * next call that receives or sends; gab_fd becomes readable for it.
 */
int gab_broadcast(gab_port *port, const void *data, size_t len, uint32_t flags);

/*
 * Sends len bytes to the port's programs on one node, reliably and in the order
 * of these sends; broadcasts have an order of their own. If they leave the port
 * meanwhile the message is dropped, which a view tells.
 */
int gab_send(gab_port *port, uint32_t node, const void *data, size_t len, uint32_t flags);

/* Hands to gabd what GAB_MORE held back and what its socket had no room for. */
int gab_flush(gab_port *port);

/*
 * The next event: 1 if there is one, 0 if none came within timeout_ms; 0 does
 * not wait, -1 waits for ever. -EINTR if a signal was handled meanwhile.
 *
 * After CLOSED each call gives the same CLOSED again. A program that sends must
 * also receive; one that does not for long is closed with -ENOBUFS.
 *
 * One thread at a time may receive on a port, for the data of an event ends
 * with the next gab_recv. Other threads may send on it meanwhile.
 */
int gab_recv(gab_port *port, gab_event *event, int timeout_ms);

/*
 * The program has recovered from the view of this generation, the newest it
 * received. Only needed with GAB_OPT_ACK.
 */
int gab_ack(gab_port *port, uint64_t generation);

/*
 * A descriptor for poll, select or epoll: readable when gab_recv would return at
 * once, and when there may be room to send again. It may be readable for nothing:
 * call gab_recv with timeout 0 until it gives 0, or CLOSED. It belongs to the
 * port; neither read nor close it.
 */
int gab_fd(const gab_port *port);

/* The id of this node. */
int gab_node(const gab_port *port);

/*
 * Closes a port that no thread uses any more; it is freed whatever is returned.
 * Waits until all that was accepted is ordered, at most a minute. An error means
 * that what was sent last may be lost: GAB had closed the port (the reason), or
 * did not answer (-ETIMEDOUT).
 */
int gab_close(gab_port *port);

/* The meaning of a result, negative or positive, in words; never NULL. */
const char *gab_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif /* GAB_H */

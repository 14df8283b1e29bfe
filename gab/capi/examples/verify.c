/*
 * gabverify - sends and checks messages on a port of GAB.
 *
 * Every member broadcasts messages whose size and contents follow from its node
 * id and their number, and checks all that it is given: contents, lengths, the
 * numbers of each sender, views. A hash over the whole order of delivery is
 * printed at the end and must be the same at all that saw the same messages.
 *
 * Exit status: 0 done, 1 a check failed, 2 GAB closed the port, 3 it could not
 * be opened, 64 usage.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE            /* pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gab.h>

#define NODES      128
#define MAGIC      0x47565231u
#define HEADER     44          /* bytes of a packed header */
#define F_LAST     1u          /* the last message of its sender */
#define GRACE_MS   4000        /* for members that may be listeners, or slow to start */
#define WATCH_MS   2000        /* a wait so long is looked at: was a wake-up missed? */
#define BURST      64

struct header {
    uint32_t magic, flags, sender, length, checksum;
    uint64_t life;             /* tells a program from its successor on the node */
    uint64_t number;           /* of this message, from 0 */
    uint64_t total;            /* how many it will send; 0: for ever */
};

struct sender {
    int heard;                 /* a message came */
    int ended;                 /* its last message came */
    int from_start;            /* it joined while we watched: numbers begin with 0 */
    uint64_t life, next, total;
};

static gab_port *port;
static int self, quiet, forever;
static uint64_t to_send = 1000, sent, own_delivered, my_life;
static size_t max_size = 2000;
static unsigned want_members = 1;

static struct sender senders[NODES];
static gab_nodeset members;
static uint64_t generation, last_sequence;
static int have_view, started, blocked, said_full, said_sent, port_closed;

static uint64_t hash = 0xcbf29ce484222325u, delivered;
static uint64_t end_hash, end_delivered;      /* as of when all senders had ended */
static int complete;
static int64_t complete_at;

static unsigned char outbuf[GAB_MAX_MESSAGE], expect[GAB_MAX_MESSAGE];
static volatile sig_atomic_t stop;
static int wake[2];                           /* a pipe: a signal ends poll */

/* ---- small things ---- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int has(const gab_nodeset *s, unsigned n)
{
    return n < NODES && (s->bits[n / 64] >> (n % 64) & 1);
}

static unsigned count(const gab_nodeset *s)
{
    unsigned n, c = 0;
    for (n = 0; n < NODES; n++)
        c += (unsigned)has(s, n);
    return c;
}

static int empty(const gab_nodeset *s)
{
    return !s->bits[0] && !s->bits[1];
}

static void print_set(FILE *f, const char *word, const gab_nodeset *s)
{
    unsigned n;
    fprintf(f, " %s", word);
    for (n = 0; n < NODES; n++)
        if (has(s, n))
            fprintf(f, " %u", n);
}

static void on_signal(int sig)
{
    int keep = errno;
    (void)sig;
    stop = 1;
    if (write(wake[1], "", 1) < 0)
        stop = 2;                  /* full: it wakes already */
    errno = keep;
}

static void fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("gabverify: failed: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (view %" PRIx64 ", after %" PRIu64 " messages)\n", generation, delivered);
    gab_close(port);
    exit(1);
}

static void put32(unsigned char *p, uint32_t v)
{
    int i;
    for (i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static void put64(unsigned char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* CRC-32, a table made at the first use. */
static uint32_t checksum(const unsigned char *p, size_t len)
{
    static uint32_t table[256];
    uint32_t c = 0xffffffffu;
    if (!table[1]) {
        uint32_t i, k;
        for (i = 0; i < 256; i++) {
            uint32_t v = i;
            for (k = 0; k < 8; k++)
                v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
            table[i] = v;
        }
    }
    while (len--)
        c = table[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}

static void mix(uint64_t v)
{
    int i;
    for (i = 0; i < 8; i++) {
        hash ^= v >> 8 * i & 255;
        hash *= 0x100000001b3u;
    }
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t seed_of(unsigned node, uint64_t number)
{
    return ((uint64_t)node + 1) * 0xd1342543de82ef95u ^ number;
}

static void fill(unsigned char *p, size_t len, unsigned node, uint64_t number)
{
    uint64_t state = seed_of(node, number), r = 0;
    size_t i;
    next_random(&state);                       /* the first one gave the size */
    for (i = 0; i < len; i++) {
        if (i % 8 == 0)
            r = next_random(&state);
        p[i] = (unsigned char)(r >> i % 8 * 8);
    }
}

/* ---- what is received ---- */

/* All that were heard have ended or gone, and we have all of our own. */
static void look_if_complete(void)
{
    unsigned n;
    if (started && !quiet && own_delivered < to_send)
        goto no;
    if (forever || !started)
        goto no;
    for (n = 0; n < NODES; n++)                /* those that left are not heard any more */
        if (senders[n].heard && !senders[n].ended)
            goto no;
    if (!delivered && (quiet || to_send))      /* nobody has begun */
        goto no;
    if (!complete) {
        complete = 1;
        complete_at = now_ms();
        end_hash = hash;
        end_delivered = delivered;
    }
    return;
no:
    complete = 0;
}

/* Complete, and nobody is there any more who may still begin to send. */
static int is_done(int64_t *wait)
{
    unsigned n;
    if (!complete)
        return 0;
    for (n = 0; n < NODES; n++)
        if (has(&members, n) && (int)n != self && !senders[n].heard) {
            *wait = complete_at + GRACE_MS - now_ms();
            return *wait <= 0;
        }
    return 1;
}

static void on_view(const gab_event *ev)
{
    unsigned n;
    int i;

    if (have_view && ev->generation <= generation)
        fail("view: expected a generation above %" PRIx64 ", got %" PRIx64,
             generation, ev->generation);
    if (!has(&ev->members, (unsigned)self))
        fail("view %" PRIx64 ": expected node %d in it, it is not", ev->generation, self);
    for (i = 0; i < 2; i++) {
        uint64_t in = ev->members.bits[i] & ~members.bits[i];
        uint64_t out = members.bits[i] & ~ev->members.bits[i];
        if (have_view && ev->joined.bits[i] != in)
            fail("view %" PRIx64 ": joined[%d]: expected %" PRIx64 ", got %" PRIx64,
                 ev->generation, i, in, ev->joined.bits[i]);
        if (have_view && ev->left.bits[i] != out)
            fail("view %" PRIx64 ": left[%d]: expected %" PRIx64 ", got %" PRIx64,
                 ev->generation, i, out, ev->left.bits[i]);
        if (ev->jeopardy.bits[i] & ~ev->members.bits[i])
            fail("view %" PRIx64 ": jeopardy[%d]: expected members only, got %" PRIx64,
                 ev->generation, i, ev->jeopardy.bits[i]);
        if (ev->visible.bits[i] & ev->members.bits[i])
            fail("view %" PRIx64 ": visible[%d]: expected no members, got %" PRIx64,
                 ev->generation, i, ev->visible.bits[i]);
    }
    for (n = 0; n < NODES; n++)
        if (!has(&ev->members, n) || (have_view && !has(&members, n))) {
            memset(&senders[n], 0, sizeof senders[n]);
            /* One that joins in front of our eyes has sent nothing before. Of
               those that were there before us we may miss the beginning. */
            senders[n].from_start = have_view;
        }
    senders[self].from_start = 1;

    members = ev->members;
    generation = ev->generation;
    have_view = 1;
    if (delivered) {
        mix(generation);
        mix(members.bits[0]);
        mix(members.bits[1]);
    }

    printf("view %" PRIx64, generation);
    print_set(stdout, "members", &members);
    if (!empty(&ev->jeopardy))
        print_set(stdout, "jeopardy", &ev->jeopardy);
    putchar('\n');
    if (!started && count(&members) >= want_members)
        started = 1;
    look_if_complete();
}

static void on_message(const gab_event *ev)
{
    const unsigned char *p = ev->data;
    struct header h;
    struct sender *s;
    uint32_t sum;
    uint64_t state;

    if (!have_view)
        fail("expected a view first, got a message of node %" PRIu32, ev->sender);
    if (!has(&members, ev->sender))
        fail("expected messages of members only, got one of node %" PRIu32, ev->sender);
    if (ev->generation != generation)
        fail("message of node %" PRIu32 ": expected generation %" PRIx64 ", got %" PRIx64,
             ev->sender, generation, ev->generation);
    if (!ev->broadcast || ev->safe)
        fail("message of node %" PRIu32 ": expected broadcast 1 safe 0, got %" PRIu32 " %" PRIu32,
             ev->sender, ev->broadcast, ev->safe);
    if (ev->sequence <= last_sequence)
        fail("expected a sequence above %" PRIu64 ", got %" PRIu64, last_sequence, ev->sequence);
    last_sequence = ev->sequence;

    if (ev->len < HEADER)
        fail("message of node %" PRIu32 ": expected %d bytes or more, got %zu",
             ev->sender, HEADER, ev->len);
    h.magic = get32(p);
    h.flags = get32(p + 4);
    h.sender = get32(p + 8);
    h.length = get32(p + 12);
    h.checksum = get32(p + 16);
    h.life = get64(p + 20);
    h.number = get64(p + 28);
    h.total = get64(p + 36);
    if (h.magic != MAGIC)
        fail("message of node %" PRIu32 ": expected magic %08x, got %08" PRIx32,
             ev->sender, MAGIC, h.magic);
    if (h.sender != ev->sender)
        fail("expected a header of node %" PRIu32 ", got one of node %" PRIu32,
             ev->sender, h.sender);
    if (h.length != ev->len - HEADER)
        fail("node %" PRIu32 " number %" PRIu64 ": expected %" PRIu32 " bytes, got %zu",
             h.sender, h.number, h.length, ev->len - HEADER);
    sum = checksum(p + HEADER, h.length);
    if (sum != h.checksum)
        fail("node %" PRIu32 " number %" PRIu64 ": expected checksum %08" PRIx32
             ", got %08" PRIx32, h.sender, h.number, h.checksum, sum);
    fill(expect, h.length, h.sender, h.number);
    if (memcmp(expect, p + HEADER, h.length) != 0)
        fail("node %" PRIu32 " number %" PRIu64 ": expected other contents, checksum %08" PRIx32
             ", got %08" PRIx32, h.sender, h.number, checksum(expect, h.length), sum);

    s = &senders[h.sender];
    if (!s->heard) {
        if (s->from_start && h.number != 0)
            fail("node %" PRIu32 ": expected to begin with number 0, got %" PRIu64,
                 h.sender, h.number);
        if ((int)h.sender == self && h.life != my_life)
            fail("expected own life %" PRIx64 ", got %" PRIx64, my_life, h.life);
        s->heard = 1;
        s->life = h.life;
        s->total = h.total;
        s->next = h.number;
    }
    if (h.life != s->life)
        fail("node %" PRIu32 ": expected life %" PRIx64 ", got %" PRIx64 " without a view between",
             h.sender, s->life, h.life);
    if (h.number != s->next)
        fail("node %" PRIu32 ": expected number %" PRIu64 ", got %" PRIu64,
             h.sender, s->next, h.number);
    if (h.total != s->total)
        fail("node %" PRIu32 ": expected total %" PRIu64 ", got %" PRIu64,
             h.sender, s->total, h.total);
    if (s->ended)
        fail("node %" PRIu32 ": expected no more after its last, got number %" PRIu64,
             h.sender, h.number);
    if (!!(h.flags & F_LAST) != (h.total && h.number + 1 == h.total))
        fail("node %" PRIu32 " number %" PRIu64 " of %" PRIu64 ": expected last %d, got %d",
             h.sender, h.number, h.total, h.total && h.number + 1 == h.total,
             !!(h.flags & F_LAST));
    s->next++;
    if (h.flags & F_LAST)
        s->ended = 1;
    if ((int)h.sender == self) {
        own_delivered++;
        if (own_delivered > sent)
            fail("expected at most %" PRIu64 " of our own, got %" PRIu64, sent, own_delivered);
    }

    delivered++;
    mix(ev->sequence);
    mix(ev->generation);
    mix(h.sender);
    mix(h.number);
    state = (uint64_t)h.length << 32 | h.checksum;
    mix(state);
    look_if_complete();
}

static void on_status(const gab_event *ev)
{
    if (ev->generation != generation || memcmp(&ev->members, &members, sizeof members) != 0)
        fail("status: expected generation %" PRIx64 " and its members, got %" PRIx64,
             generation, ev->generation);
    printf("status %" PRIx64, generation);
    print_set(stdout, "jeopardy", &ev->jeopardy);
    print_set(stdout, "visible", &ev->visible);
    putchar('\n');
}

/* Takes what is there, at most `most` events; gives how many. */
static int receive(int most)
{
    gab_event ev;
    int n, r, reason;

    for (n = 0; n < most; n++) {
        r = gab_recv(port, &ev, 0);
        if (r == -EINTR)
            continue;
        if (r < 0)
            fail("gab_recv: expected 0 or 1, got %d, %s", r, gab_strerror(r));
        if (r == 0)
            break;
        switch (ev.type) {
        case GAB_EV_DELIVER:
            on_message(&ev);
            break;
        case GAB_EV_VIEW:
            on_view(&ev);
            break;
        case GAB_EV_STATUS:
            on_status(&ev);
            break;
        case GAB_EV_CLOSED:
            reason = ev.reason;
            printf("closed %d %s\n", -reason, gab_strerror(reason));
            fprintf(stderr, "gabverify: closed after %" PRIu64 " messages, %" PRIu64
                    " sent, %" PRIu64 " of them delivered, hash %016" PRIx64 "\n",
                    delivered, sent, own_delivered, hash);
            r = gab_close(port);
            if (r != reason)
                fprintf(stderr, "gabverify: gab_close: expected %d, got %d\n", reason, r);
            exit(2);
        default:
            fail("expected an event of type 1 to 4, got %" PRIu32, ev.type);
        }
    }
    return n;
}

/* ---- what is sent ---- */

static int want_to_send(void)
{
    return started && !quiet && !port_closed && (forever || sent < to_send);
}

/* Sends until there is no room, `most` messages at most. */
static void transmit(int most)
{
    uint64_t state;
    size_t len, payload;
    uint32_t flags;
    int r;

    blocked = 0;
    while (most-- > 0 && want_to_send()) {
        state = seed_of((unsigned)self, sent);
        len = HEADER + next_random(&state) % (max_size - HEADER + 1);
        payload = len - HEADER;
        flags = !forever && sent + 1 == to_send ? F_LAST : 0;
        fill(outbuf + HEADER, payload, (unsigned)self, sent);
        put32(outbuf, MAGIC);
        put32(outbuf + 4, flags);
        put32(outbuf + 8, (uint32_t)self);
        put32(outbuf + 12, (uint32_t)payload);
        put32(outbuf + 16, checksum(outbuf + HEADER, payload));
        put64(outbuf + 20, my_life);
        put64(outbuf + 28, sent);
        put64(outbuf + 36, forever ? 0 : to_send);
        r = gab_broadcast(port, outbuf, len, GAB_NONBLOCK);
        memset(outbuf, 0xee, len);            /* it must not be needed any more */
        if (r == -EAGAIN) {
            blocked = 1;
            if (forever && !said_full) {
                said_full = 1;
                printf("full %" PRIu64 "\n", sent);
            }
            return;
        }
        if (r == -EINTR)
            continue;
        if (r == -EPIPE) {                     /* gab_recv tells why */
            port_closed = 1;
            return;
        }
        if (r != 0)
            fail("gab_broadcast: expected 0, got %d, %s", r, gab_strerror(r));
        sent++;
    }
    if (started && !quiet && !forever && sent == to_send && !said_sent) {
        said_sent = 1;
        printf("sent %" PRIu64 "\n", sent);
    }
}

/* ---- */

static void usage(void)
{
    fprintf(stderr, "usage: gabverify PORT [-n MESSAGES] [-s MAXSIZE %d-%d] [-m MEMBERS] [-q] [-f]\n",
            HEADER, GAB_MAX_MESSAGE);
    exit(64);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long v;
    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || v < least || v > most)
        usage();
    return v;
}

int main(int argc, char **argv)
{
    gab_options options;
    struct sigaction action;
    struct timespec t;
    struct pollfd pfd[2];
    int c, r, fd, n, ready, timed_out;
    unsigned long missed_room = 0, missed_event = 0;
    int64_t wait;

    while ((c = getopt(argc, argv, "n:s:m:qf")) != -1)
        switch (c) {
        case 'n': to_send = number(optarg, 0, UINT64_MAX); break;
        case 's': max_size = (size_t)number(optarg, HEADER, GAB_MAX_MESSAGE); break;
        case 'm': want_members = (unsigned)number(optarg, 1, NODES); break;
        case 'q': quiet = 1; break;
        case 'f': forever = 1; break;
        default: usage();
        }
    if (argc - optind != 1 || strlen(argv[optind]) != 1 || (quiet && forever))
        usage();
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (pipe2(wake, O_NONBLOCK | O_CLOEXEC) < 0) {
        perror("gabverify: pipe2");
        return 3;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.flags = GAB_OPT_STATUS;
    options.name = "gabverify";
    r = gab_open(argv[optind][0], &options, &port);
    if (r < 0) {
        fprintf(stderr, "gabverify: gab_open: %d %s\n", -r, gab_strerror(r));
        return 3;
    }
    self = gab_node(port);
    fd = gab_fd(port);
    if (self < 0 || self >= NODES || fd < 0) {
        fprintf(stderr, "gabverify: expected a node and a descriptor, got %d %d\n", self, fd);
        gab_close(port);
        return 1;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    my_life = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    my_life ^= (uint64_t)getpid() << 40;

    /*
     * First all that is there, then sending up to EAGAIN, then poll: in this
     * order no call of gab_recv can swallow the news of room that came after
     * the refusal.
     */
    timed_out = 0;
    for (;;) {
        n = receive(BURST);
        if (timed_out && n) {
            missed_event++;
            fprintf(stderr, "gabverify: an event was there after poll had found none\n");
        }
        if (stop)
            break;
        wait = -1;
        if (is_done(&wait))
            break;
        ready = (int)(sent & 0x7fffffff);
        transmit(BURST);
        if (timed_out && want_to_send() && (int)(sent & 0x7fffffff) != ready) {
            missed_room++;
            fprintf(stderr, "gabverify: room was there after poll had found none\n");
        }
        if (n == BURST || (want_to_send() && !blocked))
            wait = 0;
        else if (wait < 0 || wait > WATCH_MS)
            wait = WATCH_MS;
        pfd[0].fd = fd;
        pfd[1].fd = wake[0];
        pfd[0].events = pfd[1].events = POLLIN;
        pfd[0].revents = pfd[1].revents = 0;
        r = poll(pfd, 2, (int)wait);
        if (r < 0 && errno != EINTR)
            fail("poll: expected to wait, got %s", strerror(errno));
        if (r > 0 && (pfd[0].revents & ~POLLIN))
            fprintf(stderr, "gabverify: poll gave %#x\n", (unsigned)pfd[0].revents);
        timed_out = r == 0 && wait > 0;
    }

    if (!complete) {
        end_hash = hash;
        end_delivered = delivered;
    }
    if (stop)
        fprintf(stderr, "gabverify: ended by a signal, %" PRIu64 " sent, %" PRIu64
                " of them delivered\n", sent, own_delivered);
    if (missed_room || missed_event)
        fprintf(stderr, "gabverify: missed wake-ups: %lu for room, %lu for events\n",
                missed_room, missed_event);
    printf("verified %" PRIu64 " messages hash %016" PRIx64 "\n", end_delivered, end_hash);
    r = gab_close(port);
    if (r < 0) {
        printf("closed %d %s\n", -r, gab_strerror(r));
        return 2;
    }
    return 0;
}

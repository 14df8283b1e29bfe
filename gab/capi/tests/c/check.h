/* What the test programs share. */
#include <errno.h>
#include <gab.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails the program, with the place, if two numbers differ. */
#define EQUAL(have, want) equal((long long)(have), (long long)(want), #have, __FILE__, __LINE__)

static inline void equal(long long have, long long want, const char *what, const char *file, int line)
{
    if (have == want)
        return;
    fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, have, want);
    exit(1);
}

/* The next event, which comes within a minute. */
static inline gab_event next(gab_port *port)
{
    gab_event event;

    EQUAL(gab_recv(port, &event, 60000), 1);
    return event;
}

/* The next event, which has this type. */
static inline gab_event expect(gab_port *port, unsigned type)
{
    gab_event event = next(port);

    EQUAL(event.type, type);
    return event;
}

/* Is the descriptor readable within so many milliseconds? */
static inline int readable(gab_port *port, int timeout_ms)
{
    struct pollfd fd;

    fd.fd = gab_fd(port);
    fd.events = POLLIN;
    fd.revents = 0;
    EQUAL(poll(&fd, 1, timeout_ms) >= 0, 1);
    return fd.revents != 0;
}

/* Opens port A with these flags, on the node of MUSTER_ROOT. */
static inline gab_port *open_with(unsigned flags)
{
    gab_options options;
    gab_port *port;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.name = "test";
    options.flags = flags;
    EQUAL(gab_open('A', &options, &port), 0);
    return port;
}

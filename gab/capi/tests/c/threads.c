/*
 * Threads: two ports at once, and on one of them a receiver that waits for ever while three
 * senders that wait for room share what there is.
 */
#include "check.h"
#include <pthread.h>

enum { SENDERS = 3, EACH = 6000 };

static void *sender(void *port)
{
    char payload[900];
    int n;

    memset(payload, 0, sizeof payload);
    for (n = 0; n < EACH; n++)
        EQUAL(gab_broadcast(port, payload, (size_t)n % sizeof payload, n % 3 ? GAB_MORE : 0), 0);
    EQUAL(gab_flush(port), 0);
    return NULL;
}

/* Talks to itself on a port of its own, apart from the others. */
static void *hermit(void *unused)
{
    gab_port *port;
    gab_event event;
    int n;

    (void)unused;
    EQUAL(gab_open('B', NULL, &port), 0);
    expect(port, GAB_EV_VIEW);
    for (n = 0; n < 500; n++) {
        EQUAL(gab_broadcast(port, &n, sizeof n, 0), 0);
        event = expect(port, GAB_EV_DELIVER);
        EQUAL(memcmp(event.data, &n, sizeof n), 0);
    }
    EQUAL(gab_close(port), 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[SENDERS + 1];
    unsigned long long sequence = 0;
    gab_port *port = open_with(0);
    gab_event event;
    int n;

    expect(port, GAB_EV_VIEW);
    for (n = 0; n < SENDERS; n++)
        EQUAL(pthread_create(&threads[n], NULL, sender, port), 0);
    EQUAL(pthread_create(&threads[SENDERS], NULL, hermit, NULL), 0);
    for (n = 0; n < SENDERS * EACH; n++) {
        EQUAL(gab_recv(port, &event, -1), 1);
        EQUAL(event.type, GAB_EV_DELIVER);
        EQUAL(event.sequence > sequence, 1);
        sequence = event.sequence;
    }
    for (n = 0; n <= SENDERS; n++)
        EQUAL(pthread_join(threads[n], NULL), 0);
    EQUAL(gab_close(port), 0);
    printf("done\n");
    return 0;
}

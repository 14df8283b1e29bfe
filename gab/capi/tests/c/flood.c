/*
 * Sends without receiving until there is no room, then receives all, then until GAB closes it.
 * Its standard input holds it between the parts.
 */
#include "check.h"

int main(void)
{
    static char payload[1000];
    gab_port *port;
    gab_event event;
    int sent, result, got = 0;

    EQUAL(gab_open('A', NULL, &port), 0);
    expect(port, GAB_EV_VIEW);

    /* The room to send and to receive is bounded, so this ends. */
    for (sent = 0; (result = gab_broadcast(port, payload, sizeof payload, GAB_NONBLOCK)) == 0;)
        sent++;
    EQUAL(result, -EAGAIN);
    EQUAL(gab_send(port, 0, "", 0, GAB_NONBLOCK), -EAGAIN);
    EQUAL(sent > 100 && sent < 100000, 1);

    /* Nothing that was accepted is lost, and there is room again. */
    while (got < sent) {
        EQUAL(readable(port, 60000), 1);
        while (gab_recv(port, &event, 0) == 1) {
            EQUAL(event.type, GAB_EV_DELIVER);
            got++;
        }
    }
    EQUAL(got, sent);
    while ((result = gab_broadcast(port, "room", 4, GAB_NONBLOCK)) == -EAGAIN) {
        EQUAL(readable(port, 60000), 1);
        gab_recv(port, &event, 0);
    }
    EQUAL(result, 0);
    expect(port, GAB_EV_DELIVER);
    printf("sent %d\n", sent);
    fflush(stdout);
    getchar();

    /* Whoever held us had gabd ended meanwhile. */
    event = expect(port, GAB_EV_CLOSED);
    printf("closed %d %s\n", (int)-event.reason, gab_strerror(event.reason));
    EQUAL(readable(port, 0), 1);
    EQUAL(gab_recv(port, &event, -1), 1);
    EQUAL(event.type, GAB_EV_CLOSED);
    EQUAL(gab_broadcast(port, "x", 1, 0), -EPIPE);
    EQUAL(gab_send(port, 0, "x", 1, GAB_NONBLOCK), -EPIPE);
    EQUAL(gab_flush(port), -EPIPE);
    EQUAL(gab_ack(port, 1), -EPIPE);
    EQUAL(gab_close(port), event.reason);
    return 0;
}

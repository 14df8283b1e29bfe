/* Each call of gab.h on a cluster of one node: what it does, and what it refuses. */
#include "check.h"

static void messages(gab_port *port)
{
    static char large[GAB_MAX_MESSAGE + 1];
    gab_event event;
    unsigned long long sequence;

    EQUAL(gab_broadcast(port, "hello", 5, 0), 0);
    event = expect(port, GAB_EV_DELIVER);
    EQUAL(event.len, 5);
    EQUAL(memcmp(event.data, "hello", 5), 0);
    EQUAL(event.sender, 0);
    EQUAL(event.broadcast, 1);
    EQUAL(event.safe, 0);
    EQUAL(event.sequence > 0, 1);
    sequence = event.sequence;

    EQUAL(gab_broadcast(port, NULL, 0, GAB_SAFE), 0);
    event = expect(port, GAB_EV_DELIVER);
    EQUAL(event.len, 0);
    EQUAL(event.data != NULL, 1);
    EQUAL(event.safe, 1);
    EQUAL(event.sequence > sequence, 1);

    EQUAL(gab_send(port, 0, "to me", 5, 0), 0);
    event = expect(port, GAB_EV_DELIVER);
    EQUAL(event.broadcast, 0);
    EQUAL(event.sequence, 0);

    memset(large, 'x', sizeof large);
    EQUAL(gab_broadcast(port, large, GAB_MAX_MESSAGE, 0), 0);
    event = expect(port, GAB_EV_DELIVER);
    EQUAL(event.len, GAB_MAX_MESSAGE);
    EQUAL(memcmp(event.data, large, GAB_MAX_MESSAGE), 0);
    EQUAL(gab_broadcast(port, large, sizeof large, 0), -EMSGSIZE);
    EQUAL(gab_send(port, 0, large, (size_t)-1, 0), -EMSGSIZE);
}

static void refusals(gab_port *port)
{
    gab_event event;

    EQUAL(gab_broadcast(port, NULL, 1, 0), -EINVAL);
    EQUAL(gab_broadcast(port, "", 0, 8), -EINVAL);
    EQUAL(gab_send(port, 0, NULL, 1, 0), -EINVAL);
    EQUAL(gab_send(port, 0, "", 0, GAB_SAFE), -EINVAL);
    EQUAL(gab_send(port, 128, "", 0, 0), -EINVAL);
    EQUAL(gab_send(port, 256, "", 0, 0), -EINVAL);
    EQUAL(gab_send(port, 1, "", 0, 0), -ENOTCONN);
    EQUAL(gab_recv(port, NULL, 0), -EINVAL);
    EQUAL(gab_recv(port, &event, -2), -EINVAL);
    EQUAL(gab_recv(port, &event, 0), 0);
    EQUAL(gab_recv(port, &event, 1), 0);
}

static void held_messages(gab_port *port)
{
    gab_event event;
    int n;

    for (n = 0; n < 3; n++)
        EQUAL(gab_broadcast(port, &n, sizeof n, GAB_MORE), 0);
    EQUAL(gab_flush(port), 0);
    for (n = 0; n < 3; n++) {
        event = expect(port, GAB_EV_DELIVER);
        EQUAL(memcmp(event.data, &n, sizeof n), 0);
    }
    /* A receive hands over what was held, too. */
    EQUAL(gab_broadcast(port, "", 0, GAB_MORE), 0);
    expect(port, GAB_EV_DELIVER);
}

/* Several events come in one datagram: the descriptor has to tell of each of them. */
static void the_descriptor(gab_port *port)
{
    gab_event event;
    int n, got = 0;

    EQUAL(readable(port, 0), 0);
    for (n = 0; n < 100; n++)
        EQUAL(gab_broadcast(port, "x", 1, n < 99 ? GAB_MORE : 0), 0);
    while (got < 100) {
        EQUAL(readable(port, 60000), 1);
        got += gab_recv(port, &event, 0);
    }
    EQUAL(gab_recv(port, &event, 0), 0);
    EQUAL(readable(port, 0), 0);
}

static void acknowledgements(void)
{
    gab_port *port = open_with(GAB_OPT_ACK);
    gab_event view = expect(port, GAB_EV_VIEW);

    EQUAL(gab_ack(port, view.generation + 1), -ESTALE);
    EQUAL(gab_ack(port, view.generation), 0);
    EQUAL(gab_ack(port, view.generation), -ESTALE);
    EQUAL(gab_close(port), 0);
}

static void shared_ports(void)
{
    gab_options options;
    gab_port *one = open_with(GAB_OPT_SHARED), *two, *other;

    expect(one, GAB_EV_VIEW);
    two = open_with(GAB_OPT_SHARED);
    expect(two, GAB_EV_VIEW);
    EQUAL(gab_open('A', NULL, &other), -EBUSY);
    EQUAL(other == NULL, 1);
    EQUAL(gab_broadcast(one, "to both", 7, 0), 0);
    expect(one, GAB_EV_DELIVER);
    expect(two, GAB_EV_DELIVER);
    EQUAL(gab_close(two), 0);
    EQUAL(gab_close(one), 0);

    one = open_with(GAB_OPT_KERNEL | GAB_OPT_STATUS);
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.flags = GAB_OPT_SHARED;
    EQUAL(gab_open('A', &options, &other), -EBUSY);
    EQUAL(gab_close(one), 0);
}

int main(void)
{
    gab_event event;
    gab_port *port;

    EQUAL(gab_open('a', NULL, &port), -EACCES);
    EQUAL(port == NULL, 1);
    EQUAL(gab_open('A', NULL, &port), 0);
    EQUAL(gab_node(port), 0);
    event = expect(port, GAB_EV_VIEW);
    EQUAL(event.members.bits[0], 1);
    EQUAL(event.members.bits[1], 0);
    EQUAL(event.joined.bits[0], 1);
    EQUAL(event.generation > 0, 1);
    EQUAL(event.data == NULL, 1);
    messages(port);
    refusals(port);
    held_messages(port);
    the_descriptor(port);
    EQUAL(gab_close(port), 0);
    acknowledgements();
    shared_ports();
    printf("done\n");
    return 0;
}

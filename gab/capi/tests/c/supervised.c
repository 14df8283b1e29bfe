/* A supervised program: any call on the port is a sign of life, and one that waits is one all the time.
 * At last it hangs, and is killed. */
#include "check.h"
#include <unistd.h>

int main(void)
{
    gab_options options;
    gab_port *port;
    gab_event event;
    int n;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.heartbeat_ms = 99;
    EQUAL(gab_open('h', &options, &port), -EINVAL);
    options.heartbeat_ms = 3600001;
    EQUAL(gab_open('h', &options, &port), -EINVAL);
    options.heartbeat_ms = 1000;
    EQUAL(gab_open('h', &options, &port), 0);
    expect(port, GAB_EV_VIEW);
    EQUAL(gab_recv(port, &event, 1500), 0);
    for (n = 0; n < 8; n++) {
        EQUAL(gab_flush(port), 0);
        EQUAL(poll(NULL, 0, 200), 0);
    }
    for (n = 0; n < 8; n++) {
        if (readable(port, 200))
            EQUAL(gab_recv(port, &event, 0), 0);
        else
            EQUAL(gab_flush(port), 0);
    }
    printf("hangs\n");
    fflush(stdout);
    for (;;)
        pause();
}

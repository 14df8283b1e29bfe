/* A handled signal ends a wait with -EINTR, and nothing is lost. */
#include "check.h"
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t rang;

static void on_alarm(int signal)
{
    (void)signal;
    rang = 1;
}

int main(void)
{
    struct itimerval timer;
    gab_port *port = open_with(0);
    gab_event event;
    int result;

    expect(port, GAB_EV_VIEW);
    signal(SIGALRM, on_alarm);
    /* It repeats itself: the first may come before we wait. */
    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_usec = timer.it_interval.tv_usec = 50000;
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    EQUAL(gab_recv(port, &event, -1), -EINTR);
    EQUAL(rang, 1);
    /* A sender that waits for room that does not come, as nobody receives. */
    while ((result = gab_broadcast(port, "0123456789", 10, GAB_MORE)) == 0)
        ;
    EQUAL(result, -EINTR);
    memset(&timer, 0, sizeof timer);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    expect(port, GAB_EV_DELIVER);
    EQUAL(gab_close(port), 0);
    printf("done\n");
    return 0;
}

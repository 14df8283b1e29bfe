/*
 * chat.c - broadcasts the lines of its input and prints what the port delivers.
 *
 *     cc chat.c $(pkg-config --cflags --libs gab) -o chat
 *     ./chat A          on several nodes: all print the same lines in the same order
 *
 * Ends at the end of its input, on SIGTERM or SIGINT, or when GAB closes the port.
 */
#include <errno.h>
#include <gab.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
    (void)signal;
    stop = 1;
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "chat: %s: %s\n", what, gab_strerror(error));
    return 1;
}

static void print_members(const gab_event *event)
{
    unsigned node;

    printf("view %llx members", (unsigned long long)event->generation);
    for (node = 0; node < 128; node++)
        if (event->members.bits[node / 64] >> (node % 64) & 1)
            printf(" %u", node);
    printf("\n");
}

/* Prints what there is to receive. 0 if that is all, 1 after the first view, -errno at the end. */
static int receive(gab_port *port)
{
    gab_event event;
    int joined = 0, got;

    while ((got = gab_recv(port, &event, 0)) > 0) {
        if (event.type == GAB_EV_VIEW) {
            print_members(&event);
            joined = 1;
        } else if (event.type == GAB_EV_DELIVER) {
            printf("deliver %llu %u ", (unsigned long long)event.sequence,
                   (unsigned)event.sender);
            fwrite(event.data, 1, event.len, stdout);
            printf("\n");
        } else if (event.type == GAB_EV_CLOSED) {
            printf("closed %d %s\n", (int)-event.reason, gab_strerror(event.reason));
            fflush(stdout);
            return event.reason;
        }
    }
    fflush(stdout);
    return got < 0 ? got : joined;
}

int main(int argc, char **argv)
{
    gab_port *port;
    struct sigaction action;
    struct pollfd fds[2];
    char line[4096];
    size_t len = 0; /* of a line that is not sent yet */
    int joined = 0, result;

    if (argc != 2 || strlen(argv[1]) != 1) {
        fprintf(stderr, "usage: chat PORT\n");
        return 2;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll does not see what stdio holds */

    if ((result = gab_open(argv[1][0], NULL, &port)) < 0)
        return fail("cannot open the port", result);

    while (!stop) {
        /* There is nobody to talk to before the first view, and no room while a line waits. */
        fds[0].fd = joined && len == 0 ? 0 : -1;
        fds[0].events = POLLIN;
        fds[1].fd = gab_fd(port);
        fds[1].events = POLLIN;
        if (poll(fds, 2, -1) < 0)
            continue; /* a signal */

        if ((result = receive(port)) < 0)
            break;
        joined |= result;

        if (len == 0 && fds[0].fd == 0 && fds[0].revents != 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                break;
            len = strlen(line);
        }
        if (len > 0) {
            size_t text = len - (line[len - 1] == '\n');

            result = gab_broadcast(port, line, text, GAB_NONBLOCK);
            if (result == 0)
                len = 0;
            else if (result != -EAGAIN && result != -EPIPE) /* of that, receive tells more */
                return fail("cannot broadcast", result);
        }
    }
    if ((result = gab_close(port)) < 0)
        return fail("the port was closed", result);
    return 0;
}

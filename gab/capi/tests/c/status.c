/* With GAB_OPT_STATUS: a node that goes without having the port open changes only what is visible. */
#include "check.h"

int main(void)
{
    gab_port *port = open_with(GAB_OPT_STATUS);
    gab_event event = expect(port, GAB_EV_VIEW);
    unsigned long long generation = event.generation;

    EQUAL(event.members.bits[0], 1);
    EQUAL(event.visible.bits[0], 2);
    printf("visible\n");
    fflush(stdout);
    /* Links may go one after the other, so there may be several. */
    while (event.visible.bits[0] != 0) {
        event = expect(port, GAB_EV_STATUS);
        EQUAL(event.generation, generation);
        EQUAL(event.members.bits[0], 1);
        EQUAL(event.joined.bits[0] | event.left.bits[0], 0);
    }
    EQUAL(gab_close(port), 0);
    printf("gone\n");
    return 0;
}

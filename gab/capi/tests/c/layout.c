/* Prints sizes and offsets of gab.h, one "name number" per line. */
#include <gab.h>
#include <stdio.h>

#define SIZE(type) printf(#type " %u\n", (unsigned)sizeof(type))
#define FIELD(type, field) printf(#type "." #field " %u\n", (unsigned)offsetof(type, field))
#define NUMBER(name) printf(#name " %u\n", (unsigned)name)

int main(void)
{
    SIZE(gab_options);
    FIELD(gab_options, size);
    FIELD(gab_options, heartbeat_ms);
    FIELD(gab_options, root);
    FIELD(gab_options, name);
    FIELD(gab_options, flags);
    SIZE(gab_nodeset);
    SIZE(gab_event);
    FIELD(gab_event, type);
    FIELD(gab_event, sender);
    FIELD(gab_event, broadcast);
    FIELD(gab_event, safe);
    FIELD(gab_event, generation);
    FIELD(gab_event, sequence);
    FIELD(gab_event, data);
    FIELD(gab_event, len);
    FIELD(gab_event, members);
    FIELD(gab_event, joined);
    FIELD(gab_event, left);
    FIELD(gab_event, jeopardy);
    FIELD(gab_event, visible);
    FIELD(gab_event, reason);
    NUMBER(GAB_MAX_MESSAGE);
    NUMBER(GAB_SAFE);
    NUMBER(GAB_MORE);
    NUMBER(GAB_NONBLOCK);
    NUMBER(GAB_EV_DELIVER);
    NUMBER(GAB_EV_VIEW);
    NUMBER(GAB_EV_CLOSED);
    NUMBER(GAB_EV_STATUS);
    NUMBER(GAB_OPT_ACK);
    NUMBER(GAB_OPT_KERNEL);
    NUMBER(GAB_OPT_SHARED);
    NUMBER(GAB_OPT_STATUS);
    return 0;
}

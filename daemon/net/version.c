#include "net/net.h"

#include <event2/event.h>

const char *net_library_version(void)
{
    return event_get_version();
}

#include "admin/admin.h"

#include "admin/listen_priv.h"
#include "admin/server_priv.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct admin {
    struct listen_socket listen;
    struct server *server; /* NULL until admin_start */
};

bool admin_open(struct settings *settings, struct admin **admin, char *error, size_t error_size)
{
    const char *address = settings->admin_listen;
    struct listen_socket socket;
    bool taken;
    *admin = NULL;
    if (address == NULL || strcmp(address, "off") == 0)
        return true;
    if (!listen_open(address, &socket, &taken, error, error_size)) {
        if (!taken || settings->source[OPTION_admin_listen] != OPTION_SOURCE_DEFAULT)
            return false;
        log_warn("%s is taken: serving the cache without dashboard, API and metrics (--admin-listen chooses "
                 "another address)",
                 address);
        return true;
    }
    *admin = calloc(1, sizeof(**admin));
    if (*admin == NULL) {
        close(socket.fd);
        snprintf(error, error_size, "out of memory");
        return false;
    }
    (*admin)->listen = socket;
    return true;
}

bool admin_start(struct admin *admin, const struct admin_parts *parts, char *error, size_t error_size)
{
    if (admin == NULL)
        return true;
    admin->server = server_create(admin->listen.fd, admin->listen.port, parts);
    admin->listen.fd = -1; /* the server's now */
    if (admin->server != NULL)
        return true;
    snprintf(error, error_size, "the admin server did not start: out of threads or memory");
    return false;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL)
        return;
    server_destroy(admin->server);
    if (admin->listen.fd >= 0)
        close(admin->listen.fd);
    if (admin->listen.port == 0)
        unlink(admin->listen.address + strlen("unix:"));
    free(admin);
}

const char *admin_address(const struct admin *admin)
{
    return admin->listen.address;
}

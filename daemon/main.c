/* Vitrine: the wiring. Each part is set up in order, run, and taken down in reverse. */
#include "admin/admin.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "base/process.h"
#include "config/config.h"
#include "metrics/history.h"
#include "metrics/metrics.h"
#include "net/net.h"
#include "protocol/protocol.h"
#include "store/store.h"

#include <stdio.h>
#include <sysexits.h>

struct server {
    struct settings settings;
    struct metrics *metrics;
    struct history *history;
    struct admin *admin;
    struct store *store;
    struct net *net;
    struct auth *auth;
    struct protocol *protocol;
};

static bool open_store(struct server *server, char *error, size_t error_size)
{
    const struct settings *settings = &server->settings;
    const struct store_config config = {.memory_size = settings_u64(settings, memory_limit) << 20,
                                        .item_size_max = settings_u64(settings, item_size_max),
                                        .no_eviction = settings_on(settings, no_eviction),
                                        .large_pages = settings_on(settings, large_pages),
                                        .thread_count = (unsigned)settings_u64(settings, threads)};
    server->store = store_create(&config, server->metrics, error, error_size);
    return server->store != NULL;
}

/* All that may fail for want of an address, memory or rights: before anything is detached or dropped. */
static bool server_open(struct server *server)
{
    char error[512] = "no memory";
    server->metrics = metrics_create();
    if (server->metrics && settings_on(&server->settings, track_sizes))
        metrics_sizes_track(server->metrics, settings_u64(&server->settings, item_size_max));
    bool good = server->metrics && admin_open(&server->settings, &server->admin, error, sizeof error) &&
                open_store(server, error, sizeof error);
    if (good)
        server->net = net_create(&server->settings, server->metrics, error, sizeof error);
    if (good && server->net)
        return true;
    log_error("%s", error);
    return false;
}

/* Becomes the process that serves: after this no right is left that is not needed. */
static bool settle(struct settings *settings)
{
    if (settings_on(settings, daemon) && !process_detach())
        return false;
    if (settings->pidfile)
        process_write_pid(settings->pidfile);
    if (settings_on(settings, lock_memory))
        process_lock_memory();
    if (!process_become(settings->user))
        return false;
    if (settings_on(settings, coredumps))
        process_allow_cores();
    return true;
}

static void shut_down(void *context, bool graceful)
{
    struct net *net = context;
    (void)graceful; /* nothing is kept over a restart yet, so both are the same */
    net_stop(net);
}

/* With the rights of the user that it serves as, so that it can be read again. */
static bool open_auth(struct server *server, char *error, size_t error_size)
{
    const char *path = config_auth_file(&server->settings);
    if (path)
        server->auth = auth_create(path, error, error_size);
    return !path || server->auth;
}

static bool open_protocol(struct server *server)
{
    const struct protocol_host host = {.context = server->net,
                                       .connections = net_connections_visit,
                                       .shutdown = shut_down,
                                       .refresh_certificates = net_refresh_certificates,
                                       .wake = net_wake,
                                       .auth = server->auth};
    server->history = history_create(server->metrics);
    server->protocol = protocol_create(&server->settings, server->store, server->metrics, &host);
    return server->history && server->protocol;
}

static bool server_start(struct server *server)
{
    char error[512] = "no memory";
    if (!open_auth(server, error, sizeof error) || !open_protocol(server)) {
        log_error("%s", error);
        return false;
    }
    store_maintainer_start(server->store);
    net_start(server->net, server->protocol, server->store);
    const struct admin_parts parts = {.settings = &server->settings,
                                      .store = server->store,
                                      .protocol = server->protocol,
                                      .net = server->net,
                                      .metrics = server->metrics,
                                      .history = server->history};
    if (!server->admin || admin_start(server->admin, &parts, error, sizeof error))
        return true;
    log_error("%s", error);
    return false;
}

/* It serves: whoever started it is told where, and let go. */
static void announce(const struct server *server)
{
    char addresses[1024];
    net_addresses(server->net, addresses, sizeof addresses);
    printf("vitrine: cache on %s\n", addresses);
    if (server->admin)
        printf("vitrine: dashboard on %s\n", admin_address(server->admin));
    fflush(stdout);
    process_notify("READY=1");
    if (!settings_on(&server->settings, daemon))
        return;
    log_to_syslog("vitrine");
    process_detach_done();
}

static void each_second(void *context)
{
    struct server *server = context;
    history_sample(server->history, clock_s());
}

/* SIGHUP: what options name as files is read again, as memcached does; nothing else is opened anew. */
static void reload(void *context)
{
    struct server *server = context;
    bool tls = settings_on(&server->settings, enable_ssl);
    char error[512];
    if (!tls && !server->auth)
        log_info("SIGHUP ignored: no option names a file to read again; settings change through the admin "
                 "server or by a restart");
    if (tls && net_refresh_certificates(server->net, error, sizeof error))
        log_info("SIGHUP: certificates read again");
    else if (tls)
        log_warn("SIGHUP: the certificates stay as they were: %s", error);
    if (server->auth && auth_reload(server->auth, error, sizeof error))
        log_info("SIGHUP: auth file read again");
    else if (server->auth)
        log_warn("SIGHUP: the users stay as they were: %s", error);
}

static void server_close(struct server *server)
{
    admin_destroy(server->admin);
    protocol_stop(server->protocol);
    net_destroy(server->net);
    if (server->protocol)
        store_maintainer_stop(server->store);
    protocol_destroy(server->protocol);
    auth_destroy(server->auth);
    store_destroy(server->store);
    history_destroy(server->history);
    metrics_destroy(server->metrics);
}

int main(int argc, char **argv)
{
    static struct server server;
    process_fill_stdio();
    clock_init();
    switch (config_load(&server.settings, argc, argv)) {
    case CONFIG_EXIT_OK:
        return EX_OK;
    case CONFIG_EXIT_USAGE:
        return EX_USAGE;
    case CONFIG_RUN:
        break;
    }
    log_level_set(LOG_LEVEL_INFO + (enum log_level)settings_u64(&server.settings, verbose));
    if (!server_open(&server))
        return EX_OSERR;
    bool good = settle(&server.settings) && server_start(&server);
    if (good) {
        if (!settings_on(&server.settings, lock_memory))
            pages_forget_code();
        announce(&server); /* last: who waits for it finds nothing still going on */
        const struct net_events events = {.each_second = each_second, .reload = reload, .context = &server};
        net_run(server.net, &events);
        process_notify("STOPPING=1");
    }
    server_close(&server);
    process_remove_pid(server.settings.pidfile);
    settings_fini(&server.settings);
    return good ? EX_OK : EX_OSERR;
}

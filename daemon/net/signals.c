/* Signals: SIGTERM and SIGINT end net_run, a second one ends the process; SIGHUP is noted; SIGPIPE ignored.
 *
 * They are blocked in every thread and read from a descriptor by the main loop: nothing ever runs in the
 * middle of something else. */
#include "base/log.h"
#include "net/net_priv.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t ending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

int signals_open(void)
{
    sigset_t set = ending();
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* the threads to come inherit it */
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool signals_read_stop(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGHUP) {
            sigset_t set = ending();
            pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* the next one ends the process there and then */
            return true;
        }
        log_info("SIGHUP ignored: settings change through the admin server or by a restart");
    }
    return false;
}

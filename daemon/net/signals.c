/* Signals: SIGTERM, SIGINT and SIGUSR1 end net_run, a second one ends the process; SIGHUP has files read
 * again; SIGPIPE is ignored.
 *
 * They are blocked in every thread and read from a descriptor by the main loop: nothing ever runs in the
 * middle of something else. */
#include "base/log.h"
#include "net/net_priv.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t ending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1); /* memcached's graceful stop */
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

enum signals_wish signals_read(int fd)
{
    enum signals_wish wish = SIGNALS_NOTHING;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            wish = SIGNALS_RELOAD;
            continue;
        }
        log_info("SIG%s: stops", sigabbrev_np((int)info.ssi_signo));
        sigset_t set = ending();
        pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* the next one ends the process there and then */
        return SIGNALS_STOP;
    }
    return wish;
}

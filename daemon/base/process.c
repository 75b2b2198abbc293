#include "base/process.h"

#include "base/log.h"
#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define USER_DEFAULT "nobody"

void process_fill_stdio(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int parent_pipe = -1; /* to the waiting parent */

/* The parent's end: one byte says that the child serves; the pipe's end without it, that the child is gone.
 */
_Noreturn static void wait_for(pid_t child, int pipe_end)
{
    char byte;
    int status = 0;
    if (read(pipe_end, &byte, 1) == 1)
        _exit(EX_OK);
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EX_OSERR);
}

bool process_detach(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("-d: %m");
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        log_error("-d: %m");
        return false;
    }
    close(ends[child > 0]);
    if (child > 0)
        wait_for(child, ends[0]);
    setsid();
    parent_pipe = ends[1];
    return true;
}

void process_detach_done(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    ssize_t ignored = write(parent_pipe, "", 1);
    (void)ignored; /* a parent that is gone need not be told */
    close(parent_pipe);
}

void process_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@')
        address.sun_path[0] = '\0'; /* an abstract name */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        log_warn("cannot tell the service manager %s: %m", state);
    if (fd >= 0)
        close(fd);
}

/* setgroups before setgid before setuid: afterwards there is no right left to do the others. */
static bool drop_to(const struct passwd *user)
{
    if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        log_error("cannot become user %s: %m", user->pw_name);
        return false;
    }
    if (user->pw_uid != 0 && setuid(0) == 0) {
        log_error("became user %s, but could become root again", user->pw_name);
        return false;
    }
    return true;
}

/* By name or, where no name is such, by number. */
static const struct passwd *find_user(const char *user)
{
    const struct passwd *entry = getpwnam(user);
    uint32_t number;
    if (entry || !number_parse_u32(user, strlen(user), &number))
        return entry;
    return getpwuid((uid_t)number);
}

bool process_become(const char *user)
{
    if (geteuid() != 0)
        return true;
    const struct passwd *entry = find_user(user ? user : USER_DEFAULT);
    if (!entry) {
        log_error("-u: there is no user %s", user ? user : USER_DEFAULT);
        return false;
    }
    if (!drop_to(entry))
        return false;
    if (!user)
        log_info("started by root without -u: runs as " USER_DEFAULT);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return true;
}

/* The process that a pid file names, 0: none. */
static pid_t read_pid(const char *path)
{
    FILE *file = fopen(path, "re");
    long pid = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%9ld", &pid) != 1 || pid < 0)
        pid = 0;
    fclose(file);
    return (pid_t)pid;
}

void process_write_pid(const char *path)
{
    char temporary[4200];
    pid_t before = read_pid(path);
    if (before > 0 && before != getpid() && (kill(before, 0) == 0 || errno == EPERM))
        log_warn("the pid file %s names process %ld, which runs: it will name this one", path, (long)before);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "we");
    bool good = file && fprintf(file, "%ld\n", (long)getpid()) > 0;
    if (file)
        good = fclose(file) == 0 && good;
    if (!good || rename(temporary, path) != 0)
        log_warn("cannot write the pid file %s: %m", path);
}

void process_remove_pid(const char *path)
{
    if (!path || read_pid(path) != getpid())
        return; /* it is not there, or another process has put itself in */
    if (unlink(path) != 0)
        log_debug("cannot remove the pid file %s: %m", path);
}

/* With less than an unlimited limit, what is mapped after root is given up could fail: then nothing is
 * locked. */
void process_lock_memory(void)
{
    struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all);
    getrlimit(RLIMIT_MEMLOCK, &all);
    if (all.rlim_cur != RLIM_INFINITY)
        log_warn("-k: memory is not locked: the limit is %llu KiB; allow it without limit (ulimit -l)",
                 (unsigned long long)all.rlim_cur >> 10);
    else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        log_warn("-k: memory is not locked: %m");
}

void process_allow_cores(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0)
        return;
    if (limit.rlim_max != RLIM_INFINITY && geteuid() == 0)
        limit.rlim_max = RLIM_INFINITY;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0)
        log_warn("-r: core files stay limited: raise the hard limit (ulimit -Hc)");
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* a change of user turns it off */
}

/* The auth file: read, compared with, read again. A table of users never changes once others can see it;
 * reloading puts another in its place, and the last one to look at the old one frees it. */
#include "protocol/auth_priv.h"

#include "base/assert.h"
#include "base/lock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX (AUTH_USER_MAX * (2 * AUTH_WORD_MAX + 3))
#define SIZE_NEVER    UINT32_MAX /* the sizes of an entry that nobody has: no word is so long */

/* Filled up with zeros, so that comparing takes no notice of lengths. */
struct entry {
    unsigned char user[AUTH_WORD_MAX], password[AUTH_WORD_MAX];
    uint32_t user_size, password_size;
};

struct users {
    unsigned holders; /* guarded by auth->spin: who looks at it, and the auth itself */
    unsigned count;
    struct entry entries[AUTH_USER_MAX];
};

struct auth {
    char *path;          /* owned */
    struct spin spin;    /* guards the pointer and the holders, for their change alone */
    struct users *users; /* owned */
};

/* ---- reading ---- */

static bool fail(char *error, size_t error_size, const char *path, const char *what)
{
    snprintf(error, error_size, "auth file %s: %s", path, what);
    return false;
}

static bool fail_line(char *error, size_t error_size, const char *path, unsigned line, const char *what)
{
    snprintf(error, error_size, "auth file %s, line %u: %s", path, line, what);
    return false;
}

/* Reads all of an open file of at most FILE_SIZE_MAX bytes. -1: it cannot be read, or is longer. */
static ssize_t read_all(int fd, char *text)
{
    size_t size = 0;
    for (;;) {
        ssize_t got = read(fd, text + size, FILE_SIZE_MAX + 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : (ssize_t)size;
        size += (size_t)got;
        if (size > FILE_SIZE_MAX) {
            errno = EFBIG;
            return -1;
        }
    }
}

static void warn_of_mode(const char *path, mode_t mode)
{
    if (mode & S_IROTH)
        log_warn("auth file %s: every user of this host may read its passwords; chmod o-r it", path);
}

/* Opens without waiting for anybody: a pipe or a device is none of ours. */
static int open_file(const char *path, char *error, size_t error_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        fail(error, error_size, path, strerror(errno));
        return -1;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        fail(error, error_size, path, "is not a regular file");
        close(fd);
        return -1;
    }
    warn_of_mode(path, status.st_mode);
    return fd;
}

/* One line, without its end: false with what is wrong about it. */
static bool parse_line(struct entry *entry, const char *line, size_t size, const char **what)
{
    const char *colon = memchr(line, ':', size);
    size_t user_size = colon ? (size_t)(colon - line) : 0;
    size_t password_size = colon ? size - user_size - 1 : 0;
    *what = "is not user:password";
    if (user_size == 0 || password_size == 0 || memchr(line, '\0', size) || memchr(line, '\r', size))
        return false;
    *what = "a user or a password has more than 256 bytes";
    if (user_size > AUTH_WORD_MAX || password_size > AUTH_WORD_MAX)
        return false;
    *entry = (struct entry){.user_size = (uint32_t)user_size, .password_size = (uint32_t)password_size};
    memcpy(entry->user, line, user_size);
    memcpy(entry->password, colon + 1, password_size);
    return true;
}

static bool parse_file(struct users *users, const char *path, const char *text, size_t size, char *error,
                       size_t error_size)
{
    const char *end = text + size, *next;
    const char *what;
    for (unsigned line = 1; text < end; text = next, line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > text && stop[-1] == '\r')
            stop--;
        if (users->count == AUTH_USER_MAX)
            return fail_line(error, error_size, path, line, "more than 64 users");
        if (!parse_line(&users->entries[users->count], text, (size_t)(stop - text), &what))
            return fail_line(error, error_size, path, line, what);
        users->count++;
    }
    return users->count > 0 || fail(error, error_size, path, "is empty: nobody could come in");
}

static void users_free(struct users *users)
{
    explicit_bzero(users, sizeof *users);
    free(users);
}

static struct users *users_create(void)
{
    struct users *users = calloc(1, sizeof *users);
    if (users == NULL)
        return NULL;
    users->holders = 1;
    for (unsigned i = 0; i < AUTH_USER_MAX; i++)
        users->entries[i].user_size = users->entries[i].password_size = SIZE_NEVER;
    return users;
}

/* The file's text lies in `text` only, which the caller overwrites. */
static bool users_fill(struct users *users, const char *path, char *text, char *error, size_t error_size)
{
    int fd = open_file(path, error, error_size);
    if (fd < 0)
        return false;
    ssize_t size = read_all(fd, text);
    int why = errno;
    close(fd);
    if (size < 0)
        return fail(error, error_size, path, strerror(why));
    return parse_file(users, path, text, (size_t)size, error, error_size);
}

static struct users *users_load(const char *path, char *error, size_t error_size)
{
    struct users *users = users_create();
    char *text = malloc(FILE_SIZE_MAX + 1);
    bool good = users && text;
    if (!good)
        fail(error, error_size, path, "no memory");
    good = good && users_fill(users, path, text, error, error_size);
    if (text)
        explicit_bzero(text, FILE_SIZE_MAX + 1);
    free(text);
    if (good)
        return users;
    if (users)
        users_free(users);
    return NULL;
}

/* ---- holding ---- */

static struct users *users_take(struct auth *auth)
{
    spin_acquire(&auth->spin);
    struct users *users = auth->users;
    users->holders++;
    spin_release(&auth->spin);
    return users;
}

static void users_give(struct auth *auth, struct users *users)
{
    spin_acquire(&auth->spin);
    unsigned left = --users->holders;
    spin_release(&auth->spin);
    if (left == 0)
        users_free(users);
}

/* ---- comparing ---- */

/* 0 when they are equal. */
static unsigned entry_differs(const struct entry *a, const struct entry *b)
{
    const unsigned char *left = (const unsigned char *)a, *right = (const unsigned char *)b;
    unsigned char differs = 0;
    for (size_t i = 0; i < sizeof *a; i++)
        differs |= left[i] ^ right[i];
    return differs;
}

static void word_fill(unsigned char *out, uint32_t *out_size, const void *word, size_t size)
{
    size_t kept = size < AUTH_WORD_MAX ? size : AUTH_WORD_MAX;
    if (kept > 0)
        memcpy(out, word, kept);
    *out_size = (uint32_t)(size < AUTH_WORD_MAX ? size : kept + (size > AUTH_WORD_MAX));
}

bool auth_check(struct auth *auth, const void *user, size_t user_size, const void *password,
                size_t password_size)
{
    struct entry given = {0};
    word_fill(given.user, &given.user_size, user, user_size);
    word_fill(given.password, &given.password_size, password, password_size);
    struct users *users = users_take(auth);
    unsigned found = 0;
    for (unsigned i = 0; i < AUTH_USER_MAX; i++)
        found |= entry_differs(&given, &users->entries[i]) == 0;
    users_give(auth, users);
    explicit_bzero(&given, sizeof given);
    return found != 0;
}

bool auth_try(struct protocol_thread *thread, struct session *session, const void *user, size_t user_size,
              const void *password, size_t password_size)
{
    session->authenticated = auth_check(thread->protocol->auth, user, user_size, password, password_size);
    metrics_add(thread->block, METRIC_auth_cmds, 1);
    if (!session->authenticated)
        metrics_add(thread->block, METRIC_auth_errors, 1);
    return session->authenticated;
}

bool auth_plain(struct protocol_thread *thread, struct session *session, const char *message, size_t size)
{
    const char *end = message + size;
    const char *first = size > 0 ? memchr(message, '\0', size) : NULL;
    const char *user = first ? first + 1 : end;
    const char *second = user < end ? memchr(user, '\0', (size_t)(end - user)) : NULL;
    const char *password = second ? second + 1 : end;
    /* Without its separators the message is compared all the same, as a user that nobody has. */
    return auth_try(thread, session, user, second ? (size_t)(second - user) : 0, password,
                    (size_t)(end - password));
}

/* ---- life ---- */

struct auth *auth_create(const char *path, char *error, size_t error_size)
{
    struct auth *auth = calloc(1, sizeof *auth);
    char *copy = strdup(path);
    struct users *users = auth && copy ? users_load(path, error, error_size) : NULL;
    if (users == NULL) {
        if (auth == NULL || copy == NULL)
            fail(error, error_size, path, "no memory");
        free(copy);
        free(auth);
        return NULL;
    }
    *auth = (struct auth){.path = copy, .users = users};
    return auth;
}

bool auth_reload(struct auth *auth, char *error, size_t error_size)
{
    struct users *users = users_load(auth->path, error, error_size);
    if (users == NULL)
        return false;
    spin_acquire(&auth->spin);
    struct users *before = auth->users;
    auth->users = users;
    spin_release(&auth->spin);
    users_give(auth, before);
    return true;
}

void auth_destroy(struct auth *auth)
{
    if (auth == NULL)
        return;
    users_free(auth->users);
    free(auth->path);
    free(auth);
}

/* What a server does to its own process before it serves: detach, give up root, leave its number, lock
 * memory.
 *
 * Place: base. Flow: in main, before any thread runs. Thread-safety: none needed. Each logs what went wrong.
 */
#ifndef VITRINE_BASE_PROCESS_H
#define VITRINE_BASE_PROCESS_H

#include <stdbool.h>

/* Fills the places of standard input, output and error if they are closed: else a client's socket would take
 * one, and the log would be written to it. Before anything is opened. */
void process_fill_stdio(void);

/* Goes on in a child; the parent stays until the child serves, so that who started it learns how that went:
 * it ends with 0 then, with the child's own exit status otherwise. Relative paths stay true. */
bool process_detach(void);
/* In the child, once it serves: lets the parent go, and the terminal. */
void process_detach_done(void);

/* Tells the service manager "READY=1" or "STOPPING=1", if it asked to be told ($NOTIFY_SOCKET). */
void process_notify(const char *state);

/* When root: becomes `user`, a name or a number (NULL: nobody), with its groups and no way back. Otherwise
 * does nothing. */
bool process_become(const char *user);

/* Written whole or not at all, over what a dead process left; a running one there is worth a line. So is a
 * failure to write, not an end. */
void process_write_pid(const char *path);
void process_remove_pid(const char *path); /* while it names this process; NULL is fine */

void process_lock_memory(void); /* keeps every page touched from now on out of swap */
void process_allow_cores(void); /* as large as the system lets them be, for another user too */

#endif

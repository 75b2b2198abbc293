/* Loading OpenSSL: the library that the program was compiled for, and each function of the table. */
#include "net/openssl_priv.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libssl.so." OPENSSL_MSTR(OPENSSL_SHLIB_VERSION)

struct openssl openssl;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define OPENSSL_FUNCTION(name) {#name, offsetof(struct openssl, name)},
#include "net/openssl.def"
};

/* Looking in libssl finds libcrypto's functions too, in the very file that libssl uses. All that it needs is
 * bound now: what is missing is told here, and not met by a client. It is never unloaded: threads have data
 * of it until they end, and it has work to do at the program's end. */
bool openssl_load(char *error, size_t error_size)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool good = library != NULL;
    for (size_t i = 0; good && i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(library, functions[i].name);
        memcpy((char *)&openssl + functions[i].offset, &function, sizeof function);
        good = function != NULL;
    }
    if (!good)
        snprintf(error, error_size, "TLS (-Z) needs OpenSSL, which cannot be loaded: %s", dlerror());
    return good;
}

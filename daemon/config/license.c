/* --license: the file LICENSE itself, embedded by the assembler so that it is kept in one place. */
#include "config/config_priv.h"

#include <stdio.h>

__asm__(".pushsection .rodata\n"
        "config_license_begin:\n"
        ".incbin \"LICENSE\"\n"
        "config_license_end:\n"
        ".popsection\n");
extern const char config_license_begin[], config_license_end[];

void config_print_license(void)
{
    fwrite(config_license_begin, 1, (size_t)(config_license_end - config_license_begin), stdout);
}

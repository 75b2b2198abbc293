#!/bin/sh
# The house's arrows, checked on the #include lines: includes point strictly down, a *_priv.h never leaves its
# folder, and each library lives in the one room that it belongs to. Prints what breaks a rule; exit 1 if any.
set -eu
cd "$(dirname "$0")/../.."

find daemon metrics admin tests -name '*.[ch]' -not -path '*/node_modules/*' -exec awk '
function room(path) {
    if (path ~ /^daemon\/main\.c$/) return "main"
    if (path ~ /^daemon\//) { split(path, part, "/"); return part[2] }
    split(path, part, "/")
    return part[1]
}
function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
function broken(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
BEGIN {
    # what each room may include besides its own headers; tests may include any public header
    may["base"] = ""
    may["config"] = " base "
    may["metrics"] = " base "
    may["store"] = " metrics base "
    may["protocol"] = " store metrics config base "
    may["net"] = " protocol store metrics config base "
    may["admin"] = " net protocol store metrics config base "
    may["main"] = " admin net protocol store metrics config base "
    may["tests"] = " main admin net protocol store metrics config base tests "
    # libraries that live in one folder only
    home["event2/"] = "daemon/net"; home["openssl/"] = "daemon/net"
    home["microhttpd.h"] = "admin"; home["jansson.h"] = "admin"
    home["xxhash.h"] = "daemon/base"
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    header = quoted[2]
    from = room(FILENAME)
    here = folder(FILENAME)
    if (header !~ /\//) next # same folder, or the compiler would not find it
    split(header, part, "/")
    to = part[1]
    where = (to == "metrics" || to == "admin" || to == "tests") ? folder(header) : "daemon/" folder(header)
    if (!(to in may)) broken("includes \"" header "\", which is in no room")
    else if (to != from && index(may[from], " " to " ") == 0) broken(from " must not include " to " (\"" header "\")")
    if (header ~ /_priv\.h$/ && where != here && from != "tests") broken("\"" header "\" must not leave " where)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    for (library in home)
        if (index($0, "<" library) && folder(FILENAME) != home[library] && room(FILENAME) != "tests")
            broken("<" library "> belongs to " home[library] " only")
}
END { exit bad }
' {} +

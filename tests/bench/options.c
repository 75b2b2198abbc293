#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: load [options]\n"
    "  --host H --port P | --unix PATH   the server (127.0.0.1:11211)\n"
    "  --connections N                   50\n"
    "  --depth N                         requests sent together on a connection (1)\n"
    "  --multiget N                      keys in a get (1)\n"
    "  --set-ratio F                     share of requests that are sets, 0 to 1 (0)\n"
    "  --keys N --key-size N             1000000 keys of 11 bytes\n"
    "  --value-size N | MIN-MAX          bytes, fixed or uniform by key (100)\n"
    "  --distribution uniform|zipf|sequential, --alpha F (0.99)\n"
    "  --expiry S                        seconds to live of what is set (0: none)\n"
    "  --prefill                         set every key once before the rest\n"
    "  --warmup S --duration S           seconds (0.5, 3); --requests N: a bound by count instead\n"
    "  --rate N                          requests a second at fixed times (open loop); 0: closed loop\n"
    "  --check length|sample|full        how closely each reply is looked at (full)\n"
    "  --server-pid PID                  read the server's CPU time and RSS from /proc\n"
    "  --label TEXT --json --seed N\n";

enum option_id {
    OPT_HOST = 256,
    OPT_PORT,
    OPT_UNIX,
    OPT_CONNECTIONS,
    OPT_DEPTH,
    OPT_MULTIGET,
    OPT_SET_RATIO,
    OPT_KEYS,
    OPT_KEY_SIZE,
    OPT_VALUE_SIZE,
    OPT_DISTRIBUTION,
    OPT_ALPHA,
    OPT_EXPIRY,
    OPT_PREFILL,
    OPT_WARMUP,
    OPT_DURATION,
    OPT_REQUESTS,
    OPT_RATE,
    OPT_CHECK,
    OPT_SERVER_PID,
    OPT_LABEL,
    OPT_JSON,
    OPT_SEED
};

static const struct option LONG_OPTIONS[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"unix", required_argument, NULL, OPT_UNIX},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"multiget", required_argument, NULL, OPT_MULTIGET},
    {"set-ratio", required_argument, NULL, OPT_SET_RATIO},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"key-size", required_argument, NULL, OPT_KEY_SIZE},
    {"value-size", required_argument, NULL, OPT_VALUE_SIZE},
    {"distribution", required_argument, NULL, OPT_DISTRIBUTION},
    {"alpha", required_argument, NULL, OPT_ALPHA},
    {"expiry", required_argument, NULL, OPT_EXPIRY},
    {"prefill", no_argument, NULL, OPT_PREFILL},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"check", required_argument, NULL, OPT_CHECK},
    {"server-pid", required_argument, NULL, OPT_SERVER_PID},
    {"label", required_argument, NULL, OPT_LABEL},
    {"json", no_argument, NULL, OPT_JSON},
    {"seed", required_argument, NULL, OPT_SEED},
    {NULL, 0, NULL, 0},
};

static bool parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

static bool parse_unsigned(const char *text, unsigned min, unsigned max, unsigned *out)
{
    uint64_t value;
    if (!parse_u64(text, min, max, &value))
        return false;
    *out = (unsigned)value;
    return true;
}

static bool parse_double(const char *text, double min, double max, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        return false;
    *out = value;
    return true;
}

/* The index of `text` among the names, or -1. */
static int parse_word(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static bool parse_value_size(struct options *options, const char *text)
{
    const unsigned max = 64u << 20;
    const char *dash = strchr(text, '-');
    if (!dash) {
        bool ok = parse_unsigned(text, 1, max, &options->value_min);
        options->value_max = options->value_min;
        return ok;
    }
    char low[16];
    size_t size = (size_t)(dash - text);
    if (size == 0 || size >= sizeof low)
        return false;
    memcpy(low, text, size);
    low[size] = '\0';
    return parse_unsigned(low, 1, max, &options->value_min) &&
           parse_unsigned(dash + 1, options->value_min, max, &options->value_max);
}

static bool parse_distribution(struct options *options, const char *text)
{
    static const char *const names[] = {"uniform", "zipf", "sequential"};
    int found = parse_word(text, names, 3);
    options->distribution = found < 0 ? DISTRIBUTE_UNIFORM : (enum distribution)found;
    return found >= 0;
}

static bool parse_check(struct options *options, const char *text)
{
    static const char *const names[] = {"length", "sample", "full"};
    int found = parse_word(text, names, 3);
    options->check = found < 0 ? CHECK_FULL : (enum check)found;
    return found >= 0;
}

/* The options that say what is asked for. */
static bool apply_workload(struct options *o, int id, const char *text)
{
    switch (id) {
    case OPT_MULTIGET:
        return parse_unsigned(text, 1, 100000, &o->multiget);
    case OPT_SET_RATIO:
        return parse_double(text, 0, 1, &o->set_ratio);
    case OPT_KEYS:
        return parse_u64(text, 1, 1000000000, &o->key_count);
    case OPT_KEY_SIZE:
        return parse_unsigned(text, 2, 250, &o->key_size);
    case OPT_VALUE_SIZE:
        return parse_value_size(o, text);
    case OPT_DISTRIBUTION:
        return parse_distribution(o, text);
    case OPT_ALPHA:
        return parse_double(text, 0.01, 10, &o->alpha);
    case OPT_EXPIRY:
        return parse_unsigned(text, 0, 2592000, &o->expiry_s);
    case OPT_SEED:
        return parse_u64(text, 0, UINT64_MAX, &o->seed);
    default:
        return false;
    }
}

/* The options that say how and for how long; the rest falls through to the workload's. */
static bool apply(struct options *o, int id, const char *text)
{
    switch (id) {
    case OPT_HOST:
        o->host = text;
        return true;
    case OPT_PORT:
        o->port = text;
        return true;
    case OPT_UNIX:
        o->unix_path = text;
        return true;
    case OPT_LABEL:
        o->label = text;
        return true;
    case OPT_JSON:
        return o->json = true;
    case OPT_PREFILL:
        return o->prefill = true;
    case OPT_CONNECTIONS:
        return parse_unsigned(text, 1, 100000, &o->connections);
    case OPT_DEPTH:
        return parse_unsigned(text, 1, 100000, &o->depth);
    case OPT_WARMUP:
        return parse_double(text, 0, 3600, &o->warmup_s);
    case OPT_DURATION:
        return parse_double(text, 0.01, 86400, &o->duration_s);
    case OPT_REQUESTS:
        return parse_u64(text, 1, UINT64_MAX, &o->request_count);
    case OPT_RATE:
        return parse_double(text, 0, 1e9, &o->rate);
    case OPT_CHECK:
        return parse_check(o, text);
    case OPT_SERVER_PID: {
        unsigned pid = 0;
        bool ok = parse_unsigned(text, 1, INT32_MAX, &pid);
        o->server_pid = (int)pid;
        return ok;
    }
    default:
        return apply_workload(o, id, text);
    }
}

bool options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.host = "127.0.0.1",
                                .port = "11211",
                                .label = "load",
                                .connections = 50,
                                .depth = 1,
                                .multiget = 1,
                                .key_count = 1000000,
                                .key_size = 11,
                                .value_min = 100,
                                .value_max = 100,
                                .alpha = 0.99,
                                .check = CHECK_FULL,
                                .warmup_s = 0.5,
                                .duration_s = 3,
                                .seed = 1};
    int id, index = 0;
    while ((id = getopt_long(argc, argv, "", LONG_OPTIONS, &index)) != -1) {
        if (id == '?') {
            fputs(USAGE, stderr);
            return false;
        }
        if (!apply(options, id, optarg)) {
            fprintf(stderr, "load: --%s: bad value '%s'\n", LONG_OPTIONS[index].name, optarg);
            return false;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "load: unexpected '%s'\n%s", argv[optind], USAGE);
        return false;
    }
    return true;
}

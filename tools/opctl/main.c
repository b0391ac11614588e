/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — opctl: the policy engine as a command. `opctl policy VERB ...`; this file is the list of
 * verbs and what a process needs around them. */
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include "tools/opctl/opctl.h"

static const struct verb *const verbs[] = {&eval_verb,  &check_verb, &fmt_verb, &test_verb,
                                           &parse_verb, &bench_verb, &conformance_verb,
                                           &build_verb, &sign_verb,  &inspect_verb,
                                           &why_verb,   &replay_verb, &deps_verb,
                                           &capabilities_verb, &repl_verb, &run_verb,
                                           &advise_verb};

/* The engine's checks end the process; there is no machine to restart. */
void panic(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("opctl: broken invariant: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    abort();
}

/* mbedTLS asks for memory through these (net/mbedtls_config.h). */
void *tls_calloc(size_t count, size_t bytes);
void tls_free(void *p);
void *tls_calloc(size_t count, size_t bytes) {
    return calloc(count, bytes);
}
void tls_free(void *p) {
    free(p);
}

static u64 clock_ns(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}
u64 wall_ns(void) {
    return clock_ns(CLOCK_REALTIME);
}
u64 steady_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static int usage(void) {
    fputs("usage: opctl policy VERB [OPTIONS]\n\n", stderr);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(stderr, "  %-12s %s\n", verbs[i]->name, verbs[i]->about);
    fputs("\nopctl policy VERB --help says more about one.\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    pages_prepare();
    if (argc < 3 || strcmp(argv[1], "policy")) return usage();
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(argv[2], verbs[i]->name)) return verbs[i]->run(argc - 2, argv + 2);
    fprintf(stderr, "opctl: there is no verb \"%s\"\n\n", argv[2]);
    return usage();
}

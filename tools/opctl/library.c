/* SPDX-License-Identifier: Apache-2.0 */
/* library.c — what mbedTLS and the token functions ask of a machine, given by this process: time,
 * randomness, and locks that lock nothing, since the command has one thread. */
#include "tools/opctl/opctl.h"
#include "kernel/platform.h"
#include <mbedtls/platform_time.h>
#include <mbedtls/threading.h>
#include <psa/crypto.h>
#include <sys/random.h>
#include <time.h>

time_t tls_time(time_t *out);
time_t tls_time(time_t *out) {
    return time(out);
}
mbedtls_ms_time_t mbedtls_ms_time(void) {
    return (mbedtls_ms_time_t)(steady_ns() / NS_PER_MS);
}

rc_t platform_entropy(void *to, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)to + done, n - done, 0);
        if (got <= 0) return RC_IO;
        done += (size_t)got;
    }
    return RC_OK;
}
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                             uint8_t *output, size_t output_size,
                                             size_t *output_length) {
    (void)context;
    *output_length = output_size;
    return platform_entropy(output, output_size) ? PSA_ERROR_INSUFFICIENT_ENTROPY : PSA_SUCCESS;
}

static void mutex_nothing(mbedtls_threading_mutex_t *m) {
    (void)m;
}
static int mutex_taken(mbedtls_threading_mutex_t *m) {
    (void)m;
    return 0;
}
__attribute__((constructor)) static void locks_open(void) {
    mbedtls_threading_set_alt(mutex_nothing, mutex_nothing, mutex_taken, mutex_taken);
}

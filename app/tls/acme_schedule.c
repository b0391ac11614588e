/* SPDX-License-Identifier: Apache-2.0 */
/* acme_schedule.c — when a certificate is replaced, and when a failed attempt is repeated.
 *
 *   not before |--- age_min ---|------------ window, or two thirds of its life ------------| end
 *
 * Arithmetic alone. Always true: a time to renew lies between the certificate's least age and its
 * end, whatever an authority says, so that no authority can make us order without a pause. */
#include "app/tls/acme_impl.h"

#define HOUR_NS (3600 * NS_PER_S)
#define SHORT_LIFE_NS (240 * HOUR_NS)

/* An hour; less for certificates that live for less than two days. */
static u64 age_min(u64 life_ns) {
    return MIN(HOUR_NS, life_ns / 48);
}

u64 acme_renew_at(u64 not_before_ns, u64 not_after_ns) {
    u64 life = not_after_ns > not_before_ns ? not_after_ns - not_before_ns : 0;
    return not_after_ns - (life < SHORT_LIFE_NS ? life / 2 : life / 3);
}

u64 acme_renew_in(u64 from_ns, u64 until_ns, u64 random, u64 not_before_ns, u64 not_after_ns) {
    u64 life = not_after_ns > not_before_ns ? not_after_ns - not_before_ns : 0;
    u64 at = from_ns + (until_ns > from_ns ? random % (until_ns - from_ns) : 0);
    return MIN(MAX(at, not_before_ns + age_min(life)), not_after_ns);
}

u64 acme_retry_s(u32 failures, u64 random) {
    static const u32 seconds[] = {60, 300, 1800, 7200, 43200};
    u32 n = failures ? failures - 1 : 0;
    u64 s = seconds[MIN(n, (u32)ARRAY_LEN(seconds) - 1)];
    return s + random % (s / 10);
}

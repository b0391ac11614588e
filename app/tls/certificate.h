/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.h — the appliance's own key and certificate: made at first start, kept in the
 * database, replaceable by API. */
#pragma once
#include "kernel/base/base.h"

/* Without a database (foreign or broken disk): an identity for this run only, so that the probes
 * answer over HTTPS too. Fibers. */
rc_t certificate_use_temporary(void);

extern const struct module tls_module;

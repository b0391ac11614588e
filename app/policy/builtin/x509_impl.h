/* SPDX-License-Identifier: Apache-2.0 */
/* x509_impl.h — between the two halves of reading a certificate. */
#pragma once
#include "app/policy/builtin/x509.h"

/* `list`: the bodies of extensions in a row; may be empty. Puts their fields, and those of absent
 * ones, into `c`. A request has fewer fields. */
bool x509_read_extensions(struct heap *h, str list, struct certificate *c, bool request,
                          struct diag *why);

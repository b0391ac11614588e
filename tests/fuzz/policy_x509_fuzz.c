/* SPDX-License-Identifier: Apache-2.0 */
/* policy_x509_fuzz.c — any bytes as a certificate, a request and each form of key. */
#include "app/policy/builtin/x509.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct heap heap;
    struct certificate c;
    struct key k;
    struct diag why;
    str der = str_of((const char *)bytes, n);
    heap_open(&heap, MIB(8));
    if (x509_read(&heap, der, &c, &why)) (void)x509_value(&c);
    if (x509_read_request(&heap, der, &c, &why)) (void)x509_value(&c);
    if (key_of_spki(der, &k, &why)) (void)x509_public_key(&heap, &k);
    if (key_of_pkcs8(&heap, der, &k, &why)) (void)x509_private_key(&heap, &k);
    if (key_of_pkcs1(der, &k, &why)) (void)x509_private_jwk(&heap, &k);
    if (key_of_sec1(&heap, der, 0, &k, &why)) (void)x509_private_jwk(&heap, &k);
    heap_close(&heap);
    return 0;
}

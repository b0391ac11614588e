/* SPDX-License-Identifier: Apache-2.0 */
/* data_csv_fuzz.c — any bytes as a file of comma-separated values: whole and in pieces give the
 * same rows or the same refusal; cells are UTF-8 without NUL, within their bounds. The first byte
 * is the step. */
#include "app/data/csv.h"
#include <stdlib.h>

struct outcome {
    u64 rows, digest;
};

static rc_t see(void *arg, u64 line, const struct csv_cell *cells, u32 count) {
    struct outcome *o = arg;
    CHECK(line > 0 && count > 0 && count <= CSV_CELLS_MAX);
    o->rows++;
    for (u32 i = 0; i < count; i++) {
        CHECK(str_is_utf8(cells[i].text));
        CHECK(str_find_byte(cells[i].text, 0) == cells[i].text.len);
        o->digest = str_hash(cells[i].text, o->digest + cells[i].quoted);
    }
    return RC_OK;
}

static rc_t read_all(str all, size_t step, struct outcome *o) {
    struct csv c;
    struct diag why = {0};
    rc_t rc = RC_OK;
    csv_open(&c, 4096, see, o);
    for (size_t i = 0; !rc && i < all.len; i += step)
        rc = csv_feed(&c, str_take(str_skip(all, i), step), &why);
    if (!rc) rc = csv_end(&c, &why);
    CHECK(!rc || why.text[0]);
    csv_close(&c);
    return rc;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct outcome whole = {0}, pieces = {0};
    if (n < 2) return 0;
    char *copy = malloc(n - 1);
    if (!copy) return 0;
    memcpy(copy, bytes + 1, n - 1);
    str all = str_of(copy, n - 1);
    rc_t rc = read_all(all, all.len, &whole), other = read_all(all, 1 + bytes[0] % 64, &pieces);
    CHECK(rc == other);
    CHECK(whole.rows == pieces.rows && whole.digest == pieces.digest);
    free(copy);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* data_filter_fuzz.c — any bytes as a filter, an order, words: a condition made of our constants
 * and of bound values alone, or a refusal that says where. */
#include "app/data/data_impl.h"
#include <stdlib.h>

static struct collection *bills;
static struct flaws flaws;

static void begin(void) {
    static const char definition[] =
        "{\"fields\":[{\"key\":1,\"name\":\"title\",\"type\":\"text\",\"search\":true},"
        "{\"key\":2,\"name\":\"votes\",\"type\":\"integer\"},"
        "{\"key\":3,\"name\":\"open\",\"type\":\"bool\"},"
        "{\"key\":4,\"name\":\"due\",\"type\":\"date-time\"},"
        "{\"key\":5,\"name\":\"extra\",\"type\":\"json\"}],\"next_key\":6}";
    rc_t rc = collection_parse(S("bills"), str_from_c(definition), &bills, &flaws);
    CHECK(rc == RC_OK);
}

/* Nothing in the text that our constants have not. */
static void look(str text) {
    u32 open = 0;
    for (size_t i = 0; i < text.len; i++) {
        CHECK(text.ptr[i] >= ' ' && text.ptr[i] < 127);
        CHECK(text.ptr[i] != ';' && text.ptr[i] != '-' && text.ptr[i] != '"');
        if (text.ptr[i] == '(') open++;
        if (text.ptr[i] == ')') CHECK(open-- > 0);
    }
    CHECK(open == 0);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct arena a;
    struct sql s;
    struct order o;
    if (!bills) begin();
    char *copy = malloc(n + 1);
    if (!copy) return 0;
    if (n) memcpy(copy, bytes, n);
    str text = str_of(copy, n);
    arena_open(&a, NULL, 0, MIB(1));
    sql_open(&s);
    flaws = (struct flaws){0};
    if (filter_parse(bills, &a, text, &s, &flaws))
        look(buf_str(&s.text));
    else
        CHECK(flaws.count == 1 && flaws.items[0].text[0]);
    sql_close(&s);
    sql_open(&s);
    if (order_parse(bills, text, &o, &flaws)) order_put(&o, &s);
    look(buf_str(&s.text));
    sql_close(&s);
    (void)words_match(&a, text);
    arena_close(&a);
    free(copy);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* print.c — values and errors on the terminal. */
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { OUTPUT_BYTES_MAX = 1 << 30 };

void errors_print(const struct policy_errors *e) {
    struct buf b;
    buf_open(&b, OUTPUT_BYTES_MAX);
    policy_errors_write(&b, e);
    fprintf(stderr, "%.*s\n", STR(buf_str(&b)));
    buf_close(&b);
}

static value key_text(struct heap *h, value key, value as_json) {
    struct buf b;
    if (key.kind == VALUE_STRING) return key;
    buf_open(&b, OUTPUT_BYTES_MAX);
    json_text_write(&b, as_json, 0);
    value text = value_string(h, buf_str(&b));
    buf_close(&b);
    return text;
}

value value_as_json(struct heap *h, value v) {
    struct value_builder b;
    if (v.kind < VALUE_ARRAY) return v;
    value_builder_open(&b, h, v.kind == VALUE_OBJECT ? VALUE_OBJECT : VALUE_ARRAY);
    for (u32 i = 0; i < value_count(v); i++) {
        if (v.kind != VALUE_OBJECT)
            value_builder_add(&b, value_as_json(h, value_item(v, i)));
        else {
            value key = value_key_at(v, i);
            value_builder_replace(&b, key_text(h, key, value_as_json(h, key)),
                                  value_as_json(h, value_value_at(v, i)));
        }
    }
    return value_builder_close(&b);
}

void value_print(value v, unsigned json_flags) {
    struct buf b;
    buf_open(&b, OUTPUT_BYTES_MAX);
    json_text_write(&b, v, json_flags);
    fwrite(b.ptr, 1, b.len, stdout);
    putchar('\n');
    buf_close(&b);
}

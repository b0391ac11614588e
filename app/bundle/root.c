/* SPDX-License-Identifier: Apache-2.0 */
/* root.c — paths that belong to a bundle.
 *
 * Roots and paths are compared part by part: "a/b" holds "a/b" and "a/b/c", not "a/bc". The empty
 * root holds everything. */
#include "app/bundle/bundle_impl.h"

bool bundle_root_contains(str root, str path) {
    if (!root.len) return true;
    return str_starts(path, root) && (path.len == root.len || path.ptr[root.len] == '/');
}

bool bundle_roots_contain(const str *roots, u32 count, str path) {
    for (u32 i = 0; i < count; i++)
        if (bundle_root_contains(roots[i], path)) return true;
    return false;
}

bool bundle_roots_overlap(str a, str b) {
    return bundle_root_contains(a, b) || bundle_root_contains(b, a);
}

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.~$&+=:@", c));
}

str bundle_path_of_package(struct heap *h, value package) {
    static const char digits[] = "0123456789ABCDEF";
    size_t room = 0, n = 0;
    for (u32 i = 0; i < value_count(package); i++)
        room += 1 + 3 * value_str(value_item(package, i)).len;
    char *to = heap_alloc(h, room + 1);
    if (!to) return S("");
    for (u32 i = 0; i < value_count(package); i++) {
        str part = value_str(value_item(package, i));
        if (i) to[n++] = '/';
        for (size_t k = 0; k < part.len; k++) {
            u8 c = (u8)part.ptr[k];
            if (is_plain((char)c)) {
                to[n++] = (char)c;
                continue;
            }
            to[n++] = '%', to[n++] = digits[c >> 4], to[n++] = digits[c & 15];
        }
    }
    return str_of(to, n);
}

void bundle_roots_write(struct buf *to, const str *roots, u32 count) {
    (void)buf_add(to, S("[")); /* a failure stays in the buffer */
    for (u32 i = 0; i < count; i++) {
        if (i) (void)buf_add(to, S(" "));
        (void)buf_add(to, roots[i]);
    }
    (void)buf_add(to, S("]"));
}

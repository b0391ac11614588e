/* SPDX-License-Identifier: Apache-2.0 */
/* tar.c — archives of files (POSIX.1-2001 ustar and pax; GNU's long names), read strictly.
 *
 *   header 512 | bytes, padded to 512 | header 512 | bytes ... | two blocks of zeroes
 *
 *   0 name 100 | 124 size 12 | 148 checksum 8 | 156 type | 257 magic 8 | 345 prefix 155
 *
 * Files are views into the archive; folders are passed over, since the files' paths say all. What
 * has no place in a bundle ends the reading with an error: links, devices, pipes, sparse files,
 * paths with "..", two files of one name, a header whose sum is wrong, an archive that ends early,
 * bytes after its end. */
#include <stdlib.h>
#include "app/bundle/bundle_impl.h"

enum {
    BLOCK = 512,
    SIZE_AT = 124,
    SUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PAX_BYTES_MAX = 65536
};

struct reading {
    struct heap *heap;
    str rest;
    size_t file_bytes_max;
    struct bundle_files *out;
    struct diag *why;
    str long_name; /* of the file that follows, told before it; ptr NULL: none */
    bool has_size;
    u64 size;
};

rc_t bundle_files_add(struct heap *h, struct bundle_files *f, const struct bundle_file *one) {
    if (f->count >= BUNDLE_FILES_MAX) return RC_LIMIT;
    if (f->count == f->room) {
        u32 room = f->room ? f->room * 2 : 32;
        struct bundle_file *more = heap_alloc(h, room * sizeof *more);
        if (!more) return RC_NO_MEMORY;
        if (f->count) memcpy(more, f->items, f->count * sizeof *more);
        f->items = more, f->room = room;
    }
    f->items[f->count++] = *one;
    return RC_OK;
}

rc_t bundle_path_clean(struct heap *h, str name, str *path) {
    if (name.len > BUNDLE_NAME_MAX) return RC_LIMIT;
    if (str_find_byte(name, 0) < name.len || !str_is_utf8(name)) return RC_INVALID;
    char *to = heap_alloc(h, name.len + 1);
    size_t n = 0;
    u32 depth = 0;
    if (!to) return RC_NO_MEMORY;
    for (str rest = name, part; str_split(&rest, '/', &part);) {
        if (!part.len || str_eq(part, S("."))) continue;
        if (str_eq(part, S(".."))) return RC_INVALID;
        if (++depth > BUNDLE_DEPTH_MAX) return RC_LIMIT;
        if (n) to[n++] = '/';
        memcpy(to + n, part.ptr, part.len);
        n += part.len;
    }
    *path = str_of(to, n);
    return n ? RC_OK : RC_INVALID;
}

static rc_t broken(struct reading *r, const char *what) {
    diag_set(r->why, "bundle read failed: archive/tar: %s", what);
    return RC_INVALID;
}

/* Octal digits between blanks and NULs, or a number in base 256 behind a bit. */
static bool number_read(str field, u64 *out) {
    u64 n = 0;
    if ((u8)field.ptr[0] & 0x80) {
        if ((u8)field.ptr[0] != 0x80) return false; /* negative, or beyond all bounds */
        for (size_t i = 1; i < field.len; i++) {
            if (n >> 55) return false;
            n = n << 8 | (u8)field.ptr[i];
        }
        *out = n;
        return true;
    }
    size_t i = 0;
    while (i < field.len && field.ptr[i] == ' ') i++;
    for (; i < field.len && field.ptr[i] >= '0' && field.ptr[i] <= '7'; i++)
        n = n << 3 | (u64)(field.ptr[i] - '0'); /* at most 12 digits */
    for (; i < field.len; i++)
        if (field.ptr[i] && field.ptr[i] != ' ') return false;
    *out = n;
    return true;
}

static bool sum_holds(str head) {
    u64 want;
    s64 sum = 0, signed_sum = 0; /* old writers summed signed bytes */
    for (size_t i = 0; i < BLOCK; i++) {
        bool blank = i >= SUM_AT && i < SUM_AT + 8;
        sum += blank ? ' ' : (u8)head.ptr[i];
        signed_sum += blank ? ' ' : (s8)head.ptr[i];
    }
    return number_read(str_of(head.ptr + SUM_AT, 8), &want) &&
           ((s64)want == sum || (s64)want == signed_sum);
}

static str text_field(str head, size_t at, size_t room) {
    str s = str_of(head.ptr + at, room);
    return str_take(s, str_find_byte(s, 0));
}

static bool is_zero(str bytes) {
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i]) return false;
    return true;
}

/* "LEN KEY=VALUE\n" one after another; path and size matter to us. */
static rc_t pax_read(struct reading *r, str records) {
    while (records.len) {
        u64 len;
        size_t blank = str_find_byte(records, ' ');
        if (blank == records.len || blank > 8 || str_to_u64(str_take(records, blank), &len) ||
            len > records.len || len < blank + 3 || records.ptr[len - 1] != '\n')
            return broken(r, "invalid tar header");
        str pair = str_skip(str_take(records, (size_t)len - 1), blank + 1), key;
        records = str_skip(records, (size_t)len);
        if (str_find_byte(pair, '=') == pair.len) return broken(r, "invalid tar header");
        str_split(&pair, '=', &key);
        if (str_eq(key, S("path"))) r->long_name = pair;
        if (str_eq(key, S("size"))) {
            if (str_to_u64(pair, &r->size)) return broken(r, "invalid tar header");
            r->has_size = true;
        }
        if (str_starts(key, S("GNU.sparse."))) return broken(r, "sparse files are not taken");
    }
    return RC_OK;
}

static str name_of(struct reading *r, str head) {
    if (r->long_name.ptr) return r->long_name;
    str name = text_field(head, 0, 100), prefix = S("");
    if (!memcmp(head.ptr + MAGIC_AT, "ustar\0", 6)) prefix = text_field(head, PREFIX_AT, 155);
    if (!prefix.len) return name;
    char *whole = heap_alloc(r->heap, prefix.len + 1 + name.len);
    if (!whole) return str_of(NULL, 0);
    memcpy(whole, prefix.ptr, prefix.len);
    whole[prefix.len] = '/';
    memcpy(whole + prefix.len + 1, name.ptr, name.len);
    return str_of(whole, prefix.len + 1 + name.len);
}

static rc_t add_file(struct reading *r, str head, str bytes) {
    struct bundle_file f = {.name = name_of(r, head), .bytes = bytes};
    if (!f.name.ptr) return RC_NO_MEMORY;
    rc_t rc = bundle_path_clean(r->heap, f.name, &f.path);
    if (rc == RC_INVALID) {
        diag_set(r->why, "bundle read failed: a file's path is not allowed: %.*s",
                 STR(str_take(f.name, 160)));
        return rc;
    }
    if (rc == RC_LIMIT) return bundle_fail(r->why, rc, "bundle read failed: a path is too long");
    if (rc) return rc;
    if (bytes.len > r->file_bytes_max) {
        diag_set(r->why, "bundle file '%.*s' size (%zu bytes) exceeded max size (%zu bytes)",
                 STR(str_take(f.path, 120)), bytes.len, r->file_bytes_max);
        return RC_LIMIT;
    }
    rc = bundle_files_add(r->heap, r->out, &f);
    if (rc == RC_LIMIT)
        diag_set(r->why, "bundle read failed: more than %d files", BUNDLE_FILES_MAX);
    return rc;
}

static rc_t take_entry(struct reading *r, str head, str bytes) {
    char type = head.ptr[TYPE_AT];
    rc_t rc = RC_OK;
    switch (type) {
    case 'x':
        return bytes.len > PAX_BYTES_MAX ? broken(r, "header field too long") : pax_read(r, bytes);
    case 'L':
        if (bytes.len > PAX_BYTES_MAX) return broken(r, "header field too long");
        r->long_name = str_take(bytes, str_find_byte(bytes, 0));
        return RC_OK;
    case 'g': /* of all that follows: times and comments */ return RC_OK;
    case '0':
    case 0:
        /* In the oldest archives a folder is a file whose name ends in a slash. */
        if (type || !str_ends(name_of(r, head), S("/"))) rc = add_file(r, head, bytes);
        break;
    case '5': break;
    case '1':
    case '2':
    case 'K': return broken(r, "links are not taken");
    default: return broken(r, "neither a file nor a folder");
    }
    r->long_name = str_of(NULL, 0), r->has_size = false;
    return rc;
}

static rc_t next_entry(struct reading *r, bool *end) {
    u64 size;
    *end = r->rest.len == 0;
    if (*end) return RC_OK;
    if (r->rest.len < BLOCK) return broken(r, "unexpected EOF");
    str head = str_take(r->rest, BLOCK);
    if (is_zero(head)) { /* the end; some writers leave the second block out */
        *end = true;
        return is_zero(r->rest) ? RC_OK : broken(r, "bytes after the end");
    }
    bool known =
        !memcmp(head.ptr + MAGIC_AT, "ustar", 5) || is_zero(str_of(head.ptr + MAGIC_AT, 8));
    if (!known || !sum_holds(head) || !number_read(str_of(head.ptr + SIZE_AT, 12), &size))
        return broken(r, "invalid tar header");
    char type = head.ptr[TYPE_AT];
    if (r->has_size && type != 'x' && type != 'L') size = r->size;
    if (type == '5') size = 0;
    r->rest = str_skip(r->rest, BLOCK);
    if (size > r->rest.len) return broken(r, "unexpected EOF");
    str bytes = str_take(r->rest, (size_t)size);
    r->rest = str_skip(r->rest, MIN(ALIGN_UP((size_t)size, (size_t)BLOCK), r->rest.len));
    return take_entry(r, head, bytes);
}

static int by_path(const void *a, const void *b) {
    return str_cmp((*(const struct bundle_file *const *)a)->path,
                   (*(const struct bundle_file *const *)b)->path);
}

static rc_t check_unique(struct reading *r) {
    u32 n = r->out->count;
    const struct bundle_file **sorted = heap_alloc(r->heap, (n + 1) * sizeof *sorted);
    if (!sorted) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) sorted[i] = &r->out->items[i];
    qsort(sorted, n, sizeof *sorted, by_path);
    for (u32 i = 1; i < n; i++)
        if (str_eq(sorted[i]->path, sorted[i - 1]->path)) {
            diag_set(r->why, "bundle read failed: two files have the path %.*s",
                     STR(str_take(sorted[i]->path, 160)));
            return RC_INVALID;
        }
    return RC_OK;
}

rc_t tar_list(struct heap *h, str archive, size_t file_bytes_max, struct bundle_files *out,
              struct diag *why) {
    struct reading r = {
        .heap = h, .rest = archive, .file_bytes_max = file_bytes_max, .out = out, .why = why};
    bool end = false;
    rc_t rc = RC_OK;
    while (!rc && !end) rc = next_entry(&r, &end);
    if (!rc && r.long_name.ptr) rc = broken(&r, "unexpected EOF");
    return rc ? rc : check_unique(&r);
}

/* ---- Writing ---- */

static void octal_put(char *to, size_t digits, u64 n) {
    while (digits--) to[digits] = (char)('0' + (n & 7)), n >>= 3;
}

static void head_write(struct buf *to, char type, str name, u64 size) {
    char head[BLOCK] = {0};
    memcpy(head, name.ptr, MIN(name.len, (size_t)100));
    octal_put(head + 100, 7, 0600);
    octal_put(head + 108, 7, 0), octal_put(head + 116, 7, 0);
    octal_put(head + SIZE_AT, 11, size);
    octal_put(head + 136, 11, 0); /* the time: none */
    memset(head + SUM_AT, ' ', 8);
    head[TYPE_AT] = type;
    memcpy(head + MAGIC_AT,
           "ustar\0"
           "00",
           8);
    octal_put(head + 329, 7, 0), octal_put(head + 337, 7, 0);
    u64 sum = 0;
    for (size_t i = 0; i < BLOCK; i++) sum += (u8)head[i];
    octal_put(head + SUM_AT, 6, sum);
    head[SUM_AT + 6] = 0;
    (void)buf_add(to, str_of(head, BLOCK)); /* a failure stays in the buffer */
}

static void padding_write(struct buf *to, size_t size) {
    static const char zeroes[BLOCK];
    (void)buf_add(to, str_of(zeroes, ALIGN_UP(size, (size_t)BLOCK) - size));
}

/* A name of more than 100 bytes goes before its file, as a pax record that counts itself. */
static void long_name_write(struct buf *to, str name) {
    size_t len = name.len + S(" path=\n").len, digits = 1, whole;
    for (size_t n = 10; (whole = len + digits) >= n; n *= 10) digits++;
    head_write(to, 'x', S("PaxHeaders.0/path"), whole);
    (void)buf_printf(to, "%zu path=", whole);
    (void)buf_add(to, name);
    (void)buf_add(to, S("\n"));
    padding_write(to, whole);
}

rc_t tar_write(const struct bundle_files *files, struct buf *to) {
    for (u32 i = 0; i < files->count; i++) {
        const struct bundle_file *f = &files->items[i];
        if (f->bytes.len >> 33) return RC_LIMIT;
        if (f->name.len > 100) long_name_write(to, f->name);
        head_write(to, '0', f->name, f->bytes.len);
        (void)buf_add(to, f->bytes);
        padding_write(to, f->bytes.len);
    }
    static const char end[2 * BLOCK];
    (void)buf_add(to, str_of(end, sizeof end));
    return to->failed ? RC_LIMIT : RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* document.h — base documents (`data`) that change while they are read.
 *
 * A document is one immutable version: a root value and the heap of what is new in it; all else it
 * shares with the version it was made from, which it keeps alive. A reader holds a version for as
 * long as it likes and is never waited for; a writer makes the next version and publishes it with
 * one pointer store. A change costs what lies on its path: depth x width of the objects on it.
 *
 *   v1 [a: {..}, b: {..}]  <-base-  v2 [a': new path only]  <-base-  v3 ...
 *
 * Old versions go when nobody holds them; since v3 keeps v1 alive, document_compact copies a long
 * chain into one heap again. One writer at a time; holding and dropping from any thread. */
#pragma once
#include "app/policy/value/value.h"

struct document;
rc_t document_open(struct document **out, value root,
                   size_t bytes_max); /* copies root; RC_NO_MEMORY */
struct document *document_hold(struct document *d);
void document_drop(struct document *d); /* NULL is fine */
value document_root(const struct document *d);
size_t document_bytes(const struct document *d); /* held by it and the versions below it */
u32 document_chain(const struct document *d);    /* versions below it, itself included */

/* The value at a path; UNDEFINED: none. Array elements by number or by its text ("0"). */
value document_get(value root, const value *path, u32 count);

enum document_op { DOCUMENT_ADD, DOCUMENT_REMOVE, DOCUMENT_REPLACE };
struct document_change {
    enum document_op op;
    const value *path; /* keys; "-" as the last one appends to an array */
    u32 count;
    value v;           /* for add and replace; copied */
};
/* All changes in order or none (RFC 6902's add, remove, replace). `make_path`: add makes missing
 * objects on the way, as PUT does. `why` has the words of the reference's storage: RC_NOT_FOUND, a
 * path that leads nowhere; RC_INVALID, the end of an array replaced or removed, a root that is no
 * object; else RC_NO_MEMORY. The new version holds `d`; the caller still holds its own. */
rc_t document_change(struct document *d, const struct document_change *changes, u32 count,
                     bool make_path, struct document **out, struct diag *why);
rc_t document_compact(struct document *d, struct document **out); /* the same in one heap */
/* "/a/b~1c/0" to keys (RFC 6901); RC_INVALID: does not start with "/" and is not empty; RC_LIMIT.
 */
rc_t document_path(struct heap *h, str pointer, value *keys, u32 room, u32 *count);

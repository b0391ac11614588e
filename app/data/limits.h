/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — the data API's bounds, each with its reason. */
#pragma once
#include "kernel/base/limits.h"

LIMIT(DATA_COLLECTIONS_MAX, 200, 20) /* each is a table in SQLite's schema, parsed at each boot */
LIMIT(DATA_FIELDS_MAX, 64, 64)       /* of a collection; a row's columns are one array */
LIMIT(DATA_INDEXES_MAX, 8, 8)        /* over several fields; each costs every write a page */
LIMIT(DATA_INDEX_FIELDS_MAX, 4, 4)   /* in one of them */
LIMIT(DATA_NAME_MAX, 48, 48)         /* bytes of a collection's or a field's name */
LIMIT(DATA_CHOICES_MAX, 64, 64)      /* of a select field */
LIMIT(DATA_TEXT_MAX, 262144, 262144) /* bytes of a text or JSON value */
LIMIT(DATA_DEFINITION_MAX, 131072, 131072) /* JSON of a collection's definition, rules included */
LIMIT(DATA_RULES_MAX, 32768, 32768)        /* bytes of a collection's Rego */
LIMIT(DATA_KEPT_MAX, 32, 4)        /* definitions kept in memory, with their compiled rules */
LIMIT(DATA_CONDITIONS_MAX, 256, 8) /* rules worked out for one actor, kept */
LIMIT(DATA_CONDITION_BYTES_MAX, 16384, 16384) /* SQL of one; a larger one is a rule to rewrite */
LIMIT(DATA_FILTER_BYTES_MAX, 4096, 4096)      /* text of a filter */
LIMIT(DATA_FILTER_DEPTH_MAX, 16, 16)          /* parentheses in it: SQLite's own limit is 100 */
LIMIT(DATA_FILTER_TERMS_MAX, 48, 48)          /* comparisons in it */
LIMIT(DATA_VALUES_MAX, 200, 200)         /* bound values of one statement; SQLite's limit is 256 */
LIMIT(DATA_SORT_MAX, 4, 4)               /* fields to sort by */
LIMIT(DATA_EXPAND_MAX, 8, 8)             /* relations followed in one answer */
LIMIT(DATA_EXPAND_DEPTH_MAX, 3, 3)       /* relations of relations */
LIMIT(DATA_ANSWER_MAX, 4194304, 4194304) /* bytes of one page */
LIMIT(DATA_CHANGE_MS, 30000, 30000)      /* one statement of a definition's change: an index */
LIMIT(DATA_BATCH_MAX, 200, 200)          /* operations in one transaction */
LIMIT(DATA_CASCADE_MAX, 1000, 100)       /* records that one delete may take along */
LIMIT(DATA_FLAWS_MAX, 16, 16)            /* errors told at once */
LIMIT(DATA_CHANGES_KEPT, 10000, 100)     /* rows of the change log: what a subscriber may miss */
LIMIT(DATA_SUBSCRIBERS_MAX, 32, 2)       /* each holds a fiber */
LIMIT(DATA_IMPORT_ROWS, 200, 200)        /* written in one transaction while a file streams in */
LIMIT(DATA_IMPORT_ROW_MAX, 1048576, 1048576) /* bytes of one line of a file */
LIMIT(DATA_EXPORT_ROWS, 200, 200)            /* read in one snapshot while a file streams out */

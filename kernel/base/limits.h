/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — every limit with its reason. LIMIT(name, value, tiny): the `tiny` build (-DTINY)
 * shrinks them all "to give some bugs a chance" and runs the same tests.
 * What happens at a limit is written where it is enforced: shed, refuse or evict, never abort. */
#pragma once

#ifdef TINY
#define LIMIT(name, value, tiny) enum { name = (tiny) };
#else
#define LIMIT(name, value, tiny) enum { name = (value) };
#endif

/* Kernel */
LIMIT(WORKER_MAX, 7, 2)           /* eight CPUs less the loop's */
LIMIT(LOOP_SLICE_US, 200, 200)    /* nothing on the loop runs longer, natively */
LIMIT(FIBER_STACK_BYTES, 65536, 65536) /* SQLite's deepest tested path is 20 KiB; ASan doubles it */
LIMIT(FIBER_MAX, 256, 8)          /* 256 x 64 KiB = 16 MiB at most; scaled down with RAM */
LIMIT(JOB_QUEUE_MAX, 256, 4)      /* jobs waiting for a worker; beyond: 503 */
LIMIT(TIMER_MAX, 32768, 4096)     /* one per connection plus services */
LIMIT(LOOP_POLLER_MAX, 16, 16)    /* one per kind of device and service, added at start */
LIMIT(LOOP_HOOK_MAX, 8, 8)        /* likewise */
LIMIT(CONSOLE_COMMAND_MAX, 48, 48) /* a few per module */
LIMIT(CONSOLE_LINE_MAX, 128, 32)  /* typed by a person */
LIMIT(LOG_RING_BYTES, 262144, 4096) /* about 2,000 lines kept for /api and crash records */
LIMIT(LOG_LINE_MAX, 1024, 200)    /* longer lines are cut and marked */

/* Memory */
LIMIT(ARENA_BLOCK_BYTES, 8192, 256)      /* first block of a request's arena */
LIMIT(REQUEST_ARENA_MAX, 8388608, 1048576) /* body 1 MiB, its tree, and the answer */

/* Network */
LIMIT(NIC_MAX, 4, 4)
LIMIT(CONNECTION_MAX, 16384, 64)  /* scaled down with RAM; beyond: oldest idle closed, then RST */

LIMIT(TLS_STARTED_MAX, 256, 4)    /* handshakes begun; the rest waits. Half of MEMORY_TLS at most */
LIMIT(TLS_WAITING_MAX, 4096, 8)   /* hellos that wait, a few KiB each; beyond: reset */

/* HTTP (RFC 9110 4.1, 9112 3): a client never needs more, a hostile one gets no more */
LIMIT(HTTP_LINE_MAX, 8192, 1024)     /* request line or one field line; 414 / 431 */
LIMIT(HTTP_HEAD_MAX, 16384, 2048)    /* whole head; 431 */
LIMIT(HTTP_HEADER_COUNT_MAX, 100, 12)
LIMIT(HTTP_BODY_MAX, 1048576, 1048576) /* JSON bodies; 413 */
LIMIT(HTTP_CHUNK_LINE_MAX, 256, 64)  /* size and extensions of one chunk */
LIMIT(HTTP_HEAD_TIMEOUT_MS, 10000, 10000) /* first byte of a head to its end; 408 */
LIMIT(HTTP_STALL_TIMEOUT_MS, 30000, 30000) /* no progress on a body or an answer */
LIMIT(HTTP_IDLE_TIMEOUT_MS, 75000, 75000) /* keep-alive */
LIMIT(HTTP_REQUESTS_PER_CONNECTION, 100000, 100) /* then `Connection: close` */

/* Storage */
LIMIT(DISK_MAX, 4, 4)
LIMIT(DISK_QUEUE_MAX, 64, 2)
LIMIT(DB_READERS, 4, 1)           /* connections for reading; a request waits for one */
LIMIT(DB_GROUP_MAX, 64, 2)        /* writes that share one flush */
LIMIT(DB_WAIT_MAX, 512, 4)        /* requests waiting for a connection; beyond: 503 */
LIMIT(DB_WAIT_MS, 10000, 10000)   /* and how long one waits for its turn; 503 */
LIMIT(DB_QUERY_DEADLINE_MS, 1000, 1000) /* a statement that runs longer is interrupted; 503 */
LIMIT(DB_SLOW_QUERY_MS, 100, 100) /* longer ones are logged */
LIMIT(DB_STATEMENTS_MAX, 128, 4)  /* prepared statements kept per connection */

/* JSON */
LIMIT(JSON_DEPTH_MAX, 64, 8)
LIMIT(YAML_DEPTH_MAX, 200, 50) /* collections in collections of a YAML text */

/* Policy language */
LIMIT(POLICY_SYNTAX_DEPTH_MAX, 100, 100) /* terms in terms; each level costs the parser, the
                                            compiler and whoever walks the tree a few frames */
LIMIT(POLICY_PARSE_STACK_BYTES_MAX, 40960, 40960) /* of the C stack, which a fiber has;
                                            some 90 arrays or 45 comprehensions in each other */
LIMIT(POLICY_SOURCE_BYTES_MAX, 67108864, 67108864) /* one text; offsets are 32 bits */

LIMIT(GRAPHQL_DEPTH_MAX, 100, 30)      /* selections, values and types in one another */
LIMIT(GRAPHQL_WALK_DEPTH_MAX, 200, 60) /* the same through fragments of fragments */
LIMIT(TEMPLATE_DEPTH_MAX, 64, 20)       /* actions in actions, calls in calls of a template */
LIMIT(GRAPHQL_ERRORS_MAX, 100, 10)     /* told about one query; then the walk ends */
LIMIT(JWT_KEYS_BYTES_MAX, 1048576, 65536) /* read keys of one text, kept across queries */
LIMIT(JWT_KEPT_BYTES_MAX, 65536, 16384)    /* header and payload of a verified token, likewise */

/* Routes */
LIMIT(ROUTE_MAX, 512, 512)
LIMIT(ROUTE_PARAMS_MAX, 6, 6)

/* Policy engine */
LIMIT(JSON_VALUE_BYTES_MAX, 1 << 30, 1 << 20) /* a document; its values need up to as much again */
LIMIT(HEAP_BLOCK_BYTES, 16384, 4096)   /* a heap's first block; later ones double up to 1 MiB */
LIMIT(HEAP_KEEP_BYTES, 1048576, 65536) /* what a rewound heap keeps for the next evaluation */
LIMIT(VALUE_DEPTH_MAX, 256, 64)        /* collections in collections: walks of them recurse */
LIMIT(NUMBER_TEXT_MAX, 4096, 512)      /* characters of a number, and digits of a result */
LIMIT(NUMBER_EXPONENT_MAX, 5000, 5000) /* 1e5000; beyond, the number is refused */

LIMIT(POLICY_ERROR_LINE_MAX, 1024, 1024) /* longer lines are not shown below an error */

/* Policy: running */
LIMIT(POLICY_PROGRAM_BYTES_MAX, 1 << 30, 1 << 26) /* trees and constants of all modules */
LIMIT(POLICY_DATA_BYTES_MAX, 1 << 30, 1 << 24) /* base documents of the appliance */
LIMIT(POLICY_EVALUATION_BYTES_MAX, 1 << 28, 1 << 22) /* of a question; input and work each */
LIMIT(POLICY_STEPS_MAX, 1000000000, 10000000) /* iterations and calls: some ten seconds */
LIMIT(POLICY_STEPS_SLICE, 4096, 64)     /* of them between two looks at the clock */
LIMIT(POLICY_DEPTH_MAX, 20000, 200)     /* rules waiting for rules */
LIMIT(POLICY_NEST_MAX, 48, 48)          /* packages within packages: each costs C stack */
LIMIT(POLICY_STACK_MAX, 1 << 22, 1 << 16) /* registers of all waiting rules: 64 MiB */
LIMIT(POLICY_REGISTERS_MAX, 1 << 20, 1 << 16) /* of one rule */
LIMIT(POLICY_PATH_DEPTH_MAX, 128, 128)  /* keys in the path of a document */
LIMIT(POLICY_RESULTS_MAX, 1 << 20, 1 << 10) /* rows of one answer */
LIMIT(POLICY_MEMO_CALLS_MAX, 65536, 64) /* calls remembered; the newer overwrite the older */
LIMIT(POLICY_CACHED_MAX, 512, 8)        /* compiled patterns and keys kept between questions */
LIMIT(POLICY_CACHED_HARD_MAX, 16384, 64) /* of them made in one question: beyond it stops */
LIMIT(INDEX_RULES_MIN, 6, 2)            /* fewer rules are as soon tried as looked up */
LIMIT(INDEX_FIELDS_MAX, 16, 2)          /* things that rules of one name are told apart by */
LIMIT(INDEX_BINDINGS_MAX, 32, 4)        /* variables of one body that stand for documents */
LIMIT(INDEX_MEMBERS_MAX, 64, 4)         /* of `x in {...}`: more would make the index large */
LIMIT(INDEX_PATH_MAX, 16, 4)
LIMIT(LOOK_TESTS_MAX, 6, 2)             /* of one loop's elements */
LIMIT(LOOK_INDEXES_MAX, 64, 2)          /* fields of arrays in data, per evaluator */
LIMIT(LOOK_ROWS_MIN, 32, 2)             /* shorter arrays are as soon gone through */
LIMIT(LOOK_DEMANDS_MAX, 1 << 22, 1 << 10) /* entries of one such index */
LIMIT(POLICY_LOOK_BYTES_MAX, 1 << 28, 1 << 22)

/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_config.h — how SQLite is built here, each setting with its reason. Reached by
 * -DSQLITE_CUSTOM_INCLUDE=sqlite_config.h; every file that includes sqlite3.h sees the same. */
#pragma once

/* The machine: no files, no threads, no default heap. storage/vfs.c and storage/heap.c give SQLite
 * what it needs; one loop runs all of it, so there is nothing to lock. */
#define SQLITE_OS_OTHER 1
#define SQLITE_THREADSAFE 0
#define SQLITE_ZERO_MALLOC 1
#define SQLITE_MAX_WORKER_THREADS 0
#define SQLITE_OMIT_AUTOINIT 1 /* db_open calls sqlite3_initialize; no test for it in each call */
#define SQLITE_OMIT_LOCALTIME 1 /* times are UTC */
#define SQLITE_OMIT_LOAD_EXTENSION 1
#define SQLITE_OMIT_SHARED_CACHE 1
#define SQLITE_OMIT_DESERIALIZE 1
#define SQLITE_OMIT_DEPRECATED 1
#define SQLITE_OMIT_TCL_VARIABLE 1
#define SQLITE_OMIT_GET_TABLE 1
#define SQLITE_OMIT_DECLTYPE 1
#define SQLITE_UNTESTABLE 1

/* Durability: a commit returns after its flush. Nothing spills to files we do not have. */
#define SQLITE_DEFAULT_SYNCHRONOUS 2
#define SQLITE_DEFAULT_WAL_SYNCHRONOUS 2
#define SQLITE_DEFAULT_WAL_AUTOCHECKPOINT 0 /* storage/checkpoint.c decides when */
#define SQLITE_TEMP_STORE 3                 /* temporary tables, sorters and indices in memory */
#define SQLITE_STMTJRNL_SPILL (-1)          /* statement journals too; the heap bounds them */
#define SQLITE_DEFAULT_PAGE_SIZE 4096       /* a power of two times every disk block we take */
#define SQLITE_MAX_DEFAULT_PAGE_SIZE 4096
#define SQLITE_MAX_MMAP_SIZE 0
#define SQLITE_POWERSAFE_OVERWRITE 1 /* see storage/wal.c for what this asks of a disk */

/* Strictness. */
#define SQLITE_DQS 0                  /* "x" is a name, 'x' is text, always */
#define SQLITE_DEFAULT_FOREIGN_KEYS 1
#define SQLITE_TRUSTED_SCHEMA 0       /* a damaged schema gets no functions with side effects */
#define SQLITE_LIKE_DOESNT_MATCH_BLOBS 1

/* Bounds: SQL text is ours, but a defence costs nothing; values come from requests of 1 MiB. */
#define SQLITE_MAX_ATTACHED 1
#define SQLITE_MAX_LENGTH 16777216
#define SQLITE_MAX_SQL_LENGTH 65536
#define SQLITE_MAX_COLUMN 200
#define SQLITE_MAX_COMPOUND_SELECT 20
#define SQLITE_MAX_EXPR_DEPTH 100 /* fiber stacks are 64 KiB */
#define SQLITE_MAX_TRIGGER_DEPTH 16
#define SQLITE_MAX_FUNCTION_ARG 32
#define SQLITE_MAX_VARIABLE_NUMBER 256
#define SQLITE_MAX_LIKE_PATTERN_LENGTH 512
#define SQLITE_MAX_SCHEMA_RETRY 5

/* Speed and size. */
#define SQLITE_DEFAULT_MEMSTATUS 0 /* kernel/core/memory.c counts already */
#define SQLITE_DEFAULT_LOOKASIDE 1200, 64
#define SQLITE_DEFAULT_PCACHE_INITSZ 0 /* pages are allocated one by one within the budget */
#define SQLITE_USE_ALLOCA 1

/* Features the services use. */
#define SQLITE_ENABLE_FTS5 1
#define SQLITE_ENABLE_MATH_FUNCTIONS 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_DBPAGE_VTAB 1 /* storage/snapshot.c: backups */

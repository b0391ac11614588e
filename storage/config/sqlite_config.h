/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_config.h — every SQLite setting with its reason; read by sqlite3.c (SQLITE_CUSTOM_INCLUDE). */
#pragma once

/* The machine: our VFS on both targets, no threads inside the library */
#define SQLITE_OS_OTHER 1
#define SQLITE_THREADSAFE 0      /* each connection is used by one thread at a time, and so is the library */
#define SQLITE_TEMP_STORE 3      /* sorters and temporary tables in memory: there is no temp file */
#define SQLITE_OMIT_LOAD_EXTENSION 1
#define SQLITE_OMIT_SHARED_CACHE 1
#define SQLITE_OMIT_DEPRECATED 1
#define SQLITE_OMIT_LOCALTIME 1  /* times are UTC */
#define SQLITE_MAX_MMAP_SIZE 0
#define SQLITE_DEFAULT_MEMSTATUS 1 /* the memory table and /metrics show it */

/* Strictness */
#define SQLITE_DQS 0             /* "x" is a name, never silently a string */
#define SQLITE_DEFAULT_FOREIGN_KEYS 1
#define SQLITE_DEFAULT_SYNCHRONOUS 2
#define SQLITE_DEFAULT_WAL_SYNCHRONOUS 2 /* FULL: an acknowledged commit survives a power cut */
#define SQLITE_TRUSTED_SCHEMA 0
#define SQLITE_LIKE_DOESNT_MATCH_BLOBS 1

/* What we use */
#define SQLITE_ENABLE_FTS5 1
#define SQLITE_ENABLE_MATH_FUNCTIONS 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_DBSTAT_VTAB 1
#define SQLITE_ENABLE_STAT4 1
#define SQLITE_ENABLE_COLUMN_METADATA 1
#define SQLITE_ENABLE_MEMSYS5 1  /* a fixed heap: SQLITE_CONFIG_HEAP */
#define SQLITE_ENABLE_API_ARMOR 1

/* Limits: what no statement of ours needs, and no hostile value gets */
#define SQLITE_MAX_ATTACHED 2
#define SQLITE_MAX_LENGTH 16777216
#define SQLITE_MAX_SQL_LENGTH 262144
#define SQLITE_MAX_COLUMN 200
#define SQLITE_MAX_EXPR_DEPTH 200
#define SQLITE_MAX_COMPOUND_SELECT 50
#define SQLITE_MAX_FUNCTION_ARG 32
#define SQLITE_MAX_VARIABLE_NUMBER 999
#define SQLITE_MAX_LIKE_PATTERN_LENGTH 1024
#define SQLITE_MAX_TRIGGER_DEPTH 16
#define SQLITE_MAX_WORKER_THREADS 0
#define SQLITE_DEFAULT_PAGE_SIZE 4096
#define SQLITE_DEFAULT_CACHE_SIZE -2000

# SPDX-License-Identifier: Apache-2.0
# app/deps.mk — cJSON (JSON trees), argon2 (password hashing), zlib (compressed answers).

LIBS        += cjson argon2 zlib

cjson_SRC   := cJSON
cjson_INC   := -DCJSON_NESTING_LIMIT=64 -DCJSON_HIDE_SYMBOLS

# The reference library with its SSE2 rounds (opt). No threads of its own: our workers call it.
argon2_SRC  := $(addprefix src/, argon2 core encoding opt blake2/blake2b)
argon2_INC  := -Ibuild/src/argon2/include -DARGON2_NO_THREADS

zlib_SRC    := adler32 compress crc32 deflate inffast inflate inftrees trees uncompr zutil

# mbedTLS's hashes and signatures are used by the application too (tokens), by its net/deps.mk path.
INC_app     := -isystem build/src/cjson -isystem build/src/argon2/include -isystem build/src/zlib

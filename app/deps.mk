# SPDX-License-Identifier: Apache-2.0
# app/deps.mk — cJSON (JSON trees), argon2 (password hashing), libyaml (YAML texts of policies),
# libsodium (Ed25519), qrcodegen (pictures of secrets for phones), libxcrypt (bcrypt), zxcvbn (how
# easily a password is guessed).

LIBS        += cjson argon2 yaml sodium qrcodegen xcrypt zxcvbn

cjson_SRC   := cJSON
cjson_INC   := -DCJSON_NESTING_LIMIT=64 -DCJSON_HIDE_SYMBOLS

# The reference library with its SSE2 rounds (opt). No threads of its own: our workers call it.
argon2_SRC  := $(addprefix src/, argon2 core encoding opt blake2/blake2b)
argon2_INC  := -Ibuild/src/argon2/include -DARGON2_NO_THREADS

# Events in, events out: no document trees (loader, dumper).
yaml_SRC    := $(addprefix src/, api emitter parser reader scanner writer)
yaml_INC    := -Ibuild/src/yaml/include -DYAML_VERSION_STRING='"0.2.5"' -DYAML_VERSION_MAJOR=0 \
               -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5

# Ed25519 and the SHA-512 it is made with; the few helpers these call are app/policy/builtin/ed25519.c.
sodium_SRC  := $(addprefix src/libsodium/, crypto_core/ed25519/ref10/ed25519_ref10 \
                 crypto_hash/sha512/hash_sha512 crypto_hash/sha512/cp/hash_sha512_cp \
                 crypto_sign/ed25519/ref10/keypair crypto_sign/ed25519/ref10/open \
                 crypto_sign/ed25519/ref10/sign crypto_verify/verify)
sodium_INC  := -Ibuild/src/sodium/src/libsodium/include -Ibuild/src/sodium/src/libsodium/include/sodium \
               -DHAVE_TI_MODE -DNATIVE_LITTLE_ENDIAN

qrcodegen_SRC := c/qrcodegen
qrcodegen_INC := -DNDEBUG

# bcrypt alone, to judge hashes that other systems made.
xcrypt_SRC  := lib/crypt-bcrypt
xcrypt_INC  := -Iapp/auth/config -Ibuild/src/xcrypt/lib -DHAVE_CONFIG_H -DHAVE_SYS_CDEFS_THROW \
               -DENDIANNESS_IS_LITTLE -DHAVE_STATIC_ASSERT_IN_ASSERT_H=1 -DHAVE_MAX_ALIGN_T
xcrypt_CONFIG := app/auth/config/config.h app/auth/config/crypt.h app/auth/config/crypt-hashes.h

# Its dictionary is made when it is built (app/rules.mk); its memory is app/auth/strength.c's.
zxcvbn_SRC  := zxcvbn
zxcvbn_INC  := -Ibuild/gen/zxcvbn -Dmalloc=zxcvbn_malloc -Dfree=zxcvbn_free
zxcvbn_CONFIG := build/gen/zxcvbn/dict-src.h

# mbedTLS's hashes and signatures are used by the application too (tokens), by its net/deps.mk path.
INC_app     := -isystem build/src/cjson -isystem build/src/argon2/include \
               -isystem build/src/yaml/include -isystem build/src/sodium/src/libsodium/include \
               -isystem build/src/qrcodegen/c -isystem build/src/zxcvbn

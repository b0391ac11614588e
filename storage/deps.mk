# SPDX-License-Identifier: Apache-2.0
# storage/deps.mk — SQLite: the amalgamation made from the source tree, compiled as one file.
# Settings: storage/config/sqlite_config.h (reached by SQLITE_CUSTOM_INCLUDE).
# The amalgamation depends on nothing of ours, so it lies beside the sources.

SQLITE        := build/deps/built/sqlite3-$(shell sed -n 's/^sqlite3 .* //p' tools/deps.lock | cut -c1-12)

LIBS          += sqlite3
sqlite3_SRC   := sqlite3
sqlite3_INC   := -Istorage/config -DSQLITE_CUSTOM_INCLUDE=sqlite_config.h
sqlite3_CONFIG := storage/config/sqlite_config.h
sqlite3_FROM  := $(SQLITE)

# The disk's cipher is mbedTLS's, and its passphrase's hash argon2's: by their paths in net/deps.mk
# and app/deps.mk.
INC_storage   := -isystem $(SQLITE) -isystem storage/config -DSQLITE_CUSTOM_INCLUDE=sqlite_config.h \
                 -isystem net/config -isystem build/src/mbedtls/include \
                 -isystem build/src/argon2/include -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>'

$(SQLITE)/sqlite3.c: | build/src/sqlite3.stamp
	$(call say,GEN,sqlite3.c (once: about 15 s))
	$Qtools/build-sqlite.sh $(SQLITE)

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# same.sh — is the image the same, bit for bit, when built in another place?
# Copies the tree to a folder with a longer name, builds the guest there from nothing but the fetched
# sources, and compares the two ELFs. Last line: `N passed, N failed`.
set -eu
export LC_ALL=C
export CCACHE_DISABLE=1
cd "$(dirname "$0")/.."
# There is no git over there.
OPENPOLICY_COMMIT=$(sed -n 's/.*openpolicy_commit\[\] = "\(.*\)".*/\1/p' build/gen/version_stamp.c)
OPENPOLICY_TIME=$(sed -n 's/.*commit_time\[\] = "\(.*\)".*/\1/p' build/gen/version_stamp.c)
export OPENPOLICY_COMMIT OPENPOLICY_TIME
elf=build/guest/openpolicy.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
there="$work/a folder with a longer name"
there=$(echo "$there" | tr ' ' -)
mkdir -p "$there/build"
cp "$elf" "$work/here.elf" # as it is now: this takes a while
git ls-files -co --exclude-standard -z | xargs -0 -r sh -c \
    'for f; do [ ! -f "$f" ] || cp -P --parents "$f" "$0/"; done' "$there"
ln -s "$(cd build/deps && pwd -P)" "$there/build/deps"
if ! make -C "$there" --no-print-directory guest >"$work/log" 2>&1; then
    tail -20 "$work/log"
    echo "0 passed, 1 failed"
    exit 1
fi
if cmp "$work/here.elf" "$there/$elf"; then
    sha256sum "$work/here.elf"
    echo "1 passed, 0 failed"
else
    echo "the image depends on where or when it is built"
    echo "0 passed, 1 failed"
    exit 1
fi

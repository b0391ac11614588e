#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stamp.sh FILE — writes as C which commit this is and when it was made; leaves FILE alone when it
# says so already. The commit's time, not the build's: the same sources give the same bytes.
# Without git (an unpacked archive): OPENPOLICY_COMMIT and OPENPOLICY_TIME, or nothing.
set -eu
export LC_ALL=C
commit=${OPENPOLICY_COMMIT-} time=${OPENPOLICY_TIME-}
if [ -z "$commit" ] && [ -e .git ] && commit=$(git rev-parse --short=12 HEAD 2>/dev/null); then
    time=$(TZ=UTC git show -s --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd HEAD)
    git diff-index --quiet HEAD -- || commit=$commit-dirty
fi
commit=$(printf %s "$commit" | tr -cd 'A-Za-z0-9.+-')
time=$(printf %s "$time" | tr -cd '0-9TZ:.+-')
text="/* Made by tools/stamp.sh. */
#include \"app/version.h\"
const char openpolicy_commit[] = \"$commit\";
const char openpolicy_commit_time[] = \"$time\";"
if [ "$(cat "$1" 2>/dev/null || :)" != "$text" ]; then
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$text" >"$1"
fi

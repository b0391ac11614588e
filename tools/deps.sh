#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh — fetch, verify and unpack the third-party sources of tools/deps.lock.
#
#   tools/deps.sh [NAME...]             all of them, or the named ones
#   tools/deps.sh --use NAME PATCH...   NAME, as build/src/NAME with the patches applied (none: a link)
#
#   apt's own sources --> a temporary deb-src line per suite --> apt-get source --tar-only
#        --> build/deps/tar/FILE --> sha256 == lock? --> build/deps/NAME-VERSION/
#
# The mirror and its keyring are read from this machine's apt configuration at run time, so nothing
# here names a host. apt checks the archive's signature and hash; the SHA-256 in the lock is checked
# after it and is the authority: a suite whose key this machine does not have yet is still usable,
# because other bytes than the pinned ones are never unpacked. The system's apt state is not touched:
# lists and caches lie in build/deps/apt. What is unpacked already costs nothing, needs no network.
# A tarball put into build/deps/tar by hand is taken as well (and verified). Of a line whose suite is
# `npm` the source is a package of that registry, asked of npm as this machine has it configured.
# DEPS_LOCK=FILE reads another list: tests/deps.lock, what only tests want.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
LOCK=${DEPS_LOCK:-tools/deps.lock}
mkdir -p build/deps/tar build/deps/apt
DEPS=$(cd build/deps && pwd -P)
LOG=$DEPS/apt/log

die() { echo "deps: $*" >&2; exit 1; }
hash_of() { sha256sum "$1" | cut -d' ' -f1; }

# "URI SIGNED-BY" of the first Debian archive among apt's sources ("-": no keyring named there).
archive_of_apt() {
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI) $(SOURCESENTRY)' \
        'Created-By: Packages' 2>/dev/null |
    while read -r release component uri entry; do
        [ "$component" = main ] || continue
        case $release in
        bullseye|bookworm|trixie|forky|sid|stable|testing|unstable) ;;
        *) continue ;;
        esac
        file=${entry%:*}
        key=$(sed -n 's/^[Ss]igned-[Bb]y:[[:space:]]*\(\/[^[:space:]]*\).*/\1/p
                      s/.*[[ ]signed-by=\(\/[^] ]*\).*/\1/p' "$file" 2>/dev/null | head -1)
        echo "$uri ${key:--}"
        break
    done
}

# apt SUITE ARGUMENTS...: apt-get that knows only that suite's sources, with its state in build/deps
apt_in() {
    suite=$1; shift
    # An index past its date is as good as a fresh one: the hashes in the lock decide.
    apt-get -q -o Acquire::Check-Valid-Until=false -o Dir::Etc::sourcelist="$DEPS/apt/$suite.sources" -o Dir::Etc::sourceparts=- \
        -o Dir::State::Lists="$DEPS/apt/$suite" -o Dir::Cache="$DEPS/apt/cache" \
        -o APT::Get::Only-Source=true -o Acquire::Languages=none -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@" </dev/null >>"$LOG" 2>&1
}

# Index of a suite, at most once per run. Fails when the suite cannot be reached.
suite_open() {
    [ ! -e "$DEPS/apt/$1.fresh" ] || return 0
    set -- "$1" $(archive_of_apt)
    [ $# -eq 3 ] || die "apt has no Debian archive among its sources: add one (deb822, Types: deb) and run again"
    mkdir -p "$DEPS/apt/$1/partial" "$DEPS/apt/cache/archives/partial"
    for trust in check pinned; do
        {
            printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$2" "$1"
            if [ $trust = pinned ]; then echo 'Trusted: yes'
            elif [ "$3" != - ]; then echo "Signed-By: $3"; fi
        } >"$DEPS/apt/$1.sources"
        if apt_in "$1" -o APT::Update::Error-Mode=any update; then
            [ $trust = check ] || echo "  DEPS   $1: no key for its signature here; the pinned SHA-256 decides"
            : >"$DEPS/apt/$1.fresh"
            return 0
        fi
        grep -q -e NO_PUBKEY -e 'is not signed' "$LOG" || return 1
    done
    return 1
}

# One file of a package into build/deps/tar/new, from apt or npm. Says why it is not there: "suite:reason".
ask() { # source suite version
    if [ "$2" = npm ]; then
        command -v npm >/dev/null || { echo "npm:not-installed"; return; }
        npm_config_cache=$DEPS/npm npm_config_update_notifier=false npm_config_fetch_timeout=60000 \
            npm pack --silent --ignore-scripts --pack-destination "$DEPS/tar/new" "$1@$3" </dev/null >>"$LOG" 2>&1 ||
            echo "npm:unreachable"
    elif suite_open "$2"; then
        (cd "$DEPS/tar/new" && apt_in "$2" source --tar-only --download-only "$1/$2") || true
    else
        echo "$2:unreachable"
    fi
}

# The tarball into build/deps/tar, from the first suite that has these very bytes.
fetch() { # source suites file sha256 version
    seen=
    for suite in $(echo "$2" | tr , ' '); do
        rm -rf "$DEPS/tar/new"; mkdir "$DEPS/tar/new"
        why=$(ask "$1" "$suite" "$5")
        [ -z "$why" ] || { seen="$seen $why"; continue; }
        if [ ! -f "$DEPS/tar/new/$3" ]; then seen="$seen $suite:absent"; continue; fi
        got=$(hash_of "$DEPS/tar/new/$3")
        if [ "$got" = "$4" ]; then
            mv "$DEPS/tar/new/$3" "$DEPS/tar/$3"
            rm -rf "$DEPS/tar/new"
            return 0
        fi
        seen="$seen $suite:sha256=$got"
    done
    rm -rf "$DEPS/tar/new"
    case $seen in
    *sha256=*) die "$3: WRONG HASH (${seen# }), expected $4. Do not use it;" \
            "if upstream really changed, correct $LOCK" ;;
    *absent*) die "$3: not in the archive any more (${seen# }). Put the file into build/deps/tar/" \
            "by hand, or pin the newer version in $LOCK" ;;
    *) die "$3: no network or mirror (${seen# }; $(grep '^E:' "$LOG" | tail -1)). Connect and run again, or put" \
           "the file into build/deps/tar/ by hand (details: build/deps/apt/log)" ;;
    esac
}

unpack() { # name version file sha256
    dir=$DEPS/$1-$2
    rm -rf "$dir" "$dir.new"
    mkdir "$dir.new"
    # Most lie in a folder of their own; some (tzdata) in none.
    tops=$(tar -tf "$DEPS/tar/$3" | sed 's|^\./||; s|/.*||' | sort -u | grep -c .)
    tar -xf "$DEPS/tar/$3" -C "$dir.new" --strip-components=$([ "$tops" = 1 ] && echo 1 || echo 0) --no-same-owner ||
        die "$3: does not unpack (disk full?)"
    echo "$4" >"$dir.new/.sha256"
    mv "$dir.new" "$dir"
}

# build/src/NAME and its stamp, which changes only when the source or a patch did.
use() { # name patches...
    name=$1; shift
    set -- $(sed -n "s/^$name  *\([^ ]*\) .* \([0-9a-f]*\)$/\1 \2/p" $LOCK) "$@"
    version=$1 identity=$1:$2; shift 2
    [ $# -eq 0 ] || identity=$identity:$(cat "$@" | sha256sum | cut -c1-16)
    [ "$(cat "build/src/$name.stamp" 2>/dev/null)" != "$identity" ] || return 0
    rm -rf "build/src/$name"
    mkdir -p build/src
    if [ $# -eq 0 ]; then
        ln -s "../deps/$name-$version" "build/src/$name"
    else
        cp -R "build/deps/$name-$version/." "build/src/$name"
        for p; do
            echo "  PATCH  $p"
            patch -s -p1 -d "build/src/$name" <"$p" || die "$p: does not apply to $name $version"
        done
    fi
    echo "$identity" >"build/src/$name.stamp"
}

use=
[ "${1:-}" != --use ] || { use=$2; shift 2; patches=$*; set --; } # fetches all that is missing at once
exec 9>"$DEPS/.lock"
flock -w 900 9 || die "another run holds build/deps/.lock for 15 minutes: stop it and run again"
rm -f "$DEPS"/apt/*.fresh
: >"$LOG"
wanted=" $* "
while read -r name version source suites file sha256; do
    case $name in ''|'#'*) continue ;; esac
    [ $# -eq 0 ] || case $wanted in *" $name "*) ;; *) continue ;; esac
    if [ "$(cat "$DEPS/$name-$version/.sha256" 2>/dev/null)" = "$sha256" ]; then continue; fi
    tarball=$DEPS/tar/$file
    if [ -f "$tarball" ] && [ "$(hash_of "$tarball")" != "$sha256" ]; then
        echo "  DEPS   $file: the copy in build/deps/tar has another hash: set aside as $file.bad"
        mv "$tarball" "$tarball.bad"
    fi
    if [ ! -f "$tarball" ]; then
        echo "  FETCH  $name $version"
        fetch "$source" "$suites" "$file" "$sha256" "$version"
    fi
    echo "  UNPACK $name $version"
    unpack "$name" "$version" "$file" "$sha256"
done <"$LOCK"
[ -z "$use" ] || use "$use" $patches

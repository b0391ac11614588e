#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# layers.sh DIR OBJECT... [-- DIR OBJECT...] — prove tools/layers.txt: no object uses a symbol of a layer
# above or beside its own. DIR is a machine's folder (build/host), whose lib/*.a are the libraries.
# What begins with two underscores is the compiler's (stack canaries) and open to all; so is what the
# C language takes for granted, which the guest defines itself (kernel/guest/bytes.c).
# Prints each breach as: object uses symbol of layer. Last line: `N passed, N failed`, one per object.
set -eu
export LC_ALL=C
prove() { # dir, objects
    dir=$1
    shift
    {
        for lib in "$dir"/lib/*.a; do
            nm -g --defined-only "$lib" 2>/dev/null |
                awk -v l="lib/$(basename "$lib" .a)" 'NF == 3 { print "def", l, $3 }'
        done
        for object; do
            path=${object#"$dir"/}
            nm -g "$object" | awk -v o="${path%.o}" '
                NF == 3 && $2 !~ /[wWvV]/ { print "own", o, $3 }
                $1 == "U" { print "use", o, $2 }'
        done
    } | awk '
    function layer_of(o,   name, parts, n, i, at) { # longest entry that is the object or a folder of it
        if (o in known) return known[o]
        n = split(o, parts, "/"); at = ""; name = ""
        for (i = 1; i <= n; i++) {
            at = at (i > 1 ? "/" : "") parts[i]
            if (at in allowed) name = at
        }
        if ((name == "app" || name == "") && n >= 3 && parts[1] == "app" && ("app/*" in allowed)) {
            name = "app/" parts[2]
            if (!(name in allowed)) allowed[name] = allowed["app/*"]
        }
        return known[o] = name
    }
    function may(from, to,   i, n, list) {
        if (from == to) return 1
        n = split(allowed[from], list, " ")
        for (i = 1; i <= n; i++)
            if (list[i] == to || (list[i] == "app/*" && to ~ /^app\/./)) return 1
        return 0
    }
    FILENAME != "-" { # the table
        sub(/#.*/, "")
        if (split($0, row, ":") == 2) { sub(/^ +| +$/, "", row[1]); allowed[row[1]] = row[2] }
        next
    }
    $1 == "def" { if (!($3 in owner)) owner[$3] = $2 }
    $1 == "own" { owner[$3] = layer_of($2); objects[$2] = 1 }
    $1 == "use" { uses[++count] = $2 " " $3; objects[$2] = 1 }
    END {
        for (o in objects) if (layer_of(o) == "") {
            print o ": its folder has no line in tools/layers.txt"; bad[o] = 1
        }
        for (i = 1; i <= count; i++) {
            split(uses[i], u, " ")
            to = owner[u[2]]
            if (to == "" || u[2] ~ /^(platform_|app_main$|panic$|mem(cpy|move|set|cmp|chr)$|str(len|cmp)$|__)/) continue
            if (!may(layer_of(u[1]), to)) { print u[1] " (" layer_of(u[1]) ") uses " u[2] " of " to; bad[u[1]] = 1 }
        }
        for (o in objects) if (o in bad) failed++; else passed++
        print "sum", passed + 0, failed + 0
    }' tools/layers.txt -
}

rest="$*"
while [ -n "$rest" ]; do # one machine after the other
    case $rest in
    *' -- '*) prove ${rest%% -- *}; rest=${rest#* -- } ;;
    *) prove $rest; rest= ;;
    esac
done | awk '
    $1 == "sum" && NF == 3 { passed += $2; failed += $3; next }
    { print }
    END { print passed + 0 " passed, " failed + 0 " failed"; exit failed || !passed }'

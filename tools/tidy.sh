#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy.sh — the style as a test. $COMPILE is the compiler with its flags, for headers alone.
#
# Each check prints its findings as FILE:LINE: what to do. Last line: `N passed, N failed`, one per
# check. Only tracked and new files that git does not ignore are looked at.
set -u
export LC_ALL=C
compile=${COMPILE:?make tidy sets it}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -co --exclude-standard | sort -u | while read -r f; do [ -f "$f" ] && echo "$f"; done >"$work/all"
grep -E '\.(c|h|S|def|ld|sh|py|awk|mk)$|(^|/)Makefile$' "$work/all" >"$work/source"
grep -E '\.[ch]$' "$work/all" >"$work/c"
# What the appliance itself is made of; tests and tools have more freedom.
grep -E '^(kernel|net|storage|app|image)/.*\.[ch]$' "$work/all" >"$work/ours"
: >"$work/passed"; : >"$work/failed"
check() { # title; the findings are on stdin
    cat >"$work/found"
    if [ -s "$work/found" ]; then
        echo "$1" >>"$work/failed"
        echo "-- $1"
        head -40 "$work/found"
    else
        echo "$1" >>"$work/passed"
    fi
}
over() { xargs -r -a "$work/$1" awk "$2"; } # awk program over a list of files

# awk 'FNR == 1' style checks, one pass each
over source '
    FNR == 1 { ok = 0 }
    FNR <= 2 && /SPDX-License-Identifier: Apache-2.0/ { ok = 1 }
    FNR == 2 && !ok { print FILENAME ":1: the first line is SPDX-License-Identifier: Apache-2.0" }' |
    check "a licence line first"

over c '
    FNR == 2 {
        base = FILENAME; sub(/.*\//, "", base)
        if (FILENAME ~ /_test\.c$/ ? !/^\/\* / : index($0, "/* " base) != 1)
            print FILENAME ":2: open with an essay: /* " base " — what it is for"
    }' |
    check "every file opens by saying what it is for"

# 100 columns in C; tables, one case to a line, may be wider. Columns, not bytes: continuation bytes of
# UTF-8 do not count. The policy engine's tests are not there yet: 190.
over source '
    { line = $0; gsub(/[\200-\277]/, "", line)
      limit = FILENAME ~ /(\.def|_cases\.h)$/ ? 160 : FILENAME !~ /\.(c|h|S)$/ ? 130 : 100
      if (FILENAME ~ /^tests\/[a-z]+\/(policy_|test_rego)/) limit = 190
      if (length(line) > limit) print FILENAME ":" FNR ": " length(line) " columns; at most " limit }
    /[ \t]+$/ { print FILENAME ":" FNR ": blanks at the end of the line" }
    /\r$/ { print FILENAME ":" FNR ": CR at the end of the line" }' |
    check "lines fit the screen and end cleanly"
over c '/\t/ { print FILENAME ":" FNR ": a tab; indent by four spaces" }' | check "no tabs in C"

over ours '
    FNR == 1 { inside = 0 }
    /^[a-zA-Z_].*\)( NORETURN)? \{$/ && !/^(struct|enum|union|static const|typedef)[^(]*=/ {
        inside = FNR; name = $0
    }
    /^}/ {
        lines = FNR - inside - 1
        if (inside && lines > 70) print FILENAME ":" inside ": " lines " lines; at most 70: " name
        inside = 0
    }' |
    check "a function fits on a screen"
xargs -r -a "$work/ours" wc -l | awk '$2 != "total" && $1 > 1000 { print $2 ":1: " $1 " lines; find the second idea in it" }' |
    check "a file is one idea"
grep -E '(^|/)README\.md$' "$work/all" | grep -vE '^(README\.md$|docs/)' | xargs -r wc -l |
    awk '$2 != "total" && $1 > 60 { print $2 ":1: " $1 " lines; a folder README has at most 60" }' |
    check "folder READMEs are short"

# name -> what to use instead
over ours '
    {
        line = $0; gsub(/"([^"\\]|\\.)*"/, "\"\"", line); sub(/\/\/.*|\/\*.*/, "", line)
        if (line ~ /^ ?\*/) next
    }
    function ban(word, instead) {
        if (line ~ ("(^|[^a-zA-Z0-9_.>])" word " *\\("))
            print FILENAME ":" FNR ": " word "(): use " instead
    }
    {
        ban("strcpy", "str_to_c")
        ban("strncpy", "str_to_c")
        ban("strcat", "buf_add")
        ban("strncat", "buf_add")
        ban("sprintf", "snprintf")
        ban("vsprintf", "vsnprintf")
        ban("gets", "str views")
        ban("strtok", "str_split")
        ban("atoi", "str_to_s64")
        ban("atol", "str_to_s64")
        ban("sscanf", "a parser of our own")
        ban("rand", "platform_entropy")
        ban("srand", "platform_entropy")
        ban("alloca", "an arena")
        ban("system", "nothing: there is no shell")
        ban("setjmp", "rc_t")
        ban("longjmp", "rc_t")
        ban("assert", "CHECK")
        ban("localtime", "gmtime_r")
        ban("gmtime", "gmtime_r")
    }' |
    grep -v '^kernel/host/' | check "no banned calls"

# The parts of each word are joined here, so that this file passes its own check.
marks="TO""DO|FIX""ME|XX""X|HA""CK|not imple""mented"
xargs -r -a "$work/all" grep -nIE "\\b($marks)\\b" 2>/dev/null | grep -v '^LICENSE' | check "no marks of unfinished work"

# Hosts of this machine's package sources, and paths of this machine.
hosts=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* ~/.npmrc 2>/dev/null |
    grep -oE 'https?://[A-Za-z0-9._-]+' | sed 's|.*//||' | sort -u)
for host in $hosts; do
    xargs -r -a "$work/all" grep -nIF "$host" 2>/dev/null |
        sed 's/:.*/:1: names a package host; read it from apt or npm at run time/'
done | sort -u | check "no package hosts in the tree"
here=$(cd .. && pwd)
case $here in / | /home | /tmp | /root | /usr*) ;; *)
    xargs -r -a "$work/all" grep -nIF "$here/" 2>/dev/null ;;
esac | check "no path of this machine in the tree"

xargs -r -a "$work/all" du -k | awk '$1 > 1024 { print $2 ":1: over 1 MiB: fetched and built things are not committed" }' |
    check "no large files"

grep -E '\.h$' "$work/c" | while read -r h; do
    grep -qF "\"$h\"" $(grep -v "^$h\$" "$work/source") 2>/dev/null || case $h in
    */config/*) ;; # a library includes these
    *) echo "$h:1: nobody includes it" ;;
    esac
done | check "no dead headers"
grep -E '\.h$' "$work/ours" | xargs -r grep -L '#pragma once' | sed 's/$/:1: #pragma once is missing/' |
    check "headers include once"

# Each header alone, as the first thing a file sees. Guest headers need the guest's C library.
grep -E '\.h$' "$work/c" | grep -vE '/config/|^kernel/guest/|^image/' |
    xargs -r -P "$(nproc)" -I{} sh -c \
        'printf "#include \"%s\"\n" "$1" | '"$compile"' -fsyntax-only -x c - >"$2/$(echo "$1" | tr / _).lone" 2>&1 ||
         echo "$1:1: does not compile alone: $(grep -m1 error: "$2/$(echo "$1" | tr / _).lone")"' lone {} "$work" |
    check "a header compiles alone"

grep -E '\.sh$|^\.ci/run$' "$work/all" | while read -r s; do
    [ -x "$s" ] || echo "$s:1: not executable"
    case $(head -1 "$s") in *bash*) bash -n "$s" ;; *) sh -n "$s" ;; esac 2>&1
done | check "scripts parse and are executable"

echo "$(wc -l <"$work/passed") passed, $(wc -l <"$work/failed") failed"
[ ! -s "$work/failed" ]

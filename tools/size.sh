#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# size.sh DEBUG_ELF ELF — what takes the bytes of the image: by section, by part, by symbol.
set -eu
export LC_ALL=C
debug=$1 elf=$2
map=$(dirname "$debug")/openpolicy.map
printf 'stripped image  %8d bytes  %s\n' "$(stat -c %s "$elf")" "$elf"
size -A "$debug" | awk '$2 > 0 && $3 > 0 { printf "%-15s %8d bytes\n", $1, $2 }'
echo '-- by part, text and data that are loaded (from the linker map)'
python3 - "$map" <<'END'
import re, sys
parts, started = {}, False
entry = re.compile(r"^ (\.\S+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (\S+)$")
text = open(sys.argv[1]).read()
text = text[text.index("Linker script and memory map"):]
text = re.sub(r"^( \.\S+)\n\s+", r"\1 ", text, flags=re.M)  # long names wrap
for line in text.split("\n"):
    found = entry.match(line)
    if not found or not re.match(r"\.(text|rodata|data|sealed|tdata|bss|symbols|init_array)", found[1]): continue
    part = found[3].replace("build/guest/", "")
    if "libc.a" in part or "libm.a" in part: part = "picolibc"
    elif "libgcc" in part: part = "libgcc"
    elif part.startswith("lib/"): part = part.split(".a")[0]
    else: part = part.rpartition("/")[0] or part
    sums = parts.setdefault(part, [0, 0])
    sums[found[1].startswith(".bss")] += int(found[2], 16)
print("  in file    zeroed")
for part, (file, zero) in sorted(parts.items(), key=lambda p: -p[1][0]): print("%9d %9d  %s" % (file, zero, part))
END
echo '-- the twenty largest symbols'
nm --print-size --size-sort --radix=d "$debug" | tail -20 | awk '{ printf "%9d  %s %s\n", $2, $3, $4 }' | sort -rn

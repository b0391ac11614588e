#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh — starts the appliance and stays with it: in QEMU, or as a Linux process.
#
#   tools/run.sh [--target guest|host] [--boot elf|bios|uefi] [--machine microvm|q35|pc]
#                [--accel tcg|kvm] [--memory MiB] [--cpus N] [--disk FILE|none] [--config FILE.json]
#                [--net user|tap:IFNAME|stream:PATH] [--https PORT] [--http PORT] [--resp PORT]
#                [--serial FILE] [--qmp PATH] [--append "kernel command line"] [--qemu-arg ARG]...
#
#   defaults     --target guest --boot elf --machine microvm (q35 with bios, uefi) --memory 256
#                --cpus 1 --disk build/data.img --net user --https 8443 --http 8080
#                A port that is not asked for is not forwarded once another one is.
#   --accel      none given: KVM where it is usable and quick (measured once per boot of this
#                machine: a virtual machine inside a virtual machine may crawl), else TCG
#   --disk       made when missing: blank, sparse, 256 MiB. `none`: no disk of ours (--qemu-arg may
#                bring one). With bios, uefi: build/openpolicy-boot.img boots and FILE is the data
#                disk, unless FILE is itself a boot disk (a copy of build/openpolicy.img).
#   --net        user: forwards on 127.0.0.1. stream: frames, each after its length as 32 bits big
#                endian, over the unix socket PATH: connects when it exists, else listens there.
#   --serial     the console goes to FILE instead of this terminal (there, Ctrl-A X pulls the plug)
#
# Ends with the appliance, and with its status:
#   0   it stopped cleanly and switched itself off    75  it asks to be started again
#   N   it ended itself with N, 1..63 (a panic: not 0)  64  these arguments are wrong
# TERM or INT sent to this script presses the power button. Its death by KILL pulls the plug.
# Environment: OPENPOLICY_ACCEL, OPENPOLICY_HOST (the process to start instead of
# build/host/openpolicy), OPENPOLICY_ELF, OPENPOLICY_IMAGE, OPENPOLICY_MAC, QEMU.
set -eu
export LC_ALL=C
top=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "run: $*" >&2; }
die() { say "$*"; exit 64; }

extra=() # what --qemu-arg brought
target=guest boot=elf machine='' accel=${OPENPOLICY_ACCEL:-} memory=256 cpus=1 disk=$top/build/data.img
config='' net=user https='' http='' resp='' serial='' qmp='' append=''
qemu=${QEMU:-qemu-system-x86_64}
elf=${OPENPOLICY_ELF:-$top/build/guest/openpolicy.elf}
image=${OPENPOLICY_IMAGE:-$top/build/openpolicy-boot.img}
host=${OPENPOLICY_HOST:-$top/build/host/openpolicy}
mac=${OPENPOLICY_MAC:-52:54:00:12:34:56}

one_of() { # option value allowed...
    option=$1 value=$2; shift 2
    for allowed; do [ "$value" != "$allowed" ] || return 0; done
    die "$option '$value': must be one of: $*"
}
number() { # option value least most
    case $2 in ''|*[!0-9]*) die "$1 '$2': must be a number" ;; esac
    if [ ${#2} -gt 9 ] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then die "$1 $2: must lie in $3..$4"; fi
}

while [ $# -gt 0 ]; do
    option=$1; shift
    case $option in
    --help|-h) sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
    --*=*) die "write '${option%%=*} VALUE', not '$option'" ;;
    --target|--boot|--machine|--accel|--memory|--cpus|--disk|--config|--net|--https|--http|--resp|\
    --serial|--qmp|--append|--qemu-arg) ;;
    *) die "unknown argument '$option' (tools/run.sh --help lists them)" ;;
    esac
    [ $# -gt 0 ] || die "$option needs a value"
    value=$1; shift
    case $option in
    --target) one_of "$option" "$value" guest host; target=$value ;;
    --boot) one_of "$option" "$value" elf bios uefi; boot=$value ;;
    --machine) one_of "$option" "$value" microvm q35 pc; machine=$value ;;
    --accel) one_of "$option" "$value" tcg kvm; accel=$value ;;
    --memory) number "$option" "$value" 32 1048576; memory=$value ;;
    --cpus) number "$option" "$value" 1 64; cpus=$value ;;
    --disk) disk=$value ;;
    --config) [ -r "$value" ] || die "--config $value: cannot be read"; config=$value ;;
    --net) case $value in user|tap:?*|stream:?*) net=$value ;;
           *) die "--net '$value': must be user, tap:IFNAME or stream:PATH" ;; esac ;;
    --https) number "$option" "$value" 0 65535; https=$value ;;
    --http) number "$option" "$value" 0 65535; http=$value ;;
    --resp) number "$option" "$value" 0 65535; resp=$value ;;
    --serial) serial=$value ;;
    --qmp) qmp=$value ;;
    --append) append=$value ;;
    --qemu-arg) extra+=("$value") ;;
    esac
done
[ "$boot" = elf ] || [ "$target" = guest ] || die "--boot $boot needs --target guest"
[ -n "$machine" ] || { [ "$boot" = elf ] && machine=microvm || machine=q35; }
[ "$machine" != microvm ] || [ "$boot" = elf ] || die "--boot $boot needs --machine q35 or pc"
if [ -z "$https$http$resp" ]; then https=8443 http=8080; fi

if [ "$disk" != none ] && [ ! -e "$disk" ]; then
    mkdir -p "$(dirname "$disk")"
    truncate -s 256M "$disk" || die "--disk $disk: cannot be made"
    say "made a blank data disk: $disk (256 MiB, sparse)"
fi

# For people: where it will answer. http.plain means port 80 serves everything.
if [ "$net" = user ]; then
    [ -z "$https" ] || [ "$https" = 0 ] || say "https://127.0.0.1:$https/"
    [ -z "$http" ] || [ "$http" = 0 ] || say "http://127.0.0.1:$http/"
    [ -z "$resp" ] || [ "$resp" = 0 ] || say "resp://127.0.0.1:$resp/"
fi

# ---- as a process: it takes the same words ---------------------------------------------------------
if [ "$target" = host ]; then
    [ ${#extra[@]} -eq 0 ] || die "--qemu-arg needs --target guest"
    [ -x "$host" ] || die "$host is missing: run 'make host' first"
    words=(--test --memory "$memory" --cpus "$cpus" --net "$net")
    [ "$disk" = none ] || words+=(--disk "$disk")
    [ -z "$config" ] || words+=(--config "$config")
    [ -z "$https" ] || [ "$https" = 0 ] || words+=(--https "$https")
    [ -z "$http" ] || [ "$http" = 0 ] || words+=(--http "$http")
    [ -z "$resp" ] || [ "$resp" = 0 ] || words+=(--resp "$resp")
    [ -z "$append" ] || words+=(--append "$append")
    [ -z "$serial" ] || exec "$host" "${words[@]}" >"$serial" </dev/null
    exec "$host" "${words[@]}"
fi

# ---- in QEMU ---------------------------------------------------------------------------------------
command -v "$qemu" >/dev/null || die "$qemu is missing: tools/setup.sh installs it"
run=$(mktemp -d "${TMPDIR:-/tmp}/openpolicy-run.XXXXXX")
child=
events=
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    [ -z "$child" ] || kill -9 "$child" 2>/dev/null || true
    [ -z "$events" ] || kill "$events" 2>/dev/null || true
    rm -rf "$run"
}
trap cleanup EXIT

# Is KVM here, and is it worth it? A 64 KiB firmware of our own counts a register down from two
# million and leaves: milliseconds on a real machine, many seconds where each step is emulated.
kvm_is_quick() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
    known=$top/build/.accel-$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
    if [ ! -e "$known" ]; then
        # at 0: mov $2000000,%ecx; 1: dec %ecx; jnz 1b; mov $16,%al; out %al,$0xf4; hlt
        printf '\146\271\200\204\036\000\146\111\165\374\260\020\346\364\364' >"$run/probe"
        truncate -s 65520 "$run/probe"
        printf '\351\015\000' >>"$run/probe" # at fff0, where a CPU starts: jmp 0 (mod 64 KiB)
        truncate -s 65536 "$run/probe"
        code=0
        timeout 1 "$qemu" -M pc -accel kvm -nodefaults -no-user-config -display none -bios "$run/probe" \
            -device isa-debug-exit,iobase=0xf4,iosize=4 >/dev/null 2>&1 </dev/null || code=$?
        mkdir -p "$top/build"; rm -f "$top"/build/.accel-*
        [ $code -eq 33 ] && echo kvm >"$known" || echo tcg >"$known"
    fi
    [ "$(cat "$known")" = kvm ]
}
[ -n "$accel" ] || { kvm_is_quick && accel=kvm || accel=tcg; }

# One file name inside a comma separated QEMU option: commas are doubled.
quoted() { printf '%s' "$1" | sed 's/,/,,/g'; }
appliance_image() { [ "$(dd if="$1" bs=1 skip=3 count=8 2>/dev/null)" = OPENPOLI ]; }

args=(-accel "$accel" -cpu max -smp "$cpus" -m "$memory" -nodefaults -no-user-config -display none
    -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=0x04")
case $machine in
microvm) args+=(-M microvm -global virtio-mmio.force-legacy=false); bus=device rom='' ;;
*) args+=(-M "$machine"); bus=pci-non-transitional rom=,romfile= ;;
esac

case $boot in
elf)
    [ -r "$elf" ] || die "$elf is missing: run 'make' first"
    args+=(-kernel "$elf" -append "$append") ;;
*)  # the loaders on the disk add these words to the slot's own
    [ -z "$append" ] || args+=(-fw_cfg "name=opt/org.openpolicy/append,string=$(quoted "$append")") ;;
esac
if [ "$boot" = uefi ]; then
    for code in /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
        /usr/share/edk2/x64/OVMF_CODE.4m.fd /usr/share/edk2/ovmf/OVMF_CODE.fd; do
        [ ! -r "$code" ] || break
    done
    [ -r "${code/CODE/VARS}" ] ||
        die "no UEFI firmware here: tools/setup.sh installs it (Debian: ovmf)"
    cp "${code/CODE/VARS}" "$run/vars.fd"
    args+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$code"
        -drive "if=pflash,unit=1,format=raw,file=$run/vars.fd")
fi

drive() { # file id snapshot device-options
    format=raw
    case $1 in *.qcow2) format=qcow2 ;; esac
    args+=(-drive "if=none,id=$2,format=$format,snapshot=$3,cache=writeback,discard=unmap,file=$(quoted "$1")"
        -device "virtio-blk-$bus,drive=$2$4")
}
first=
if [ "$boot" != elf ]; then
    first=,bootindex=0
    if [ "$disk" = none ] || ! appliance_image "$disk"; then
        [ -r "$image" ] || die "$image is missing: run 'make image' first"
        drive "$image" boot on ,bootindex=0 # what is written there lasts as long as this run
        first=
    fi
fi
[ "$disk" = none ] || drive "$disk" data off ",werror=report,rerror=report$first"

case $net in
user)
    # With a static address in the configuration, QEMU's network takes that network's shape.
    static=
    [ -z "$config" ] || static=$(tr -d '\n' <"$config" |
        sed -n 's/.*address"[[:space:]]*:[[:space:]]*"\([0-9]*\.[0-9]*\.[0-9]*\)\.\([0-9]*\)\/24".*/\1 \2/p')
    for octet in ${static//./ }; do [ "${#octet}" -le 3 ] && [ "$octet" -le 255 ] || static=; done
    nic=user,id=n0
    [ -z "$static" ] || nic+=,net=${static% *}.0/24,host=${static% *}.254,dhcpstart=${static/ /.}
    for pair in "$https:443" "$http:80" "$resp:6379"; do
        case $pair in :*|0:*) continue ;; esac
        nic+=,hostfwd=tcp:127.0.0.1:${pair%:*}-:${pair#*:}
    done ;;
tap:*) nic=tap,id=n0,ifname=${net#tap:},script=no,downscript=no ;;
stream:*)
    role=on
    [ ! -S "${net#stream:}" ] || role=off
    nic=stream,id=n0,server=$role,addr.type=unix,addr.path=$(quoted "${net#stream:}") ;;
esac
args+=(-netdev "$nic" -device "virtio-net-$bus,netdev=n0,mac=$mac$rom"
    -object "rng-random,id=r0,filename=/dev/urandom" -device "virtio-rng-$bus,rng=r0")
[ -z "$config" ] || args+=(-fw_cfg "name=opt/org.openpolicy/config,file=$(quoted "$config")")
[ -z "$qmp" ] || args+=(-qmp "unix:$(quoted "$qmp"),server=on,wait=off")
if [ -n "$serial" ]; then
    args+=(-chardev "file,id=con,path=$(quoted "$serial")" -serial chardev:con)
else
    args+=(-chardev "stdio,id=con,mux=on,signal=off" -serial chardev:con -mon "chardev=con,mode=readline")
fi

# Our own line to QEMU: commands go into one pipe, what ended it is read from the other.
mkfifo "$run/monitor.in" "$run/monitor.out"
exec 3<&0 4<>"$run/monitor.in"
args+=(-chardev "pipe,id=own,path=$run/monitor" -mon "chardev=own,mode=control")
echo '{"execute":"qmp_capabilities"}' >&4
sed -n '/"SHUTDOWN"/p' <"$run/monitor.out" >"$run/events" 3<&- 4>&- &
events=$!
tied=()
! command -v setpriv >/dev/null || tied=(setpriv --pdeathsig KILL)

trap 'echo "{\"execute\":\"system_powerdown\"}" >&4' TERM INT
"${tied[@]}" "$qemu" "${args[@]}" "${extra[@]}" <&3 4>&- &
child=$!
while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break # else: a signal came, its trap ran, wait again
done
child=
: 5<>"$run/monitor.out" # if QEMU never opened it, nobody waits for it any longer
wait "$events" || true
if [ "$code" -eq 0 ] && grep -q '"reason": "guest-reset"' "$run/events"; then exit 75; fi
if [ "$code" -gt 1 ] && [ "$code" -lt 128 ] && [ $((code % 2)) -eq 1 ]; then exit $((code / 2)); fi
exit "$code"

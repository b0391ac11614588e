# SPDX-License-Identifier: Apache-2.0
#
# OpenPolicy Appliance: the only Makefile. This comment is the manual (`make help` prints it).
#
#   make                    both machines: build/guest/openpolicy.elf and build/host/openpolicy
#   make run                boot the appliance in QEMU        (RUN="--machine q35 --memory 256")
#   make run-host           the same program as a Linux process                     (RUN="...")
#   make test               everything the gate runs; the last line is `N passed, N failed`
#     make unit             unit tests alone, ASan + UBSan               (ONLY=lex: by name)
#     make integration      tests against a running appliance   (TARGET=host|guest ONLY=name)
#     make test-power       cut the power at flush boundaries under load, check every promise
#     make fuzz-smoke       every fuzz target for a few seconds
#     make layers           who uses whom, proved over the objects' symbols
#     make tidy             the style as a test
#     make command          opctl's verbs, from outside     (ONLY=eval: one file)
#     make same             is the image bit-identical when built elsewhere?
#     make conformance      the reference's published policy cases, when they are at hand
#   make fuzz F=http T=60   one fuzz target for T seconds
#   make tiny               unit tests with every limit shrunk (kernel/base/limits.h)
#   make tsan               the kernel's threads under the race detector
#   make sim SEEDS=50       the whole program on a simulated machine: faults, cuts, restarts (SEED=n)
#   make coverage           line coverage of the unit tests, by folder
#   make testssl            what testssl.sh finds in our TLS, on the host process (minutes)
#   make bench              measured figures of this machine
#   make build/host/opctl   the policy command (build/release-host/opctl: optimised)
#   make profile ONLY=policy_post.c1   the guest's instructions per request, by function
#   make size               what takes the bytes of the image
#   make gdb                start stopped, attach gdb; `continue` runs to app_main (tools/gdb.py)
#   make image              build/openpolicy.img and .qcow2: disks for BIOS and UEFI machines
#   make asm                disassembly and symbols: build/guest/openpolicy.{asm,sym}
#   make clean              remove what was built (keeps build/deps); distclean: all of build/
#
#   V=1 shows whole commands. CC=clang works for the host; -j is on by itself.
#
# Where things go: build/guest (the image), build/host (ASan + UBSan, for tests), build/release-host
# (optimised, for measuring), build/tiny, build/fuzz, build/coverage; build/deps (third-party
# sources, fetched once), build/src (those sources with our patches), build/gen (generated C).
# A new .c in a folder below is picked up by itself. A new third-party library: app/deps.mk shows how.

# ---- Settings ----------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
GUEST_CC  ?= $(CC)
CLANG     ?= clang
export LC_ALL := C
MAKEFLAGS += --no-builtin-rules
ifeq ($(filter -j%,$(MAKEFLAGS))$(filter-out 0,$(MAKELEVEL)),) # a make inside shares its parent's
MAKEFLAGS += -j$(shell nproc)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
Q   := $(if $(V),,@)
say  = @printf '  %-8s%s\n' '$1' '$2'

# ---- Layers, bottom-up (tools/layers.txt says who may use whom) ----------------------------------

PORTABLE  := kernel/base kernel/core net storage app \
             $(filter-out %.c %.h %.mk %.md %.def,$(wildcard app/* app/cache/* app/policy/*))
src        = $(sort $(wildcard $(addsuffix /*.c,$1) $(addsuffix /*.S,$1)))
GUEST_SRC := $(call src,$(PORTABLE) kernel/guest $(wildcard kernel/guest/virtio))
HOST_SRC  := $(call src,$(PORTABLE) kernel/host)

# ---- Flags ---------------------------------------------------------------------------------------

# One checkout or another, the same bytes come out.
SAME   := -ffile-prefix-map=$(CURDIR)/=
WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
          -Wpointer-arith -Wwrite-strings -Wformat=2 -Wno-format-zero-length
BASE   := -std=gnu2x -g -I. -fno-common -fno-strict-aliasing -fno-delete-null-pointer-checks \
          -fno-omit-frame-pointer -MMD -MP $(SAME)

# The guest is linked low and identity-mapped. No red zone: interrupts use the same stack. The
# canary lies in a global that boot fills from the entropy source.
MACHINE      := -mcmodel=small -fno-pic -fno-pie -mno-red-zone -O2 -ffunction-sections -fdata-sections
HARDEN       := -fstack-protector-strong -ftrivial-auto-var-init=zero -fcf-protection=branch \
                -fstack-clash-protection
GUEST_LIBC    = -nostdinc -isystem $(PICO)/include -isystem $(shell $(GUEST_CC) -print-file-name=include)
guest_CC     := $(GUEST_CC)
guest_FLAGS   = $(BASE) $(WARN) $(MACHINE) $(HARDEN) -mstack-protector-guard=global $(GUEST_LIBC)
guest_THIRD   = -g -w $(SAME) $(MACHINE) -fstack-protector-strong -mstack-protector-guard=global \
                -fcf-protection=branch $(GUEST_LIBC)
guest_SRC    := $(GUEST_SRC)

SLIRP_LIBS   := -lslirp
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=all
host_CC      := $(CC)
host_FLAGS   := $(BASE) $(WARN) -O1 $(SANITIZE)
host_THIRD   := -g -w $(SAME) -O1 -fno-omit-frame-pointer -fsanitize=address
host_LINK    := $(SANITIZE)
host_SRC     := $(HOST_SRC)

release-host_CC    := $(CC)
release-host_FLAGS := $(BASE) $(WARN) -O2 $(HARDEN) -D_FORTIFY_SOURCE=2
release-host_THIRD := -g -w $(SAME) -O2 -fstack-protector-strong
release-host_LINK  :=
release-host_SRC   := $(HOST_SRC)

tiny_CC      := $(CC)
tiny_FLAGS   := $(host_FLAGS) -DTINY
tiny_THIRD   := $(host_THIRD)
tiny_LINK    := $(SANITIZE)
tiny_SRC     := $(HOST_SRC)

# Threads and what they share lie in the kernel alone: no library, and app_main is never reached.
tsan_CC      := $(CC)
tsan_FLAGS   := $(BASE) $(WARN) -O1 -fsanitize=thread
tsan_LINK    := -fsanitize=thread -Wl,--defsym=app_main=0
tsan_SRC     := $(call src,kernel/base kernel/core kernel/host)

coverage_CC    := gcc
coverage_FLAGS := $(BASE) $(WARN) -O0 --coverage -DCOVERAGE -fprofile-abs-path -fprofile-update=atomic
coverage_THIRD := $(release-host_THIRD)
coverage_LINK  := --coverage
coverage_SRC   := $(HOST_SRC)

fuzz_CC      := $(CLANG)
fuzz_FLAGS   := $(BASE) $(WARN) -O1 -DFUZZING $(SANITIZE) -fsanitize=fuzzer-no-link
fuzz_THIRD   := -std=gnu2x -g -w $(SAME) -O1 -fno-omit-frame-pointer -fsanitize=address,fuzzer-no-link
# gnu2x: libraries read settings headers of ours. And clang needs minutes to instrument SQLite's
# one file, while no fuzzer aims at it.
fuzz_THIRD_sqlite3 := -g0 -w -O1
fuzz_LINK    := $(SANITIZE) -fsanitize=fuzzer
fuzz_SRC     := $(HOST_SRC)

VARIANTS := guest host release-host tiny coverage fuzz tsan

# Include paths per row: a folder sees the libraries of its own row and of the rows below.
INC_tests   = $(INC_net) $(INC_storage) $(INC_app)
INC_tools   = $(INC_tests)
INC_of      = $(INC_$(firstword $(subst /, ,$1)))
# Interrupt-side code leaves the vector registers alone, so handlers need not save them.
FLAGS_of    = $(or $(if $(filter kernel/guest/bytes,$1),-fno-tree-loop-distribute-patterns),\
                $(if $(filter kernel/guest/%,$1),-mgeneral-regs-only))

# ---- Third-party libraries -----------------------------------------------------------------------

# Each deps.mk adds a name to LIBS and sets NAME_SRC (files without .c), NAME_INC, NAME_CONFIG.
LIBS :=
libc = $(if $(filter guest,$1),$(PICO)/lib/libc.a) # what guest objects wait for
include $(wildcard kernel/deps.mk net/deps.mk storage/deps.mk app/deps.mk)
INC_app += $(INC_net) $(INC_storage)
include $(wildcard app/rules.mk image/rules.mk tests/rules.mk)

# build/src/NAME: a link to the unpacked source, or a copy with LAYER/patches/NAME-*.patch applied.
build/src/%.stamp: tools/deps.lock $(wildcard */patches/*.patch)
	$Qtools/deps.sh --use $* $(sort $(wildcard */patches/$*-*.patch))

third_objects = $(addprefix build/$1/lib/$2/,$(addsuffix .o,$($2_SRC)))
third_libs    = $(if $(filter tsan,$1),,$(foreach l,$(LIBS),build/$1/lib/$l.a))

define third_rules # variant, library
build/$1/lib/$2/%.o: build/src/$2.stamp $($2_CONFIG) $(addsuffix /sqlite3.c,$($2_FROM)) $(call libc,$1)
	@mkdir -p $$(@D)
	$$(call say,$(if $(filter guest,$1),LIB,HOSTLIB),$2/$$*)
	$$Q$$($1_CC) $$(or $$($1_THIRD_$2),$$($1_THIRD)) $$($2_INC) -c -o $$@ $$(or $$($2_FROM),build/src/$2)/$$*.c
build/$1/lib/$2.a: $(call third_objects,$1,$2)
	$$(call say,AR,$$@)
	$$Qrm -f $$@; ar rcsD $$@ $$(sort $$^)
endef
$(foreach v,$(VARIANTS),$(foreach l,$(LIBS),$(eval $(call third_rules,$v,$l))))

# ---- Our own code --------------------------------------------------------------------------------

objects = $(addprefix build/$1/,$(addsuffix .o,$(basename $($1_SRC) $(filter %.c,$(GEN)))))
LIB_HEADERS := $(patsubst %,build/src/%.stamp,$(filter-out sqlite3,$(LIBS))) $(SQLITE)/sqlite3.c

define own_rules # variant
build/$1/%.o: %.c | $(LIB_HEADERS) $(GEN) $(call libc,$1)
	@mkdir -p $$(@D)
	$$(call say,$(if $(filter guest,$1),CC,HOSTCC),$$<)
	$$Q$$($1_CC) $$($1_FLAGS) $$(call INC_of,$$*) $$(call FLAGS_of,$$*) -c -o $$@ $$<
build/$1/%.o: %.S | $(call libc,$1)
	@mkdir -p $$(@D)
	$$(call say,$(if $(filter guest,$1),AS,HOSTAS),$$<)
	$$Q$$($1_CC) $$(filter-out -W% -std=%,$$($1_FLAGS)) -c -o $$@ $$<
-include $$(patsubst %.o,%.d,$$(objects))
endef
$(foreach v,$(VARIANTS),$(eval $(call own_rules,$v)))
-include $(foreach v,$(VARIANTS),$(patsubst %.o,%.d,$(call objects,$v)) $(wildcard build/$v/tests/*/*.d))

# ---- The two products ----------------------------------------------------------------------------

ELF  := build/guest/openpolicy.elf
.PHONY: all guest host release-host
all: guest host
guest: $(if $(wildcard image/kernel.ld),$(ELF),$(call objects,guest) $(call third_libs,guest))
host: $(if $(wildcard kernel/host/main.c),build/host/openpolicy,$(call objects,host) $(call third_libs,host))
release-host: build/release-host/openpolicy

GUEST_LINK = $(GUEST_CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,--fatal-warnings \
             -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,-T,image/kernel.ld
GUEST_IN   = $(call objects,guest) -Wl,--start-group $(call third_libs,guest) $(PICO_LIBS) \
             $(shell $(GUEST_CC) -print-libgcc-file-name) -Wl,--end-group
build/guest/openpolicy.debug.elf: $(call objects,guest) $(call third_libs,guest) $(PICO)/lib/libc.a \
             image/kernel.ld tools/link-guest.sh tools/symbols.awk
	$(call say,LD,$@)
	$Qtools/link-guest.sh $@ '$(GUEST_CC)' '$(GUEST_LINK)' $(GUEST_IN)
# The image that provokes itself: the same objects and one more (tests/guest/selftest.c).
SELFTEST := build/guest/selftest/openpolicy.elf
$(SELFTEST): build/guest/tests/guest/selftest.o $(call objects,guest) $(call third_libs,guest) \
             $(PICO)/lib/libc.a image/kernel.ld tools/link-guest.sh tools/symbols.awk
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$Qtools/link-guest.sh $@ '$(GUEST_CC)' '$(GUEST_LINK)' $< $(GUEST_IN)
$(ELF): build/guest/openpolicy.debug.elf
	$(call say,STRIP,$@)
	$Qobjcopy --strip-all $< $@

# The policy engine is linked as a library: what is asked for comes along.
policy_objects = $(filter build/$1/app/policy/% build/$1/build/gen/policy_%,$(call objects,$1))
define host_rules # variant
build/$1/policy.a: $(call policy_objects,$1)
	$$(call say,AR,$$@)
	$$Qrm -f $$@; ar rcsDT $$@ $$^
build/$1/openpolicy: $(filter-out $(call policy_objects,$1),$(call objects,$1)) build/$1/policy.a $(call third_libs,$1)
	$$(call say,HOSTLD,$$@)
	$$Q$$($1_CC) $$($1_LINK) -o $$@ $$^ $$(SLIRP_LIBS) -lm -lpthread
endef
$(foreach v,$(filter-out guest,$(VARIANTS)),$(eval $(call host_rules,$v)))

# The policy engine as a command: the same objects as the appliance's, and tools/opctl. Benchmarks
# count what is asked of malloc (tools/opctl/alloc.c).
OPCTL_SRC = $(call src,tools/opctl)
COUNTED_MALLOC := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
define opctl_rules # variant
build/$1/opctl: $(patsubst %.c,build/$1/%.o,$(OPCTL_SRC) \
                  $(filter-out kernel/base/log.c kernel/base/panic.c, \
                    $(call src,kernel/base app/bundle $(wildcard app/policy app/policy/*))) \
                  app/utc.c net/http_answer_parse.c net/http_parse.c net/http_url.c \
                  $(filter build/gen/policy_%,$(GEN))) \
                $(call third_libs,$1)
	$$(call say,HOSTLD,$$@)
	$$Q$$($1_CC) $$($1_LINK) $$(COUNTED_MALLOC) -o $$@ $$^ -lm -lpthread
-include $(patsubst %.c,build/$1/%.d,$(OPCTL_SRC))
endef
$(foreach v,host release-host coverage,$(eval $(call opctl_rules,$v)))

# ---- Tests ---------------------------------------------------------------------------------------

# A unit test includes the .c it tests, so it links with every other object out of an archive: what
# the test defines itself is not taken from there. The host's main() is renamed in it. Its malloc is
# tests/main.c's, which can be told to find no memory.
FAILING_MALLOC := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
define test_rules # variant
build/$1/parts.a: $(call objects,$1) tests/main.c
	$$(call say,AR,$$@)
	$$Qrm -f $$@
	$$Qobjcopy --redefine-sym main=host_main build/$1/kernel/host/main.o build/$1/main_renamed.o
	$$Qar rcsDT $$@ $$(patsubst build/$1/kernel/host/main.o,build/$1/main_renamed.o,$$(filter %.o,$$^))
build/$1/unit/%: build/$1/tests/unit/%.o build/$1/tests/main.o build/$1/parts.a $(call third_libs,$1)
	@mkdir -p $$(@D)
	$$(call say,HOSTLD,$$@)
	$$Q$$($1_CC) $$($1_LINK) $$(FAILING_MALLOC) -Wl,--allow-multiple-definition -o $$@ $$^ $$(SLIRP_LIBS) -lm -lpthread
build/$1/fuzz/%: build/$1/tests/fuzz/%.o build/$1/parts.a $(call third_libs,$1)
	@mkdir -p $$(@D)
	$$(call say,HOSTLD,$$@)
	$$Q$$($1_CC) $$($1_LINK) -Wl,--allow-multiple-definition -o $$@ $$^ $$(SLIRP_LIBS) -lm -lpthread
endef
$(foreach v,$(filter-out guest,$(VARIANTS)),$(eval $(call test_rules,$v)))
.SECONDARY:

ONLY      ?=
TARGET    ?= host
UNIT      := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/*_test.c)))
UNIT_RUN   = $(if $(ONLY),$(or $(foreach t,$(UNIT),$(if $(findstring $(ONLY),$t),$t)),$(UNIT)),$(UNIT))
FUZZ      := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))

.PHONY: test setup unit tiny tsan command conformance sim integration test-power fuzz fuzz-smoke layers tidy same coverage \
        testssl bench profile size gdb image asm run run-host clean distclean help
setup:
	$Qtools/setup.sh
test: setup
	$Qtools/test.sh
unit: $(addprefix build/host/unit/,$(UNIT_RUN))
	$QONLY='$(ONLY)' tools/unit.sh $^
tiny: $(addprefix build/tiny/unit/,$(UNIT_RUN))
	$QONLY='$(ONLY)' tools/unit.sh $^
# The detector wants its fixed addresses free: no randomisation, where that can be asked for.
tsan: $(patsubst %,build/tsan/unit/%,core_worker_test core_loop_test core_fiber_test core_disk_test host_worker_test)
	$Q$(shell setarch -R true 2>/dev/null && echo setarch -R) tools/unit.sh $^
sim: build/host/unit/app_life_test
	$QSEEDS=$(or $(SEEDS),50) $(if $(SEED),SEED=$(SEED)) ONLY=acknowledged $<
integration: $(if $(filter guest,$(TARGET)),guest image probe $(SELFTEST),host)
	$QDEPS_LOCK=tests/deps.lock tools/deps.sh
	$Qpython3 tests/integration/appliance.py --target $(TARGET) $(ONLY)
test-power: guest host build/host/dbcheck
	$Qpython3 tests/integration/power_cut.py
command: build/host/opctl
	$Qpython3 tests/command/run.py $< $(ONLY)
conformance: build/host/opctl
	$Qtools/conformance.sh $<
fuzz-smoke: $(addprefix build/fuzz/fuzz/,$(FUZZ))
	$QT=$(or $(T),4) tools/fuzz.sh $^
fuzz: build/fuzz/fuzz/$(F)_fuzz
	$QT=$(or $(T),60) tools/fuzz.sh $^
layers: $(call objects,host) $(call objects,guest)
	$Qtools/layers.sh build/host $(call objects,host) -- build/guest $(call objects,guest)
tidy: export COMPILE = $(CC) $(filter-out -M% $(SANITIZE),$(host_FLAGS)) $(INC_tests)
tidy: | $(LIB_HEADERS) $(GEN)
	$Qtools/tidy.sh
same: guest
	$Qtools/same.sh
coverage: $(addprefix build/coverage/unit/,$(UNIT_RUN))
	$Qtools/coverage.sh build/coverage $^

# ---- Running, looking, measuring -------------------------------------------------------------------

run:
	$Qtools/setup.sh run
	$Q$(MAKE) --no-print-directory guest
	$Qtools/run.sh $(RUN)
run-host:
	$Qtools/setup.sh run
	$Q$(MAKE) --no-print-directory host
	$Qtools/run.sh --target host $(RUN)
gdb: guest
	$Qtools/gdb.sh $(RUN)
testssl: host
	$Qtests/tools/testssl.sh
bench:
	$Qtools/setup.sh bench
	$Q$(MAKE) --no-print-directory guest release-host build/release-host/opctl image build/insncount.so
	$Qpython3 tests/bench/bench.py
	$Qpython3 tests/bench/policy_bench.py
	$Qpython3 tests/bench/cache_bench.py
profile:
	$Qtools/setup.sh bench
	$Q$(MAKE) --no-print-directory guest build/insnprof.so
	$Qpython3 tests/bench/bench.py --profile $(or $(ONLY),health.c1)
size: guest
	$Qtools/size.sh build/guest/openpolicy.debug.elf $(ELF)
asm: guest
	$Qobjdump -d --no-show-raw-insn build/guest/openpolicy.debug.elf >build/guest/openpolicy.asm
	$Qnm -n build/guest/openpolicy.debug.elf >build/guest/openpolicy.sym
clean:
	rm -rf $(filter-out build/deps,$(wildcard build/*))
distclean:
	rm -rf build
help:
	@sed -n '1d; /^#/!q; s/^# \{0,1\}//p' Makefile

# SPDX-License-Identifier: Apache-2.0
# kernel/deps.mk — picolibc, the C library of the guest (the host process uses the machine's own).
#
# malloc is newlib's full one (best-fit bins, memory given back), not the nano one: the appliance
# runs for months. Its locks are picolibc's retargetable ones; kernel/guest supplies them, sbrk and
# one TLS block per CPU: errno and strtok's state are thread-local, reached through %fs.
# printf has doubles and 64-bit integers and no %n. No file system, no console of its own.
#
# The result depends on nothing of ours but the lines below, so it lies beside the sources under a
# name made from them and from the compiler, and `make clean` leaves it.

PICO_CFLAGS  := -O2 -g -std=gnu18 -w -ffreestanding -fno-pic -fno-pie -mcmodel=small -mno-red-zone \
                -ffunction-sections -fdata-sections -fno-stack-protector -fcf-protection=branch
PICO_OPTIONS := -Dbuildtype=plain -Dmultilib=false -Dpicocrt=false -Dsemihost=false -Dtests=false \
                -Dspecsdir=none -Dfortify-source=none -Dthread-local-storage=true \
                -Dtls-model=local-exec -Dstack-protector-guard=global -Dsingle-thread=false \
                -Dnewlib-nano-malloc=false -Dtinystdio=true -Dposix-console=false \
                -Dformat-default=d -Dio-long-long=true -Dio-c99-formats=true -Dio-float-exact=true \
                -Dprintf-percent-n=false -Dmb-capable=false
PICO_KEY     := $(shell { echo '$(PICO_CFLAGS) $(PICO_OPTIONS)'; $(GUEST_CC) --version; \
                  grep '^picolibc ' tools/deps.lock; } 2>/dev/null | sha256sum | cut -c1-12)
PICO         := build/deps/built/picolibc-$(PICO_KEY)
PICO_LIBS    := $(PICO)/lib/libc.a $(PICO)/lib/libm.a

$(PICO)/lib/libc.a: | build/src/picolibc.stamp
	$(call say,MESON,picolibc (once: about a minute))
	$Qtools/build-picolibc.sh '$(GUEST_CC)' $(PICO) '$(PICO_CFLAGS)' $(PICO_OPTIONS)
$(PICO)/lib/libm.a: $(PICO)/lib/libc.a

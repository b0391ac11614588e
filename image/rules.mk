# SPDX-License-Identifier: Apache-2.0
# image/rules.mk — the two loaders, the boot disks, and the probe kernel that tests them.
#
#   build/openpolicy.img, .qcow2    boots under BIOS and UEFI and carries the data partitions
#   build/openpolicy-boot.img       the same without them: for machines with a data disk of its own

LOADER_BARE := -Os -I. -MMD -MP -ffreestanding -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
               -fno-asynchronous-unwind-tables $(SAME)
BIOS_FLAGS  := -m32 -fno-pic -fno-pie $(LOADER_BARE)
EFI_FLAGS   := -m64 -fpie -mno-red-zone -fvisibility=hidden $(LOADER_BARE)
LOADER_LD   := -z noexecstack --build-id=none --no-warn-rwx-segments
IMAGE_DATA_MIB ?= 512

build/image/bios/%.o: image/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(GUEST_CC) -std=gnu2x $(WARN) $(BIOS_FLAGS) -c -o $@ $<
build/image/bios/%.o: image/%.S
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$Q$(GUEST_CC) $(BIOS_FLAGS) -c -o $@ $<
build/image/efi/%.o: image/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(GUEST_CC) -std=gnu2x $(WARN) $(EFI_FLAGS) -c -o $@ $<
build/image/efi/%.o: image/%.S
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$Q$(GUEST_CC) $(EFI_FLAGS) -c -o $@ $<
build/image/bios.elf: image/bios.ld $(addprefix build/image/bios/,bios.o bios_main.o boot.o)
	$(call say,LD,$@)
	$Qld -m elf_i386 $(LOADER_LD) -T $< -o $@ $(filter %.o,$^)
build/image/bios.bin: build/image/bios.elf
	$Qobjcopy -O binary $< $@
build/image/efi.elf: image/efi.ld $(addprefix build/image/efi/,efi_head.o efi.o boot.o)
	$(call say,LD,$@)
	$Qld -static $(LOADER_LD) -T $< -o $@ $(filter %.o,$^)
build/image/BOOTX64.EFI: build/image/efi.elf
	$Qobjcopy -O binary -j .head -j .text $< $@
-include $(wildcard build/image/*/*.d)

MKIMAGE := image/mkimage.py --bios build/image/bios.bin --efi build/image/BOOTX64.EFI
LOADERS := build/image/bios.bin build/image/BOOTX64.EFI image/mkimage.py image/layout.h storage/layout.h

build/openpolicy.img: build/guest/openpolicy.elf $(LOADERS)
	$(call say,IMAGE,$@)
	$Qpython3 $(MKIMAGE) --elf $< --out $@ --data $(IMAGE_DATA_MIB)
build/openpolicy-boot.img: build/guest/openpolicy.elf $(LOADERS)
	$(call say,IMAGE,$@)
	$Qpython3 $(MKIMAGE) --elf $< --out $@
build/openpolicy.qcow2: build/openpolicy.img
	$(call say,IMAGE,$@)
	$Qqemu-img convert -O qcow2 -c $< $@
image: build/openpolicy.img build/openpolicy.qcow2 build/openpolicy-boot.img

build/image/probe.o: tests/image/probe.S
	@mkdir -p $(@D)
	$Q$(GUEST_CC) -c -o $@ $<
build/image/probe.elf: tests/image/probe.ld build/image/probe.o
	$Qld -z max-page-size=4096 --build-id=none --no-warn-rwx-segments -T $< -o $@ build/image/probe.o
probe: build/image/probe.elf $(LOADERS)
.PHONY: probe

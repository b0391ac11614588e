# SPDX-License-Identifier: Apache-2.0
# tests/rules.mk — tools that tests and measurements need besides the appliance itself.

build/insncount.so: tools/insncount.c
	@mkdir -p $(@D)
	$(call say,HOSTLD,$@)
	$Q$(CC) -std=gnu2x $(WARN) -O2 -shared -fPIC -fvisibility=hidden -o $@ $<

# SPDX-License-Identifier: Apache-2.0
# tests/rules.mk — tools that tests and measurements need besides the appliance itself.

build/insncount.so build/insnprof.so: build/%.so: tools/%.c
	@mkdir -p $(@D)
	$(call say,HOSTLD,$@)
	$Q$(CC) -std=gnu2x $(WARN) -O2 -shared -fPIC -fvisibility=hidden -o $@ $<

# The host machine with another app_main: opens a data disk and checks it.
build/host/dbcheck: build/host/tests/tools/dbcheck.o build/host/parts.a $(patsubst %,build/host/lib/%.a,$(LIBS))
	$(call say,HOSTLD,$@)
	$Q$(host_CC) $(host_LINK) -Wl,--allow-multiple-definition -o $@ $^ $(SLIRP_LIBS) -lm -lpthread

# SPDX-License-Identifier: Apache-2.0
# Generated C of the app row: pages and assets, hashed and compressed.
WEB_PAGES := $(sort $(wildcard app/web/page/*))
GEN += build/gen/web_assets.c
build/gen/web_assets.c: tools/embed.py $(WEB_PAGES)
	$(call say,EMBED,app/web/page)
	$Qtools/embed.py $@ app/web/page
# What the policy language knows of characters and of the world's clocks.
GEN += build/gen/policy_unicode.c build/gen/policy_zones.c
build/gen/policy_unicode.c: tools/unicode.py build/src/unicode.stamp
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$Qtools/unicode.py $@ build/src/unicode/UCD.zip
build/gen/policy_zones.c: tools/zones.py build/src/tzdata.stamp
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$Qtools/zones.py $@ build/src/tzdata
# Which commit this is: written anew only when that changes.
GEN += build/gen/version_stamp.c
.PHONY: always
build/gen/version_stamp.c: always
	$Qtools/stamp.sh $@
# The access policy, as text.
GEN += build/gen/access_policy.c
build/gen/access_policy.c: tools/embed_text.py app/access/authz.rego
	@mkdir -p $(@D)
	$(call say,EMBED,app/access/authz.rego)
	$Qtools/embed_text.py $@ access_policy_source app/access/authz.rego
# zxcvbn's dictionary: leaked passwords, English words, first names. Its list of surnames would double
# what the image carries for it.
ZXCVBN_WORDS := words-10k-pass words-english words-female words-male
build/gen/zxcvbn/dict-src.h: build/src/zxcvbn.stamp
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$Qg++ -std=c++11 -O2 -w -o $(@D)/dictgen build/src/zxcvbn/dict-generate.cpp
	$Q$(@D)/dictgen -o $@ $(ZXCVBN_WORDS:%=build/src/zxcvbn/%.txt) >/dev/null

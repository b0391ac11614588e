# SPDX-License-Identifier: Apache-2.0
# Generated C of the app row: pages and assets, hashed and compressed.
WEB_PAGES := $(sort $(wildcard app/web/page/*))
GEN += build/gen/web_assets.c
build/gen/web_assets.c: tools/embed.py $(WEB_PAGES)
	$(call say,EMBED,app/web/page)
	$Qtools/embed.py $@ app/web/page

# SPDX-License-Identifier: Apache-2.0
# For `make gdb` and for gdb started here; allow it once with: add-auto-load-safe-path in ~/.config/gdb/gdbinit
set print pretty on
set pagination off
source tools/gdb.py

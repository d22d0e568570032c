# libfault.so, which the fault suites of the system tests preload, and the proof
# that it does what it says. A plain build always: see page.h.
FAULT_FILES = \
	tests/fault/clock.c \
	tests/fault/disk.c \
	tests/fault/memory.c \
	tests/fault/page.c \
	tests/fault/undo.c
FAULT_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O2 -g -fPIC -Wall -Wextra -Werror \
	-Wshadow -Wstrict-prototypes -fno-strict-aliasing -fno-builtin

check_DATA = tests/fault/libfault.so
CLEANFILES += tests/fault/libfault.so
EXTRA_DIST += $(FAULT_FILES) tests/fault/page.h tests/fault/selftest.py
TESTS += tests/fault/selftest.py

tests/fault/libfault.so: $(FAULT_FILES) tests/fault/page.h
	$(AM_V_CCLD)$(MKDIR_P) tests/fault && \
	$(CC) $(FAULT_CFLAGS) -shared -o $@ \
		$(addprefix $(top_srcdir)/,$(FAULT_FILES)) -pthread

# All fault suites in full: hours. See its README.md.
soak: all tests/fault/libfault.so
	MAILBEARER_BUILD=$(abs_top_builddir) $(top_srcdir)/tests/system/run --soak

.PHONY: soak

# Measuring tools: built by "make bench" only, which runs them. BENCHFLAGS are
# the options of tests/bench/run.
BENCH_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(OPENSSL_CFLAGS)
BENCH_COMMON = \
	tests/bench/bench.c \
	tests/bench/bench.h \
	tests/bench/loop.c \
	tests/bench/loop.h
BENCH_PEER = \
	tests/bench/peer.c \
	tests/bench/peer.h
BENCH_TOOLS = \
	tests/bench/fillqueue$(EXEEXT) \
	tests/bench/loadgen$(EXEEXT) \
	tests/bench/sinkprov$(EXEEXT) \
	tests/bench/tlspipe$(EXEEXT)

EXTRA_PROGRAMS += tests/bench/loadgen
tests_bench_loadgen_SOURCES = $(BENCH_COMMON) $(BENCH_PEER) \
	tests/bench/lg_idle.c \
	tests/bench/lg_imap.c \
	tests/bench/lg_smtp.c \
	tests/bench/loadgen.c \
	tests/bench/loadgen.h
tests_bench_loadgen_CPPFLAGS = $(BENCH_CPPFLAGS)
tests_bench_loadgen_LDADD = $(OPENSSL_LIBS)

EXTRA_PROGRAMS += tests/bench/sinkprov
tests_bench_sinkprov_SOURCES = $(BENCH_COMMON) $(BENCH_PEER) \
	tests/bench/sinkprov.c \
	tests/bench/sinkprov.h \
	tests/bench/sp_http.c \
	tests/bench/sp_imap.c \
	tests/bench/sp_sasl.c \
	tests/bench/sp_smtp.c
tests_bench_sinkprov_CPPFLAGS = $(BENCH_CPPFLAGS)
tests_bench_sinkprov_LDADD = $(OPENSSL_LIBS)

EXTRA_PROGRAMS += tests/bench/tlspipe
tests_bench_tlspipe_SOURCES = $(BENCH_COMMON) tests/bench/tlspipe.c
tests_bench_tlspipe_CPPFLAGS = $(BENCH_CPPFLAGS)
tests_bench_tlspipe_LDADD = $(OPENSSL_LIBS)

# The system tests use it, too: make check builds it.
check_PROGRAMS += tests/bench/fillqueue
tests_bench_fillqueue_SOURCES = tests/bench/bench.c tests/bench/bench.h \
	tests/bench/fillqueue.c
tests_bench_fillqueue_CPPFLAGS = $(BENCH_CPPFLAGS)
tests_bench_fillqueue_LDADD = $(STORE_LIBS) libnet.a libcodec.a libbase.a \
	$(NET_LIBS) $(JANSSON_LIBS) $(OPENSSL_LIBS)

CLEANFILES += $(BENCH_TOOLS)
EXTRA_DIST += \
	tests/bench/FIGURES.md tests/bench/README.md \
	tests/bench/measure.py \
	tests/bench/run \
	tests/bench/subjects.py

.PHONY: bench
bench: all $(BENCH_TOOLS)
	MAILBEARER_BUILD=$(abs_top_builddir) \
		$(top_srcdir)/tests/bench/run $(BENCHFLAGS)

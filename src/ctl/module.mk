noinst_LIBRARIES += libctl.a
libctl_a_SOURCES = \
	src/ctl/accounts_file.c \
	src/ctl/accounts_file.h \
	src/ctl/api.c \
	src/ctl/api.h \
	src/ctl/cmd_account.c \
	src/ctl/cmd_add.c \
	src/ctl/cmd_alarm.c \
	src/ctl/cmd_auth.c \
	src/ctl/cmd_daemon.c \
	src/ctl/cmd_export.c \
	src/ctl/cmd_history.c \
	src/ctl/cmd_import.c \
	src/ctl/cmd_login.c \
	src/ctl/cmd_queue.c \
	src/ctl/cmd_queue_list.c \
	src/ctl/cmd_token.c \
	src/ctl/command.c \
	src/ctl/ctl.h \
	src/ctl/grammar.c \
	src/ctl/grammar.h \
	src/ctl/http.c \
	src/ctl/http.h \
	src/ctl/input.c \
	src/ctl/input.h \
	src/ctl/known.c \
	src/ctl/known.h \
	src/ctl/mx.c \
	src/ctl/mx.h \
	src/ctl/past.c \
	src/ctl/past.h \
	src/ctl/print.c \
	src/ctl/qr.c \
	src/ctl/qr.h \
	src/ctl/status.c \
	src/ctl/status.h \
	src/ctl/text.c \
	src/ctl/text.h \
	src/ctl/trouble.c \
	src/ctl/trouble.h \
	src/ctl/warning.c \
	src/ctl/warning.h \
	src/ctl/when.c \
	src/ctl/when.h
CTL_LIBS = libctl.a libconfig.a libnet.a libcodec.a libbase.a $(INIH_LIBS) \
	$(CYAML_LIBS) $(JANSSON_LIBS) $(QRENCODE_LIBS) -lresolv $(OPENSSL_LIBS)

bin_PROGRAMS += mailbearerctl
mailbearerctl_SOURCES = src/ctl/main.c
mailbearerctl_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
mailbearerctl_LDADD = $(CTL_LIBS)
dist_man_MANS += docs/mailbearerctl.1
completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = contrib/completions/mailbearerctl

check_PROGRAMS += tests/unit/test_ctl_grammar
TESTS += tests/unit/test_ctl_grammar
tests_unit_test_ctl_grammar_SOURCES = tests/unit/test_ctl_grammar.c
tests_unit_test_ctl_grammar_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_grammar_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_ctl_history
TESTS += tests/unit/test_ctl_history
tests_unit_test_ctl_history_SOURCES = tests/unit/test_ctl_history.c
tests_unit_test_ctl_history_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_history_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_ctl_http
TESTS += tests/unit/test_ctl_http
tests_unit_test_ctl_http_SOURCES = tests/unit/test_ctl_http.c
tests_unit_test_ctl_http_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_http_LDADD = $(CTL_LIBS) $(CUNIT_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_ctl_accounts_file
TESTS += tests/unit/test_ctl_accounts_file
tests_unit_test_ctl_accounts_file_SOURCES = tests/unit/test_ctl_accounts_file.c
tests_unit_test_ctl_accounts_file_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_accounts_file_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_ctl_qr
TESTS += tests/unit/test_ctl_qr
tests_unit_test_ctl_qr_SOURCES = tests/unit/test_ctl_qr.c
tests_unit_test_ctl_qr_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_qr_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_ctl_warning
TESTS += tests/unit/test_ctl_warning
tests_unit_test_ctl_warning_SOURCES = tests/unit/test_ctl_warning.c
tests_unit_test_ctl_warning_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_warning_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_ctl_status
TESTS += tests/unit/test_ctl_status
tests_unit_test_ctl_status_SOURCES = tests/unit/test_ctl_status.c
tests_unit_test_ctl_status_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ctl_status_LDADD = $(CTL_LIBS) $(CUNIT_LIBS)

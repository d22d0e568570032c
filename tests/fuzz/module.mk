# Fuzz targets, and the replay of their corpora in the unit run.
#
# Each target is built twice: as replay_NAME, which make check runs over the
# committed corpus, and with --enable-fuzzers as fuzz_NAME for libFuzzer:
#
#	tests/fuzz/fuzz_NAME -dict=.../dict/NAME.dict NEW .../corpus/NAME
EXTRA_DIST += tests/fuzz/fuzz.h tests/fuzz/corpus tests/fuzz/dict
FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz
FUZZ_CODEC_LIBS = libcodec.a libbase.a $(JANSSON_LIBS)
FUZZ_TARGETS =
if FUZZERS
noinst_PROGRAMS += $(FUZZ_TARGETS)
endif

FUZZ_TARGETS += tests/fuzz/fuzz_emailproxy
tests_fuzz_fuzz_emailproxy_SOURCES = tests/fuzz/fuzz_emailproxy.c
tests_fuzz_fuzz_emailproxy_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_emailproxy_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_emailproxy_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_emailproxy
TESTS += tests/fuzz/replay_emailproxy
tests_fuzz_replay_emailproxy_SOURCES = tests/fuzz/fuzz_emailproxy.c tests/fuzz/replay.c
tests_fuzz_replay_emailproxy_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_emailproxy_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_header
tests_fuzz_fuzz_header_SOURCES = tests/fuzz/fuzz_header.c
tests_fuzz_fuzz_header_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_header_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_header_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_header
TESTS += tests/fuzz/replay_header
tests_fuzz_replay_header_SOURCES = tests/fuzz/fuzz_header.c tests/fuzz/replay.c
tests_fuzz_replay_header_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_header_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_line
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz_line.c
tests_fuzz_fuzz_line_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_line_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_line_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_line
TESTS += tests/fuzz/replay_line
tests_fuzz_replay_line_SOURCES = tests/fuzz/fuzz_line.c tests/fuzz/replay.c
tests_fuzz_replay_line_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_line_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_smtp_command
tests_fuzz_fuzz_smtp_command_SOURCES = tests/fuzz/fuzz_smtp_command.c
tests_fuzz_fuzz_smtp_command_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_smtp_command_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_smtp_command_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_smtp_command
TESTS += tests/fuzz/replay_smtp_command
tests_fuzz_replay_smtp_command_SOURCES = tests/fuzz/fuzz_smtp_command.c tests/fuzz/replay.c
tests_fuzz_replay_smtp_command_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_smtp_command_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_smtp_data
tests_fuzz_fuzz_smtp_data_SOURCES = tests/fuzz/fuzz_smtp_data.c
tests_fuzz_fuzz_smtp_data_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_smtp_data_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_smtp_data_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_smtp_data
TESTS += tests/fuzz/replay_smtp_data
tests_fuzz_replay_smtp_data_SOURCES = tests/fuzz/fuzz_smtp_data.c tests/fuzz/replay.c
tests_fuzz_replay_smtp_data_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_smtp_data_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_smtp_reply
tests_fuzz_fuzz_smtp_reply_SOURCES = tests/fuzz/fuzz_smtp_reply.c
tests_fuzz_fuzz_smtp_reply_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_smtp_reply_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_smtp_reply_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_smtp_reply
TESTS += tests/fuzz/replay_smtp_reply
tests_fuzz_replay_smtp_reply_SOURCES = tests/fuzz/fuzz_smtp_reply.c tests/fuzz/replay.c
tests_fuzz_replay_smtp_reply_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_smtp_reply_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_base64
tests_fuzz_fuzz_base64_SOURCES = tests/fuzz/fuzz_base64.c
tests_fuzz_fuzz_base64_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_base64_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_base64_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/fuzz/replay_base64
TESTS += tests/fuzz/replay_base64
tests_fuzz_replay_base64_SOURCES = tests/fuzz/fuzz_base64.c tests/fuzz/replay.c
tests_fuzz_replay_base64_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_base64_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_imap_command
tests_fuzz_fuzz_imap_command_SOURCES = tests/fuzz/fuzz_imap_command.c
tests_fuzz_fuzz_imap_command_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_imap_command_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_imap_command_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/fuzz/replay_imap_command
TESTS += tests/fuzz/replay_imap_command
tests_fuzz_replay_imap_command_SOURCES = tests/fuzz/fuzz_imap_command.c tests/fuzz/replay.c
tests_fuzz_replay_imap_command_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_imap_command_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_imap_response
tests_fuzz_fuzz_imap_response_SOURCES = tests/fuzz/fuzz_imap_response.c
tests_fuzz_fuzz_imap_response_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_imap_response_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_imap_response_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/fuzz/replay_imap_response
TESTS += tests/fuzz/replay_imap_response
tests_fuzz_replay_imap_response_SOURCES = tests/fuzz/fuzz_imap_response.c tests/fuzz/replay.c
tests_fuzz_replay_imap_response_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_imap_response_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_oauth
tests_fuzz_fuzz_oauth_SOURCES = tests/fuzz/fuzz_oauth.c
tests_fuzz_fuzz_oauth_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_oauth_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_oauth_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/fuzz/replay_oauth
TESTS += tests/fuzz/replay_oauth
tests_fuzz_replay_oauth_SOURCES = tests/fuzz/fuzz_oauth.c tests/fuzz/replay.c
tests_fuzz_replay_oauth_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_oauth_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_sasl
tests_fuzz_fuzz_sasl_SOURCES = tests/fuzz/fuzz_sasl.c
tests_fuzz_fuzz_sasl_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_sasl_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_sasl_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/fuzz/replay_sasl
TESTS += tests/fuzz/replay_sasl
tests_fuzz_replay_sasl_SOURCES = tests/fuzz/fuzz_sasl.c tests/fuzz/replay.c
tests_fuzz_replay_sasl_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_sasl_LDADD = $(FUZZ_CODEC_LIBS) $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_frame
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c
tests_fuzz_fuzz_frame_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_frame_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_frame
TESTS += tests/fuzz/replay_frame
tests_fuzz_replay_frame_SOURCES = tests/fuzz/fuzz_frame.c tests/fuzz/replay.c
tests_fuzz_replay_frame_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_frame_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_dsn
tests_fuzz_fuzz_dsn_SOURCES = tests/fuzz/fuzz_dsn.c
tests_fuzz_fuzz_dsn_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_dsn_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_dsn_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_dsn
TESTS += tests/fuzz/replay_dsn
tests_fuzz_replay_dsn_SOURCES = tests/fuzz/fuzz_dsn.c tests/fuzz/replay.c
tests_fuzz_replay_dsn_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_dsn_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_recipient
tests_fuzz_fuzz_recipient_SOURCES = tests/fuzz/fuzz_recipient.c
tests_fuzz_fuzz_recipient_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_recipient_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_recipient_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_recipient
TESTS += tests/fuzz/replay_recipient
tests_fuzz_replay_recipient_SOURCES = tests/fuzz/fuzz_recipient.c tests/fuzz/replay.c
tests_fuzz_replay_recipient_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_recipient_LDADD = $(FUZZ_CODEC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_jwt
tests_fuzz_fuzz_jwt_SOURCES = tests/fuzz/fuzz_jwt.c
tests_fuzz_fuzz_jwt_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_jwt_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_jwt_LDADD = $(FUZZ_CODEC_LIBS)
check_PROGRAMS += tests/fuzz/replay_jwt
TESTS += tests/fuzz/replay_jwt
tests_fuzz_replay_jwt_SOURCES = tests/fuzz/fuzz_jwt.c tests/fuzz/replay.c
tests_fuzz_replay_jwt_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_jwt_LDADD = $(FUZZ_CODEC_LIBS)

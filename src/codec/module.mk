noinst_LIBRARIES += libcodec.a
libcodec_a_SOURCES = \
	src/codec/base64.c \
	src/codec/base64.h \
	src/codec/frame.c \
	src/codec/frame.def \
	src/codec/frame.h \
	src/codec/header.c \
	src/codec/header.h \
	src/codec/imap_command.c \
	src/codec/imap_command.h \
	src/codec/imap_line.c \
	src/codec/imap_line.h \
	src/codec/imap_response.c \
	src/codec/imap_response.h \
	src/codec/json.c \
	src/codec/json.h \
	src/codec/line.c \
	src/codec/line.h \
	src/codec/sasl.c \
	src/codec/sasl.h \
	src/codec/smtp_command.c \
	src/codec/smtp_command.h \
	src/codec/smtp_data.c \
	src/codec/smtp_data.h \
	src/codec/smtp_path.c \
	src/codec/smtp_path.h \
	src/codec/smtp_reply.c \
	src/codec/smtp_reply.h \
	src/codec/utf8.c \
	src/codec/utf8.h
libcodec_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)

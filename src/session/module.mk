noinst_LIBRARIES += libsession.a
libsession_a_SOURCES = \
	src/session/imap_server.c \
	src/session/imap_server.h \
	src/session/smtp_server.c \
	src/session/smtp_server.h \
	src/session/smtp_server_auth.c \
	src/session/smtp_server_command.c \
	src/session/smtp_server_internal.h

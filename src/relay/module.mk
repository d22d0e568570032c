noinst_LIBRARIES += librelay.a
librelay_a_SOURCES = \
	src/relay/complete.c \
	src/relay/complete.h \
	src/relay/imap.c \
	src/relay/limit.c \
	src/relay/relay.c \
	src/relay/relay.h \
	src/relay/session.c \
	src/relay/smtp.c \
	src/relay/spool.c \
	src/relay/spool.h

role_PROGRAMS += relay
relay_SOURCES = src/relay/main.c
relay_LDADD = librelay.a libsession.a $(ROLE_LIBS)

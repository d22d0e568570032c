role_PROGRAMS += relay
relay_SOURCES = \
	src/relay/imap.c \
	src/relay/main.c \
	src/relay/relay.h \
	src/relay/session.c \
	src/relay/smtp.c \
	src/relay/spool.c
relay_LDADD = libsession.a $(ROLE_LIBS)

role_PROGRAMS += relay
relay_SOURCES = \
	src/relay/imap.c \
	src/relay/main.c \
	src/relay/relay.h \
	src/relay/session.c \
	src/relay/smtp.c \
	src/relay/spool.c
relay_LDADD = librole.a libsession.a $(CONFIG_LIBS) $(NET_LIBS) $(CODEC_LIBS) libbase.a

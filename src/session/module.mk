noinst_LIBRARIES += libsession.a
libsession_a_SOURCES = \
	src/session/imap_client.c \
	src/session/imap_client.h \
	src/session/imap_client_internal.h \
	src/session/imap_mailbox.c \
	src/session/imap_mailbox.h \
	src/session/imap_mailbox_dialogue.h \
	src/session/imap_mailbox_find.c \
	src/session/imap_mailbox_internal.h \
	src/session/imap_server.c \
	src/session/imap_server.h \
	src/session/pump.c \
	src/session/pump.h \
	src/session/smtp_client.c \
	src/session/smtp_client.h \
	src/session/smtp_client_dialogue.h \
	src/session/smtp_client_internal.h \
	src/session/smtp_client_login.c \
	src/session/smtp_client_mail.c \
	src/session/smtp_server.c \
	src/session/smtp_server.h \
	src/session/smtp_server_auth.c \
	src/session/smtp_server_command.c \
	src/session/smtp_server_internal.h

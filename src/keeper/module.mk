noinst_LIBRARIES += libkeeper.a
libkeeper_a_SOURCES = \
	src/keeper/account.c \
	src/keeper/action.c \
	src/keeper/admin.c \
	src/keeper/authorize.c \
	src/keeper/catch_all.c \
	src/keeper/command.c \
	src/keeper/credentials.c \
	src/keeper/consent.c \
	src/keeper/alarm.c \
	src/keeper/alarm.h \
	src/keeper/alarm_cause.c \
	src/keeper/alarm_group.c \
	src/keeper/alarm_said.c \
	src/keeper/discover.c \
	src/keeper/foresight.c \
	src/keeper/grant.c \
	src/keeper/history.c \
	src/keeper/identity.c \
	src/keeper/issuer.c \
	src/keeper/keeper.c \
	src/keeper/keeper.h \
	src/keeper/link.c \
	src/keeper/login.c \
	src/keeper/login_add.c \
	src/keeper/login_table.c \
	src/keeper/probe.c \
	src/keeper/notice.c \
	src/keeper/notice.h \
	src/keeper/notice_command.c \
	src/keeper/notice_mail.c \
	src/keeper/notice_text.c \
	src/keeper/notice_webhook.c \
	src/keeper/notify_test.c \
	src/keeper/recheck.c \
	src/keeper/refresh.c \
	src/keeper/signin.c \
	src/keeper/skew.c \
	src/keeper/skew.h \
	src/keeper/state.c \
	src/keeper/ticket.c \
	src/keeper/token_request.c \
	src/keeper/tokens.c \
	src/keeper/trial.c \
	src/keeper/trial.h

role_PROGRAMS += keeper
keeper_SOURCES = src/keeper/main.c
KEEPER_LIBS = libkeeper.a $(STORE_LIBS) $(ROLE_LIBS) $(NET_FETCH_LIBS) \
	$(CRYPT_LIBS) $(OPENSSL_LIBS)
keeper_LDADD = $(KEEPER_LIBS)

noinst_LIBRARIES += libcourier.a
libcourier_a_SOURCES = \
	src/courier/account_notice.c \
	src/courier/admin.c \
	src/courier/admin_history.c \
	src/courier/admin_message.c \
	src/courier/admit.c \
	src/courier/age.c \
	src/courier/courier.h \
	src/courier/delivery.c \
	src/courier/errand.c \
	src/courier/errand.h \
	src/courier/fallback.c \
	src/courier/notice.c \
	src/courier/outlet.c \
	src/courier/outlet_grant.c \
	src/courier/outlet_pace.c \
	src/courier/owners.c \
	src/courier/pace.c \
	src/courier/pace.h \
	src/courier/probe.c \
	src/courier/rate.c \
	src/courier/rate.h \
	src/courier/refusals.c \
	src/courier/replay.c \
	src/courier/route.c \
	src/courier/sent_lookup.c \
	src/courier/sent_lookup.h \
	src/courier/settle.c \
	src/courier/verdict.c \
	src/courier/why.c \
	src/courier/wire.c

role_PROGRAMS += courier
courier_SOURCES = src/courier/main.c
courier_LDADD = libcourier.a libsession.a $(STORE_LIBS) $(ROLE_LIBS) \
	$(OPENSSL_LIBS)

role_PROGRAMS += courier
courier_SOURCES = \
	src/courier/admin.c \
	src/courier/bounce.c \
	src/courier/courier.h \
	src/courier/delivery.c \
	src/courier/main.c \
	src/courier/outlet.c \
	src/courier/replay.c \
	src/courier/settle.c \
	src/courier/verdict.c \
	src/courier/wire.c
courier_LDADD = libsession.a $(STORE_LIBS) $(ROLE_LIBS) $(OPENSSL_LIBS)

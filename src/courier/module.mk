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
courier_LDADD = librole.a libsession.a $(STORE_LIBS) $(CONFIG_LIBS) libnet.a libcodec.a libbase.a $(NET_LIBS) $(JANSSON_LIBS)

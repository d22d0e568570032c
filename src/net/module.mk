noinst_LIBRARIES += libnet.a
libnet_a_SOURCES = \
	src/net/channel.c \
	src/net/channel.h \
	src/net/conn.c \
	src/net/conn.h \
	src/net/conn_dial.c \
	src/net/conn_io.c \
	src/net/conn_state.h \
	src/net/digest.c \
	src/net/fernet.c \
	src/net/fernet.h \
	src/net/fetch.c \
	src/net/fetch.h \
	src/net/http_server.c \
	src/net/http_server.h \
	src/net/link.c \
	src/net/link.h \
	src/net/listener.c \
	src/net/loop.c \
	src/net/loop.h \
	src/net/loop_task.h \
	src/net/resolve.c \
	src/net/resolve.h \
	src/net/sign.c \
	src/net/sign.h \
	src/net/tls.h \
	src/net/tls_client.c \
	src/net/tls_memory.c \
	src/net/tls_server.c \
	src/net/tls_session.h \
	src/net/worker.c
libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(OPENSSL_CFLAGS) \
	$(CURL_CFLAGS)
# What a program that uses the room links besides, in this order.
NET_LIBS = $(EVENT_LIBS) $(OPENSSL_LIBS) -lpthread
NET_FETCH_LIBS = $(CURL_LIBS)

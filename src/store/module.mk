noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	src/store/db.c \
	src/store/db.h \
	src/store/history.h \
	src/store/history_read.c \
	src/store/message.h \
	src/store/queue.c \
	src/store/queue_change.c \
	src/store/queue_history.c \
	src/store/queue_internal.h \
	src/store/queue_op.h \
	src/store/queue_message.c \
	src/store/queue_read.c \
	src/store/queue_sql.c \
	src/store/queue_sql.h \
	src/store/queue_work.c \
	src/store/queue_write.c \
	src/store/result.h \
	src/store/seal.c \
	src/store/seal.h \
	src/store/store.h \
	src/store/vault.c \
	src/store/vault_alarm.c \
	src/store/vault_event.c \
	src/store/vault_grant.c \
	src/store/vault_internal.h \
	src/store/vault.h
libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS) $(OPENSSL_CFLAGS)
STORE_LIBS = libstore.a $(SQLITE_LIBS)

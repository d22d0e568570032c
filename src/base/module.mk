noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	src/base/attr.h \
	src/base/buf.c \
	src/base/buf.h \
	src/base/clock.c \
	src/base/clock.h \
	src/base/hash.h \
	src/base/log.c \
	src/base/log.h \
	src/base/log_event.def \
	src/base/mem.c \
	src/base/mem.h \
	src/base/random.c \
	src/base/random.h \
	src/base/secret.c \
	src/base/secret.h \
	src/base/span.c \
	src/base/span.h

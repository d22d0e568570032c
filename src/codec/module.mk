noinst_LIBRARIES += libcodec.a
libcodec_a_SOURCES = \
	src/codec/frame.c \
	src/codec/frame.def \
	src/codec/frame.h
libcodec_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)

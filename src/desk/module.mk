noinst_LIBRARIES += libdesk.a
libdesk_a_SOURCES = \
	src/desk/answer.c \
	src/desk/call.h \
	src/desk/desk.c \
	src/desk/desk.h \
	src/desk/link.c \
	src/desk/page.c \
	src/desk/page.h \
	src/desk/route.c \
	src/desk/status.c \
	src/desk/status.h

role_PROGRAMS += desk
desk_SOURCES = src/desk/main.c
desk_LDADD = libdesk.a $(ROLE_LIBS)

check_PROGRAMS += tests/unit/test_desk
TESTS += tests/unit/test_desk
tests_unit_test_desk_SOURCES = tests/unit/test_desk.c
tests_unit_test_desk_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_desk_LDADD = libdesk.a $(UNIT_NET_LIBS) $(JANSSON_LIBS)

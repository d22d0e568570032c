noinst_LIBRARIES += librole.a
librole_a_SOURCES = \
	src/role/admin.c \
	src/role/admin.h \
	src/role/grant.c \
	src/role/grant.h \
	src/role/harden.c \
	src/role/harden.h \
	src/role/harden_internal.h \
	src/role/landlock.c \
	src/role/report.c \
	src/role/report.h \
	src/role/role.c \
	src/role/role.h \
	src/role/run.c \
	src/role/run.h \
	src/role/syscalls.c \
	src/role/unreachable.c \
	src/role/unreachable.h
# What a role program links, in this order; fetch and store come before.
ROLE_LIBS = librole.a libconfig.a libnet.a libcodec.a libbase.a \
	$(NET_LIBS) $(INIH_LIBS) $(CYAML_LIBS) $(JANSSON_LIBS)

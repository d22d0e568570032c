sbin_PROGRAMS += mailbearerd
mailbearerd_SOURCES = \
	src/supervisor/certificates.c \
	src/supervisor/certificates.h \
	src/supervisor/child.c \
	src/supervisor/generation.c \
	src/supervisor/generation.h \
	src/supervisor/log_file.c \
	src/supervisor/main.c \
	src/supervisor/notify.c \
	src/supervisor/notify.h \
	src/supervisor/privilege.c \
	src/supervisor/privilege.h \
	src/supervisor/reload.c \
	src/supervisor/run.c \
	src/supervisor/run.h \
	src/supervisor/run_process.c \
	src/supervisor/run_process.h \
	src/supervisor/sockets.c \
	src/supervisor/sockets.h \
	src/supervisor/supervisor.c \
	src/supervisor/supervisor.h
mailbearerd_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS)
mailbearerd_LDADD = $(ROLE_LIBS)

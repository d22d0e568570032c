# mailbearerd with roles that do nothing but tell what they were given.
check_PROGRAMS += tests/supervisor/test_role
tests_supervisor_test_role_SOURCES = tests/supervisor/test_role.c
tests_supervisor_test_role_LDADD = $(ROLE_LIBS)

SUPERVISOR_TESTS = tests/supervisor/test_check.py \
	tests/supervisor/test_proxy.py tests/supervisor/test_run.py \
	tests/supervisor/test_supervisor.py
TESTS += $(SUPERVISOR_TESTS)
EXTRA_DIST += $(SUPERVISOR_TESTS)

noinst_LIBRARIES += libconfig.a
libconfig_a_SOURCES = \
	src/config/account_check.c \
	src/config/account_check.h \
	src/config/accounts.c \
	src/config/accounts.h \
	src/config/accounts_parse.c \
	src/config/blob.c \
	src/config/compare.c \
	src/config/config.c \
	src/config/config.h \
	src/config/document.c \
	src/config/document.h \
	src/config/ini.c \
	src/config/ini.h \
	src/config/ini_check.c \
	src/config/load.c \
	src/config/load.h \
	src/config/network.c \
	src/config/network.h \
	src/config/option.c \
	src/config/option.def \
	src/config/option.h \
	src/config/providers.c \
	src/config/proxy.c \
	src/config/proxy.h \
	src/config/unserved.c \
	src/config/unserved.h \
	src/config/value.c \
	src/config/yaml_value.c
libconfig_a_CPPFLAGS = $(AM_CPPFLAGS) $(PATH_CPPFLAGS) $(INIH_CFLAGS) \
	$(CYAML_CFLAGS)

CONFIG_LIBS = libconfig.a libcodec.a libbase.a $(INIH_LIBS) $(CYAML_LIBS)
CONFIG_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit \
	-DSRCDIR='"$(abs_top_srcdir)"'

check_PROGRAMS += tests/unit/test_network
TESTS += tests/unit/test_network
tests_unit_test_network_SOURCES = tests/unit/test_network.c
tests_unit_test_network_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_network_LDADD = libconfig.a libbase.a $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_config
TESTS += tests/unit/test_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c
tests_unit_test_config_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_config_LDADD = $(CONFIG_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_config_load
TESTS += tests/unit/test_config_load
tests_unit_test_config_load_SOURCES = tests/unit/test_config_load.c
tests_unit_test_config_load_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_config_load_LDADD = $(CONFIG_LIBS) $(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_config_proxy
TESTS += tests/unit/test_config_proxy
tests_unit_test_config_proxy_SOURCES = tests/unit/test_config_proxy.c
tests_unit_test_config_proxy_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_config_proxy_LDADD = $(CONFIG_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_config_accounts
TESTS += tests/unit/test_config_accounts
tests_unit_test_config_accounts_SOURCES = tests/unit/test_config_accounts.c
tests_unit_test_config_accounts_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_config_accounts_LDADD = $(CONFIG_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_config_templates
TESTS += tests/unit/test_config_templates
tests_unit_test_config_templates_SOURCES = tests/unit/test_config_templates.c
tests_unit_test_config_templates_CPPFLAGS = $(CONFIG_TEST_CPPFLAGS)
tests_unit_test_config_templates_LDADD = $(CONFIG_LIBS) $(CUNIT_LIBS)

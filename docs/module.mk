dist_man_MANS += docs/accounts.yaml.5 docs/mailbearer.ini.5 docs/mailbearerd.8
EXTRA_DIST += \
	docs/ARCHITECTURE.md \
	docs/OPERATIONS.md \
	docs/PROTOCOL.md \
	docs/RELIABILITY.md \
	docs/SECURITY.md \
	docs/STYLE.md

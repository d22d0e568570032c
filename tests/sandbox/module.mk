# The sandbox provider: Python, nothing to build.
EXTRA_DIST += \
	tests/sandbox/README.md \
	tests/sandbox/client.py \
	tests/sandbox/conn.py \
	tests/sandbox/control.py \
	tests/sandbox/faults.py \
	tests/sandbox/grants.py \
	tests/sandbox/imap.py \
	tests/sandbox/imap_box.py \
	tests/sandbox/imap_fetch.py \
	tests/sandbox/imap_parse.py \
	tests/sandbox/imap_search.py \
	tests/sandbox/mime.py \
	tests/sandbox/oauth.py \
	tests/sandbox/provider.py \
	tests/sandbox/replies.json \
	tests/sandbox/sasl.py \
	tests/sandbox/selfcase.py \
	tests/sandbox/selftest.py \
	tests/sandbox/selftest_control.py \
	tests/sandbox/selftest_imap.py \
	tests/sandbox/selftest_oauth.py \
	tests/sandbox/selftest_smtp.py \
	tests/sandbox/smtp.py \
	tests/sandbox/smtp_auth.py \
	tests/sandbox/state.py \
	tests/sandbox/store.py \
	tests/sandbox/tls.py \
	tests/sandbox/web.py

# The system tests: scripts, run by contrib/check and not by make check.
EXTRA_DIST += \
	tests/system/README.md \
	tests/system/bad_provider.py \
	tests/system/clients.py \
	tests/system/daemon.py \
	tests/system/fault.py \
	tests/system/fault_case.py \
	tests/system/hand_over.py \
	tests/system/forward.py \
	tests/system/harness.py \
	tests/system/lab.py \
	tests/system/lab/conf/clients.json \
	tests/system/lab/conf/dovecot.conf.in \
	tests/system/lab/conf/main.cf.in \
	tests/system/lab/conf/master.cf.in \
	tests/system/lab/conf/oauth2-jwt.conf.in \
	tests/system/lab/conf/oauth2-opaque.conf.in \
	tests/system/lab/conf/plain.conf.in \
	tests/system/lab/conf/users.json \
	tests/system/lab/faults.mjs \
	tests/system/lab/grants.mjs \
	tests/system/lab/install.sh \
	tests/system/lab/oidc-server.mjs \
	tests/system/lab/oidc-token.mjs \
	tests/system/lab/package-lock.json \
	tests/system/lab/package.json \
	tests/system/lab/prove.sh \
	tests/system/lab/start.sh \
	tests/system/lab/stop.sh \
	tests/system/lab/store.mjs \
	tests/system/lab/token.sh \
	tests/system/lab/wire.py \
	tests/system/lab/xoauth2.py \
	tests/system/loop_disk.py \
	tests/system/nosync.c \
	tests/system/proxy.py \
	tests/system/raw.py \
	tests/system/run \
	tests/system/sandbox_case.py \
	tests/system/senders.py \
	tests/system/test_age.py \
	tests/system/test_alarms.py \
	tests/system/test_bad_input.py \
	tests/system/test_classify.py \
	tests/system/test_clients.py \
	tests/system/test_fault_clock.py \
	tests/system/test_fallback.py \
	tests/system/test_fault_days.py \
	tests/system/test_fault_disk.py \
	tests/system/test_fault_network.py \
	tests/system/test_fault_memory.py \
	tests/system/test_fault_tokens.py \
	tests/system/test_fault_twelve_hours.py \
	tests/system/test_flows.py \
	tests/system/test_history.py \
	tests/system/test_imap.py \
	tests/system/test_links.py \
	tests/system/test_limits.py \
	tests/system/test_logins.py \
	tests/system/test_mailboxes.py \
	tests/system/test_kill.py \
	tests/system/test_lost_replies.py \
	tests/system/test_mailbox.py \
	tests/system/test_main_job.py \
	tests/system/test_notices.py \
	tests/system/test_notice_routes.py \
	tests/system/test_pace.py \
	tests/system/test_power.py \
	tests/system/test_proxy.py \
	tests/system/test_queue.py \
	tests/system/test_replies.py \
	tests/system/test_scale.py \
	tests/system/test_secrets.py \
	tests/system/test_sign_ins.py \
	tests/system/test_signin.py \
	tests/system/test_submission.py \
	tests/system/test_supervisor.py \
	tests/system/test_token_faults.py \
	tests/system/test_tokens.py \
	tests/system/test_verdicts.py \
	tests/system/token_case.py

# Errands in a mailbox, for test_mailbox.py.
check_PROGRAMS += tests/system/errand
tests_system_errand_SOURCES = tests/system/errand.c
tests_system_errand_LDADD = libsession.a libnet.a libcodec.a libbase.a \
	$(NET_LIBS) $(JANSSON_LIBS)

# One program per room file; each lists the rooms it is about and those below.
EXTRA_DIST += tests/unit/unit.h
UNIT_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit
UNIT_BASE_LIBS = libbase.a $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_base
TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_base_LDADD = $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_account_notice
TESTS += tests/unit/test_codec_account_notice
tests_unit_test_codec_account_notice_SOURCES = \
	tests/unit/test_codec_account_notice.c
tests_unit_test_codec_account_notice_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_account_notice_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_emailproxy
TESTS += tests/unit/test_codec_emailproxy
tests_unit_test_codec_emailproxy_SOURCES = tests/unit/test_codec_emailproxy.c
tests_unit_test_codec_emailproxy_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_emailproxy_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_frame
TESTS += tests/unit/test_codec_frame
tests_unit_test_codec_frame_SOURCES = tests/unit/test_codec_frame.c
tests_unit_test_codec_frame_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_frame_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_json
TESTS += tests/unit/test_codec_json
tests_unit_test_codec_json_SOURCES = tests/unit/test_codec_json.c
tests_unit_test_codec_json_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_json_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_store_vault
TESTS += tests/unit/test_store_vault
tests_unit_test_store_vault_SOURCES = tests/unit/test_store_vault.c
tests_unit_test_store_vault_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_vault_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS)
check_PROGRAMS += tests/unit/test_codec_sasl
TESTS += tests/unit/test_codec_sasl
tests_unit_test_codec_sasl_SOURCES = tests/unit/test_codec_sasl.c
tests_unit_test_codec_sasl_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_sasl_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_line
TESTS += tests/unit/test_codec_line
tests_unit_test_codec_line_SOURCES = tests/unit/test_codec_line.c
tests_unit_test_codec_line_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_line_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_smtp_data
TESTS += tests/unit/test_codec_smtp_data
tests_unit_test_codec_smtp_data_SOURCES = tests/unit/test_codec_smtp_data.c
tests_unit_test_codec_smtp_data_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_smtp_data_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_smtp_reply
TESTS += tests/unit/test_codec_smtp_reply
tests_unit_test_codec_smtp_reply_SOURCES = tests/unit/test_codec_smtp_reply.c
tests_unit_test_codec_smtp_reply_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_smtp_reply_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_smtp_command
TESTS += tests/unit/test_codec_smtp_command
tests_unit_test_codec_smtp_command_SOURCES = tests/unit/test_codec_smtp_command.c
tests_unit_test_codec_smtp_command_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_smtp_command_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_header
TESTS += tests/unit/test_codec_header
tests_unit_test_codec_header_SOURCES = tests/unit/test_codec_header.c
tests_unit_test_codec_header_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_header_LDADD = libcodec.a $(UNIT_BASE_LIBS)
check_PROGRAMS += tests/unit/test_codec_imap
TESTS += tests/unit/test_codec_imap
tests_unit_test_codec_imap_SOURCES = tests/unit/test_codec_imap.c
tests_unit_test_codec_imap_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_imap_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_imap_mailbox
TESTS += tests/unit/test_codec_imap_mailbox
tests_unit_test_codec_imap_mailbox_SOURCES = tests/unit/test_codec_imap_mailbox.c
tests_unit_test_codec_imap_mailbox_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_imap_mailbox_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

UNIT_NET_LIBS = libnet.a libcodec.a libbase.a $(NET_LIBS) $(CUNIT_LIBS)
EXTRA_DIST += tests/unit/net_rig.h
check_PROGRAMS += tests/unit/test_net_conn
TESTS += tests/unit/test_net_conn
tests_unit_test_net_conn_SOURCES = tests/unit/test_net_conn.c
tests_unit_test_net_conn_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_conn_LDADD = $(UNIT_NET_LIBS)
check_PROGRAMS += tests/unit/test_verdict
TESTS += tests/unit/test_verdict
tests_unit_test_verdict_SOURCES = tests/unit/test_verdict.c
tests_unit_test_verdict_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_verdict_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_oauth
TESTS += tests/unit/test_codec_oauth
tests_unit_test_codec_oauth_SOURCES = tests/unit/test_codec_oauth.c
tests_unit_test_codec_oauth_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_oauth_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_credentials
TESTS += tests/unit/test_codec_credentials
tests_unit_test_codec_credentials_SOURCES = tests/unit/test_codec_credentials.c
tests_unit_test_codec_credentials_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_credentials_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_jwt
TESTS += tests/unit/test_codec_jwt
tests_unit_test_codec_jwt_SOURCES = tests/unit/test_codec_jwt.c
tests_unit_test_codec_jwt_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_jwt_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_net_channel
TESTS += tests/unit/test_net_channel
tests_unit_test_net_channel_SOURCES = tests/unit/test_net_channel.c
tests_unit_test_net_channel_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_channel_LDADD = $(UNIT_NET_LIBS)
UNIT_SESSION_LIBS = libsession.a libnet.a libcodec.a libbase.a $(NET_LIBS) \
	$(JANSSON_LIBS) $(CUNIT_LIBS)
EXTRA_DIST += tests/unit/session_rig.h
check_PROGRAMS += tests/unit/test_session_smtp_server
TESTS += tests/unit/test_session_smtp_server
tests_unit_test_session_smtp_server_SOURCES = tests/unit/test_session_smtp_server.c
tests_unit_test_session_smtp_server_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_smtp_server_LDADD = $(UNIT_SESSION_LIBS)

check_PROGRAMS += tests/unit/test_session_imap_server
TESTS += tests/unit/test_session_imap_server
tests_unit_test_session_imap_server_SOURCES = tests/unit/test_session_imap_server.c
tests_unit_test_session_imap_server_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_imap_server_LDADD = $(UNIT_SESSION_LIBS)

EXTRA_DIST += tests/unit/tls_rig.h
check_PROGRAMS += tests/unit/test_net_tls
TESTS += tests/unit/test_net_tls
tests_unit_test_net_tls_SOURCES = tests/unit/test_net_tls.c
tests_unit_test_net_tls_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_tls_LDADD = $(UNIT_NET_LIBS)

EXTRA_DIST += tests/unit/test_pem.h
check_PROGRAMS += tests/unit/test_session_smtp_client
TESTS += tests/unit/test_session_smtp_client
tests_unit_test_session_smtp_client_SOURCES = tests/unit/test_session_smtp_client.c
tests_unit_test_session_smtp_client_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_smtp_client_LDADD = $(UNIT_SESSION_LIBS)
check_PROGRAMS += tests/unit/test_net_fernet
TESTS += tests/unit/test_net_fernet
tests_unit_test_net_fernet_SOURCES = tests/unit/test_net_fernet.c
tests_unit_test_net_fernet_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_fernet_LDADD = libnet.a $(NET_FETCH_LIBS) $(UNIT_NET_LIBS)

check_PROGRAMS += tests/unit/test_net_fetch
TESTS += tests/unit/test_net_fetch
tests_unit_test_net_fetch_SOURCES = tests/unit/test_net_fetch.c
tests_unit_test_net_fetch_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_fetch_LDADD = libnet.a $(NET_FETCH_LIBS) $(UNIT_NET_LIBS)

check_PROGRAMS += tests/unit/test_net_sign
TESTS += tests/unit/test_net_sign
tests_unit_test_net_sign_SOURCES = tests/unit/test_net_sign.c
tests_unit_test_net_sign_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_sign_LDADD = $(UNIT_NET_LIBS)
EXTRA_DIST += tests/unit/web_rig.h
check_PROGRAMS += tests/unit/test_net_proxy
TESTS += tests/unit/test_net_proxy
tests_unit_test_net_proxy_SOURCES = tests/unit/test_net_proxy.c
tests_unit_test_net_proxy_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_proxy_LDADD = libnet.a $(NET_FETCH_LIBS) $(UNIT_NET_LIBS)

check_PROGRAMS += tests/unit/test_net_http
TESTS += tests/unit/test_net_http
tests_unit_test_net_http_SOURCES = tests/unit/test_net_http.c
tests_unit_test_net_http_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_http_LDADD = $(UNIT_NET_LIBS)

check_PROGRAMS += tests/unit/test_session_imap_client
TESTS += tests/unit/test_session_imap_client
tests_unit_test_session_imap_client_SOURCES = tests/unit/test_session_imap_client.c
tests_unit_test_session_imap_client_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_imap_client_LDADD = $(UNIT_SESSION_LIBS)

EXTRA_DIST += tests/unit/mailbox_rig.h
check_PROGRAMS += tests/unit/test_session_imap_append
TESTS += tests/unit/test_session_imap_append
tests_unit_test_session_imap_append_SOURCES = tests/unit/test_session_imap_append.c
tests_unit_test_session_imap_append_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_imap_append_LDADD = $(UNIT_SESSION_LIBS)

check_PROGRAMS += tests/unit/test_session_imap_mailbox
TESTS += tests/unit/test_session_imap_mailbox
tests_unit_test_session_imap_mailbox_SOURCES = tests/unit/test_session_imap_mailbox.c
tests_unit_test_session_imap_mailbox_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_imap_mailbox_LDADD = $(UNIT_SESSION_LIBS)

check_PROGRAMS += tests/unit/test_session_pump
TESTS += tests/unit/test_session_pump
tests_unit_test_session_pump_SOURCES = tests/unit/test_session_pump.c
tests_unit_test_session_pump_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_session_pump_LDADD = $(UNIT_SESSION_LIBS)
check_PROGRAMS += tests/unit/test_store_queue
TESTS += tests/unit/test_store_queue
tests_unit_test_store_queue_SOURCES = tests/unit/test_store_queue.c
tests_unit_test_store_queue_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_queue_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS)

EXTRA_DIST += tests/unit/store_rig.h
EXTRA_DIST += tests/unit/power_rig.h
UNIT_POWER = tests/unit/power_disk.c tests/unit/power_disk.h \
	tests/unit/power_vfs.c tests/unit/power_vfs.h
check_PROGRAMS += tests/unit/test_store_power
TESTS += tests/unit/test_store_power
tests_unit_test_store_power_SOURCES = tests/unit/test_store_power.c $(UNIT_POWER)
tests_unit_test_store_power_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_power_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_vault_power
TESTS += tests/unit/test_vault_power
tests_unit_test_vault_power_SOURCES = tests/unit/test_vault_power.c $(UNIT_POWER)
tests_unit_test_vault_power_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_vault_power_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS) \
	$(OPENSSL_LIBS)
check_PROGRAMS += tests/unit/test_store_format
TESTS += tests/unit/test_store_format
tests_unit_test_store_format_SOURCES = tests/unit/test_store_format.c
tests_unit_test_store_format_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_format_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/unit/test_store_history
TESTS += tests/unit/test_store_history
tests_unit_test_store_history_SOURCES = tests/unit/test_store_history.c
tests_unit_test_store_history_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_history_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_store_works
TESTS += tests/unit/test_store_works
tests_unit_test_store_works_SOURCES = tests/unit/test_store_works.c
tests_unit_test_store_works_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_works_LDADD = $(STORE_LIBS) $(UNIT_NET_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_codec_dsn
TESTS += tests/unit/test_codec_dsn
tests_unit_test_codec_dsn_SOURCES = tests/unit/test_codec_dsn.c
tests_unit_test_codec_dsn_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_dsn_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_spool
TESTS += tests/unit/test_spool
tests_unit_test_spool_SOURCES = tests/unit/test_spool.c
tests_unit_test_spool_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_spool_LDADD = librelay.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_complete
TESTS += tests/unit/test_complete
tests_unit_test_complete_SOURCES = tests/unit/test_complete.c
tests_unit_test_complete_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_complete_LDADD = librelay.a libcodec.a $(UNIT_BASE_LIBS)

EXTRA_DIST += tests/unit/keeper_rig.h
check_PROGRAMS += tests/unit/test_keeper
TESTS += tests/unit/test_keeper
tests_unit_test_keeper_SOURCES = tests/unit/test_keeper.c
tests_unit_test_keeper_CPPFLAGS = $(UNIT_CPPFLAGS)
# The rig has the store refuse now and then, and crypt(3) find no memory.
tests_unit_test_keeper_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=vault_grant_save \
	-Wl,--wrap=crypt_r
tests_unit_test_keeper_LDADD = libkeeper.a $(STORE_LIBS) $(ROLE_LIBS) \
	$(CRYPT_LIBS) $(OPENSSL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_courier_rate
TESTS += tests/unit/test_courier_rate
tests_unit_test_courier_rate_SOURCES = tests/unit/test_courier_rate.c
tests_unit_test_courier_rate_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_courier_rate_LDADD = libcourier.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_courier_sent_lookup
TESTS += tests/unit/test_courier_sent_lookup
tests_unit_test_courier_sent_lookup_SOURCES = tests/unit/test_courier_sent_lookup.c
tests_unit_test_courier_sent_lookup_CPPFLAGS = $(UNIT_CPPFLAGS)
# The mailbox, the history and the clocks are the test's.
tests_unit_test_courier_sent_lookup_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=errand_find,--wrap=errand_cancel \
	-Wl,--wrap=history_list,--wrap=queue_forget,--wrap=queue_clock_s \
	-Wl,--wrap=timer_set
tests_unit_test_courier_sent_lookup_LDADD = libcourier.a libsession.a \
	$(STORE_LIBS) $(ROLE_LIBS) $(OPENSSL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_unreachable
TESTS += tests/unit/test_unreachable
tests_unit_test_unreachable_SOURCES = tests/unit/test_unreachable.c
tests_unit_test_unreachable_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_unreachable_LDADD = librole.a $(UNIT_NET_LIBS)
check_PROGRAMS += tests/unit/test_role_admin
TESTS += tests/unit/test_role_admin
tests_unit_test_role_admin_SOURCES = tests/unit/test_role_admin.c
tests_unit_test_role_admin_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_role_admin_LDADD = librole.a $(UNIT_NET_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/unit/test_harden
TESTS += tests/unit/test_harden
tests_unit_test_harden_SOURCES = tests/unit/test_harden.c
tests_unit_test_harden_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_harden_LDADD = librelay.a libsession.a $(KEEPER_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_supervisor_run
TESTS += tests/unit/test_supervisor_run
tests_unit_test_supervisor_run_SOURCES = tests/unit/test_supervisor_run.c \
	src/supervisor/run.c src/supervisor/run_process.c \
	src/supervisor/privilege.c
tests_unit_test_supervisor_run_CPPFLAGS = $(UNIT_CPPFLAGS)
# A minute is long: the test shortens it where it waits for its end.
tests_unit_test_supervisor_run_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=timer_set
tests_unit_test_supervisor_run_LDADD = $(ROLE_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_codec_xtext
TESTS += tests/unit/test_codec_xtext
tests_unit_test_codec_xtext_SOURCES = tests/unit/test_codec_xtext.c
tests_unit_test_codec_xtext_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_xtext_LDADD = libcodec.a $(UNIT_BASE_LIBS)
check_PROGRAMS += tests/unit/test_codec_recipient
TESTS += tests/unit/test_codec_recipient
tests_unit_test_codec_recipient_SOURCES = tests/unit/test_codec_recipient.c
tests_unit_test_codec_recipient_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_recipient_LDADD = libcodec.a $(UNIT_BASE_LIBS)
check_PROGRAMS += tests/unit/test_verdict_reference
TESTS += tests/unit/test_verdict_reference
tests_unit_test_verdict_reference_SOURCES = tests/unit/test_verdict_reference.c
tests_unit_test_verdict_reference_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_verdict_reference_LDADD = libcodec.a $(UNIT_BASE_LIBS) $(JANSSON_LIBS)
check_PROGRAMS += tests/unit/test_action
TESTS += tests/unit/test_action
tests_unit_test_action_SOURCES = tests/unit/test_action.c
tests_unit_test_action_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_action_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_verdict_order
TESTS += tests/unit/test_verdict_order
tests_unit_test_verdict_order_SOURCES = tests/unit/test_verdict_order.c
tests_unit_test_verdict_order_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_verdict_order_LDADD = libcodec.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_codec_word
TESTS += tests/unit/test_codec_word
tests_unit_test_codec_word_SOURCES = tests/unit/test_codec_word.c
tests_unit_test_codec_word_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_codec_word_LDADD = libcodec.a $(UNIT_BASE_LIBS)
check_PROGRAMS += tests/unit/test_courier_pace
TESTS += tests/unit/test_courier_pace
tests_unit_test_courier_pace_SOURCES = tests/unit/test_courier_pace.c
tests_unit_test_courier_pace_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_courier_pace_LDADD = libcourier.a $(UNIT_BASE_LIBS)

check_PROGRAMS += tests/unit/test_courier_windows
TESTS += tests/unit/test_courier_windows
tests_unit_test_courier_windows_SOURCES = tests/unit/test_courier_windows.c
tests_unit_test_courier_windows_CPPFLAGS = $(UNIT_CPPFLAGS)
EXTRA_DIST += tests/unit/courier_rig.h
# The store and the provider are the test's.
tests_unit_test_courier_windows_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=queue_list,--wrap=queue_read_chunk,--wrap=queue_commit \
	-Wl,--wrap=queue_work_update,--wrap=queue_forget \
	-Wl,--wrap=queue_clock_s,--wrap=history_sent,--wrap=role_peer \
	-Wl,--wrap=queue_counts,--wrap=queue_change \
	-Wl,--wrap=admin_dispatch,--wrap=admin_json \
	-Wl,--wrap=channel_forget,--wrap=report_send,--wrap=errand_append \
	-Wl,--wrap=smtp_client_new,--wrap=smtp_client_free \
	-Wl,--wrap=smtp_client_send,--wrap=smtp_client_content \
	-Wl,--wrap=smtp_client_content_failed,--wrap=smtp_client_stage \
	-Wl,--wrap=smtp_client_quit
tests_unit_test_courier_windows_LDADD = libcourier.a libsession.a \
	$(STORE_LIBS) $(ROLE_LIBS) $(OPENSSL_LIBS) $(CUNIT_LIBS)

check_PROGRAMS += tests/unit/test_keeper_link
TESTS += tests/unit/test_keeper_link
tests_unit_test_keeper_link_SOURCES = tests/unit/test_keeper_link.c
tests_unit_test_keeper_link_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_link_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_link_LDADD = $(tests_unit_test_keeper_LDADD)
check_PROGRAMS += tests/unit/test_keeper_skew
TESTS += tests/unit/test_keeper_skew
tests_unit_test_keeper_skew_SOURCES = tests/unit/test_keeper_skew.c
tests_unit_test_keeper_skew_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_skew_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_skew_LDADD = $(tests_unit_test_keeper_LDADD)

check_PROGRAMS += tests/unit/test_keeper_state
TESTS += tests/unit/test_keeper_state
tests_unit_test_keeper_state_SOURCES = tests/unit/test_keeper_state.c
tests_unit_test_keeper_state_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_state_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_state_LDADD = $(tests_unit_test_keeper_LDADD)

check_PROGRAMS += tests/unit/test_keeper_flows
TESTS += tests/unit/test_keeper_flows
tests_unit_test_keeper_flows_SOURCES = tests/unit/test_keeper_flows.c
tests_unit_test_keeper_flows_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_flows_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_flows_LDADD = $(tests_unit_test_keeper_LDADD)

check_PROGRAMS += tests/unit/test_keeper_trial
TESTS += tests/unit/test_keeper_trial
tests_unit_test_keeper_trial_SOURCES = tests/unit/test_keeper_trial.c
tests_unit_test_keeper_trial_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_trial_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_trial_LDADD = $(tests_unit_test_keeper_LDADD)
check_PROGRAMS += tests/unit/test_keeper_alarm
TESTS += tests/unit/test_keeper_alarm
tests_unit_test_keeper_alarm_SOURCES = tests/unit/test_keeper_alarm.c
tests_unit_test_keeper_alarm_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_alarm_LDADD = libkeeper.a libcodec.a $(UNIT_BASE_LIBS) \
	$(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_keeper_foresight
TESTS += tests/unit/test_keeper_foresight
tests_unit_test_keeper_foresight_SOURCES = tests/unit/test_keeper_foresight.c
tests_unit_test_keeper_foresight_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_keeper_foresight_LDFLAGS = $(tests_unit_test_keeper_LDFLAGS)
tests_unit_test_keeper_foresight_LDADD = $(tests_unit_test_keeper_LDADD)

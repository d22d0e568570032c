/* What the states of an account tell people. */
#include "keeper_rig.h"

#define ALICE RIG_ACCOUNT("alice@one.test", "one")

static const struct account *alice(void)
{
	struct keeper *k = rig_role.keeper;

	return account_find(k, SPAN("alice@one.test"));
}

static const struct service_state *state_of(enum service s)
{
	return &alice()->services[s];
}

/* ---- the provider's own words ---- */

/* The report is behind us when the grant asked for after it is answered. */
static void report(enum report_class class, const char *cause,
		   const char *words)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_GRANT_REPORT, 0, 0);

	frame_put_str(&out, FIELD_ACCOUNT, "alice@one.test");
	frame_put_number(&out, FIELD_SERVICE, SERVICE_SMTP);
	frame_put_number(&out, FIELD_CLASS, class);
	frame_put_str(&out, FIELD_CAUSE, cause);
	frame_put_str(&out, FIELD_TEXT, "a sentence");
	frame_put_str(&out, FIELD_STEP, "a step");
	if (words)
		frame_put_str(&out, FIELD_WORDS, words);
	frame_end(&out, m);
	channel_send(rig_peer("courier")->far, &out, NULL, 0);
	rig_grant_send_for("alice@one.test", SERVICE_IMAP);
	(void)rig_grant_result();
}

static void test_words_of_the_mail_server(void)
{
	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	report(REPORT_BLOCKED, "smtp-auth-disabled",
	       "535 5.7.139 off,\r\nsaid of access-1");
	CHECK_STR(state_of(SERVICE_SMTP)->words,
		  "535 5.7.139 off,  said of ********");
	CHECK(!state_of(SERVICE_IMAP)->words ||
	      !*state_of(SERVICE_IMAP)->words);
	/* the same trouble, newer words */
	report(REPORT_BLOCKED, "smtp-auth-disabled", "535 5.7.139 still");
	CHECK_STR(state_of(SERVICE_SMTP)->words, "535 5.7.139 still");
	/* what is over is not quoted any more */
	report(REPORT_WORKS, "", NULL);
	CHECK_INT(state_of(SERVICE_SMTP)->state, ACCOUNT_CONNECTED);
	CHECK(!state_of(SERVICE_SMTP)->words ||
	      !*state_of(SERVICE_SMTP)->words);
	rig_stop();
	rig_clean();
}

static void test_words_are_cut(void)
{
	char long_words[2 * REPORT_WORDS_MAX];

	memset(long_words, 'x', sizeof(long_words) - 1);
	long_words[sizeof(long_words) - 1] = '\0';
	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	report(REPORT_BLOCKED, "c", long_words);
	CHECK_INT(strlen(state_of(SERVICE_SMTP)->words), REPORT_WORDS_MAX);
	rig_stop();
	rig_clean();
}

#define REVOKED \
	"{\"error\":\"invalid_grant\",\"error_description\":" \
	"\"AADSTS50173: revoked.\",\"error_codes\":[50173]," \
	"\"trace_id\":\"trace-1\",\"correlation_id\":\"correlation-1\"}"

static void check_revoked(const struct service_state *st)
{
	CHECK_INT(st->state, ACCOUNT_REAUTHORIZE);
	CHECK_STR(st->words, "AADSTS50173: revoked.");
	CHECK_STR(st->trace, "trace-1");
	CHECK_STR(st->correlation, "correlation-1");
}

static void test_words_of_the_token_endpoint(void)
{
	struct frame f;

	rig_start(ALICE);
	rig_sign_in("alice@one.test");
	rig_stop();
	rig_start(ALICE);
	rig_grant_send("alice@one.test");
	UNTIL(rig_asked() != NULL);
	rig_answer(rig_asked(), 400, REVOKED);
	CHECK_INT(rig_grant_result(), GRANT_REFUSED);
	check_revoked(state_of(SERVICE_SMTP));
	check_revoked(state_of(SERVICE_IMAP));
	CHECK_INT(rig_admin("GET", "/v1/accounts/alice@one.test", NULL), 200);
	f = rig_frame();
	CHECK(span_contains_nocase(frame_text(&f, FIELD_BODY),
				   SPAN("\"trace_id\":\"trace-1\"")));
	CHECK(span_contains_nocase(frame_text(&f, FIELD_BODY),
				   SPAN("\"says\":\"AADSTS50173: revoked.\"")));
	rig_stop();
	/* they outlive the process, as the state does */
	rig_start(ALICE);
	check_revoked(state_of(SERVICE_SMTP));
	rig_stop();
	rig_clean();
}

UNIT_MAIN("keeper's states",
	  { "words of the mail server", test_words_of_the_mail_server },
	  { "words are cut", test_words_are_cut },
	  { "words of the token endpoint", test_words_of_the_token_endpoint })

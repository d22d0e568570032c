#include "mailbox_rig.h"

static const struct imap_mailbox_ops find_ops = { NULL, stage_done };

#define ID "<1@x.test>"
/* 2026-11-20T12:00:00Z: SINCE goes a day further back */
#define SINCE INT64_C(1795176000)
#define DAY "19-Nov-2026"

static void begin_find(struct stage *t, const char *message_id)
{
	const struct imap_mailbox_query q = { span_str(message_id), SINCE };

	t->m = imap_mailbox_find_over(t->r.loop, engine_end(t), &t->config, &q,
				      &find_ops, t);
}

static void start(struct stage *t, const char *caps)
{
	prepare(t);
	begin_find(t, ID);
	log_in(t, caps);
}

#define LIST "s1 LIST \"\" \"*\"\r\n"
#define FOLDERS \
	"* LIST (\\HasNoChildren) \"/\" INBOX\r\n" \
	"* LIST (\\HasNoChildren \\Sent) \"/\" \"Gesendete Elemente\"\r\n"
#define EXAMINED \
	"* FLAGS (\\Seen)\r\n* 17 EXISTS\r\n* 0 RECENT\r\n" \
	"* OK [UIDVALIDITY 14] Ok\r\ns2 OK [READ-ONLY] done\r\n"
#define SEARCH "s3 UID SEARCH SINCE " DAY " HEADER Message-ID \"" ID "\"\r\n"
#define FETCH(uids) "s4 UID FETCH " uids " (UID INTERNALDATE " \
	"BODY.PEEK[HEADER.FIELDS (RECEIVED)])\r\n"
#define TRACED "BODY[HEADER.FIELDS (RECEIVED)] {18}\r\nReceived: by x\r\n\r\n"
#define BARE "BODY[HEADER.FIELDS (RECEIVED)] {2}\r\n\r\n"
#define COPY(uid, date, header) \
	"* 17 FETCH (UID " uid " INTERNALDATE \"" date "\" " header ")\r\n"
#define IN_TIME "20-Nov-2026 14:00:00 +0200"
#define TOO_OLD "20-Nov-2026 13:59:59 +0200"

static void to_search(struct stage *t)
{
	start(t, PLAIN);
	rig_expect(&t->r, LIST);
	rig_say(&t->r, FOLDERS "s1 OK done\r\n");
	rig_expect(&t->r, "s2 EXAMINE \"Gesendete Elemente\"\r\n");
	rig_say(&t->r, EXAMINED);
	rig_expect(&t->r, SEARCH);
}

static void to_fetch(struct stage *t)
{
	to_search(t);
	rig_say(&t->r, "* SEARCH 812\r\ns3 OK done\r\n");
	rig_expect(&t->r, FETCH("812"));
}

/* ---- finding ---- */

static void test_found_script(void)
{
	struct stage t;

	to_fetch(&t);
	rig_say(&t.r, COPY("812", IN_TIME, TRACED) "s4 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_FOUND);
}
RIG_BOTH(test_found)

static void test_absent_script(void)
{
	static const char *const copies[] = {
		/* nothing any more */
		"",
		/* an older message that bore the same Message-ID */
		COPY("812", TOO_OLD, TRACED),
		/* one that a mail client has filed by itself */
		COPY("812", IN_TIME, BARE),
		/* of another message, unasked */
		COPY("811", IN_TIME, TRACED),
		"* 17 FETCH (FLAGS (\\Seen))\r\n",
		"* 17 FETCH (UID 812 " TRACED ")\r\n",
		"* 17 FETCH (UID 812 INTERNALDATE \"" IN_TIME "\")\r\n",
		"* 17 FETCH ((((\r\n* FETCH\r\n* 17 FETCH\r\n",
	};
	struct stage t;

	to_search(&t);
	rig_say(&t.r, "* SEARCH\r\ns3 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_ABSENT);
	to_search(&t);
	rig_say(&t.r, "s3 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_ABSENT);
	for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
		to_fetch(&t);
		rig_say(&t.r, copies[i]);
		rig_say(&t.r, "s4 OK done\r\n");
		finish_as(&t, IMAP_MAILBOX_ABSENT);
	}
}
RIG_BOTH(test_absent)

static void test_one_of_many_script(void)
{
	struct stage t;

	to_search(&t);
	rig_say(&t.r, "* ESEARCH (TAG \"s3\") UID ALL 2:4,9\r\ns3 OK done\r\n");
	rig_expect(&t.r, FETCH("2,3,4,9"));
	rig_say(&t.r, COPY("2", TOO_OLD, TRACED) COPY("3", IN_TIME, BARE)
		COPY("4", IN_TIME, TRACED) COPY("9", IN_TIME, BARE)
		"s4 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_FOUND);
}
RIG_BOTH(test_one_of_many)

/* What nobody asked for may come between any two lines. */
static void test_unsolicited_script(void)
{
	static const char noise[] = "* 18 EXISTS\r\n* OK [ALERT] hello\r\n"
		"* LIST () \"/\" {4}\r\nodd\n\r\n* 3 EXPUNGE\r\n"
		"* STATUS x (MESSAGES 1)\r\n* 1 FETCH (FLAGS ())\r\n";
	struct stage t;

	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, noise);
	/* a search result before the search is nobody's */
	rig_say(&t.r, "* SEARCH 5\r\n" FOLDERS);
	rig_say(&t.r, noise);
	rig_say(&t.r, "s1 OK done\r\n");
	rig_expect(&t.r, "s2 EXAMINE \"Gesendete Elemente\"\r\n");
	rig_say(&t.r, noise);
	rig_say(&t.r, "* LIST (\\Sent) \"/\" Other\r\n" EXAMINED);
	rig_expect(&t.r, SEARCH);
	rig_say(&t.r, noise);
	rig_say(&t.r, "* SEARCH 812\r\n");
	rig_say(&t.r, noise);
	rig_say(&t.r, "s3 OK done\r\n");
	rig_expect(&t.r, FETCH("812"));
	rig_say(&t.r, noise);
	rig_say(&t.r, COPY("812", IN_TIME, TRACED));
	rig_say(&t.r, noise);
	rig_say(&t.r, "s4 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_FOUND);
}
RIG_BOTH(test_unsolicited)

static void check_folder(const char *folders, const char *examine)
{
	struct stage t;

	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, folders);
	rig_say(&t.r, "s1 OK done\r\n");
	if (!examine) {
		finish_as(&t, IMAP_MAILBOX_NO_FOLDER);
		return;
	}
	rig_expect(&t.r, "s2 EXAMINE ");
	rig_expect(&t.r, examine);
	rig_say(&t.r, "s2 NO not now\r\n");
	finish_refused(&t, "command-refused", "out LOGOUT\r\n");
}

static void test_folders(void)
{
	check_folder("", NULL);
	check_folder("* LIST () \"/\" INBOX\r\n* LIST (\\Sent \\Noselect) "
		     "\"/\" Sent\r\n* LIST (\\Sent) \"/\" \"\"\r\n", NULL);
	check_folder("* LIST (\r\n* LIST\r\n* LIST () \"/\" \"Sent\r\n", NULL);
	/* by use before by name, by name in an order */
	check_folder("* LIST () \"/\" Sent\r\n" FOLDERS,
		     "\"Gesendete Elemente\"\r\n");
	check_folder("* LIST () \"/\" \"[Gmail]/Sent Mail\"\r\n"
		     "* LIST () \"/\" \"SENT items\"\r\n"
		     "* LIST () \"/\" \"My Sent\"\r\n", "\"SENT items\"\r\n");
	check_folder("* LIST () \"/\" \"[Gmail]/Sent Mail\"\r\n",
		     "\"[Gmail]/Sent Mail\"\r\n");
	/* said back as they came */
	check_folder("* LIST (\\Sent) \"/\" \"&BB4EQgQ,-\"\r\n",
		     "\"&BB4EQgQ,-\"\r\n");
	check_folder("* LIST (\\Sent) \"/\" {7}\r\na\"\\b) c\r\n",
		     "\"a\\\"\\\\b) c\"\r\n");
}

/* A name that only a literal can carry waits for the word to go on. */
static void test_literal_name_script(void)
{
	struct stage t;

	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, "* LIST (\\Sent) \"/\" \"Envoy\xc3\xa9s\"\r\n"
		      "s1 OK done\r\n");
	rig_expect(&t.r, "s2 EXAMINE {8}\r\n");
	rig_say(&t.r, "* 2 EXISTS\r\n+ \r\n");
	rig_expect(&t.r, "Envoy\xc3\xa9s\r\n");
	rig_say(&t.r, EXAMINED);
	rig_expect(&t.r, SEARCH);
	rig_say(&t.r, "* SEARCH\r\ns3 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_ABSENT);

	/* a literal that is refused is not sent */
	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, "* LIST (\\Sent) \"/\" \"Envoy\xc3\xa9s\"\r\n"
		      "s1 OK done\r\n");
	rig_expect(&t.r, "s2 EXAMINE {8}\r\n");
	rig_say(&t.r, "s2 NO [LIMIT] no literals\r\n");
	finish_refused(&t, "too-many-connections", "out LOGOUT\r\n");
}
RIG_BOTH(test_literal_name)

static void test_message_id_of_8_bit(void)
{
	struct stage t;

	prepare(&t);
	begin_find(&t, "<\xc3\xa9@x>");
	log_in(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, FOLDERS "s1 OK done\r\n");
	rig_expect(&t.r, "s2 EXAMINE \"Gesendete Elemente\"\r\n");
	rig_say(&t.r, EXAMINED);
	rig_expect(&t.r, "s3 UID SEARCH CHARSET UTF-8 SINCE " DAY
			 " HEADER Message-ID {6}\r\n");
	rig_say(&t.r, "+ go on\r\n");
	rig_expect(&t.r, "<\xc3\xa9@x>\r\n");
	rig_say(&t.r, "s3 NO [BADCHARSET (US-ASCII)] no\r\n");
	finish_refused(&t, "command-refused", "out LOGOUT\r\n");
}

/* Each provider is asked for its special folders in its own way. */
static void test_ways_to_list_script(void)
{
	static const struct {
		const char *caps, *list;
	} ways[] = {
		{ GOOGLE, "s1 LIST \"\" \"*\" RETURN (SPECIAL-USE)\r\n" },
		{ "IMAP4rev2", "s1 LIST \"\" \"*\" RETURN (SPECIAL-USE)\r\n" },
		{ "IMAP4rev1 XLIST", "s1 XLIST \"\" \"*\"\r\n" },
		{ "IMAP4rev1 SPECIAL-USE", LIST },
	};
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		start(&t, ways[i].caps);
		rig_expect(&t.r, ways[i].list);
		rig_say(&t.r, "* XLIST (\\Sent) \"/\" a\r\n"
			      "* LIST (\\Sent) \"/\" b\r\ns1 OK done\r\n");
		rig_expect(&t.r, "s2 EXAMINE \"a\"\r\n");
		rig_say(&t.r, "* BYE [UNAVAILABLE] going down\r\n");
		finish_refused(&t, "provider-unavailable", "");
	}
	start(&t, GOOGLE);
	rig_expect(&t.r, ways[0].list);
	rig_say(&t.r, "s1 BAD what is that\r\n");
	rig_expect(&t.r, "s2 LIST \"\" \"*\"\r\n");
	rig_say(&t.r, "s2 BAD nor that\r\n");
	finish_refused(&t, "command-not-understood", "out LOGOUT\r\n");
}
RIG_BOTH(test_ways_to_list)

/* ---- what a hostile or broken server may say ---- */

#define GOOD_SESSION \
	GREETING "m1 OK [CAPABILITY " PLAIN "] in\r\nm2 OK done\r\n" \
	FOLDERS "s1 OK done\r\n" EXAMINED "* SEARCH 812\r\ns3 OK done\r\n" \
	COPY("812", IN_TIME, TRACED) "s4 OK done\r\n"

/* Says what comes next when the engine has asked for it. */
static void play_cut(struct stage *t, struct span script, size_t cut)
{
	struct span left = span_first(script, cut);

	while (left.len > 0 && !t->r.eof && !t->ends) {
		const char *lf = memchr(left.data, '\n', left.len);
		size_t n = lf ? (size_t)(lf - left.data) + 1 : left.len;
		struct span line = span_first(left, n);
		bool tagged = line.data[0] == 's' || line.data[0] == 'm';

		if (tagged)
			RIG_UNTIL(&t->r, buf_len(&t->r.got) || t->ends);
		if (tagged)
			buf_truncate(&t->r.got, 0);
		conn_write(t->r.peer, line);
		left = span_skip(left, n);
	}
	RIG_UNTIL(&t->r, conn_output(t->r.peer) == 0 || t->ends);
}

static void test_cut_at_every_byte(void)
{
	struct span script = SPAN(GOOD_SESSION);
	struct stage t;

	for (size_t cut = 0; cut <= script.len; cut++) {
		prepare(&t);
		begin_find(&t, ID);
		play_cut(&t, script, cut);
		conn_free(&t.r.peer);
		RIG_UNTIL(&t.r, t.ends);
		CHECK_INT(t.result.outcome, cut == script.len ?
						    IMAP_MAILBOX_FOUND :
						    IMAP_MAILBOX_FAILED);
		if (cut < script.len) {
			CHECK_INT(t.result.failure.transport, CONN_LOST);
			CHECK_STR(t.verdict.cause, "provider-unreachable");
		}
		t.r.eof = true;
		buf_truncate(&t.r.got, 0);
		finish(&t);
	}
}

static void test_garbage(void)
{
	static const char *const instead_of_s3[] = {
		"s4 OK done\r\n", "s2 OK done\r\n", "x OK\r\n", "+ go on\r\n",
		"* SEARCH x\r\n", "* ESEARCH UID ALL (\r\n", "HTTP/1.1 400\r\n",
		"\r\n", "* \r\n", "* SEARCH 1 2 4294967296\r\n",
		"* X {99999999}\r\n", "s3\r\n", "s3 BYE\r\n",
	};
	struct stage t;

	for (size_t i = 0; i < ARRAY_SIZE(instead_of_s3); i++) {
		to_search(&t);
		rig_say(&t.r, instead_of_s3[i]);
		RIG_UNTIL(&t.r, t.ends);
		CHECK(t.result.failure.garbage);
		CHECK(t.result.logged_in);
		CHECK_INT(t.verdict.verdict, VERDICT_TEMPORARY);
		finish_as(&t, IMAP_MAILBOX_FAILED);
	}
	/* OK for a command of which half was sent */
	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	rig_say(&t.r, "* LIST (\\Sent) \"/\" \"\xc3\xa9\"\r\ns1 OK\r\n");
	rig_expect(&t.r, "s2 EXAMINE {2}\r\n");
	rig_say(&t.r, "s2 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

/* Endless in one way or the other: ended at a bound, not at the memory's. */
static void check_endless(const char *start_of_it, const char *again)
{
	struct stage t;
	struct buf block = BUF_INIT;
	uint64_t in, out;

	while (buf_len(&block) < 60000)
		buf_add_str(&block, again);
	start(&t, PLAIN);
	rig_expect(&t.r, LIST);
	conn_write_str(t.r.peer, start_of_it);
	while (!t.ends && !t.r.eof) {
		if (conn_output(t.r.peer) < 200000)
			conn_write(t.r.peer, buf_span(&block));
		loop_turn(t.r.loop);
	}
	RIG_UNTIL(&t.r, t.ends);
	CHECK(t.result.failure.garbage);
	conn_counts(t.r.peer, &in, &out);
	CHECK(out < 16u << 20);
	buf_clear(&block);
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

static void test_endless(void)
{
	check_endless("* LIST ", "x");
	check_endless("* LIST () \"/\" {8000000000}\r\n", "x");
	check_endless("", "* LIST () \"/\" \"a folder\"\r\n");
	check_endless("", "* 5 EXISTS\r\n");
}

static void test_silence(void)
{
	struct stage t;

	prepare(&t);
	t.config.command_ms = 60;
	begin_find(&t, ID);
	log_in(&t, PLAIN);
	rig_expect(&t.r, LIST);
	/* words without end are no answer */
	while (!t.ends && !t.r.eof) {
		conn_write_str(t.r.peer, "* OK wait\r\n");
		loop_turn(t.r.loop);
	}
	CHECK_INT(t.result.failure.transport, CONN_LOST);
	CHECK_STR(t.text, "no answer in time");
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

static void test_login_refused(void)
{
	struct stage t;

	prepare(&t);
	begin_find(&t, ID);
	rig_say(&t.r, GREETING);
	rig_expect_line(&t.r, "m1 AUTHENTICATE XOAUTH2 ");
	rig_say(&t.r, "m1 NO [AUTHENTICATIONFAILED] Invalid\r\n");
	RIG_UNTIL(&t.r, t.ends);
	CHECK(t.result.failure.at_login && !t.result.logged_in);
	CHECK_STR(t.code, "AUTHENTICATIONFAILED");
	CHECK_INT(t.verdict.verdict, VERDICT_REAUTHORIZE);
	finish_as(&t, IMAP_MAILBOX_FAILED);

	prepare(&t);
	begin_find(&t, ID);
	rig_say(&t.r, GREETING);
	rig_expect_line(&t.r, "m1 AUTHENTICATE XOAUTH2 ");
	rig_say(&t.r, "m1 OK done\r\n");
	rig_expect_line(&t.r, "m2 LIST");
	rig_say(&t.r, "m2 BAD User is authenticated but not connected.\r\n");
	RIG_UNTIL(&t.r, t.ends);
	CHECK_STR(t.verdict.cause, "not-connected");
	finish_as(&t, IMAP_MAILBOX_FAILED);
}

static void test_freed(void)
{
	struct stage t;

	to_search(&t);
	imap_mailbox_free(&t.m);
	CHECK_INT(t.ends, 0);
	finish(&t);

	prepare(&t);
	begin_find(&t, ID);
	imap_mailbox_free(&t.m);
	finish(&t);

	to_search(&t);
	t.free_at_end = true;
	rig_say(&t.r, "* SEARCH\r\ns3 OK done\r\n");
	finish_as(&t, IMAP_MAILBOX_ABSENT);
}

UNIT_MAIN("imap_mailbox", { "found", test_found }, { "absent", test_absent },
	  { "one of many", test_one_of_many },
	  { "unsolicited", test_unsolicited }, { "folders", test_folders },
	  { "literal name", test_literal_name },
	  { "Message-ID of 8 bit", test_message_id_of_8_bit },
	  { "ways to list", test_ways_to_list },
	  { "cut at every byte", test_cut_at_every_byte },
	  { "garbage", test_garbage }, { "endless", test_endless },
	  { "silence", test_silence }, { "login refused", test_login_refused },
	  { "freed", test_freed })

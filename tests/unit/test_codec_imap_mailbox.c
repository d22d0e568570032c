#include "unit.h"

#include "codec/imap_mailbox.h"
#include "codec/imap_response.h"

static const struct imap_limits limits = { 4096, 4096, 4096, 8192, 0, 1 };

/* One response, heard whole or in steps. */
struct heard {
	struct imap_response_parser parser;
	const struct imap_response *r;
};

static void hear(struct heard *h, const char *line, size_t step)
{
	struct span in = span_str(line);
	enum imap_feed feed = IMAP_MORE;

	imap_response_init(&h->parser, &limits);
	h->r = &h->parser.response;
	while (feed == IMAP_MORE && in.len > 0) {
		size_t used;

		feed = imap_response_feed(&h->parser, span_first(in, step),
					  &used);
		in = span_skip(in, used);
	}
	CHECK_INT(feed, IMAP_DONE);
	CHECK_INT(in.len, 0);
}

#define WHOLE_AND_BY_BYTES(step) \
	for (size_t step = 1; step < 9999; step += 9997)

static const struct {
	const char *line;
	bool good;
	unsigned flags;
	const char *name;
} lists[] = {
	{ "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Items\"\r\n", true,
	  IMAP_LIST_SENT, "Sent Items" },
	{ "* LIST (\\sent) \".\" Sent\r\n", true, IMAP_LIST_SENT, "Sent" },
	{ "* LIST () NIL INBOX\r\n", true, 0, "INBOX" },
	{ "* LIST (\\NoSelect) \"/\" \"\"\r\n", true, IMAP_LIST_NOSELECT, "" },
	{ "* LIST (\\NonExistent \\Sent) \"/\" a\r\n", true,
	  IMAP_LIST_NOSELECT | IMAP_LIST_SENT, "a" },
	{ "* XLIST (\\Sent \\HasNoChildren) \"/\" \"[Gmail]/Sent Mail\"\r\n",
	  true, IMAP_LIST_SENT, "[Gmail]/Sent Mail" },
	/* modified UTF-7 and UTF-8 stay what they are */
	{ "* LIST (\\Sent) \"/\" \"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-\"\r\n",
	  true, IMAP_LIST_SENT, "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-" },
	{ "* LIST () \"/\" \"Envoy\xc3\xa9s\"\r\n", true, 0, "Envoy\xc3\xa9s" },
	{ "* LIST () \"\\\\\" \"a\\\\b \\\"c\\\"\"\r\n", true, 0,
	  "a\\b \"c\"" },
	{ "* LIST (\\Sent) \"/\" {6}\r\nS\r\n) \"\r\n", true, IMAP_LIST_SENT,
	  "S\r\n) \"" },
	{ "* LIST () {1}\r\n/ {0}\r\n\r\n", true, 0, "" },
	{ "* LIST () \"/\" Sent (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", true, 0,
	  "Sent" },
	{ "* LIST (\\Sentry \\NotSent) \"/\" a\r\n", true, 0, "a" },
	{ "* LIST\r\n", false }, { "* LIST \r\n", false },
	{ "* LIST (\r\n", false }, { "* LIST (\\Sent\r\n", false },
	{ "* LIST (\\Sent) \r\n", false },
	{ "* LIST (\\Sent) \"/\"\r\n", false },
	{ "* LIST (\\Sent) \"/\" \r\n", false },
	{ "* LIST (\\Sent) \"/\" \"a\r\n", false },
	{ "* LIST (\\Sent) \"/\" \"a\\\r\n", false },
	{ "* LIST ((\\Sent)) \"/\" a\r\n", false },
	{ "* LIST () {9}\r\n/ a\r\n\r\n\r\n\r\n", false },
	{ "* LIST () \"/\"a\r\n", false }, { "* LIST \"/\" a\r\n", false },
};

static void test_list(void)
{
	WHOLE_AND_BY_BYTES(step)
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct buf name = BUF_INIT;
		struct heard h;
		unsigned flags;

		hear(&h, lists[i].line, step);
		CHECK_INT(imap_list_parse(h.r->text, &flags, &name),
			  lists[i].good);
		CHECK_SPAN(buf_span(&name), span_str(lists[i].name));
		if (lists[i].good)
			CHECK_INT(flags, lists[i].flags);
		buf_clear(&name);
		imap_response_clear(&h.parser);
	}
}

static const struct {
	const char *line;
	bool good;
	const char *uids;
} searches[] = {
	{ "* SEARCH\r\n", true, "" }, { "* SEARCH \r\n", true, "" },
	{ "* SEARCH 2 84 882\r\n", true, "2,84,882" },
	{ "* SEARCH 7 3 7 \r\n", true, "3,7" },
	{ "* SEARCH 7 (MODSEQ 917162500)\r\n", true, "7" },
	{ "* SEARCH 9 1 8 2 7 3 6 4 5 10\r\n", true, "3,4,5,6,7,8,9,10" },
	{ "* SEARCH 4294967295 1\r\n", true, "1,4294967295" },
	{ "* SEARCH 0\r\n", false }, { "* SEARCH 4294967296\r\n", false },
	{ "* SEARCH a\r\n", false }, { "* SEARCH 1 -2\r\n", false },
	{ "* SEARCH 1  2\r\n", false },
	{ "* ESEARCH\r\n", true, "" },
	{ "* ESEARCH (TAG \"m4\") UID\r\n", true, "" },
	{ "* ESEARCH (TAG \"m4\") UID ALL 17\r\n", true, "17" },
	{ "* ESEARCH (TAG \"m4\") UID COUNT 5 ALL 4:6,21,28\r\n", true,
	  "4,5,6,21,28" },
	{ "* ESEARCH UID ALL 6:4 MIN 4\r\n", true, "4,5,6" },
	{ "* ESEARCH (TAG {2}\r\nm4) UID X-NEW (1 (2 \")\")) ALL 3\r\n", true,
	  "3" },
	{ "* ESEARCH UID ALL 1:4294967295\r\n", true,
	  "4294967288,4294967289,4294967290,4294967291,4294967292,"
	  "4294967293,4294967294,4294967295" },
	{ "* ESEARCH ALL 1:3,2:9\r\n", true, "2,3,4,5,6,7,8,9" },
	{ "* ESEARCH (TAG \"m4\" UID ALL 1\r\n", false },
	{ "* ESEARCH UID ALL\r\n", false }, { "* ESEARCH UID ALL \r\n", false },
	{ "* ESEARCH UID ALL 1:*\r\n", false },
	{ "* ESEARCH UID ALL 1:\r\n", false },
	{ "* ESEARCH UID ALL ,1\r\n", false },
	{ "* ESEARCH UID ALL (1)\r\n", false },
	{ "* ESEARCH UID MIN\r\n", false }, { "* ESEARCH ) ALL 1\r\n", false },
	{ "* ESEARCH ((((((((((((((((((((\r\n", false },
};

static void test_search(void)
{
	WHOLE_AND_BY_BYTES(step)
	for (size_t i = 0; i < ARRAY_SIZE(searches); i++) {
		struct imap_uids uids = { .n = 0 };
		struct buf b = BUF_INIT;
		struct heard h;
		bool good;

		hear(&h, searches[i].line, step);
		good = span_is(h.r->name, "SEARCH") ?
			       imap_search_parse(h.r->text, &uids) :
			       imap_esearch_parse(h.r->text, &uids);
		CHECK_INT(good, searches[i].good);
		imap_add_uids(&b, &uids);
		CHECK_SPAN(buf_span(&b), span_str(searches[i].uids));
		buf_clear(&b);
		imap_response_clear(&h.parser);
	}
}

static void test_uids_come_together(void)
{
	struct imap_uids uids = { .n = 0 };
	struct buf b = BUF_INIT;

	CHECK(imap_search_parse(SPAN("1 2"), &uids));
	CHECK(imap_search_parse(SPAN("3"), &uids));
	CHECK(!imap_search_parse(SPAN("4 x"), &uids));
	imap_add_uids(&b, &uids);
	CHECK_SPAN(buf_span(&b), SPAN("1,2,3"));
	CHECK(imap_uids_has(&uids, 3) && !imap_uids_has(&uids, 4));
	/* not the low half of a greater number */
	CHECK(!imap_uids_has(&uids, (UINT64_C(1) << 32) + 3));
	buf_clear(&b);
}

#define T0 INT64_C(837596665) /* 1996-07-17T09:44:25Z */
#define RECEIVED "BODY[HEADER.FIELDS (RECEIVED)] "

static const struct {
	const char *line;
	bool good;
	uint64_t uid;
	int64_t date_s;
	bool traced;
} fetches[] = {
	{ "* 3 FETCH (UID 12 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
	  RECEIVED "{18}\r\nReceived: by x\r\n\r\n)\r\n", true, 12, T0, true },
	{ "* 3 FETCH (" RECEIVED "{2}\r\n\r\n INTERNALDATE "
	  "\"17-Jul-1996 09:44:25 +0000\" UID 12)\r\n", true, 12, T0, false },
	/* only a field of that name, at the start of a line */
	{ "* 3 FETCH (UID 12 " RECEIVED "\"X-Received: by x\")\r\n", true, 12,
	  0, false },
	{ "* 3 FETCH (UID 12 BODY[HEADER.FIELDS (\"RECEIVED\")] "
	  "\"received: by x\")\r\n", true, 12, 0, true },
	{ "* 3 FETCH (UID 12 BODY[HEADER.FIELDS (RECEIVED)] NIL)\r\n", true,
	  12, 0, false },
	{ "* 3 FETCH (FLAGS (\\Seen $x) UID 12 MODSEQ (7) X-GM-MSGID 99)\r\n",
	  true, 12, 0, false },
	{ "* 3 FETCH ()\r\n", true, 0, 0, false },
	{ "* 3 FETCH (UID 12\r\n", false }, { "* 3 FETCH (UID\r\n", false },
	{ "* 3 FETCH (UID x)\r\n", false }, { "* 3 FETCH (UID )\r\n", false },
	{ "* 3 FETCH (UID 4294967296)\r\n", false },
	{ "* 3 FETCH (FLAGS ((())\r\n", false },
	{ "* 3 FETCH (BODY[HEADER {1}\r\nx)\r\n", false },
	{ "* 3 FETCH (INTERNALDATE \"yesterday\")\r\n", false },
	{ "* 3 FETCH UID 12\r\n", false }, { "* 3 FETCH \r\n", false },
};

static void test_fetch(void)
{
	WHOLE_AND_BY_BYTES(step)
	for (size_t i = 0; i < ARRAY_SIZE(fetches); i++) {
		struct imap_fetched f = { .uid = 0 };
		struct heard h;

		hear(&h, fetches[i].line, step);
		CHECK_SPAN(h.r->name, SPAN("FETCH"));
		CHECK_INT(imap_fetch_parse(h.r->text, &f), fetches[i].good);
		CHECK_INT(f.uid, fetches[i].uid);
		CHECK_INT(f.date_s, fetches[i].date_s);
		CHECK_INT(f.traced, fetches[i].traced);
		imap_response_clear(&h.parser);
	}
}

static void test_dates(void)
{
	static const struct {
		const char *text;
		bool good;
		int64_t wall_s;
	} cases[] = {
		{ " 1-Jan-1970 00:00:00 +0000", true, 0 },
		{ "01-Jan-1970 00:00:00 +0000", true, 0 },
		{ "29-Feb-2000 12:00:00 +0000", true, 951825600 },
		{ "01-mar-2100 00:00:00 +0000", true, INT64_C(4107542400) },
		{ "31-Dec-1969 23:59:59 +0000", true, -1 },
		{ "17-Jul-1996 15:14:25 +0530", true, T0 },
		{ "31-Dec-1998 23:59:60 +0000", true, 915148800 },
		{ "1-Jan-1970 00:00:00 +0000", false },
		{ "00-Jan-1970 00:00:00 +0000", false },
		{ "32-Jan-1970 00:00:00 +0000", false },
		{ "01-Foo-1970 00:00:00 +0000", false },
		{ "01-Jan-70 00:00:00 +0000", false },
		{ "01-Jan-1970 24:00:00 +0000", false },
		{ "01-Jan-1970 00:00:00", false },
		{ "01-Jan-1970 00:00:00 UTC", false },
		{ "01-Jan-1970 00:00:00 +0000x", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t got = 0;

		CHECK_INT(imap_date_time_parse(span_str(cases[i].text), &got),
			  cases[i].good);
		CHECK_INT(got, cases[i].wall_s);
	}
}

static void test_days(void)
{
	static const struct {
		int64_t wall_s;
		const char *want;
	} cases[] = {
		{ 0, "1-Jan-1970" }, { -5, "1-Jan-1970" },
		{ 86399, "1-Jan-1970" }, { 86400, "2-Jan-1970" },
		{ T0, "17-Jul-1996" }, { 951825600, "29-Feb-2000" },
		{ 978307199, "31-Dec-2000" }, { INT64_MAX, "31-Dec-9999" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_truncate(&b, 0);
		imap_add_date(&b, cases[i].wall_s);
		CHECK_SPAN(buf_span(&b), span_str(cases[i].want));
	}
	buf_clear(&b);
}

UNIT_MAIN("imap_mailbox", { "list", test_list }, { "search", test_search },
	  { "uids come together", test_uids_come_together },
	  { "fetch", test_fetch }, { "dates", test_dates },
	  { "days", test_days })

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "ctl/status.h"
#include "ctl/text.h"
#include "unit.h"

/* 2026-11-20 17:00:00 UTC */
#define NOW 1795194000
#define HOUR 3600

static const struct json_limits limits = { 1u << 20, 16 };

/* ---- text ---- */

static void shown(struct span in, const char *want)
{
	struct buf out = BUF_INIT;

	text_add(&out, in);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_harmless(void)
{
	shown(SPAN("plain \xc3\xa9\xe2\x82\xac"), "plain \xc3\xa9\xe2\x82\xac");
	shown(SPAN("\033]0;title\007"), "\\u001b]0;title\\u0007");
	shown(SPAN("a\0b\x7f"), "a\\u0000b\\u007f");
	shown(SPAN("\xc2\x9b" "31m"), "\\u009b31m");
	/* a C1 control as a bare byte is not UTF-8 */
	shown(SPAN("\x9b" "31m"), "\xef\xbf\xbd" "31m");
	shown(SPAN("a\xe2\x80\xae" "b\xe2\x81\xa6"), "a\\u202eb\\u2066");
	shown(SPAN("\xe2\x80\x8b\xef\xbb\xbf"), "\\u200b\\ufeff");
	shown(SPAN("  two\r\n lines\t "), "two lines");
	shown(SPAN("\xc3"), "\xef\xbf\xbd");
	shown(SPAN_NONE, "");
}

static void test_harmless_json(void)
{
	struct json *doc = json_new_object(), *same;
	struct span evil = SPAN("\033\x7f\xc2\x9b\xe2\x80\xae\n\\\"\xc3\xa9");
	struct buf text = BUF_INIT, out = BUF_INIT;

	json_put_text(doc, "a", evil);
	json_dump(&text, doc, JSON_LAYOUT_INDENTED);
	text_add_json(&out, buf_span(&text));
	same = json_parse(buf_span(&out), &limits);
	CHECK_SPAN(json_get_text(same, "a"), evil);
	for (size_t i = 0; i < buf_len(&out); i++) {
		char c = buf_span(&out).data[i];

		CHECK((unsigned char)c >= ' ' || c == '\n');
		CHECK(c != 0x7f);
	}
	CHECK(!memmem(buf_span(&out).data, buf_len(&out), "\xc2\x9b", 2));
	buf_clear(&text);
	buf_clear(&out);
	json_free(&doc);
	json_free(&same);
}

static void test_cells(void)
{
	struct buf out = BUF_INIT;

	text_add_cell(&out, SPAN("abc"), 5);
	text_add_cell(&out, SPAN("abcdef"), 5);
	text_add_cell(&out, SPAN("\xc3\xa9\xc3\xa9"), 3);
	text_add_cell(&out, SPAN("\033"), 6);
	CHECK_SPAN(buf_span(&out),
		   SPAN("abc   ab... \xc3\xa9\xc3\xa9  \\u001b "));
	buf_clear(&out);
}

static void test_wrap(void)
{
	struct buf out = BUF_INIT;

	text_wrap(&out, SPAN("one two three-and-a-long-one four"), 2, 12);
	CHECK_SPAN(buf_span(&out),
		   SPAN("  one two\n  three-and-a-long-one\n  four\n"));
	buf_clear(&out);
	text_wrap(&out, SPAN_NONE, 2, 12);
	CHECK_INT(buf_len(&out), 0);
	buf_clear(&out);
}

static void person(void (*add)(struct buf *, int64_t), int64_t n,
		   const char *want)
{
	struct buf out = BUF_INIT;

	add(&out, n);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static void test_for_people(void)
{
	struct buf out = BUF_INIT;

	person(text_add_age, -5, "0s");
	person(text_add_age, 99, "99s");
	person(text_add_age, 100, "1m");
	person(text_add_age, 100 * 60, "1h");
	person(text_add_age, 47 * HOUR, "47h");
	person(text_add_age, 48 * HOUR, "2d");
	person(text_add_size, 999, "999 B");
	person(text_add_size, 1000, "1.0 kB");
	person(text_add_size, 9949, "9.9 kB");
	person(text_add_size, 9951, "10 kB");
	person(text_add_size, 999499, "999 kB");
	person(text_add_size, 999500, "1.0 MB");
	person(text_add_size, INT64_MAX, "9223372 TB");
	text_add_time(&out, NOW - HOUR, NOW);
	buf_add_char(&out, '|');
	text_add_time(&out, NOW - 18 * HOUR, NOW);
	buf_add_char(&out, '|');
	text_add_time(&out, NOW - 400 * 24 * HOUR, NOW);
	CHECK_SPAN(buf_span(&out), SPAN("16:00|19 Nov 23:00|16 Oct 2025"));
	buf_clear(&out);
}

/* ---- status ---- */

static void add_service(struct json *account, const char *service,
			const char *state, int64_t age, const char *text,
			const char *step)
{
	struct json *services = json_new_object(), *s = json_new_object();
	const struct json *old = json_get(account, "services");

	if (old) {
		json_free(&services);
		services = json_clone(old);
	}
	json_put_str(s, "state", state);
	json_put_int(s, "since", NOW - age);
	if (text)
		json_put_str(s, "text", text);
	if (step)
		json_put_str(s, "step", step);
	json_put(services, service, s);
	json_put(account, "services", services);
}

static void add_queue(struct json *account, int64_t n, int64_t bytes,
		      int64_t held, int64_t age)
{
	struct json *q = json_new_object();

	json_put_int(q, "messages", n);
	json_put_int(q, "bytes", bytes);
	json_put_int(q, "held", held);
	if (n > 0)
		json_put_int(q, "oldest", NOW - age);
	json_put(account, "queue", q);
}

static struct json *new_account(const char *address)
{
	struct json *a = json_new_object();

	json_put_str(a, "address", address);
	return a;
}

static struct json *new_fine(const char *address)
{
	struct json *a = new_account(address);

	add_service(a, "smtp", "connected", HOUR, NULL, NULL);
	add_service(a, "imap", "connected", HOUR, NULL, NULL);
	add_queue(a, 0, 0, 0, 0);
	return a;
}

static struct json *new_dead(const char *address)
{
	static const char text[] = "The sign-in was revoked.";
	struct json *a = new_account(address);
	char *step = mem_printf("mailbearerctl auth %s", address);

	add_service(a, "smtp", "reauthorize", 3 * HOUR, text, step);
	add_service(a, "imap", "reauthorize", 3 * HOUR, text, step);
	add_queue(a, 12, 3400000, 0, 2 * HOUR);
	mem_free(step);
	return a;
}

static struct json *new_blocked(const char *address)
{
	struct json *a = new_account(address);

	add_service(a, "smtp", "blocked", 72 * HOUR,
		    "Authenticated SMTP is switched off for this mailbox, says "
		    "the provider.",
		    "Set-CASMailbox -Identity office@contoso.com "
		    "-SmtpClientAuthenticationDisabled $false");
	add_service(a, "imap", "connected", HOUR, NULL, NULL);
	add_queue(a, 2, 1200, 1, 20 * HOUR);
	return a;
}

static struct json *new_retrying(const char *address)
{
	struct json *a = new_account(address);

	add_service(a, "smtp", "retrying", 240, "The provider answers 503.",
		    NULL);
	add_service(a, "imap", "connected", HOUR, NULL, NULL);
	add_queue(a, 1, 800, 0, 20);
	return a;
}

static struct json *new_status(struct json *accounts)
{
	struct json *doc = json_new_object();

	json_put(doc, "accounts", accounts);
	return doc;
}

/* Renders and frees doc. */
static void render(struct json *doc, size_t width, size_t rows, bool tty,
		   struct buf *out)
{
	struct screen s = { width, rows, tty, false };

	status_render(out, doc, &s, NOW);
	json_free(&doc);
}

static void golden(struct json *doc, size_t width, const char *want)
{
	struct buf out = BUF_INIT;

	render(doc, width, 24, false, &out);
	CHECK_SPAN(buf_span(&out), span_str(want));
	buf_clear(&out);
}

static struct json *mixed(void)
{
	struct json *list = json_new_array();

	json_add(list, new_fine("demo@example.test"));
	json_add(list, new_retrying("lab@contoso.com"));
	json_add(list, new_blocked("office@contoso.com"));
	json_add(list, new_dead("scanner@contoso.com"));
	return new_status(list);
}

static void test_mixed(void)
{
	golden(mixed(), 80,
	       "2 of 4 accounts need a human. 15 messages wait (3.4 MB), the "
	       "oldest since 19\n"
	       "Nov 21:00, 1 held.\n"
	       "\n"
	       "  ACCOUNT             SMTP          IMAP          WAITS\n"
	       "! office@contoso.com  blocked       connected     2, 1.2 kB, "
	       "20h, 1 held\n"
	       "    smtp: since 17 Nov 17:00 (3d): Authenticated SMTP is "
	       "switched off for this\n"
	       "    mailbox, says the provider.\n"
	       "    -> Set-CASMailbox -Identity office@contoso.com "
	       "-SmtpClientAuthenticationDisabled $false\n"
	       "! scanner@contoso.com reauthorize   reauthorize   12, 3.4 MB, "
	       "2h\n"
	       "    since 14:00 (3h): The sign-in was revoked.\n"
	       "    -> mailbearerctl auth scanner@contoso.com\n"
	       "~ lab@contoso.com     retrying      connected     1, 800 B, "
	       "20s\n"
	       "    smtp: since 16:56 (4m): The provider answers 503.\n"
	       "  demo@example.test   connected     connected     -\n");
}

/* Recipients of the last day, where a provider counts them. */
static struct json *new_counted(const char *address, int64_t n, int64_t limit)
{
	struct json *a = new_fine(address);
	struct json *q = json_clone(json_get(a, "queue"));

	json_put_int(q, "recipients_today", n);
	json_put_int(q, "recipients_limit", limit);
	json_put(a, "queue", q);
	return a;
}

static struct json *counted(const char *address)
{
	struct json *list = json_new_array();

	json_add(list, new_counted(address, 812, 10000));
	json_add(list, new_fine("lab@contoso.com"));
	return new_status(list);
}

static void test_today(void)
{
	golden(counted("demo@example.test"), 80,
	       "All 2 accounts work. No message waits.\n"
	       "\n"
	       "  ACCOUNT           SMTP          IMAP          TODAY        "
	       "WAITS\n"
	       "  demo@example.test connected     connected     812/10000    "
	       "-\n"
	       "  lab@contoso.com   connected     connected     -            "
	       "-\n");
	/* no room for it */
	golden(counted("demonstration@example.test"), 80,
	       "All 2 accounts work. No message waits.\n"
	       "\n"
	       "  ACCOUNT                    SMTP          IMAP          "
	       "WAITS\n"
	       "  demonstration@example.test connected     connected     -\n"
	       "  lab@contoso.com            connected     connected     -\n");
}

static void test_narrow(void)
{
	golden(mixed(), 40,
	       "2 of 4 accounts need a human. 15\n"
	       "messages wait (3.4 MB), the oldest\n"
	       "since 19 Nov 21:00, 1 held.\n"
	       "\n"
	       "! office@contoso.com\n"
	       "    smtp blocked, imap connected\n"
	       "    waits: 2, 1.2 kB, 20h, 1 held\n"
	       "    -> Set-CASMailbox -Identity office@contoso.com "
	       "-SmtpClientAuthenticationDisabled $false\n"
	       "! scanner@contoso.com\n"
	       "    smtp reauthorize, imap reauthorize\n"
	       "    waits: 12, 3.4 MB, 2h\n"
	       "    -> mailbearerctl auth scanner@contoso.com\n"
	       "~ lab@contoso.com\n"
	       "    smtp retrying, imap connected\n"
	       "    waits: 1, 800 B, 20s\n"
	       "\n"
	       "1 other works.\n");
}

static struct json *many(struct json *(*make)(const char *), size_t n)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < n; i++) {
		char *name = mem_printf("user%zu@example.test", i);

		json_add(list, make(name));
		mem_free(name);
	}
	return new_status(list);
}

static void test_all_fine(void)
{
	golden(new_status(json_new_array()), 80,
	       "There is no account. No message waits.\n");
	golden(many(new_fine, 1), 80,
	       "The account works. No message waits.\n\n"
	       "  ACCOUNT            SMTP          IMAP          WAITS\n"
	       "  user0@example.test connected     connected     -\n");
	golden(many(new_fine, 40), 80,
	       "All 40 accounts work. No message waits.\n");
}

static size_t lines(const struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < buf_len(out); i++)
		n += buf_span(out).data[i] == '\n';
	return n;
}

static bool says(const struct buf *out, const char *text)
{
	return span_contains_nocase(buf_span(out), span_str(text));
}

/* A dozen on one screen, whoever is in trouble. */
static void test_a_dozen(void)
{
	static struct json *(*const kinds[])(const char *) = {
		new_fine, new_dead, new_retrying, new_blocked
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct buf out = BUF_INIT;

		render(many(kinds[k], 12), 80, 24, true, &out);
		CHECK(lines(&out) < 24);
		CHECK(says(&out, "12"));
		buf_clear(&out);
	}
}

/* On a terminal the list ends where the screen does; in a pipe it is whole. */
static void test_too_many(void)
{
	struct buf out = BUF_INIT;

	render(many(new_dead, 100), 80, 24, true, &out);
	CHECK(lines(&out) < 24);
	CHECK(says(&out, "100 of 100 accounts need a human."));
	CHECK(says(&out, "more of them: mailbearerctl account list"));
	CHECK(says(&out, "-> mailbearerctl auth user0@example.test"));
	buf_clear(&out);
	render(many(new_dead, 100), 80, 24, false, &out);
	CHECK(says(&out, "-> mailbearerctl auth user99@example.test"));
	CHECK(!says(&out, "more of them"));
	buf_clear(&out);
}

/* What a script or a person looks for stands in one line. */
static void test_step_is_whole(void)
{
	static const char address[] =
		"a-very-long-name-of-a-mailbox@a-long-domain.example.test";
	struct json *list = json_new_array();
	struct buf out = BUF_INIT;

	json_add(list, new_dead(address));
	render(new_status(list), 72, 24, true, &out);
	CHECK(says(&out, "-> mailbearerctl auth a-very-long-name-of-a-mailbox@"
			 "a-long-domain.example.test\n"));
	CHECK(says(&out, "! a-very-long-name-of-a-mailbox@a-long-domain."
			 "example.test\n"));
	buf_clear(&out);
}

static void test_removed_and_away(void)
{
	struct json *doc, *away = json_new_array(), *a;
	struct json *list = json_new_array();

	a = new_account("old@example.test");
	json_put_bool(a, "removed", true);
	json_put(a, "services", json_new_object());
	add_queue(a, 3, 99, 0, HOUR);
	json_add(list, a);
	golden(new_status(list), 80,
	       "1 of 1 account needs a human. 3 messages wait (99 B), the "
	       "oldest since 16:00.\n\n"
	       "  ACCOUNT          WAITS\n"
	       "! old@example.test 3, 99 B, 60m\n"
	       "    Mail waits for it, but it is not in accounts.yaml any "
	       "more.\n"
	       "    -> put it back, or: mailbearerctl queue delete --account "
	       "old@example.test\n");
	list = json_new_array();
	a = new_account("old@example.test");
	json_put_bool(a, "removed", true);
	add_queue(a, 3, 99, 0, HOUR);
	json_add(list, a);
	golden(new_status(list), 40,
	       "1 of 1 account needs a human. 3\n"
	       "messages wait (99 B), the oldest since\n"
	       "16:00.\n\n"
	       "! old@example.test\n"
	       "    waits: 3, 99 B, 60m\n"
	       "    Mail waits for it, but it is not in\n"
	       "    accounts.yaml any more.\n"
	       "    -> put it back, or: mailbearerctl queue delete --account "
	       "old@example.test\n");
	list = json_new_array();
	a = new_account("a@b");
	add_service(a, "smtp", "connected", HOUR, NULL, NULL);
	json_add(list, a);
	doc = new_status(list);
	json_add_str(away, "courier");
	json_put(doc, "away", away);
	golden(doc, 80,
	       "The account works. courier does not answer: the queue is "
	       "unknown.\n\n"
	       "  ACCOUNT      SMTP          WAITS\n"
	       "  a@b          connected     ?\n");
}

static void test_colors(void)
{
	struct screen s = { 80, 24, true, true };
	struct json *doc = many(new_dead, 1);
	struct buf out = BUF_INIT;

	status_render(&out, doc, &s, NOW);
	CHECK(says(&out, "\033[1;31mreauthorize\033[0m   "));
	json_free(&doc);
	buf_clear(&out);
}

/* No words of a provider reach the terminal as they are. */
static void test_foreign(void)
{
	struct json *list = json_new_array(), *a = new_account("a\033[2J@b");
	struct buf out = BUF_INIT;

	add_service(a, "smtp", "blo\033cked", HOUR, "te\033xt\r\nmore",
		    "st\033ep");
	json_add(list, a);
	render(new_status(list), 80, 24, true, &out);
	CHECK(!memchr(buf_span(&out).data, '\033', buf_len(&out)));
	CHECK(!memchr(buf_span(&out).data, '\r', buf_len(&out)));
	CHECK(says(&out, "te\\u001bxt more"));
	buf_clear(&out);
}

static const struct unit_test tests[] = {
	{ "harmless", test_harmless },
	{ "harmless json", test_harmless_json },
	{ "cells", test_cells },
	{ "wrap", test_wrap },
	{ "for people", test_for_people },
	{ "mixed", test_mixed },
	{ "today", test_today },
	{ "narrow", test_narrow },
	{ "all fine", test_all_fine },
	{ "a dozen", test_a_dozen },
	{ "too many", test_too_many },
	{ "step is whole", test_step_is_whole },
	{ "removed and away", test_removed_and_away },
	{ "colors", test_colors },
	{ "foreign", test_foreign },
};

int main(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	return unit_run("ctl status", tests, ARRAY_SIZE(tests));
}

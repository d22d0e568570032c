/* Finding a message in the Sent folder. */
#include "session/imap_mailbox_dialogue.h"

/* SINCE goes by the server's days: one more, wherever it lives. */
#define DAY_S 86400

static void command(struct imap_mailbox *m, const char *words)
{
	struct buf out = BUF_INIT;

	imap_mailbox_begin(m, &out, words);
	imap_mailbox_say(m, &out);
}

/* ---- the Sent folder ---- */

/* In the order in which they are believed, behind \Sent itself. */
static const char *const well_known[] = {
	"Sent", "Sent Items", "[Gmail]/Sent Mail", "[Google Mail]/Sent Mail",
	"Sent Messages", "INBOX.Sent", "INBOX/Sent",
};

static unsigned rank_of(unsigned flags, struct span name)
{
	if ((flags & IMAP_LIST_NOSELECT) || name.len == 0)
		return MAILBOX_RANK_NONE;
	if (flags & IMAP_LIST_SENT)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(well_known); i++)
		if (span_equal_nocase(name, span_str(well_known[i])))
			return i + 1;
	return MAILBOX_RANK_NONE;
}

/* RFC 6154 §2: with LIST-EXTENDED the attributes come only when asked for;
 * others, Exchange among them, give them unasked. */
static void enter_list(struct imap_mailbox *m)
{
	const unsigned extended = IMAP_CAP_SPECIAL_USE | IMAP_CAP_LIST_EXTENDED;

	if ((m->caps.flags & extended) == extended ||
	    (m->caps.flags & IMAP_CAP_IMAP4REV2))
		command(m, "LIST \"\" \"*\" RETURN (SPECIAL-USE)");
	else if ((m->caps.flags & IMAP_CAP_XLIST) &&
		 !(m->caps.flags & IMAP_CAP_SPECIAL_USE))
		command(m, "XLIST \"\" \"*\"");
	else
		imap_mailbox_set_state(m, AT_PLAIN_LIST);
}

static void enter_plain_list(struct imap_mailbox *m)
{
	command(m, "LIST \"\" \"*\"");
}

static void on_list_data(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	struct buf name = BUF_INIT;
	unsigned flags, rank;

	if (!span_equal_nocase(r->name, SPAN("LIST")) &&
	    !span_equal_nocase(r->name, SPAN("XLIST")))
		return;
	/* one that cannot be read may be any folder but, for us, none */
	if (imap_list_parse(r->text, &flags, &name)) {
		rank = rank_of(flags, buf_span(&name));
		if (rank < m->rank) {
			m->rank = rank;
			buf_truncate(&m->folder, 0);
			buf_add(&m->folder, buf_span(&name));
		}
	}
	buf_clear(&name);
}

static void on_listed(struct imap_mailbox *m)
{
	if (m->rank == MAILBOX_RANK_NONE)
		imap_mailbox_end(m, IMAP_MAILBOX_NO_FOLDER);
	else
		imap_mailbox_set_state(m, AT_EXAMINE);
}

static void on_list_refused(struct imap_mailbox *m)
{
	imap_mailbox_set_state(m, AT_PLAIN_LIST);
}

static void enter_examine(struct imap_mailbox *m)
{
	struct buf out = BUF_INIT;

	imap_mailbox_begin(m, &out, "EXAMINE");
	imap_mailbox_say_argument(m, &out, buf_span(&m->folder));
}

static void on_examined(struct imap_mailbox *m)
{
	imap_mailbox_set_state(m, AT_SEARCH);
}

/* ---- the message in it ---- */

static void enter_search(struct imap_mailbox *m)
{
	struct span id = span_str(m->message_id);
	struct buf out = BUF_INIT;
	bool ascii = true;

	for (size_t i = 0; i < id.len; i++)
		ascii = ascii && (unsigned char)id.data[i] < 0x80;
	imap_mailbox_begin(m, &out, ascii ? "UID SEARCH SINCE " :
			       "UID SEARCH CHARSET UTF-8 SINCE ");
	imap_add_date(&out, m->since_s - DAY_S);
	buf_add_str(&out, " HEADER Message-ID");
	imap_mailbox_say_argument(m, &out, id);
}

static void on_search_data(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	bool good = true;

	if (span_equal_nocase(r->name, SPAN("SEARCH")))
		good = imap_search_parse(r->text, &m->uids);
	else if (span_equal_nocase(r->name, SPAN("ESEARCH")))
		good = imap_esearch_parse(r->text, &m->uids);
	if (!good)
		imap_mailbox_fail_garbage(m, "not a search result");
}

static void on_searched(struct imap_mailbox *m)
{
	if (m->uids.n == 0)
		imap_mailbox_end(m, IMAP_MAILBOX_ABSENT);
	else
		imap_mailbox_set_state(m, AT_FETCH);
}

static void enter_fetch(struct imap_mailbox *m)
{
	struct buf out = BUF_INIT;

	imap_mailbox_begin(m, &out, "UID FETCH ");
	imap_add_uids(&out, &m->uids);
	buf_add_str(&out, " (UID INTERNALDATE "
			  "BODY.PEEK[HEADER.FIELDS (RECEIVED)])");
	imap_mailbox_say(m, &out);
}

static void on_fetch_data(struct imap_mailbox *m)
{
	const struct imap_response *r = &m->parser.response;
	struct imap_fetched f;

	/* a response to nobody's question, such as flags that changed, and
	 * one that cannot be read, prove nothing */
	if (span_equal_nocase(r->name, SPAN("FETCH")) &&
	    imap_fetch_parse(r->text, &f) && imap_uids_has(&m->uids, f.uid) &&
	    f.date_s >= m->since_s && f.traced)
		m->own_copy = true;
}

static void on_fetched(struct imap_mailbox *m)
{
	imap_mailbox_end(m, m->own_copy ? IMAP_MAILBOX_FOUND :
					  IMAP_MAILBOX_ABSENT);
}

const struct mailbox_row imap_mailbox_finding[] = {
	[AT_LIST] = { enter_list, on_list_data, on_listed, on_list_refused,
		      NULL },
	[AT_PLAIN_LIST] = { enter_plain_list, on_list_data, on_listed, NULL,
			    NULL },
	[AT_EXAMINE] = { enter_examine, NULL, on_examined, NULL,
			 imap_mailbox_go_on },
	[AT_SEARCH] = { enter_search, on_search_data, on_searched, NULL,
			imap_mailbox_go_on },
	[AT_FETCH] = { enter_fetch, on_fetch_data, on_fetched, NULL, NULL },
};

_Static_assert(ARRAY_SIZE(imap_mailbox_finding) == AT_FETCH + 1,
	       "a row for each state");
_Static_assert(ARRAY_SIZE(well_known) < MAILBOX_RANK_NONE, "none is last");

/* The queue's file: what an older program left, and what a statement costs. */
#include "store_rig.h"

/* As version 1 had it. */
static const char old_schema[] =
	"BEGIN; CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	"id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, login TEXT, "
	"session TEXT, address TEXT, reverse_path TEXT NOT NULL, "
	"recipients TEXT NOT NULL, body_8bit INTEGER NOT NULL, "
	"smtputf8 INTEGER NOT NULL, size INTEGER NOT NULL, "
	"state INTEGER NOT NULL, created_s INTEGER NOT NULL, "
	"next_s INTEGER NOT NULL, attempts INTEGER NOT NULL, "
	"last_reply TEXT, cause TEXT);"
	"CREATE INDEX by_account ON messages (account, state, seq);"
	"CREATE TABLE bodies (chunk INTEGER PRIMARY KEY, data BLOB NOT NULL);"
	"PRAGMA user_version=1; COMMIT;";

static const char old_mail[] =
	"INSERT INTO messages VALUES (7,'000000000000000a','a@x','l','s','::1',"
	"'r@x','b@x' || char(10) || '\"c d\"@x',1,0,4,0,1700000000,1700000300,2,"
	"'451 later','throttled');"
	"INSERT INTO messages VALUES (9,'000000000000000b','a@x','(notice)','s',"
	"'::1','a@x','r@x',0,1,3,1,1700000001,0,0,NULL,'notice');"
	"INSERT INTO messages VALUES (12,'000000000000000c','b@x',NULL,NULL,"
	"NULL,'','d@x',0,0,0,0,1700000002,0,0,NULL,NULL);"
	"INSERT INTO bodies VALUES (7<<20, CAST('body' AS BLOB));"
	"INSERT INTO bodies VALUES (9<<20, CAST('not' AS BLOB));";

static void make_old_file(void)
{
	char *path = mem_printf("%s/queue.db", dir);
	sqlite3 *db;

	CHECK_FATAL(sqlite3_open(path, &db) == SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL),
		  SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, old_schema, NULL, NULL, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, old_mail, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	mem_free(path);
}

static void on_list(void *arg, enum store_result r,
		    struct queue_message *const *list, size_t n)
{
	struct waiter *w = arg;

	for (size_t i = 0; i < n; i++) {
		const struct queue_message *m = list[i];

		buf_printf(&w->text, "%lld %s %s %s <%s>", (long long)m->seq,
			   m->id, queue_kind_name(m->kind), m->account,
			   m->reverse_path);
		for (size_t k = 0; k < m->n_recipients; k++)
			buf_printf(&w->text, " %s:%u",
				   m->recipients[k].address,
				   m->recipients[k].notify);
		buf_printf(&w->text, " %llu %s %lld %lld %lld %d %u %s\n",
			   (unsigned long long)m->size,
			   queue_state_name(m->state), (long long)m->created_s,
			   (long long)m->accepted_s, (long long)m->next_s,
			   m->warned, m->attempts, m->last_reply);
	}
	on_done(w, r);
}

static void on_chunk(void *arg, enum store_result r, struct span data)
{
	struct waiter *w = arg;

	buf_add(&w->text, data);
	on_done(w, r);
}

static void on_count(void *arg, enum store_result r,
		     const struct queue_count *list, size_t n)
{
	struct waiter *w = arg;

	for (size_t i = 0; i < n; i++)
		buf_printf(&w->text, "%s %llu %llu %llu %lld;", list[i].account,
			   (unsigned long long)list[i].messages,
			   (unsigned long long)list[i].bytes,
			   (unsigned long long)list[i].held,
			   (long long)list[i].oldest_s);
	on_done(w, r);
}

static void said(struct waiter *w, const char *want)
{
	wait_for(w, 1);
	CHECK_INT(w->last, STORE_OK);
	CHECK_STR(buf_cstr(&w->text), want);
	buf_clear(&w->text);
	w->done = 0;
}

/* Every message of it is there, waits from now on, and can go. */
static void mail_is_there(void)
{
	struct waiter w = { 0 };

	queue_list(store, &(struct queue_query){ .state = -1, .limit = 9 },
		   on_list, &w);
	said(&w, "7 000000000000000a mail a@x <r@x> b@x:0 \"c d\"@x:0 4 "
		 "waiting 1700000000 1 0 0 2 451 later\n"
		 "9 000000000000000b failure-notice a@x <a@x> r@x:0 3 "
		 "held 1700000001 1 0 0 0 (null)\n"
		 "12 000000000000000c mail b@x <> d@x:0 0 "
		 "waiting 1700000002 1 0 0 0 (null)\n");
	queue_read_chunk(store, "000000000000000a", 0, on_chunk, &w);
	said(&w, "body");
	queue_counts(store, on_count, &w);
	said(&w, "a@x 2 7 1 1700000000;b@x 1 0 0 1700000002;");
	CHECK_INT(store->writer.totals.messages, 3);
	CHECK_INT(store->writer.totals.bytes, 7);
}

static void test_version_1(void)
{
	struct waiter w = { 0 };

	make_folder();
	make_old_file();
	open_store();
	mail_is_there();
	queue_store_close(&store);
	open_store();
	mail_is_there();
	CHECK_INT(changed(NULL, "a@x", QUEUE_DELETE), 2);
	queue_counts(store, on_count, &w);
	said(&w, "b@x 1 0 0 1700000002;");
	end();
}

static void test_newer_version(void)
{
	struct buf why = BUF_INIT;

	begin();
	MB_IGNORE(db_exec(&store->writer.db, "PRAGMA user_version=99"));
	queue_store_close(&store);
	CHECK(queue_store_open(loop, dir, &why) == NULL);
	CHECK(strstr(buf_cstr(&why), "format 99") != NULL);
	buf_clear(&why);
	end();
}

/* ---- what statements cost ---- */

/*
 * A scan is allowed of what has a row per account, and of what the plan calls
 * so but ends with the first row it finds.
 */
static bool may_scan(const char *detail, const char *sql)
{
	static const char *const few[] = { "SCAN accounts", "SCAN a",
					   "SCAN (subquery-", "SCAN CONSTANT" };

	for (size_t i = 0; i < ARRAY_SIZE(few); i++)
		if (!strncmp(detail, few[i], strlen(few[i])))
			return true;
	return strstr(sql, "sqlite_schema") != NULL;
}

static unsigned check_plan(sqlite3 *db, const char *sql, const char *index)
{
	bool found = false;
	char *explain = mem_printf("EXPLAIN QUERY PLAN %s", sql);
	sqlite3_stmt *s = NULL;
	unsigned steps = 0;

	CHECK_FATAL(sqlite3_prepare_v2(db, explain, -1, &s, NULL) == SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(s, 3);
		bool dear = strstr(detail, "TEMP B-TREE") ||
			    (strstr(detail, "SCAN") == detail &&
			     !may_scan(detail, sql));

		if (dear)
			fprintf(stderr, "%s\n\t%s\n", sql, detail);
		CHECK(!dear);
		found |= strstr(detail, index) != NULL;
		steps++;
	}
	CHECK(found || !*index);
	sqlite3_finalize(s);
	mem_free(explain);
	return steps;
}

/* Where another would do, but walk what is not asked for. */
static const char *const indexes[QUEUE_READ_COUNT] = {
	[R_ID] = "sqlite_autoindex_messages_1",
	[R_ACCOUNT_STATE] = "by_account",
	[R_ACCOUNT] = "by_account",
	[R_STATE] = "by_state",
	[R_ALL] = "PRIMARY KEY",
	[R_UNWARNED] = "unwarned",
	[R_NOTICES] = "notices",
	[R_CHUNK] = "PRIMARY KEY",
	[R_COUNT] = "by_account",
	[R_HISTORY_ID] = "history_id",
	[R_HISTORY_MESSAGE_ID] = "history_message_id",
	[R_HISTORY_FALLBACK] = "history_fallback",
	[R_HISTORY_DOUBT] = "history_doubt",
	[R_HISTORY_LOGIN] = "history_login",
	[R_HISTORY_ACCOUNT] = "history_account",
	[R_HISTORY_ALL] = "PRIMARY KEY",
	[R_SENT] = "PRIMARY KEY",
};

static void test_plans(void)
{
	unsigned steps = 0;

	begin();
	for (unsigned i = 0; i < QUEUE_WRITE_COUNT; i++)
		steps += check_plan(store->writer.db.handle,
				    queue_write_sql[i], "");
	for (unsigned i = 0; i < QUEUE_READ_COUNT; i++)
		steps += check_plan(store->reader.db.handle,
				    queue_read_sql[i], indexes[i]);
	CHECK(steps > QUEUE_READ_COUNT);
	/* the check sees what it is there for */
	CHECK(!may_scan("SCAN messages", "") && !may_scan("SCAN history", ""));
	end();
}

UNIT_MAIN("format", { "version 1", test_version_1 },
	  { "newer version", test_newer_version }, { "plans", test_plans })

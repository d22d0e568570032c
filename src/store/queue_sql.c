#include "store/queue_sql.h"

#include "store/queue_internal.h"

_Static_assert(CHUNK_BITS == 20 && QUEUE_WAITING == 0 && QUEUE_HELD == 1 &&
		       QUEUE_MAIL == 0 && QUEUE_FAILURE_NOTICE == 1 &&
		       HISTORY_DELETED == 5,
	       "the statements below have them as numbers");

/* ---- the file ---- */

static const char version_1[] =
	"CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	"id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, login TEXT, "
	"session TEXT, address TEXT, reverse_path TEXT NOT NULL, "
	"recipients TEXT NOT NULL, body_8bit INTEGER NOT NULL, "
	"smtputf8 INTEGER NOT NULL, size INTEGER NOT NULL, "
	"state INTEGER NOT NULL, created_s INTEGER NOT NULL, "
	"next_s INTEGER NOT NULL, attempts INTEGER NOT NULL, "
	"last_reply TEXT, cause TEXT);"
	"CREATE INDEX by_account ON messages (account, state, seq);"
	"CREATE TABLE bodies (chunk INTEGER PRIMARY KEY, data BLOB NOT NULL)";

/*
 * The queue's clock begins at 1, 0 being "none" in every column that has its
 * times. What version 1 held is as old as that: its age was that of the wall
 * clock, which is not believed any more. accounts follows messages by
 * triggers, so that no start and no status counts rows.
 */
static const char version_2[] =
	"ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE messages ADD COLUMN about TEXT;"
	"ALTER TABLE messages ADD COLUMN ret INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE messages ADD COLUMN envid TEXT;"
	"ALTER TABLE messages ADD COLUMN message_id TEXT;"
	"ALTER TABLE messages ADD COLUMN accepted_s INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE messages ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE messages ADD COLUMN doubt_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE messages ADD COLUMN doubt_via TEXT;"
	"ALTER TABLE messages ADD COLUMN in_doubt INTEGER NOT NULL DEFAULT 0;"
	"UPDATE messages SET next_s=0 WHERE next_s<>0;"
	"UPDATE messages SET kind=1 WHERE login='(notice)';"
	"CREATE INDEX by_state ON messages (state, seq);"
	"CREATE INDEX unwarned ON messages (seq) "
	"WHERE state=0 AND warned=0 AND kind=0;"
	"CREATE INDEX notices ON messages (account, seq) "
	"WHERE state=0 AND kind>0;"

	"CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one=1), "
	"now_s INTEGER NOT NULL);"
	"INSERT INTO clock VALUES (1, 1);"

	"CREATE TABLE accounts (account TEXT PRIMARY KEY, "
	"messages INTEGER NOT NULL, bytes INTEGER NOT NULL, "
	"held INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO accounts SELECT account, count(*), sum(size), "
	"sum(state) FROM messages GROUP BY account;"
	"CREATE TRIGGER added AFTER INSERT ON messages BEGIN "
	"INSERT INTO accounts VALUES (NEW.account, 1, NEW.size, NEW.state) "
	"ON CONFLICT DO UPDATE SET messages=messages+1, "
	"bytes=bytes+NEW.size, held=held+NEW.state; END;"
	"CREATE TRIGGER removed AFTER DELETE ON messages BEGIN "
	"UPDATE accounts SET messages=messages-1, bytes=bytes-OLD.size, "
	"held=held-OLD.state WHERE account=OLD.account;"
	"DELETE FROM accounts WHERE account=OLD.account AND messages=0; END;"
	"CREATE TRIGGER moved AFTER UPDATE OF state ON messages BEGIN "
	"UPDATE accounts SET held=held+NEW.state-OLD.state "
	"WHERE account=NEW.account; END;"

	"CREATE TABLE history (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
	"at_s INTEGER NOT NULL, clock_s INTEGER NOT NULL, "
	"result INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, "
	"account TEXT NOT NULL, via TEXT, login TEXT, session TEXT, "
	"address TEXT, reverse_path TEXT NOT NULL, recipients TEXT NOT NULL, "
	"message_id TEXT, size INTEGER NOT NULL, waited_s INTEGER NOT NULL, "
	"attempts INTEGER NOT NULL, reply TEXT, in_doubt INTEGER NOT NULL);"
	"CREATE INDEX history_id ON history (id);"
	"CREATE INDEX history_message_id ON history (message_id, seq);"
	"CREATE INDEX history_account ON history (account, seq);"
	"CREATE INDEX history_login ON history (login, seq);"
	"CREATE INDEX history_fallback ON history (seq) "
	"WHERE via IS NOT NULL;"
	"CREATE INDEX history_doubt ON history (seq) WHERE in_doubt=1;"

	"CREATE TABLE sent (hour INTEGER NOT NULL, account TEXT NOT NULL, "
	"recipients INTEGER NOT NULL, PRIMARY KEY (hour, account)) "
	"WITHOUT ROWID";

static const char *const steps[] = { version_1, version_2 };
const struct db_format queue_format = { steps, ARRAY_SIZE(steps) };

/* ---- writing ---- */

const char *const queue_write_sql[QUEUE_WRITE_COUNT] = {
	[W_ADD] = "INSERT INTO messages (id, kind, about, account, login, "
		  "session, address, reverse_path, recipients, body_8bit, "
		  "smtputf8, ret, envid, message_id, size, state, created_s, "
		  "accepted_s, next_s, warned, doubt_s, doubt_via, attempts, "
		  "last_reply, cause, in_doubt) VALUES "
		  "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
		  "?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,"
		  "?25,?26)",
	[W_ADD_BODY] = "INSERT INTO bodies VALUES (?1,?2)",
	[W_UPDATE] = "UPDATE messages SET reverse_path=?2, recipients=?3, "
		     "next_s=?4, warned=?5, doubt_s=?6, doubt_via=?7, "
		     "attempts=?8, last_reply=?9, cause=?10, "
		     "in_doubt=?11 WHERE id=?1",
	[W_FIND] = "SELECT seq, size, state FROM messages WHERE id=?1",
	[W_REMOVE] = "DELETE FROM messages WHERE seq=?1",
	[W_REMOVE_BODY] = "DELETE FROM bodies WHERE chunk>=(?1<<20) "
			  "AND chunk<((?1+1)<<20)",
	[W_RETRY] = "UPDATE messages SET next_s=0 WHERE seq=?1",
	[W_HOLD] = "UPDATE messages SET state=1 WHERE seq=?1",
	[W_RELEASE] = "UPDATE messages SET state=0, next_s=0 WHERE seq=?1",
	[W_PAGE_ACCOUNT] = "SELECT seq, size FROM messages WHERE account=?1 "
			   "AND state=?2 AND seq>?3 AND seq<=?4 "
			   "ORDER BY seq LIMIT ?5",
	[W_PAGE_ALL] = "SELECT seq, size FROM messages WHERE state=?2 AND "
		       "seq>?3 AND seq<=?4 ORDER BY seq LIMIT ?5",
	[W_LAST] = "SELECT max(seq) FROM messages",
	[W_RECORD] = "INSERT INTO history VALUES (NULL,?1,?2,?3,?4,?5,?6,?7,"
		     "?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
	[W_RECORD_DELETED] =
		"INSERT INTO history SELECT NULL, ?2, ?3, 5, kind, id, "
		"account, NULL, login, session, address, reverse_path, "
		"recipients, message_id, size, ?3-accepted_s, attempts, "
		"last_reply, 0 FROM messages WHERE seq=?1",
	[W_SENT] = "INSERT INTO sent VALUES (?1,?2,?3) ON CONFLICT DO UPDATE "
		   "SET recipients=recipients+?3",
	[W_SENT_PURGE] = "DELETE FROM sent WHERE hour<?1",
	[W_OLDEST] = "SELECT clock_s FROM history WHERE seq>0 ORDER BY seq "
		     "LIMIT 1",
	[W_PURGE] = "DELETE FROM history WHERE clock_s<?1 AND seq IN (SELECT "
		    "seq FROM history WHERE seq>0 ORDER BY seq LIMIT ?2)",
	[W_CLOCK] = "UPDATE clock SET now_s=?1 WHERE one=1",
	[W_READ_CLOCK] = "SELECT now_s FROM clock WHERE one=1",
	[W_TOTALS] = "SELECT ifnull(sum(messages),0), ifnull(sum(bytes),0) "
		     "FROM accounts",
	[W_SAVEPOINT] = "SAVEPOINT op",
	[W_RELEASE_SAVEPOINT] = "RELEASE op",
	[W_BACK] = "ROLLBACK TO op",
	[W_BEGIN] = "BEGIN IMMEDIATE",
	[W_COMMIT] = "COMMIT",
};

/* ---- reading ---- */

#define COLUMNS                                                              \
	"seq, id, kind, about, account, login, session, address, "           \
	"reverse_path, recipients, body_8bit, smtputf8, ret, envid, "        \
	"message_id, size, state, created_s, accepted_s, next_s, warned, "   \
	"doubt_s, doubt_via, attempts, last_reply, cause, in_doubt"
/* ?1 after_seq, ?2 id, ?3 account, ?4 state, ?5 limit */
#define LIST(where)                                                          \
	"SELECT " COLUMNS " FROM messages WHERE " where                      \
	" AND seq>?1 ORDER BY seq LIMIT ?5"

#define HISTORY_COLUMNS                                                      \
	"seq, at_s, result, kind, id, account, via, login, session, "        \
	"address, reverse_path, recipients, message_id, size, waited_s, "    \
	"attempts, reply, in_doubt"
/* Notices never say that they are from another: they are not among these. */
#define IN_PLACE "via IS NOT NULL AND kind=0"
/* ?1 before_seq, ?2 id, ?3 account, ?4 login, ?5 limit, ?6 fallback only,
 * ?7 in doubt only, ?8 message_id */
#define HISTORY(where)                                                       \
	"SELECT " HISTORY_COLUMNS " FROM history WHERE " where               \
	" AND seq<?1 AND ifnull(account=?3, ?3 IS NULL)"                     \
	" AND ifnull(login=?4, ?4 IS NULL)"                                  \
	" AND ifnull(message_id=?8, ?8 IS NULL)"                             \
	" AND (NOT ?6 OR " IN_PLACE ") AND (NOT ?7 OR in_doubt=1)"          \
	" ORDER BY seq DESC LIMIT ?5"

/* Each walks an index in the order that is asked for. */
const char *const queue_read_sql[QUEUE_READ_COUNT] = {
	[R_ID] = LIST("id=?2"),
	[R_ACCOUNT_STATE] = LIST("account=?3 AND state=?4"),
	/* the index has each state's own order */
	[R_ACCOUNT] = "SELECT " COLUMNS " FROM messages WHERE account=?3 AND "
		      "state=0 AND seq>?1 UNION ALL SELECT " COLUMNS
		      " FROM messages WHERE account=?3 AND state=1 AND "
		      "seq>?1 ORDER BY seq LIMIT ?5",
	[R_STATE] = LIST("state=?4"),
	[R_ALL] = LIST("1"),
	[R_UNWARNED] = "SELECT " COLUMNS " FROM messages INDEXED BY unwarned "
		       "WHERE state=0 AND warned=0 AND kind=0 AND seq>?1 "
		       "ORDER BY seq LIMIT ?5",
	[R_NOTICES] = "SELECT " COLUMNS " FROM messages INDEXED BY notices "
		      "WHERE account=?3 AND state=0 AND kind>0 AND seq>?1 "
		      "ORDER BY seq LIMIT ?5",
	[R_CHUNK] = "SELECT data FROM bodies WHERE chunk=((SELECT seq FROM "
		    "messages WHERE id=?1) << 20) | ?2",
	[R_COUNT] = "SELECT account, messages, bytes, held, (SELECT created_s "
		    "FROM messages m WHERE m.seq=(SELECT min(s) FROM (SELECT "
		    "min(seq) AS s FROM messages WHERE account=a.account AND "
		    "state=0 UNION ALL SELECT min(seq) FROM messages WHERE "
		    "account=a.account AND state=1))) FROM accounts a",
	[R_HISTORY_ID] = HISTORY("id=?2"),
	[R_HISTORY_MESSAGE_ID] = HISTORY("message_id=?8"),
	[R_HISTORY_FALLBACK] = HISTORY(IN_PLACE),
	[R_HISTORY_DOUBT] = HISTORY("in_doubt=1"),
	[R_HISTORY_LOGIN] = HISTORY("login=?4"),
	[R_HISTORY_ACCOUNT] = HISTORY("account=?3"),
	[R_HISTORY_ALL] = HISTORY("1"),
	[R_SENT] = "SELECT recipients FROM sent WHERE hour=?1 AND account=?2",
};

/*
 * Every statement of the queue, and its file's format, in one place: a test
 * holds each against the rule that what it costs does not depend on how many
 * messages wait.
 */
#ifndef STORE_QUEUE_SQL_H
#define STORE_QUEUE_SQL_H

#include "store/db.h"

extern const struct db_format queue_format;

enum queue_write {
	W_ADD,
	W_ADD_BODY,
	W_UPDATE,
	W_FIND,
	W_REMOVE,
	W_REMOVE_BODY,
	W_RETRY,
	W_HOLD,
	W_RELEASE,
	W_PAGE_ACCOUNT,
	W_PAGE_ALL,
	W_LAST,
	W_RECORD,
	W_RECORD_DELETED,
	W_SENT,
	W_SENT_PURGE,
	W_OLDEST,
	W_PURGE,
	W_CLOCK,
	W_READ_CLOCK,
	W_TOTALS,
	W_SAVEPOINT,
	W_RELEASE_SAVEPOINT,
	W_BACK,
	W_BEGIN,
	W_COMMIT,
	QUEUE_WRITE_COUNT
};
extern const char *const queue_write_sql[QUEUE_WRITE_COUNT];

enum queue_read {
	R_ID,
	R_ACCOUNT_STATE,
	R_ACCOUNT,
	R_STATE,
	R_ALL,
	R_UNWARNED,
	R_NOTICES,
	R_CHUNK,
	R_COUNT,
	R_HISTORY_ID,
	R_HISTORY_MESSAGE_ID,
	R_HISTORY_FALLBACK,
	R_HISTORY_DOUBT,
	R_HISTORY_LOGIN,
	R_HISTORY_ACCOUNT,
	R_HISTORY_ALL,
	R_SENT,
	QUEUE_READ_COUNT
};
extern const char *const queue_read_sql[QUEUE_READ_COUNT];

#endif

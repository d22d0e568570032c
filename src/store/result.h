/* How it went with the store, of the queue and of the vault. */
#ifndef STORE_RESULT_H
#define STORE_RESULT_H

enum store_result {
	STORE_OK,
	STORE_FULL,    /* no space, or a limit of the queue: 452 4.3.1 */
	STORE_MISSING, /* no such message */
	STORE_ERROR,   /* I/O error, damaged: see the log */
};

#endif

/* How it went with the store, of the queue and of the vault. */
#ifndef STORE_RESULT_H
#define STORE_RESULT_H

enum store_result {
	STORE_OK,
	STORE_FULL,    /* a limit of the queue: 452 4.3.1 */
	STORE_NO_SPACE, /* the disk is full, or has less than the reserve free:
			 * 452 4.3.1, too */
	STORE_MISSING, /* no such message */
	STORE_ERROR,   /* I/O error, damaged: see the log */
};

#endif

/* The disk behind power_vfs.h: its files, and the notes. */
#ifndef TESTS_POWER_DISK_H
#define TESTS_POWER_DISK_H

#include <pthread.h>
#include <stdint.h>

#include "power_vfs.h"

#define FILES 8
#define REGIONS 64
#define LOCKS 8

/* One file of a disk. Data outlives the name as long as it is open. */
struct node {
	char *name;
	unsigned char *data;
	size_t size, room;
	bool there;
	int opened, sharing;
	void *shm[REGIONS];
	int shm_shared[LOCKS];
	bool shm_taken[LOCKS];
};

struct disk {
	struct node nodes[FILES];
	size_t n;
};

/* Guards all of it. */
extern pthread_mutex_t power_lock;
/* The live one, or what a cut left. */
extern struct disk *power_disk;

struct node *power_node(struct disk *d, size_t i);
/* Index of a name, which need not be there. */
size_t power_find(struct disk *d, const char *name);
void power_resize(struct node *f, size_t size);
void power_put(struct node *f, size_t at, const void *data, size_t len);
void power_forget_shm(struct node *f);

void power_note(enum power_kind kind, size_t node, sqlite3_int64 at,
		const void *data, size_t len);
/* After a failed sync of a file. */
void power_lose(size_t node);
/* rc of power_fail, or SQLITE_OK. */
int power_fails(enum power_kind kind);
bool power_is_lying(void);
/* Begins with the live disk; forgets all disks and notes. */
void power_begin(void);
void power_forget(void);

#endif

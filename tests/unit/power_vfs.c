#include "power_vfs.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"

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

struct note {
	enum power_kind kind;
	size_t node;
	sqlite3_int64 at; /* offset, or new size */
	unsigned char *data;
	size_t len;
	bool lost; /* a failed sync was to write it */
};

struct handle {
	sqlite3_file base;
	size_t node;
	int level;
	bool sync_folder;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk live, image, *disk;
static struct note *notes;
static size_t n_notes;
static bool lying;
static struct {
	enum power_kind kind;
	unsigned nth, came;
	int rc;
	bool for_good;
} fault;

/* ---- disks ---- */

static struct node *node_of(struct disk *d, size_t i)
{
	assert(i < d->n);
	return &d->nodes[i];
}

static size_t find(struct disk *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->nodes[i].name, name))
			return i;
	assert(d->n < FILES);
	d->nodes[d->n] = (struct node){ .name = mem_strdup(name) };
	return d->n++;
}

static void resize(struct node *f, size_t size)
{
	if (size > f->room) {
		f->room = size + size / 2;
		f->data = mem_realloc(f->data, f->room);
	}
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
}

static void put(struct node *f, size_t at, const void *data, size_t len)
{
	if (at + len > f->size)
		resize(f, at + len);
	if (len)
		memcpy(f->data + at, data, len);
}

static void forget_shm(struct node *f)
{
	for (size_t i = 0; i < REGIONS; i++) {
		mem_free(f->shm[i]);
		f->shm[i] = NULL;
	}
	memset(f->shm_shared, 0, sizeof(f->shm_shared));
	memset(f->shm_taken, 0, sizeof(f->shm_taken));
}

static void clear(struct disk *d)
{
	for (size_t i = 0; i < d->n; i++) {
		forget_shm(&d->nodes[i]);
		mem_free(d->nodes[i].name);
		mem_free(d->nodes[i].data);
	}
	memset(d, 0, sizeof(*d));
}

/* ---- notes ---- */

static void take_note(enum power_kind kind, size_t node, sqlite3_int64 at,
		      const void *data, size_t len)
{
	struct note *n;

	if (disk != &live)
		return;
	if ((n_notes & (n_notes - 1)) == 0)
		notes = mem_realloc(notes, (n_notes ? 2 * n_notes : 1) *
						   sizeof(*notes));
	n = &notes[n_notes++];
	*n = (struct note){ kind, node, at, NULL, len, false };
	if (len) {
		n->data = mem_alloc(len);
		memcpy(n->data, data, len);
	}
}

static bool is_content(const struct note *n)
{
	return n->kind == POWER_WRITE || n->kind == POWER_TRUNCATE;
}

static bool is_entry(const struct note *n)
{
	return n->kind == POWER_CREATE || n->kind == POWER_DELETE;
}

/* Reads back, and will never be written. */
static void lose_unsynced(size_t node)
{
	for (size_t i = n_notes; i-- > 0;) {
		if (notes[i].kind == POWER_SYNC && notes[i].node == node)
			break;
		if (is_content(&notes[i]) && notes[i].node == node)
			notes[i].lost = true;
	}
}

static int fails(enum power_kind kind)
{
	if (disk != &live || fault.nth == 0 || kind != fault.kind)
		return SQLITE_OK;
	fault.came++;
	if (fault.came == fault.nth ||
	    (fault.for_good && fault.came > fault.nth))
		return fault.rc;
	return SQLITE_OK;
}

/* ---- what SQLite calls; all under the lock ---- */

static struct node *node_at(sqlite3_file *f)
{
	return node_of(disk, ((struct handle *)f)->node);
}

static int f_close(sqlite3_file *f)
{
	struct node *n;

	pthread_mutex_lock(&lock);
	n = node_at(f);
	n->sharing -= ((struct handle *)f)->level > SQLITE_LOCK_NONE;
	if (--n->opened == 0)
		forget_shm(n);
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int f_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
	struct node *n;
	size_t want = (size_t)len, have;

	pthread_mutex_lock(&lock);
	n = node_at(f);
	have = (size_t)at < n->size ? n->size - (size_t)at : 0;
	if (have > want)
		have = want;
	if (have)
		memcpy(to, n->data + at, have);
	memset((char *)to + have, 0, want - have);
	pthread_mutex_unlock(&lock);
	return have < want ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int f_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)f;
	int rc;

	pthread_mutex_lock(&lock);
	rc = fails(POWER_WRITE);
	if (rc == SQLITE_OK) {
		put(node_at(f), (size_t)at, data, (size_t)len);
		take_note(POWER_WRITE, h->node, at, data, (size_t)len);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct handle *h = (struct handle *)f;
	int rc;

	pthread_mutex_lock(&lock);
	rc = fails(POWER_TRUNCATE);
	if (rc == SQLITE_OK) {
		resize(node_at(f), (size_t)size);
		take_note(POWER_TRUNCATE, h->node, size, NULL, 0);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int f_sync(sqlite3_file *f, int flags)
{
	struct handle *h = (struct handle *)f;
	int rc;

	(void)flags;
	pthread_mutex_lock(&lock);
	rc = fails(POWER_SYNC);
	if (rc != SQLITE_OK) {
		lose_unsynced(h->node);
	} else if (!lying) {
		take_note(POWER_SYNC, h->node, 0, NULL, 0);
		if (h->sync_folder)
			take_note(POWER_SYNC_FOLDER, h->node, 0, NULL, 0);
		h->sync_folder = false;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
	pthread_mutex_lock(&lock);
	*size = (sqlite3_int64)node_at(f)->size;
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

/* Whoever holds any lock shares; whoever wants all must be alone. */
static int f_lock(sqlite3_file *f, int level)
{
	struct handle *h = (struct handle *)f;
	int rc = SQLITE_OK;
	struct node *n;

	pthread_mutex_lock(&lock);
	n = node_at(f);
	if (level == SQLITE_LOCK_EXCLUSIVE &&
	    n->sharing > (h->level > SQLITE_LOCK_NONE)) {
		rc = SQLITE_BUSY;
	} else if (level > h->level) {
		n->sharing += h->level == SQLITE_LOCK_NONE;
		h->level = level;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static int f_unlock(sqlite3_file *f, int level)
{
	struct handle *h = (struct handle *)f;

	pthread_mutex_lock(&lock);
	if (h->level > SQLITE_LOCK_NONE && level == SQLITE_LOCK_NONE)
		node_at(f)->sharing--;
	h->level = level;
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int f_check_reserved(sqlite3_file *f, int *reserved)
{
	(void)f;
	*reserved = 0;
	return SQLITE_OK;
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int f_sector(sqlite3_file *f)
{
	(void)f;
	return 4096;
}

static int f_traits(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int f_shm_map(sqlite3_file *f, int region, int size, int extend,
		     void volatile **at)
{
	struct node *n;

	pthread_mutex_lock(&lock);
	n = node_at(f);
	assert(region < REGIONS);
	if (!n->shm[region] && extend)
		n->shm[region] = mem_zalloc((size_t)size);
	*at = n->shm[region];
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static bool may_lock(const struct node *n, int i, int flags)
{
	if (flags & SQLITE_SHM_SHARED)
		return !n->shm_taken[i];
	return !n->shm_taken[i] && n->shm_shared[i] == 0;
}

static void change_lock(struct node *n, int i, int flags)
{
	bool taking = (flags & SQLITE_SHM_LOCK) != 0;

	if (flags & SQLITE_SHM_SHARED)
		n->shm_shared[i] += taking ? 1 : -1;
	else
		n->shm_taken[i] = taking;
}

static int f_shm_lock(sqlite3_file *f, int first, int count, int flags)
{
	int rc = SQLITE_OK;
	struct node *n;

	pthread_mutex_lock(&lock);
	n = node_at(f);
	for (int i = first; i < first + count; i++)
		if ((flags & SQLITE_SHM_LOCK) && !may_lock(n, i, flags))
			rc = SQLITE_BUSY;
	for (int i = first; rc == SQLITE_OK && i < first + count; i++)
		change_lock(n, i, flags);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void f_shm_barrier(sqlite3_file *f)
{
	(void)f;
	__sync_synchronize();
}

static int f_shm_unmap(sqlite3_file *f, int remove)
{
	(void)f;
	(void)remove;
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_check_reserved,
	.xFileControl = f_control,
	.xSectorSize = f_sector,
	.xDeviceCharacteristics = f_traits,
	.xShmMap = f_shm_map,
	.xShmLock = f_shm_lock,
	.xShmBarrier = f_shm_barrier,
	.xShmUnmap = f_shm_unmap,
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
		  int *out)
{
	const int logs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
	struct handle *h = (struct handle *)f;
	bool creates = (flags & SQLITE_OPEN_CREATE) != 0;
	struct node *n;

	(void)v;
	assert(name); /* nothing goes to a temporary file */
	f->pMethods = NULL;
	pthread_mutex_lock(&lock);
	h->node = find(disk, name);
	n = node_of(disk, h->node);
	if (n->there || creates) {
		f->pMethods = &methods;
		h->level = SQLITE_LOCK_NONE;
		h->sync_folder = creates && (flags & logs);
		n->opened++;
		if (!n->there)
			take_note(POWER_CREATE, h->node, 0, NULL, 0);
		n->there = true;
	}
	pthread_mutex_unlock(&lock);
	if (out)
		*out = flags;
	return f->pMethods ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
	struct node *n;
	size_t i;

	(void)v;
	pthread_mutex_lock(&lock);
	i = find(disk, name);
	n = node_of(disk, i);
	if (n->there)
		take_note(POWER_DELETE, i, 0, NULL, 0);
	n->there = false;
	n->size = 0;
	if (sync_folder && !lying)
		take_note(POWER_SYNC_FOLDER, i, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
	(void)v;
	(void)flags;
	pthread_mutex_lock(&lock);
	*out = node_of(disk, find(disk, name))->there;
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int v_path(sqlite3_vfs *v, const char *name, int size, char *out)
{
	(void)v;
	sqlite3_snprintf(size, out, "%s", name);
	return SQLITE_OK;
}

/* The rest is the usual one's. */
static sqlite3_vfs vfs, *usual;

void power_on(void)
{
	usual = sqlite3_vfs_find("unix");
	vfs = *usual;
	vfs.iVersion = 2;
	vfs.zName = "power";
	vfs.szOsFile = sizeof(struct handle);
	vfs.pNext = NULL;
	vfs.xOpen = v_open;
	vfs.xDelete = v_delete;
	vfs.xAccess = v_access;
	vfs.xFullPathname = v_path;
	disk = &live;
	sqlite3_vfs_register(&vfs, 1);
}

void power_off(void)
{
	sqlite3_vfs_unregister(&vfs);
	sqlite3_vfs_register(usual, 1);
	clear(&live);
	clear(&image);
	for (size_t i = 0; i < n_notes; i++)
		mem_free(notes[i].data);
	mem_free(notes);
	notes = NULL;
	n_notes = 0;
	lying = false;
	fault.nth = 0;
}

void power_lie(void)
{
	lying = true;
}

void power_fail(enum power_kind kind, unsigned n, int rc, bool for_good)
{
	pthread_mutex_lock(&lock);
	fault.kind = kind;
	fault.nth = n;
	fault.came = 0;
	fault.rc = rc;
	fault.for_good = for_good;
	pthread_mutex_unlock(&lock);
}

unsigned power_count(void)
{
	return fault.came;
}

size_t power_noted(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = n_notes;
	pthread_mutex_unlock(&lock);
	return n;
}

enum power_kind power_kind_of(size_t op)
{
	return notes[op].kind;
}

/* ---- cuts ---- */

/* Was what note i did on the disk for sure, before the cut? */
static bool is_synced(size_t i, size_t before)
{
	for (size_t j = i + 1; j < before && !notes[i].lost; j++) {
		if (is_entry(&notes[i]) && notes[j].kind == POWER_SYNC_FOLDER)
			return true;
		if (is_content(&notes[i]) && notes[j].kind == POWER_SYNC &&
		    notes[j].node == notes[i].node)
			return true;
	}
	return false;
}

static void replay(struct disk *d, const struct note *n, size_t from,
		   size_t to)
{
	struct node *f = node_of(d, n->node);

	switch (n->kind) {
	case POWER_CREATE:
		f->there = true;
		break;
	case POWER_DELETE:
		f->there = false;
		f->size = 0;
		break;
	case POWER_WRITE:
		put(f, (size_t)n->at + from, n->data + from, to - from);
		break;
	case POWER_TRUNCATE:
		resize(f, (size_t)n->at);
		break;
	default:
		break;
	}
}

static bool is_left_out(size_t i, size_t before, enum power_cut how, size_t nth)
{
	switch (how) {
	case POWER_SYNCED:
		return !is_synced(i, before);
	case POWER_NO_ENTRY:
		return is_entry(&notes[i]) && !is_synced(i, before);
	case POWER_WITHOUT:
		return i == nth;
	default:
		return false;
	}
}

static void replay_part(size_t i, size_t before, enum power_cut how, size_t nth)
{
	bool last = i + 1 == before;

	if (last && how == POWER_TORN)
		replay(&image, &notes[i], 0, nth);
	else if (last && how == POWER_TORN_END)
		replay(&image, &notes[i], nth, notes[i].len);
	else
		replay(&image, &notes[i], 0, notes[i].len);
}

size_t power_last_write(size_t before)
{
	const struct note *n = before ? &notes[before - 1] : NULL;

	return n && n->kind == POWER_WRITE ? n->len : 0;
}

static bool has_unsynced_entry(size_t before)
{
	for (size_t i = before; i-- > 0;)
		if (is_entry(&notes[i]) && !is_synced(i, before))
			return true;
	return false;
}

/* Whether it differs from what other cuts leave. */
static bool is_case(size_t before, enum power_cut how, size_t nth)
{
	const struct note *last = before ? &notes[before - 1] : NULL;

	switch (how) {
	case POWER_SYNCED:
		return !last || last->kind == POWER_SYNC ||
		       last->kind == POWER_SYNC_FOLDER || before == n_notes;
	case POWER_NO_ENTRY:
		return has_unsynced_entry(before);
	case POWER_TORN:
	case POWER_TORN_END:
		return nth > 0 && nth < power_last_write(before);
	default:
		return true;
	}
}

bool power_cut(size_t before, enum power_cut how, size_t nth)
{
	if (!is_case(before, how, nth))
		return false;
	clear(&image);
	for (size_t i = 0; i < live.n; i++)
		find(&image, live.nodes[i].name);
	for (size_t i = 0; i < before; i++)
		if (!is_left_out(i, before, how, nth))
			replay_part(i, before, how, nth);
	disk = &image;
	return true;
}

void power_restore(void)
{
	disk = &live;
}

size_t power_unsynced(size_t before, size_t *list, size_t size)
{
	size_t n = 0;

	for (size_t i = before; i-- > 0 && n < size;)
		if (is_content(&notes[i]) && !is_synced(i, before))
			list[n++] = i;
	return n;
}

#include "power_vfs.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "power_disk.h"

struct handle {
	sqlite3_file base;
	size_t node;
	int level;
	bool sync_folder;
};

/* ---- what SQLite calls; all under the lock ---- */

static struct node *node_at(sqlite3_file *f)
{
	return power_node(power_disk, ((struct handle *)f)->node);
}

static int f_close(sqlite3_file *f)
{
	struct node *n;

	pthread_mutex_lock(&power_lock);
	n = node_at(f);
	n->sharing -= ((struct handle *)f)->level > SQLITE_LOCK_NONE;
	if (--n->opened == 0)
		power_forget_shm(n);
	pthread_mutex_unlock(&power_lock);
	return SQLITE_OK;
}

static int f_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
	struct node *n;
	size_t want = (size_t)len, have;

	pthread_mutex_lock(&power_lock);
	n = node_at(f);
	have = (size_t)at < n->size ? n->size - (size_t)at : 0;
	if (have > want)
		have = want;
	if (have)
		memcpy(to, n->data + at, have);
	memset((char *)to + have, 0, want - have);
	pthread_mutex_unlock(&power_lock);
	return have < want ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int f_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)f;
	int rc;

	pthread_mutex_lock(&power_lock);
	rc = power_fails(POWER_WRITE);
	if (rc == SQLITE_OK) {
		power_put(node_at(f), (size_t)at, data, (size_t)len);
		power_note(POWER_WRITE, h->node, at, data, (size_t)len);
	}
	pthread_mutex_unlock(&power_lock);
	return rc;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct handle *h = (struct handle *)f;
	int rc;

	pthread_mutex_lock(&power_lock);
	rc = power_fails(POWER_TRUNCATE);
	if (rc == SQLITE_OK) {
		power_resize(node_at(f), (size_t)size);
		power_note(POWER_TRUNCATE, h->node, size, NULL, 0);
	}
	pthread_mutex_unlock(&power_lock);
	return rc;
}

static int f_sync(sqlite3_file *f, int flags)
{
	struct handle *h = (struct handle *)f;
	int rc;

	(void)flags;
	pthread_mutex_lock(&power_lock);
	rc = power_fails(POWER_SYNC);
	if (rc != SQLITE_OK) {
		power_lose(h->node);
	} else if (!power_is_lying()) {
		power_note(POWER_SYNC, h->node, 0, NULL, 0);
		if (h->sync_folder)
			power_note(POWER_SYNC_FOLDER, h->node, 0, NULL, 0);
		h->sync_folder = false;
	}
	pthread_mutex_unlock(&power_lock);
	return rc;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
	pthread_mutex_lock(&power_lock);
	*size = (sqlite3_int64)node_at(f)->size;
	pthread_mutex_unlock(&power_lock);
	return SQLITE_OK;
}

/* Whoever holds any lock shares; whoever wants all must be alone. */
static int f_lock(sqlite3_file *f, int level)
{
	struct handle *h = (struct handle *)f;
	int rc = SQLITE_OK;
	struct node *n;

	pthread_mutex_lock(&power_lock);
	n = node_at(f);
	if (level == SQLITE_LOCK_EXCLUSIVE &&
	    n->sharing > (h->level > SQLITE_LOCK_NONE)) {
		rc = SQLITE_BUSY;
	} else if (level > h->level) {
		n->sharing += h->level == SQLITE_LOCK_NONE;
		h->level = level;
	}
	pthread_mutex_unlock(&power_lock);
	return rc;
}

static int f_unlock(sqlite3_file *f, int level)
{
	struct handle *h = (struct handle *)f;

	pthread_mutex_lock(&power_lock);
	if (h->level > SQLITE_LOCK_NONE && level == SQLITE_LOCK_NONE)
		node_at(f)->sharing--;
	h->level = level;
	pthread_mutex_unlock(&power_lock);
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

	pthread_mutex_lock(&power_lock);
	n = node_at(f);
	assert(region < REGIONS);
	if (!n->shm[region] && extend)
		n->shm[region] = mem_zalloc((size_t)size);
	*at = n->shm[region];
	pthread_mutex_unlock(&power_lock);
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

	pthread_mutex_lock(&power_lock);
	n = node_at(f);
	for (int i = first; i < first + count; i++)
		if ((flags & SQLITE_SHM_LOCK) && !may_lock(n, i, flags))
			rc = SQLITE_BUSY;
	for (int i = first; rc == SQLITE_OK && i < first + count; i++)
		change_lock(n, i, flags);
	pthread_mutex_unlock(&power_lock);
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
	pthread_mutex_lock(&power_lock);
	h->node = power_find(power_disk, name);
	n = power_node(power_disk, h->node);
	if (n->there || creates) {
		f->pMethods = &methods;
		h->level = SQLITE_LOCK_NONE;
		h->sync_folder = creates && (flags & logs);
		n->opened++;
		if (!n->there)
			power_note(POWER_CREATE, h->node, 0, NULL, 0);
		n->there = true;
	}
	pthread_mutex_unlock(&power_lock);
	if (out)
		*out = flags;
	return f->pMethods ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
	struct node *n;
	size_t i;

	(void)v;
	pthread_mutex_lock(&power_lock);
	i = power_find(power_disk, name);
	n = power_node(power_disk, i);
	if (n->there)
		power_note(POWER_DELETE, i, 0, NULL, 0);
	n->there = false;
	n->size = 0;
	if (sync_folder && !power_is_lying())
		power_note(POWER_SYNC_FOLDER, i, 0, NULL, 0);
	pthread_mutex_unlock(&power_lock);
	return SQLITE_OK;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
	(void)v;
	(void)flags;
	pthread_mutex_lock(&power_lock);
	*out = power_node(power_disk, power_find(power_disk, name))->there;
	pthread_mutex_unlock(&power_lock);
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
	power_begin();
	sqlite3_vfs_register(&vfs, 1);
}

void power_off(void)
{
	sqlite3_vfs_unregister(&vfs);
	sqlite3_vfs_register(usual, 1);
	power_forget();
}

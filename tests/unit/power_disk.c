#include "power_disk.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct note {
	enum power_kind kind;
	size_t node;
	sqlite3_int64 at; /* offset, or new size */
	unsigned char *data;
	size_t len;
	bool lost; /* a failed sync was to write it */
};

pthread_mutex_t power_lock = PTHREAD_MUTEX_INITIALIZER;
struct disk *power_disk;
static struct disk live, image;
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

struct node *power_node(struct disk *d, size_t i)
{
	assert(i < d->n);
	return &d->nodes[i];
}

size_t power_find(struct disk *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->nodes[i].name, name))
			return i;
	assert(d->n < FILES);
	d->nodes[d->n] = (struct node){ .name = mem_strdup(name) };
	return d->n++;
}

void power_resize(struct node *f, size_t size)
{
	if (size > f->room) {
		f->room = size + size / 2;
		f->data = mem_realloc(f->data, f->room);
	}
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
}

void power_put(struct node *f, size_t at, const void *data, size_t len)
{
	if (at + len > f->size)
		power_resize(f, at + len);
	if (len)
		memcpy(f->data + at, data, len);
}

void power_forget_shm(struct node *f)
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
		power_forget_shm(&d->nodes[i]);
		mem_free(d->nodes[i].name);
		mem_free(d->nodes[i].data);
	}
	memset(d, 0, sizeof(*d));
}

/* ---- notes ---- */

void power_note(enum power_kind kind, size_t node, sqlite3_int64 at,
		      const void *data, size_t len)
{
	struct note *n;

	if (power_disk != &live)
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
void power_lose(size_t node)
{
	for (size_t i = n_notes; i-- > 0;) {
		if (notes[i].kind == POWER_SYNC && notes[i].node == node)
			break;
		if (is_content(&notes[i]) && notes[i].node == node)
			notes[i].lost = true;
	}
}

int power_fails(enum power_kind kind)
{
	if (power_disk != &live || fault.nth == 0 || kind != fault.kind)
		return SQLITE_OK;
	fault.came++;
	if (fault.came == fault.nth ||
	    (fault.for_good && fault.came > fault.nth))
		return fault.rc;
	return SQLITE_OK;
}

bool power_is_lying(void)
{
	return lying;
}

void power_begin(void)
{
	power_disk = &live;
}

void power_forget(void)
{
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
	pthread_mutex_lock(&power_lock);
	fault.kind = kind;
	fault.nth = n;
	fault.came = n ? 0 : fault.came;
	fault.rc = rc;
	fault.for_good = for_good;
	pthread_mutex_unlock(&power_lock);
}

unsigned power_count(void)
{
	return fault.came;
}

size_t power_noted(void)
{
	size_t n;

	pthread_mutex_lock(&power_lock);
	n = n_notes;
	pthread_mutex_unlock(&power_lock);
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
	struct node *f = power_node(d, n->node);

	switch (n->kind) {
	case POWER_CREATE:
		f->there = true;
		break;
	case POWER_DELETE:
		f->there = false;
		f->size = 0;
		break;
	case POWER_WRITE:
		power_put(f, (size_t)n->at + from, n->data + from, to - from);
		break;
	case POWER_TRUNCATE:
		power_resize(f, (size_t)n->at);
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
		power_find(&image, live.nodes[i].name);
	for (size_t i = 0; i < before; i++)
		if (!is_left_out(i, before, how, nth))
			replay_part(i, before, how, nth);
	power_disk = &image;
	return true;
}

void power_restore(void)
{
	power_disk = &live;
}

size_t power_unsynced(size_t before, size_t *list, size_t size)
{
	size_t n = 0;

	for (size_t i = before; i-- > 0 && n < size;)
		if (is_content(&notes[i]) && !is_synced(i, before))
			list[n++] = i;
	return n;
}

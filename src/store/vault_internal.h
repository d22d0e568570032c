/*
 * What the files about the vault share. For this room only.
 */
#ifndef STORE_VAULT_INTERNAL_H
#define STORE_VAULT_INTERNAL_H

#include "store/db.h"
#include "store/vault.h"

const struct secret *vault_key(const struct vault *v);
/* The database, fit to be used; NULL: the disk does not let it be. */
struct db *vault_begin(struct vault *v);
/* At the end of whatever writes; gives r back. */
enum store_result vault_end(struct vault *v, enum store_result r);

/* Inside a transaction. */
enum store_result vault_event_put(struct db *d,
				  const struct vault_event *e) MB_MUSTCHECK;

#endif

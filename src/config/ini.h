/*
 * mailbearer.ini as read: the configuration, complete or not, and the line of
 * everything in it. This room only.
 */
#ifndef CONFIG_INI_H
#define CONFIG_INI_H

#include "config/config.h"
#include "config/option.h"

struct ini_listen {
	unsigned line;    /* of its header */
	unsigned *lines;  /* per option, 0: not set; the last of a list */
};

struct ini_file {
	const char *path; /* the blob's */
	char *dir;
	struct config *config;     /* take it: set to NULL */
	unsigned *lines;           /* per option, 0: not set */
	struct ini_listen *listens; /* beside config->listens */
	size_t n_listens;
	unsigned *address_lines;   /* per address of all listens, in order */
	size_t n_addresses;
};

/*
 * Always fills *out: with mistakes it is what could be made of the file, good
 * enough to find the other files and report their mistakes in the same pass.
 * The blob must outlive it.
 */
void ini_read(const struct config_blob *blob, struct ini_file *out,
	      struct config_errors *errors);
/* What no single line can tell: needs, clashes. */
void ini_check(const struct ini_file *f, struct config_errors *errors);
void ini_file_clear(struct ini_file *f);

/* The line to blame for an option: its own, or its section's. */
unsigned ini_listen_line(const struct ini_file *f, size_t listen,
			 const char *name);
unsigned ini_line(const struct ini_file *f, const char *section,
		  const char *name);

#endif

/*
 * A configuration in force: checked, and its files in sealed memory
 * descriptors, one each, ready to be handed to roles. What was checked is
 * what every role gets, a restarted one too.
 */
#ifndef SUPERVISOR_GENERATION_H
#define SUPERVISOR_GENERATION_H

#include "config/config.h"

enum role_kind { ROLE_RELAY, ROLE_KEEPER, ROLE_COURIER, ROLE_DESK, ROLE_COUNT };

struct memory_file {
	char *name; /* of the blob */
	char *path;
	int fd;
	unsigned roles; /* bit per enum role_kind that may see it */
};

/* The token_command of an account; its address may be "*@domain". */
struct token_command {
	char *address, *command;
};

struct generation {
	struct config *config;
	struct memory_file *files;
	size_t n_files;
	struct token_command *commands;
	size_t n_commands;
};

/*
 * Reads and checks; NULL with mistakes in errors. With old, what a reload
 * cannot change must be the same.
 */
struct generation *generation_load(const char *ini_path,
				   const struct generation *old,
				   struct config_errors *errors) MB_MUSTCHECK;
void generation_free(struct generation **gp);

/*
 * The token_command for mail of that address: its own account's, else that of
 * its domain's catch-all account; NULL when there is none.
 */
const char *generation_token_command(const struct generation *g,
				     struct span address);

#endif

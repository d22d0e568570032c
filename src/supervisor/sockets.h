/*
 * The listening sockets. Opened once (or handed over by systemd), they
 * outlive crashed roles and reloads: a reload opens what is new and closes
 * what is gone, and what stays never refuses a connection.
 */
#ifndef SUPERVISOR_SOCKETS_H
#define SUPERVISOR_SOCKETS_H

#include "config/config.h"

struct sock {
	char *name;    /* of [listen NAME], or "admin", "web" */
	char *address; /* NULL: handed over */
	int fd;
	bool is_path;
	bool wanted; /* by the configuration in force */
	bool fresh;  /* opened by the last sockets_open */
};

struct sockets {
	struct sock *list;
	size_t n;
	bool in_use; /* an address that sockets_open wanted */
};

/* Takes over what systemd passed (sd_listen_fds(3)), by its names. */
void sockets_adopt(struct sockets *s);
/*
 * Opens what c wants and is not open. With a mistake, nothing is changed.
 * path is for messages.
 */
bool sockets_open(struct sockets *s, const struct config *c, const char *path,
		  struct config_errors *errors) MB_MUSTCHECK;
/*
 * The same at the start: waits a little for addresses in use. The roles of a
 * daemon that was killed hold them until the kernel is done with their exit.
 */
bool sockets_open_first(struct sockets *s, const struct config *c,
			const char *path,
			struct config_errors *errors) MB_MUSTCHECK;
/* Closes what the configuration does not want any more. */
void sockets_close_unwanted(struct sockets *s);
/* Closes all, and removes the admin socket from its folder. */
void sockets_clear(struct sockets *s);

#endif

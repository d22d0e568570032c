/*
 * Reading the files into blobs: the supervisor's part of the configuration.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/config.h"

/*
 * Reads the ini file, then what it names (accounts, providers), then what
 * those name (certificates, keys, secrets, authorities), and the sealing key
 * if it is a credential of systemd's. Files that cannot be
 * read are mistakes at the line that names them. Secret files that others may
 * read are mistakes, too.
 */
void config_load(const char *ini_path, struct config_blobs *out,
		 struct config_errors *errors);

/* Reads, parses and checks everything; true when there was no mistake. */
bool config_check(const char *ini_path, struct config_blobs *out,
		  struct config_errors *errors) MB_MUSTCHECK;

#endif

/*
 * The option table and the parsers of its kinds of values. This room only.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "config/config.h"

enum option_kind {
	KIND_TEXT,
	KIND_PATH,      /* relative ones are beside the ini file */
	KIND_HOSTNAME,
	KIND_NUMBER,    /* unsigned */
	KIND_NUMBER64,
	KIND_DURATION,  /* seconds */
	KIND_SIZE,      /* bytes */
	KIND_CHOICE,    /* index among the words of the shown type */
	KIND_ADDRESSES,
	KIND_NETWORKS,
	KIND_WEB,       /* one address, or none: NULL */
	KIND_URL,
	KIND_PROXY,     /* also sets oauth_proxy_login */
	KIND_MAILBOX,   /* name@domain */
	KIND_TARGET,    /* of the log */
	KIND_FORMAT,
	KIND_LEVEL,
	KIND_STORE,
	KIND_COUNT
};

struct option {
	enum option_kind kind;
	size_t offset;
	uint64_t min, max;
	bool reloadable;
};

/* options[i] goes with config_options()[i]. */
extern const struct option options[];
#define OPTION_NONE SIZE_MAX

size_t options_count(void);
/* OPTION_NONE when there is no such key. section is "listen" for [listen X]. */
size_t option_find(struct span section, struct span name);
bool option_section_exists(struct span section);
/* Is it a member of struct listen_config rather than struct config? */
bool option_in_listen(size_t option);
/* A list takes several lines. */
bool option_is_list(size_t option);

/*
 * Puts value into owner (struct config or struct listen_config), whose old
 * text is freed. dir is the folder of the ini file. On false, why says what
 * was expected.
 */
bool option_set(size_t option, void *owner, struct span value,
		const char *dir, struct buf *why) MB_MUSTCHECK;
void option_set_fallbacks(bool in_listen, void *owner, const char *dir);

/* For yaml files, too: path as such, or beside dir; fresh. */
char *path_resolve(const char *dir, struct span path);
/* "credential:NAME", of systemd. */
#define CREDENTIAL_PREFIX "credential:"
bool path_is_credential(const char *path);
/* Seconds of "30s", "12m", "4h", "90d". */
bool duration_parse(struct span text, int64_t *seconds);
/* Folder of a file's path, "." when it has none; fresh. */
char *path_folder(const char *path);
bool is_host_port(struct span s);
bool is_host_name(struct span s);
/* name@domain, as far as it can be told without asking the domain. */
bool is_mailbox(struct span s);
/* https, or http to this machine. */
bool is_url(struct span s);
/* The index of word in "a|b|c", -1 when it is none of them. */
int choice_index(const char *choices, struct span word);

#endif

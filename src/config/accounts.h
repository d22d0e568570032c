/*
 * providers.yaml and accounts.yaml between libcyaml and struct accounts. This
 * room only.
 */
#ifndef CONFIG_ACCOUNTS_H
#define CONFIG_ACCOUNTS_H

#include "config/config.h"
#include "config/document.h"

/* A file that a configuration file names, and where. */
struct file_ref {
	char *path;
	char *from;    /* the file that names it */
	unsigned line; /* in from */
	char *key;
	bool secret;   /* nobody but its owner may read it */
};
struct file_refs {
	struct file_ref *list;
	size_t n;
};

/* refs may be NULL. */
void file_refs_add(struct file_refs *refs, const char *path, const char *from,
		   unsigned line, const char *key, bool secret);
void file_refs_clear(struct file_refs *refs);

/*
 * What could be read, with its mistakes in errors; never NULL. dir is the
 * folder that relative paths are beside.
 */
struct accounts *accounts_read(const struct config_blobs *b,
			       struct config_errors *errors,
			       struct file_refs *refs);

/* What reading one of the two files takes. */
struct yaml_reader {
	struct document document;
	struct config_errors *errors;
	struct file_refs *refs;
	const char *dir;
	struct accounts *out;
};

/* From the catalogue that comes with the program, and the users' own file. */
void providers_read(struct yaml_reader *r, const struct config_blobs *b);
void provider_clear(struct provider_config *p);
void accounts_read_list(struct yaml_reader *r);
const struct provider_config *provider_find(const struct accounts *a,
					    const char *name);

/* One value of an entry: a mistake when it is there and wrong. */
bool yaml_flag(struct yaml_reader *r, const char *text, bool fallback,
	       const char *where, const char *key);
unsigned yaml_number(struct yaml_reader *r, const char *text, unsigned max,
		     unsigned fallback, const char *where, const char *key);
/* The index among choices "a|b|c", or fallback. */
unsigned yaml_choice(struct yaml_reader *r, const char *text,
		     const char *choices, unsigned fallback, const char *where,
		     const char *key);
/* Seconds of "90d"; 0 when it is not there. */
int64_t yaml_duration(struct yaml_reader *r, const char *text,
		      const char *where, const char *key);
/* The end of the day "2027-03-31" in UTC, since the epoch; 0 as above. */
int64_t yaml_date(struct yaml_reader *r, const char *text, const char *where,
		  const char *key);
/* A copy, NULL when it is not there; an empty text is a mistake. */
char *yaml_text(struct yaml_reader *r, const char *text, const char *where,
		const char *key);
/*
 * A path, resolved and noted in refs. A secret may be "credential:NAME", of
 * systemd (LoadCredential=), which stays as it is: see load.c.
 */
char *yaml_path(struct yaml_reader *r, const char *text, bool secret,
		const char *where, const char *key);
/* A mistake at where/key: "path:line: key: ...". */
void yaml_mistake(struct yaml_reader *r, const char *where, const char *key,
		  const char *fmt, ...) MB_PRINTF(4, 5);

/* Schema shorthands: every value is optional text; what must be there and
 * what it means is checked here, so that all mistakes come at once. */
#define TEXT_FIELD(key, type, member)                                     \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, \
			       type, member, 0, CYAML_UNLIMITED)
#define LIST_FIELD(key, type, member, entry)                              \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,   \
			     type, member, entry, 0, CYAML_UNLIMITED)
#define PART_FIELD(key, type, member, fields)                             \
	CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_POINTER |                     \
				CYAML_FLAG_OPTIONAL, type, member, fields)

extern const cyaml_schema_value_t yaml_text_entry;

#endif

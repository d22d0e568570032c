/*
 * A YAML file held against a libcyaml schema. libcyaml stops at the first
 * mistake and keeps no positions of values, so the same schema is first
 * walked over libyaml's node tree (which libcyaml brings along): every
 * unknown key, double key and wrong kind is found, each with its line. Then
 * libcyaml loads the data. This room only.
 */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "config/config.h"

struct document {
	const char *path; /* the blob's, which must outlive this */
	struct span text;
	struct config_errors *errors;
	yaml_document_t yaml;
	bool open;
};

/* False with a mistake noted when the text is not YAML. */
bool document_open(struct document *d, const struct config_blob *blob,
		   struct config_errors *errors) MB_MUSTCHECK;
/*
 * The data, to be freed by document_free_data, or NULL with mistakes noted.
 * Unknown and double keys are mistakes that leave the rest readable.
 */
void *document_load(struct document *d, const cyaml_schema_value_t *schema)
	MB_MUSTCHECK;
void document_free_data(const cyaml_schema_value_t *schema, void *data);
void document_close(struct document *d);

/*
 * The line of "accounts/2/logins/0/name", or of as much of it as is there.
 */
unsigned document_line(const struct document *d, const char *fmt, ...)
	MB_PRINTF(2, 3);

#endif

#include "config/document.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define LINE(node) ((unsigned)(node)->start_mark.line + 1)

static void *memory(void *ctx, void *p, size_t size)
{
	(void)ctx; /* there is but one heap */
	if (size == 0) {
		mem_free(p);
		return NULL;
	}
	return mem_realloc(p, size);
}

static struct span scalar(const yaml_node_t *n)
{
	return span_of(n->data.scalar.value, n->data.scalar.length);
}

/* ---- opening ---- */

static void syntax_mistake(struct document *d, const yaml_parser_t *parser)
{
	config_error(d->errors, d->path,
		     (unsigned)parser->problem_mark.line + 1, "%s",
		     parser->problem ? parser->problem : "not YAML");
}

/* libcyaml would not look at a second document: nobody would be told. */
static void refuse_second(struct document *d, yaml_parser_t *parser)
{
	yaml_document_t second;
	const yaml_node_t *root;

	if (!yaml_parser_load(parser, &second)) {
		syntax_mistake(d, parser);
		return;
	}
	root = yaml_document_get_root_node(&second);
	if (root)
		config_error(d->errors, d->path, LINE(root),
			     "a second document: there must be one only");
	yaml_document_delete(&second);
}

bool document_open(struct document *d, const struct config_blob *blob,
		   struct config_errors *errors)
{
	yaml_parser_t parser;

	*d = (struct document){ .path = blob->path,
				.text = secret_span(&blob->content),
				.errors = errors };
	if (!yaml_parser_initialize(&parser))
		mem_exhausted("libyaml");
	yaml_parser_set_input_string(&parser,
				     (const unsigned char *)d->text.data,
				     d->text.len);
	d->open = yaml_parser_load(&parser, &d->yaml);
	if (!d->open) {
		syntax_mistake(d, &parser);
	} else if (!yaml_document_get_root_node(&d->yaml)) {
		config_error(errors, d->path, 0, "the file is empty");
		document_close(d);
	} else {
		refuse_second(d, &parser);
	}
	yaml_parser_delete(&parser);
	return d->open;
}

void document_close(struct document *d)
{
	if (d->open)
		yaml_document_delete(&d->yaml);
	d->open = false;
}

/* ---- the schema over the tree ---- */

struct walk {
	struct document *document;
	bool loadable; /* libcyaml can make something of it */
};

static void walk_value(struct walk *w, const char *name,
		       const cyaml_schema_value_t *schema, int id);

static void wrong_kind(struct walk *w, const char *name,
		       const cyaml_schema_value_t *schema,
		       const yaml_node_t *node)
{
	const char *kind = schema->type == CYAML_MAPPING  ? "key: value" :
			   schema->type == CYAML_SEQUENCE ? "a list" :
							    "one value";

	config_error(w->document->errors, w->document->path, LINE(node),
		     "%s: expected %s", name, kind);
	w->loadable = false;
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *f,
					      struct span key)
{
	for (; f->key; f++)
		if (span_is(key, f->key))
			return f;
	return NULL;
}

static bool key_was_before(struct document *d, const yaml_node_t *mapping,
			   const yaml_node_pair_t *pair, struct span key)
{
	const yaml_node_pair_t *p;

	for (p = mapping->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *k = yaml_document_get_node(&d->yaml, p->key);

		if (k->type == YAML_SCALAR_NODE && span_equal(scalar(k), key))
			return true;
	}
	return false;
}

static void walk_pair(struct walk *w, const cyaml_schema_value_t *schema,
		      const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	struct document *d = w->document;
	const yaml_node_t *key = yaml_document_get_node(&d->yaml, pair->key);
	const cyaml_schema_field_t *field;

	if (key->type != YAML_SCALAR_NODE) {
		config_error(d->errors, d->path, LINE(key), "expected a key");
		w->loadable = false;
		return;
	}
	field = find_field(schema->mapping.fields, scalar(key));
	if (!field) {
		config_error(d->errors, d->path, LINE(key), "unknown key %.*s",
			     SPAN_FMT(scalar(key)));
		return;
	}
	if (key_was_before(d, mapping, pair, scalar(key))) {
		config_error(d->errors, d->path, LINE(key),
			     "%s is here twice", field->key);
		w->loadable = false;
	}
	walk_value(w, field->key, &field->value, pair->value);
}

static void walk_mapping(struct walk *w, const cyaml_schema_value_t *schema,
			 const yaml_node_t *node)
{
	const yaml_node_pair_t *p;

	for (p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++)
		walk_pair(w, schema, node, p);
}

static void walk_sequence(struct walk *w, const char *name,
			  const cyaml_schema_value_t *schema,
			  const yaml_node_t *node)
{
	const yaml_node_item_t *i;

	for (i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++)
		walk_value(w, name, schema->sequence.entry, *i);
}

/* A tree with aliases may have loops; the depth of the schema ends them. */
static void walk_value(struct walk *w, const char *name,
		       const cyaml_schema_value_t *schema, int id)
{
	const yaml_node_t *node = yaml_document_get_node(&w->document->yaml,
							 id);

	if (schema->type == CYAML_MAPPING && node->type == YAML_MAPPING_NODE)
		walk_mapping(w, schema, node);
	else if (schema->type == CYAML_SEQUENCE &&
		 node->type == YAML_SEQUENCE_NODE)
		walk_sequence(w, name, schema, node);
	else if (schema->type != CYAML_STRING || node->type != YAML_SCALAR_NODE)
		wrong_kind(w, name, schema, node);
}

/* ---- loading ---- */

static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct buf *first = ctx;
	char *text = NULL;

	/* the first line is the reason, the rest the way to it */
	if (level < CYAML_LOG_ERROR || buf_len(first))
		return;
	if (vasprintf(&text, fmt, args) < 0)
		mem_exhausted("vasprintf");
	buf_add(first, span_trim(span_of(text, strcspn(text, "\n"))));
	mem_free(text);
}

static cyaml_config_t cyaml_config(struct buf *log)
{
	return (cyaml_config_t){
		.log_fn = on_log,
		.log_ctx = log,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = memory,
		.flags = CYAML_CFG_IGNORE_UNKNOWN_KEYS | CYAML_CFG_NO_ALIAS,
	};
}

void *document_load(struct document *d, const cyaml_schema_value_t *schema)
{
	struct walk walk = { d, true };
	struct buf log = BUF_INIT;
	cyaml_config_t config = cyaml_config(&log);
	void *data = NULL;
	cyaml_err_t err;

	walk_value(&walk, "the file", schema, 1); /* node 1 is the root */
	if (!walk.loadable)
		return NULL;
	err = cyaml_load_data((const uint8_t *)d->text.data, d->text.len,
			      &config, schema, &data, NULL);
	if (err == CYAML_ERR_OOM)
		mem_exhausted("libcyaml");
	if (err != CYAML_OK)
		config_error(d->errors, d->path, 0, "%s (%s)",
			     cyaml_strerror(err), buf_cstr(&log));
	buf_clear(&log);
	return err == CYAML_OK ? data : NULL;
}

void document_free_data(const cyaml_schema_value_t *schema, void *data)
{
	cyaml_config_t config = cyaml_config(NULL);
	cyaml_err_t err;

	config.log_fn = NULL;
	if (!data)
		return;
	err = cyaml_free(&config, schema, data, 0);
	if (err != CYAML_OK)
		mem_exhausted(cyaml_strerror(err));
}

/* ---- where ---- */

static const yaml_node_pair_t *find_pair(const struct document *d,
					 const yaml_node_t *node,
					 struct span key)
{
	yaml_document_t *yaml = (yaml_document_t *)&d->yaml;
	const yaml_node_pair_t *p;

	for (p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *k = yaml_document_get_node(yaml, p->key);

		if (k->type == YAML_SCALAR_NODE && span_equal(scalar(k), key))
			return p;
	}
	return NULL;
}

/* One step down; *line is the key's or the entry's. 0 when there is none. */
static int step(const struct document *d, const yaml_node_t *node,
		struct span name, unsigned *line)
{
	yaml_document_t *yaml = (yaml_document_t *)&d->yaml;
	const yaml_node_pair_t *pair;
	uint64_t i;
	int id = 0;

	if (node->type == YAML_MAPPING_NODE) {
		pair = find_pair(d, node, name);
		if (!pair)
			return 0;
		*line = LINE(yaml_document_get_node(yaml, pair->key));
		return pair->value;
	}
	if (node->type == YAML_SEQUENCE_NODE &&
	    span_to_u64(name, SIZE_MAX, &i) &&
	    i < (uint64_t)(node->data.sequence.items.top -
			   node->data.sequence.items.start)) {
		id = node->data.sequence.items.start[i];
		*line = LINE(yaml_document_get_node(yaml, id));
	}
	return id;
}

unsigned document_line(const struct document *d, const char *fmt, ...)
{
	yaml_document_t *yaml = (yaml_document_t *)&d->yaml;
	struct span rest;
	unsigned line = 0;
	va_list ap;
	char *path = NULL;
	int id = 1;

	va_start(ap, fmt);
	if (vasprintf(&path, fmt, ap) < 0)
		mem_exhausted("vasprintf");
	va_end(ap);
	rest = span_str(path);
	while (rest.len > 0 && id) {
		const yaml_node_t *node = yaml_document_get_node(yaml, id);

		id = step(d, node, span_cut(&rest, '/'), &line);
	}
	mem_free(path);
	return line;
}

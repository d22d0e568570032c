#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/accounts.h"
#include "config/ini.h"
#include "config/option.h"
#include "config/unserved.h"

/* More is no configuration but a mistaken path. */
#define FILE_MAX (4u << 20)

/* Adds to what is wrong; fd is closed. */
static bool read_all(int fd, struct buf *out)
{
	ssize_t n;

	do {
		n = read(fd, buf_reserve(out, 65536), 65536);
		if (n > 0)
			buf_commit(out, (size_t)n);
	} while ((n > 0 && buf_len(out) <= FILE_MAX) ||
		 (n < 0 && errno == EINTR));
	close(fd);
	if (n > 0)
		errno = EFBIG;
	return n == 0;
}

static void mistake(struct config_errors *e, const struct file_ref *f,
		    const char *what)
{
	if (f->from)
		config_error(e, f->from, f->line, "%s: %s: %s", f->key,
			     f->path, what);
	else
		config_error(e, f->path, 0, "%s", what);
}

/* The file that was opened is the one that is judged, whatever the name
 * points to a moment later. */
static void check_mode(int fd, const struct file_ref *f,
		       struct config_errors *errors)
{
	struct stat st;

	if (f->secret && fstat(fd, &st) == 0 && (st.st_mode & 077))
		mistake(errors, f, "others may read it: chmod 600");
}

/* systemd says to each service where its credentials are. */
static int open_file(const char *path)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char *real;
	int fd;

	if (!path_is_credential(path))
		return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (!folder) {
		errno = ENOENT;
		return -1;
	}
	real = mem_printf("%s/%s", folder, path + strlen(CREDENTIAL_PREFIX));
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	mem_free(real);
	return fd;
}

static void add_file(struct config_blobs *out, const char *name,
		     const struct file_ref *f, struct config_errors *errors)
{
	struct buf text = BUF_SECRET;
	int fd = open_file(f->path);

	if (fd < 0) {
		mistake(errors, f, path_is_credential(f->path) &&
				   !getenv("CREDENTIALS_DIRECTORY") ?
					   "systemd gives no credentials here" :
					   strerror(errno));
		return;
	}
	check_mode(fd, f, errors);
	if (read_all(fd, &text))
		config_blobs_add(out, name, f->path, buf_span(&text));
	else
		mistake(errors, f, strerror(errno));
	buf_clear(&text);
}

/* A file may be named first where it is no secret. */
static void check_again(const struct file_refs *refs, size_t i,
			struct config_errors *errors)
{
	const struct file_ref *f = &refs->list[i];
	int fd;

	for (size_t k = 0; k < i; k++)
		if (refs->list[k].secret &&
		    !strcmp(refs->list[k].path, f->path))
			return;
	fd = open_file(f->path);
	if (fd < 0)
		return;
	check_mode(fd, f, errors);
	close(fd);
}

/* What is named twice is read once. */
static void add_refs(struct config_blobs *out, const struct file_refs *refs,
		     struct config_errors *errors)
{
	for (size_t i = 0; i < refs->n; i++) {
		const struct file_ref *f = &refs->list[i];
		char *name = mem_printf("file:%s", f->path);

		if (!config_blobs_find(out, name))
			add_file(out, name, f, errors);
		else if (f->secret)
			check_again(refs, i, errors);
		mem_free(name);
	}
}

/* The password of a proxy makes the ini itself a secret. */
static void check_ini_mode(const struct ini_file *ini,
			   struct config_errors *errors)
{
	static char key[] = "proxy";
	const struct file_ref f = { (char *)ini->path, (char *)ini->path,
				    ini_line(ini, "oauth", "proxy"), key,
				    true };
	int fd;

	if (!secret_is_set(&ini->config->oauth_proxy_login))
		return;
	fd = open_file(f.path);
	if (fd < 0)
		return;
	check_mode(fd, &f, errors);
	close(fd);
}

static void listen_refs(const struct ini_file *f, struct file_refs *refs)
{
	for (size_t i = 0; i < f->config->n_listens; i++) {
		const struct listen_config *l = &f->config->listens[i];

		if (l->key)
			file_refs_add(refs, l->key, f->path,
				      ini_listen_line(f, i, "key"), "key",
				      true);
		if (l->certificate)
			file_refs_add(refs, l->certificate, f->path,
				      ini_listen_line(f, i, "certificate"),
				      "certificate", !l->key);
	}
}

static void add_named(struct config_blobs *out, const char *name,
		      const char *path, const struct ini_file *ini,
		      struct config_errors *errors)
{
	const struct file_ref f = { (char *)path, (char *)ini->path,
				    ini_line(ini, "mailbearer", name),
				    (char *)name, false };

	add_file(out, name, &f, errors);
}

/*
 * A default that is not there is no mistake: whoever has the catalogue needs
 * no providers of their own, and the other way round.
 */
static void add_providers(struct config_blobs *out, const struct ini_file *ini,
			  struct config_errors *errors)
{
	const struct config *c = ini->config;
	bool has_catalogue = access(c->catalogue, F_OK) == 0;

	if (has_catalogue || ini_line(ini, "mailbearer", "catalogue"))
		add_named(out, "catalogue", c->catalogue, ini, errors);
	if (!has_catalogue || ini_line(ini, "mailbearer", "providers") ||
	    access(c->providers, F_OK) == 0)
		add_named(out, "providers", c->providers, ini, errors);
}

/* The service manager's word for where it is decides; a file is made there,
 * or not, by no one else. */
static void add_sealing_key(struct config_blobs *out,
			    struct config_errors *errors)
{
	static char path[] = CREDENTIAL_PREFIX CONFIG_SEALING_KEY;
	const struct file_ref f = { .path = path, .secret = true };
	int fd = open_file(path);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd >= 0)
		close(fd);
	add_file(out, CONFIG_SEALING_KEY, &f, errors);
}

/* Mistakes inside the files are config_check's to report. */
void config_load(const char *ini_path, struct config_blobs *out,
		 struct config_errors *errors)
{
	const struct file_ref ini_ref = { .path = (char *)ini_path };
	struct config_errors ignored = { BUF_INIT, 0 };
	struct file_refs refs = { NULL, 0 };
	const struct config_blob *blob;
	struct accounts *accounts;
	struct ini_file ini;

	add_file(out, "ini", &ini_ref, errors);
	add_sealing_key(out, errors);
	blob = config_blobs_find(out, "ini");
	if (!blob)
		return;
	ini_read(blob, &ini, &ignored);
	check_ini_mode(&ini, errors);
	listen_refs(&ini, &refs);
	if (ini.config->notify_webhook_secret_file)
		file_refs_add(&refs, ini.config->notify_webhook_secret_file,
			      ini.path,
			      ini_line(&ini, "notify", "webhook_secret_file"),
			      "webhook_secret_file", true);
	/* adding blobs moves the list: ini.path is a string of its own */
	add_named(out, "accounts", ini.config->accounts, &ini, errors);
	add_providers(out, &ini, errors);
	accounts = accounts_read(out, &ignored, &refs);
	add_refs(out, &refs, errors);
	accounts_free(&accounts);
	file_refs_clear(&refs);
	ini_file_clear(&ini);
	buf_clear(&ignored.text);
}

bool config_check(const char *ini_path, struct config_blobs *out,
		  struct config_errors *errors)
{
	unsigned before = errors->count;
	struct accounts *accounts = NULL;
	struct config *config = NULL;

	config_load(ini_path, out, errors);
	if (config_blobs_find(out, "ini")) {
		config = config_parse(out, errors);
		if (config)
			config_unserved(config, ini_path, errors);
	}
	/* a file that is not there was reported with its line */
	if (config_blobs_find(out, "accounts") &&
	    (config_blobs_find(out, "providers") ||
	     config_blobs_find(out, "catalogue"))) {
		accounts = accounts_parse(out, errors);
		if (accounts)
			accounts_unserved(
				accounts,
				config_blobs_find(out, "accounts")->path,
				errors);
	}
	if (config && accounts)
		config_check_together(config, accounts, out, errors);
	config_free(&config);
	accounts_free(&accounts);
	return errors->count == before;
}

/*
 * queue export: one message on standard output, or each in a folder as ID.eml
 * with its envelope beside it as ID.json. One piece of one message is in
 * memory at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/url.h"
#include "ctl/api.h"
#include "ctl/text.h"

#define PAGE 50

/* ---- pieces ---- */

static void get_chunk(struct ctl *ctl, const char *id, unsigned n,
		      struct api_answer *answer)
{
	struct buf path = BUF_INIT;
	char suffix[32];

	snprintf(suffix, sizeof(suffix), "/chunk/%u", n);
	api_path(&path, "/v1/queue/", span_str(id), suffix);
	api_try(ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, answer);
	buf_clear(&path);
}

static bool decode(struct buf *out, struct span data)
{
	if (base64_decode(out, data))
		return true;
	ctl_complain("mailbearerd sent a broken piece");
	return false;
}

/* ---- on standard output ---- */

/* Byte for byte into a file or a pipe; a terminal is spared the controls. */
static void print_raw(const struct ctl *ctl, struct buf *raw)
{
	struct span rest = buf_span(raw);
	struct buf harmless = BUF_SECRET;

	if (!ctl->screen.tty) {
		ctl_print(raw);
		return;
	}
	while (rest.len > 0)
		text_add_json(&harmless, span_cut(&rest, '\r'));
	ctl_print(&harmless);
}

static bool print_chunk(const struct ctl *ctl, struct span data)
{
	struct buf out = BUF_SECRET;
	bool good = decode(&out, data);

	if (good)
		print_raw(ctl, &out);
	buf_clear(&out);
	return good;
}

/* {"id": "...", "chunks": ["base64", ...]} */
static bool print_json_chunk(const char *id, unsigned n, struct span data)
{
	struct buf out = BUF_SECRET;

	/* both are of letters, digits and the like: see is_id in grammar.c */
	if (n == 0)
		buf_printf(&out, "{\"id\": \"%s\", \"chunks\": [", id);
	if (data.len > 0)
		buf_printf(&out, "%s\"%.*s\"", n ? ",\n" : "", SPAN_FMT(data));
	else
		buf_add_str(&out, "]}\n");
	ctl_print(&out);
	return true;
}

static enum ctl_exit print_message(struct ctl *ctl, const char *id)
{
	bool more = true, good = true;

	for (unsigned n = 0; more && good; n++) {
		struct api_answer answer;
		enum ctl_exit exit;
		struct span data;

		get_chunk(ctl, id, n, &answer);
		exit = answer.exit;
		if (exit != CTL_FINE) {
			api_complain(ctl, &answer);
			api_clear(&answer);
			return exit;
		}
		data = json_get_text(answer.doc, "data");
		more = data.len > 0;
		good = ctl->json ? print_json_chunk(id, n, data) :
				   print_chunk(ctl, data);
		api_clear(&answer);
	}
	return good ? CTL_FINE : CTL_HUMAN;
}

/* ---- into a folder ---- */

struct exporting {
	struct ctl *ctl;
	const char *dir;
	int fd; /* of the folder */
	uint64_t written;
	uint64_t gone; /* they left the queue meanwhile */
};

/* The name goes into a path: the API's word for it is not enough. */
static bool is_name(struct span id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!memchr("0123456789abcdef", id.data[i], 16))
			return false;
	return id.len > 0 && id.len <= 64;
}

static enum ctl_exit complain_file(const struct exporting *x, const char *name)
{
	ctl_complain("%s/%s: %s", x->dir, name, strerror(errno));
	return CTL_HUMAN;
}

static int open_file(const struct exporting *x, const char *name)
{
	return openat(x->fd, name,
		      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		      0600);
}

static bool write_all(int fd, struct span s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.data, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		s = span_skip(s, (size_t)n);
	}
	return true;
}

/* *gone: the message is not there any more, which is no failure. */
static enum ctl_exit write_body(struct exporting *x, const char *id, int fd,
				const char *name, bool *gone)
{
	bool more = true;

	for (unsigned n = 0; more; n++) {
		struct buf piece = BUF_SECRET;
		struct api_answer answer;
		enum ctl_exit exit;

		get_chunk(x->ctl, id, n, &answer);
		exit = answer.exit;
		*gone = answer.status == 404;
		if (exit != CTL_FINE && !*gone)
			api_complain(x->ctl, &answer);
		else if (!decode(&piece, json_get_text(answer.doc, "data")))
			exit = CTL_HUMAN;
		else if (!write_all(fd, buf_span(&piece)))
			exit = complain_file(x, name);
		more = exit == CTL_FINE && buf_len(&piece) > 0;
		buf_clear(&piece);
		api_clear(&answer);
		if (exit != CTL_FINE)
			return exit;
	}
	return CTL_FINE;
}

static enum ctl_exit write_envelope(struct exporting *x, const char *name,
				    const struct json *message)
{
	struct buf text = BUF_SECRET;
	int fd = open_file(x, name);
	bool good;

	json_dump(&text, message, JSON_LAYOUT_INDENTED);
	buf_add_char(&text, '\n');
	good = fd >= 0 && write_all(fd, buf_span(&text));
	buf_clear(&text);
	if (fd >= 0 && close(fd) < 0)
		good = false;
	return good ? CTL_FINE : complain_file(x, name);
}

/* What is there by its name is whole. */
static enum ctl_exit write_message(struct exporting *x,
				   const struct json *message)
{
	char *id = span_dup(json_get_text(message, "id"));
	char *eml = mem_printf("%s.eml", id), *json = mem_printf("%s.json", id);
	enum ctl_exit exit = CTL_HUMAN;
	bool gone = false;
	int fd = -1;

	if (!is_name(span_str(id)))
		ctl_complain("mailbearerd sent a message without an id");
	else if ((fd = open_file(x, eml)) < 0)
		exit = complain_file(x, eml);
	else
		exit = write_body(x, id, fd, eml, &gone);
	if (fd >= 0 && close(fd) < 0 && exit == CTL_FINE)
		exit = complain_file(x, eml);
	if (exit == CTL_FINE)
		exit = write_envelope(x, json, message);
	if (exit == CTL_FINE)
		x->written++;
	else if (fd >= 0)
		(void)unlinkat(x->fd, eml, 0);
	x->gone += gone;
	mem_free(id);
	mem_free(eml);
	mem_free(json);
	return gone ? CTL_FINE : exit;
}

static enum ctl_exit write_page(struct exporting *x, const char *account,
				int64_t *after, bool *more)
{
	struct buf path = BUF_INIT;
	struct api_answer answer;
	const struct json *list;
	enum ctl_exit exit;
	int64_t next;

	buf_printf(&path, "/v1/queue?limit=%d&after=%lld", PAGE,
		   (long long)*after);
	if (account)
		api_path(&path, "&account=", span_str(account), "");
	api_try(x->ctl, "GET", buf_span(&path), NULL, API_TIMEOUT_S, &answer);
	buf_clear(&path);
	exit = answer.exit;
	if (exit != CTL_FINE)
		api_complain(x->ctl, &answer);
	list = json_get(answer.doc, "messages");
	for (size_t i = 0; i < json_count(list) && exit == CTL_FINE; i++)
		exit = write_message(x, json_at(list, i));
	next = json_get_int(answer.doc, "next", -1);
	*more = next > *after;
	*after = next;
	api_clear(&answer);
	return exit;
}

static enum ctl_exit write_one(struct exporting *x, const char *id)
{
	struct api_answer answer;
	enum ctl_exit exit = api_get_named(x->ctl, "/v1/queue/", id, "",
					   &answer);

	if (exit != CTL_FINE)
		return exit;
	exit = write_message(x, answer.doc);
	api_clear(&answer);
	return exit;
}

static enum ctl_exit write_all_of(struct exporting *x, const struct args *a)
{
	const char *id = args_get(a, "ID");
	enum ctl_exit exit = CTL_FINE;
	int64_t after = 0;
	bool more = true;

	if (id)
		return write_one(x, id);
	while (exit == CTL_FINE && more)
		exit = write_page(x, args_get(a, "--account"), &after, &more);
	return exit;
}

static void print_sum(const struct exporting *x)
{
	struct json *sum = json_new_object();
	struct buf out = BUF_INIT;

	json_put_int(sum, "count", (int64_t)x->written);
	json_put_int(sum, "gone", (int64_t)x->gone);
	if (x->ctl->json) {
		api_print(sum, JSON_LAYOUT_INDENTED);
	} else {
		text_add_count(&out, (int64_t)x->written, "message",
			       "messages");
		buf_printf(&out, " exported to %s.\n", x->dir);
		if (x->gone) {
			text_add_count(&out, (int64_t)x->gone, "other",
				       "others");
			buf_add_str(&out, " left the queue meanwhile.\n");
		}
		ctl_print(&out);
	}
	json_free(&sum);
}

static enum ctl_exit export_to(struct ctl *ctl, const struct args *a,
			       const char *dir)
{
	struct exporting x = { .ctl = ctl, .dir = dir };
	enum ctl_exit exit;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return complain_file(&x, "");
	x.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x.fd < 0)
		return complain_file(&x, "");
	exit = write_all_of(&x, a);
	/* whoever exports may delete next */
	if (syncfs(x.fd) < 0 && exit == CTL_FINE)
		exit = complain_file(&x, "");
	close(x.fd);
	if (exit == CTL_FINE)
		print_sum(&x);
	return exit;
}

enum ctl_exit cmd_queue_export(struct ctl *ctl, const struct args *a)
{
	const char *dir = args_get(a, "--to"), *id = args_get(a, "ID");

	if (dir)
		return export_to(ctl, a, dir);
	if (id)
		return print_message(ctl, id);
	ctl_complain("several messages need a folder: --to DIR");
	return CTL_USAGE;
}

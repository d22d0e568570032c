#include "ctl/accounts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_MOST (64u << 20)

/* ---- YAML ---- */

/* What no reader of YAML takes for a number, a date or an indicator. */
static bool is_bare(struct span s)
{
	if (!s.len || !((s.data[0] | 32) >= 'a' && (s.data[0] | 32) <= 'z'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c | 32) >= 'a' && (c | 32) <= 'z') &&
		    !(c >= '0' && c <= '9') && !strchr("@._-/", c))
			return false;
	}
	/* "yes", "no", "null" and their kind are short */
	return s.len > 5;
}

void accounts_file_scalar(struct buf *out, struct span s)
{
	if (is_bare(s)) {
		buf_add(out, s);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"' || s.data[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.data[i]);
	}
	buf_add_char(out, '"');
}

static size_t indent_of(struct span line)
{
	size_t n = 0;

	while (n < line.len && line.data[n] == ' ')
		n++;
	return n;
}

static bool is_text(struct span line)
{
	struct span s = span_trim(line);

	return s.len && s.data[0] != '#';
}

/* Where the list of accounts is, and how it is laid out. */
struct layout {
	bool found, empty; /* "accounts:" ; "[]" is behind it */
	bool closed;       /* another key follows: the list ends before */
	bool odd;          /* not as people write it */
	size_t dash;       /* columns before "-" */
	bool has_item;
	size_t empty_at;   /* offset of "[]" */
};

static void read_key(struct layout *l, struct span text, struct span line)
{
	struct span rest = span_trim(span_skip(line, strlen("accounts:")));

	l->found = true;
	if (rest.len && rest.data[0] == '[') {
		l->odd = !span_starts_nocase(rest, SPAN("[]"));
		l->empty = !l->odd;
		l->empty_at = (size_t)(rest.data - text.data);
	} else if (rest.len && rest.data[0] != '#') {
		l->odd = true;
	}
}

static void read_line(struct layout *l, struct span text, struct span line)
{
	size_t indent = indent_of(line);
	char first;

	if (!is_text(line))
		return;
	first = line.data[indent];
	if (indent == 0 && span_starts_nocase(line, SPAN("accounts:"))) {
		l->odd |= l->found;
		read_key(l, text, line);
	} else if (l->found && indent == 0 && first != '-') {
		l->closed = true;
	} else if (l->found && !l->closed && !l->has_item) {
		l->odd |= first != '-';
		l->has_item = true;
		l->dash = indent;
	}
}

static void add_entry(struct buf *out, struct span entry, size_t dash)
{
	bool first = true;

	while (entry.len) {
		struct span line = span_cut(&entry, '\n');

		buf_printf(out, "%*s%s%.*s\n", (int)dash, "",
			   first ? "- " : "  ", SPAN_FMT(line));
		first = false;
	}
}

bool accounts_file_insert(struct buf *out, struct span text,
			  struct span entry)
{
	struct layout l = { .found = false };
	struct span rest = text;

	while (rest.len)
		read_line(&l, text, span_cut(&rest, '\n'));
	if (l.odd || l.closed || (l.empty && l.has_item))
		return false;
	if (l.empty) {
		buf_add(out, span_first(text, l.empty_at));
		buf_add(out, span_skip(text, l.empty_at + 2));
	} else {
		buf_add(out, text);
	}
	if (buf_len(out) && out->data[buf_len(out) - 1] != '\n')
		buf_add_char(out, '\n');
	if (!l.found)
		buf_add_str(out, "accounts:\n");
	add_entry(out, entry, l.has_item ? l.dash : 0);
	return true;
}

/* ---- the file ---- */

bool accounts_file_read(const char *path, struct buf *out, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return true; /* an empty one */
	while (fd >= 0 && buf_len(out) < FILE_MOST &&
	       (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
		buf_commit(out, (size_t)n);
	if (fd < 0 || n < 0)
		buf_printf(why, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return fd >= 0 && n == 0;
}

static bool write_all(int fd, struct span s)
{
	while (s.len) {
		ssize_t n = write(fd, s.data, s.len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = span_skip(s, (size_t)n);
	}
	return true;
}

static bool sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_printf("%.*s/", (int)(slash - path), path) :
			       mem_strdup(".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	mem_free(folder);
	return synced;
}

bool accounts_file_replace(const char *path, struct span text, struct buf *why)
{
	char *temp = mem_printf("%s.new", path);
	struct stat old = { .st_mode = 0600, .st_uid = geteuid(),
			    .st_gid = getegid() };
	bool done;
	int fd;

	if (stat(path, &old) < 0 && errno != ENOENT) {
		buf_printf(why, "%s: %s", path, strerror(errno));
		mem_free(temp);
		return false;
	}
	(void)unlink(temp); /* left by a crash */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	done = fd >= 0 && fchmod(fd, old.st_mode & 07777) == 0 &&
	       (fchown(fd, old.st_uid, old.st_gid) == 0 || geteuid() != 0) &&
	       write_all(fd, text) && fsync(fd) == 0 &&
	       rename(temp, path) == 0 && sync_folder(path);
	if (!done)
		buf_printf(why, "%s: %s", fd < 0 ? temp : path,
			   strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!done && fd >= 0)
		(void)unlink(temp);
	mem_free(temp);
	return done;
}

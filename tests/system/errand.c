/*
 * Runs one errand of session/imap_mailbox against a real server:
 *
 *	errand find HOST PORT CAFILE USER MESSAGE-ID SINCE
 *	errand append HOST PORT CAFILE USER
 *
 * The token is the first line of standard input, the message to append the
 * rest. Prints what came of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "session/imap_mailbox.h"

struct errand {
	struct loop *loop;
	struct imap_mailbox *m;
	struct buf input;
	bool over;
};

static void want_content(void *p)
{
	struct errand *e = p;
	struct span s = span_first(buf_span(&e->input), 10000);

	imap_mailbox_content(e->m, s);
	buf_consume(&e->input, s.len);
}

static void done(void *p, const struct imap_mailbox_result *r)
{
	static const char *const names[] = {
		[IMAP_MAILBOX_FAILED] = "failed",
		[IMAP_MAILBOX_FOUND] = "found",
		[IMAP_MAILBOX_ABSENT] = "absent",
		[IMAP_MAILBOX_NO_FOLDER] = "no folder",
		[IMAP_MAILBOX_APPENDED] = "appended",
	};
	struct errand *e = p;

	e->over = true;
	if (r->outcome == IMAP_MAILBOX_FAILED)
		printf("failed: %s: %s\n",
		       imap_mailbox_verdict(r, true).cause, r->failure.text);
	else
		printf("%s\n", names[r->outcome]);
}

static void read_all(int fd, struct buf *out)
{
	ssize_t n;

	do {
		char *to = buf_reserve(out, 65536);

		n = read(fd, to, 65536);
		if (n > 0)
			buf_commit(out, (size_t)n);
	} while (n > 0);
}

static void start(struct errand *e, char **argv, struct resolver *resolver,
		  const struct imap_client_config *config)
{
	static const struct imap_mailbox_ops ops = { want_content, done };

	if (!strcmp(argv[1], "find")) {
		const struct imap_mailbox_query q = {
			span_str(argv[6]), strtoll(argv[7], NULL, 10)
		};

		e->m = imap_mailbox_find(e->loop, resolver, config, &q, &ops,
					 e);
	} else {
		e->m = imap_mailbox_append(e->loop, resolver, config,
					   buf_len(&e->input), &ops, e);
	}
}

static struct tls_client *trust(const char *path)
{
	struct buf pem = BUF_INIT, why = BUF_INIT;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct tls_client *t;

	if (fd < 0)
		exit(2);
	read_all(fd, &pem);
	close(fd);
	t = tls_client_get(buf_span(&pem), &why);
	if (!t)
		exit(2);
	buf_clear(&pem);
	return t;
}

int main(int argc, char **argv)
{
	struct errand e = { .loop = loop_new(), .input = BUF_INIT };
	struct resolver *resolver = resolver_new(e.loop);
	struct secret token = SECRET_NONE;
	struct imap_client_config config = {
		.tls = TLS_IMPLICIT, .mechanisms = "xoauth2 oauthbearer",
		.connect_ms = 10000, .command_ms = 10000, .line = 64 << 10 };
	struct span rest, line;

	if (argc != 6 && argc != 8)
		return 2;
	read_all(STDIN_FILENO, &e.input);
	rest = buf_span(&e.input);
	line = span_cut(&rest, '\n');
	secret_set(&token, line);
	buf_consume(&e.input, line.len + 1);
	config.host = argv[2];
	config.port = (uint16_t)atoi(argv[3]);
	config.trust = trust(argv[4]);
	config.user = argv[5];
	config.token = &token;
	start(&e, argv, resolver, &config);
	while (!e.over)
		loop_turn(e.loop);
	/* LOGOUT is still on its way */
	for (int i = 0; i < 3; i++)
		loop_turn(e.loop);
	secret_clear(&token);
	tls_client_unref(&config.trust);
	resolver_free(&resolver);
	loop_free(&e.loop);
	buf_clear(&e.input);
	return 0;
}

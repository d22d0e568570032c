/*
 * sinkprov: the measurements' provider. Says its ports on the first line of
 * its output, ends at SIGTERM.
 */
#include "bench/sinkprov.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct listener {
	struct watch watch;
	struct provider *provider;
	void (*accepted)(struct provider *provider, int fd);
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

void provider_opened(struct provider *provider, struct peer *peer)
{
	provider->resumed += SSL_session_reused(peer->ssl) != 0;
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct listener *listener = (struct listener *)watch;
	int fd;

	(void)events;
	while ((fd = bench_accept(watch->fd)) >= 0)
		listener->accepted(listener->provider, fd);
}

static int listen_on(struct listener *listener, struct provider *provider,
		     int port, void (*accepted)(struct provider *, int))
{
	listener->provider = provider;
	listener->accepted = accepted;
	listener->watch.ready = listener_ready;
	listener->watch.fd = bench_listen(&port);
	loop_arm(&provider->loop, &listener->watch, EPOLLIN);
	return port;
}

static void usage(void)
{
	fprintf(stderr, "usage: sinkprov -c CERTIFICATE -k KEY "
			"[-s SMTP-PORT] [-i IMAP-PORT] [-t HTTPS-PORT]\n");
	exit(2);
}

static int port_argument(const char *text)
{
	int port = atoi(text);

	if (port < 0 || port > 65535)
		usage();
	return port;
}

int main(int argc, char **argv)
{
	struct provider provider = { .alive = true, .generation = 1 };
	struct listener smtp, imap, http;
	const char *certificate = NULL, *key = NULL;
	int smtp_port = 0, imap_port = 0, http_port = 0, option;

	while ((option = getopt(argc, argv, "c:k:s:i:t:")) != -1) {
		switch (option) {
		case 'c': certificate = optarg; break;
		case 'k': key = optarg; break;
		case 's': smtp_port = port_argument(optarg); break;
		case 'i': imap_port = port_argument(optarg); break;
		case 't': http_port = port_argument(optarg); break;
		default: usage();
		}
	}
	if (!certificate || !key || optind != argc)
		usage();

	bench_start();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	provider.ctx = bench_server_ctx(certificate, key);
	provider.small = bench_text(BENCH_SMALL);
	provider.large = bench_text(BENCH_LARGE);
	loop_init(&provider.loop);
	memset(&smtp, 0, sizeof(smtp));
	memset(&imap, 0, sizeof(imap));
	memset(&http, 0, sizeof(http));
	smtp_port = listen_on(&smtp, &provider, smtp_port, smtp_accepted);
	imap_port = listen_on(&imap, &provider, imap_port, imap_accepted);
	http_port = listen_on(&http, &provider, http_port, http_accepted);
	printf("{\"smtp\":%d,\"imap\":%d,\"http\":%d}\n", smtp_port, imap_port,
	       http_port);
	fflush(stdout);

	while (!stop)
		loop_turn(&provider.loop, 1000);
	SSL_CTX_free(provider.ctx);
	loop_clear(&provider.loop);
	free(provider.small);
	free(provider.large);
	return 0;
}

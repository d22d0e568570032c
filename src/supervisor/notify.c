#include "supervisor/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un manager = { .sun_family = AF_UNIX };
static socklen_t manager_len;

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len > 1 && len < sizeof(manager.sun_path) &&
	    strchr("/@", path[0])) {
		memcpy(manager.sun_path, path, len);
		if (path[0] == '@')
			manager.sun_path[0] = '\0'; /* abstract */
		manager_len = (socklen_t)(offsetof(struct sockaddr_un,
						   sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
}

/* Nobody to tell it when that fails. */
static void tell(const char *text)
{
	int fd;

	if (!manager_len)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		      (const struct sockaddr *)&manager, manager_len);
	close(fd);
}

void notify_ready(void)
{
	tell("READY=1\nSTATUS=serving\n");
}

void notify_reloading(void)
{
	struct timespec now;
	char text[96];

	/* this clock is the one systemd compares with, not clock_mono_ms */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\n",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	tell(text);
}

void notify_stopping(void)
{
	tell("STOPPING=1\n");
}

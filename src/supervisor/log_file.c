#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "supervisor/supervisor.h"

static bool is_file(const struct config *c)
{
	return strcmp(c->log_target, "syslog") &&
	       strcmp(c->log_target, "stderr");
}

bool log_file_open(struct supervisor *s, const struct config *c,
		   struct buf *why)
{
	int fd = s->plain_stderr;

	if (is_file(c))
		fd = open(c->log_target,
			  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
			  0600);
	if (fd < 0) {
		buf_printf(why, "%s: log target: %s: %s", s->config_path,
			   c->log_target, strerror(errno));
		return false;
	}
	(void)dup2(fd, STDERR_FILENO); /* cannot fail: both are open */
	if (fd != s->plain_stderr)
		close(fd);
	log_open("mailbearerd",
		 strcmp(c->log_target, "syslog") ? LOG_TO_STDERR :
						   LOG_TO_SYSLOG,
		 c->log_json ? LOG_JSON : LOG_LOGFMT, c->log_level);
	return true;
}

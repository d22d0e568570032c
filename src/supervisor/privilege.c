#include "supervisor/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define DEFAULT_USER "mailbearer"

static void set_home(struct identity *who, const struct passwd *pw)
{
	const char *home = pw && pw->pw_dir && *pw->pw_dir ? pw->pw_dir : "/";

	if (strlen(home) >= sizeof(who->home))
		home = "/";
	memcpy(who->home, home, strlen(home) + 1);
}

static bool find_for_root(const char *user, struct identity *out,
			  struct buf *why)
{
	const struct passwd *pw = getpwnam(user ? user : DEFAULT_USER);

	if (!pw && user)
		buf_printf(why, "user: there is no user %s", user);
	else if (!pw)
		buf_add_str(why, "user: started as root; create the user "
			    DEFAULT_USER ", or name one here");
	if (!pw)
		return false;
	*out = (struct identity){ pw->pw_uid != 0, pw->pw_uid, pw->pw_gid,
				  "" };
	set_home(out, pw);
	return true;
}

bool identity_find(const char *user, struct identity *out, struct buf *why)
{
	const struct passwd *pw;

	if (geteuid() == 0)
		return find_for_root(user, out, why);
	*out = (struct identity){ false, geteuid(), getegid(), "" };
	set_home(out, getpwuid(geteuid()));
	pw = user ? getpwnam(user) : NULL;
	if (user && (!pw || pw->pw_uid != geteuid())) {
		buf_printf(why, "user: not started as root, cannot become %s",
			   user);
		return false;
	}
	return true;
}

bool identity_assume(const struct identity *who)
{
	if (!who->drop)
		return true;
	if (setgroups(1, &who->gid) < 0 ||
	    setresgid(who->gid, who->gid, who->gid) < 0 ||
	    setresuid(who->uid, who->uid, who->uid) < 0)
		return false;
	/* and there is no way back */
	return setuid(0) < 0 && geteuid() == who->uid;
}

static bool failed(const char *path, struct buf *why)
{
	buf_printf(why, "%s: %s", path, strerror(errno));
	return false;
}

/* Parents are nobody's secret; mode bits are not left to the umask. */
static bool make_parents(const char *path, struct buf *why)
{
	char *copy = mem_strdup(path);
	bool ok = true;

	for (char *c = copy + 1; ok && *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(copy, 0755) == 0)
			ok = chmod(copy, 0755) == 0;
		else
			ok = errno == EEXIST;
		if (!ok)
			failed(copy, why);
		*c = '/';
	}
	mem_free(copy);
	return ok;
}

/*
 * A folder that was there is taken over only when nobody else could have put
 * anything into it, lest a slip in the configuration gives /var away.
 */
static bool take_over(const char *path, const struct stat *st,
		      const struct identity *who, struct buf *why)
{
	if (!S_ISDIR(st->st_mode)) {
		buf_printf(why, "%s: not a folder", path);
		return false;
	}
	if (st->st_uid == who->uid) {
		if (!(st->st_mode & 022))
			return true;
		buf_printf(why, "%s: others may write to it: chmod 700", path);
		return false;
	}
	if (geteuid() == 0 && st->st_uid == 0 && !(st->st_mode & 077))
		return chown(path, who->uid, who->gid) == 0 ||
		       failed(path, why);
	buf_printf(why, "%s: belongs to another user", path);
	return false;
}

static bool prepare(const char *path, const struct identity *who,
		    struct buf *why)
{
	struct stat st;

	if (!make_parents(path, why))
		return false;
	if (mkdir(path, 0700) == 0) {
		if (who->drop && chown(path, who->uid, who->gid) < 0)
			return failed(path, why);
		return true;
	}
	if (errno != EEXIST || lstat(path, &st) < 0)
		return failed(path, why);
	/* a link is followed: its owner may put the state elsewhere */
	if (S_ISLNK(st.st_mode) && stat(path, &st) < 0)
		return failed(path, why);
	return take_over(path, &st, who, why);
}

bool folders_prepare(const struct config *c, const struct identity *who,
		     struct buf *why)
{
	char *const own[] = { config_spool_dir(c), config_vault_dir(c),
			      config_queue_dir(c) };
	bool ok = prepare(c->runtime_dir, who, why) &&
		  prepare(c->state_dir, who, why) &&
		  prepare(c->store_dir, who, why);

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		ok = ok && prepare(own[i], who, why);
		mem_free(own[i]);
	}
	return ok;
}

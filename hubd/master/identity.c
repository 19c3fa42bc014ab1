/* Whom the hub runs as, and becoming that user. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "hubd/master/master.h"

static int
unknown(char *error, size_t cap, const char *what, const char *name)
{
	snprintf(error, cap, "%s %s is not known", what, name);
	return (-1);
}

static const struct passwd *
whom(const struct hub_conf *conf)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return (getpwuid(geteuid()));
	if (conf->user != NULL)
		return (getpwnam(conf->user));
	if ((pw = getpwnam("hubd")) == NULL)
		pw = getpwnam("nobody");
	return (pw);
}

int
identity_find(
    const struct hub_conf *conf, struct identity *who, char *error, size_t cap)
{
	const struct passwd *pw = whom(conf);
	const struct group *gr;

	memset(who, 0, sizeof(*who));
	who->uid = geteuid();
	who->gid = getegid();
	if (pw == NULL && geteuid() == 0)
		return (unknown(error, cap, "user",
		    conf->user != NULL ? conf->user : "hubd"));
	if (pw != NULL) {
		snprintf(who->user, sizeof(who->user), "%s", pw->pw_name);
		who->drop = geteuid() == 0 && pw->pw_uid != 0;
		who->uid = pw->pw_uid;
		who->gid = pw->pw_gid;
	}
	if (conf->admin_group != NULL) {
		if ((gr = getgrnam(conf->admin_group)) == NULL)
			return (
			    unknown(error, cap, "group", conf->admin_group));
		who->has_admin = true;
		who->admin_gid = gr->gr_gid;
	}
	return (0);
}

/* The admin group comes along: its members may reach what we make. */
static void
take_groups(const struct identity *who)
{
	gid_t groups[64];
	int n = 63;

	if (getgrouplist(who->user, who->gid, groups, &n) == -1) {
		groups[0] = who->gid;
		n = 1;
	}
	if (who->has_admin)
		groups[n++] = who->admin_gid;
	if (setgroups((size_t)n, groups) == -1)
		fatal("setgroups");
}

void
identity_assume(const struct identity *who)
{
	if (!who->drop)
		return;
	take_groups(who);
	if (setresgid(who->gid, who->gid, who->gid) == -1 ||
	    setresuid(who->uid, who->uid, who->uid) == -1)
		fatal("becoming %s", who->user);
	if (setresuid(0, 0, 0) != -1)
		fatalx("still root after becoming %s", who->user);
}

void
identity_own(const struct identity *who, int fd, const char *path)
{
	if (who->drop && fchown(fd, who->uid, who->gid) == -1)
		fatal("giving %s to %s", path, who->user);
}

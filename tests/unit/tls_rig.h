/*
 * For tests: certificates made on the spot by the openssl command, in a
 * folder that tls_rig_end removes.
 */
#ifndef TESTS_TLS_RIG_H
#define TESTS_TLS_RIG_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "net/tls.h"
#include "unit.h"

static char tls_rig_dir[] = "/tmp/mb-unit-tls-XXXXXX";

/* good: localhost and 127.0.0.1; other: another host; old: expired. */
static const char tls_rig_script[] =
	"set -e; cd \"$1\"\n"
	"new() { openssl ecparam -name prime256v1 -genkey -noout "
	"-out $1.key; }\n"
	"new ca\n"
	"openssl req -x509 -new -key ca.key -subj '/CN=Unit CA' -days 2 "
	"-addext basicConstraints=critical,CA:TRUE -out ca.pem\n"
	"new stranger\n"
	"openssl req -x509 -new -key stranger.key -subj '/CN=Stranger' -days 2 "
	"-addext basicConstraints=critical,CA:TRUE -out stranger.pem\n"
	"leaf() {\n"
	" new $1; openssl req -new -key $1.key -subj \"/CN=$2\" -out $1.csr\n"
	" printf 'subjectAltName=%s\\n' \"$3\" > $1.ext\n"
	" : > index.txt; echo 01 > serial\n"
	" printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index.txt\\n"
	"serial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\n"
	"policy=p\\n[p]\\ncommonName=supplied\\n' > ca.conf\n"
	" openssl ca -batch -config ca.conf -notext -cert ca.pem -keyfile "
	"ca.key -in $1.csr -extfile $1.ext -startdate $4 -enddate $5 -out "
	"$1.pem\n}\n"
	"leaf good localhost DNS:localhost,IP:127.0.0.1 20200101000000Z "
	"20991231000000Z\n"
	"leaf other other.test DNS:other.test 20200101000000Z 20991231000000Z\n"
	"leaf old localhost DNS:localhost,IP:127.0.0.1 20200101000000Z "
	"20200201000000Z\n";

/* Outside of tests CUnit has no checks. */
static inline void tls_rig_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tls_rig: %s failed; see %s/log\n", what, tls_rig_dir);
	exit(255);
}

static inline void tls_rig_begin(void)
{
	char command[256];

	tls_rig_must(mkdtemp(tls_rig_dir) != NULL, "mkdtemp");
	setenv("TLS_RIG", tls_rig_script, 1);
	snprintf(command, sizeof(command),
		 "sh -c \"$TLS_RIG\" sh %s >%s/log 2>&1", tls_rig_dir,
		 tls_rig_dir);
	tls_rig_must(system(command) == 0, "openssl");
	unsetenv("TLS_RIG");
}

static inline void tls_rig_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", tls_rig_dir);
	tls_rig_must(system(command) == 0, "rm");
}

/* A file of the folder; buf_clear it. */
static inline struct buf tls_rig_file(const char *name, const char *suffix)
{
	struct buf b = BUF_INIT;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.%s", tls_rig_dir, name, suffix);
	f = fopen(path, "re");
	CHECK_FATAL(f != NULL);
	buf_commit(&b, fread(buf_reserve(&b, 16384), 1, 16384, f));
	fclose(f);
	return b;
}

static inline struct tls_server *tls_rig_server(const char *name,
						enum tls_version least)
{
	struct buf pem = tls_rig_file(name, "pem");
	struct buf key = tls_rig_file(name, "key");
	struct buf why = BUF_INIT;
	struct tls_server *t = tls_server_new(buf_span(&pem), buf_span(&key),
					      least, &why);

	CHECK_SPAN(buf_span(&why), SPAN_NONE);
	buf_clear(&pem);
	buf_clear(&key);
	buf_clear(&why);
	CHECK_FATAL(t != NULL);
	return t;
}

static inline struct tls_client *tls_rig_client(const char *ca)
{
	struct buf pem = tls_rig_file(ca, "pem");
	struct buf why = BUF_INIT;
	struct tls_client *t = tls_client_get(buf_span(&pem), &why);

	buf_clear(&pem);
	buf_clear(&why);
	CHECK_FATAL(t != NULL);
	return t;
}

#endif

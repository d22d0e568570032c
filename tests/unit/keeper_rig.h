/*
 * For the tests of src/keeper: the whole room between fake roles and a fake
 * provider. The room's role and fetch are replaced here; loop, channels,
 * vault and configuration are real.
 */
#ifndef TESTS_KEEPER_RIG_H
#define TESTS_KEEPER_RIG_H

#include <crypt.h>
#include <sys/stat.h>

#include "keeper/keeper.h"
#include "net_rig.h"

/* ---- the provider ---- */

struct fetch {
	char *url, *form, *authorization;
	fetch_fn *fn;
	void *arg;
	bool live;
};

#define FETCHES 32
static struct fetch rig_fetches[FETCHES];
static size_t rig_n_fetches;

struct fetcher *fetcher_new(struct loop *l)
{
	return (struct fetcher *)l;
}

void fetcher_free(struct fetcher **fp)
{
	*fp = NULL;
}

void fetcher_proxy(struct fetcher *f, const char *url,
		   const struct secret *login)
{
	(void)f;
	(void)url;
	(void)login;
}

static fetch_clock_fn *rig_clock_fn;
static void *rig_clock_arg;

void fetcher_clock(struct fetcher *f, fetch_clock_fn *fn, void *arg)
{
	(void)f;
	rig_clock_fn = fn;
	rig_clock_arg = arg;
}

struct fetch *fetch_start(struct fetcher *fetcher,
			  const struct fetch_request *r, fetch_fn *fn,
			  void *arg)
{
	struct fetch *f = &rig_fetches[rig_n_fetches];

	(void)fetcher;
	CHECK_FATAL(rig_n_fetches++ < FETCHES);
	*f = (struct fetch){ mem_strdup(r->url), span_dup(r->form),
			     span_dup(r->authorization), fn, arg, true };
	return f;
}

void fetch_cancel(struct fetch **fp)
{
	if (*fp)
		(*fp)->live = false;
	*fp = NULL;
}

static inline void rig_answer(struct fetch *f, int status, const char *body)
{
	struct fetch_response r = { .status = status,
				    .body = span_str(body),
				    .retry_after_s = -1 };

	CHECK_FATAL(f && f->live);
	f->live = false;
	f->fn(f->arg, &r);
}

/* The last request, or NULL when nobody waits for its answer. */
static inline struct fetch *rig_asked(void)
{
	struct fetch *f = rig_n_fetches ? &rig_fetches[rig_n_fetches - 1] :
					  NULL;

	return f && f->live ? f : NULL;
}

static inline void rig_forget_fetches(void)
{
	while (rig_n_fetches) {
		mem_free(rig_fetches[--rig_n_fetches].url);
		mem_free(rig_fetches[rig_n_fetches].form);
		mem_free(rig_fetches[rig_n_fetches].authorization);
	}
}

/* ---- the store, which may refuse ---- */

static bool rig_disk_full;
enum store_result __real_vault_grant_save(struct vault *v, const char *name,
					  struct vault_grant *g);
enum store_result __wrap_vault_grant_save(struct vault *v, const char *name,
					  struct vault_grant *g);

enum store_result __wrap_vault_grant_save(struct vault *v, const char *name,
					  struct vault_grant *g)
{
	return rig_disk_full ? STORE_NO_SPACE :
			       __real_vault_grant_save(v, name, g);
}

/* ---- crypt(3), which needs much memory and may find none ---- */

static bool rig_crypt_fails;
char *__real_crypt_r(const char *phrase, const char *setting,
		     struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting,
		     struct crypt_data *data);

char *__wrap_crypt_r(const char *phrase, const char *setting,
		     struct crypt_data *data)
{
	static char token[] = "*0";

	return rig_crypt_fails ? token :
				 __real_crypt_r(phrase, setting, data);
}

/* ---- the other roles ---- */

struct role {
	void *keeper;
	bool done;
	char dir[32];
	struct rig_peer {
		const char *name;
		struct channel *near, *far;
	} peers[3];
};
static struct role rig_role;

static void rig_near_frame(void *arg, struct channel *ch,
			   const struct frame *f, const int *fds)
{
	struct role *r = arg;

	keeper_ops.channel_ops->frame(r->keeper, ch, f, fds);
}

/* Of alice@one.test, as courier was told. */
static char rig_told_fallback[80];

/* What courier found out at a mail server; it works unless a test says else. */
static struct rig_finding {
	enum report_class class;
	const char *cause, *text, *step, *words;
	const char *openid_configuration, *scope;
} rig_findings[SERVICE_COUNT];
static unsigned rig_probed; /* so often */
static char rig_probed_with[32]; /* the mechanisms, last */
static bool rig_probe_held; /* it does not answer */

static inline void rig_put(struct buf *out, enum frame_field field,
			   const char *text)
{
	frame_put_str(out, field, text ? text : "");
}

static void rig_answer_probe(struct channel *ch, const struct frame *f)
{
	uint64_t s = frame_number(f, FIELD_SERVICE, SERVICE_COUNT);
	const struct rig_finding *found;
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_PROBED, f->id, 0);

	CHECK_FATAL(s < SERVICE_COUNT);
	found = &rig_findings[s];
	rig_probed++;
	(void)snprintf(rig_probed_with, sizeof(rig_probed_with), "%.*s",
		       SPAN_FMT(frame_text(f, FIELD_MECHANISMS)));
	frame_put_number(&out, FIELD_CLASS, found->class);
	rig_put(&out, FIELD_CAUSE, found->cause);
	rig_put(&out, FIELD_TEXT, found->text);
	rig_put(&out, FIELD_STEP, found->step);
	rig_put(&out, FIELD_WORDS, found->words);
	rig_put(&out, FIELD_ISSUER, found->openid_configuration);
	rig_put(&out, FIELD_SCOPE, found->scope);
	frame_end(&out, m);
	if (rig_probe_held)
		buf_clear(&out);
	else
		channel_send(ch, &out, NULL, 0);
}

static void rig_far_frame(void *arg, struct channel *ch, const struct frame *f,
			  const int *fds)
{
	(void)arg;
	(void)fds;
	if (f->type == FRAME_PROBE)
		rig_answer_probe(ch, f);
	if (f->type == FRAME_ACCOUNT &&
	    span_is(frame_text(f, FIELD_ACCOUNT), "alice@one.test"))
		frame_copy(f, FIELD_FALLBACK, rig_told_fallback,
			   sizeof(rig_told_fallback));
}

struct loop *role_loop(struct role *r)
{
	(void)r;
	return rig_loop;
}

void role_done(struct role *r)
{
	r->done = true;
}

/* The command that was asked for last; nobody runs it. */
static struct rig_run {
	char *name, *account;
	role_ran_fn *fn;
	void *arg;
} rig_run;

static inline void rig_forget_run(void)
{
	mem_free(rig_run.name);
	mem_free(rig_run.account);
	rig_run = (struct rig_run){ .fn = NULL };
}

void role_run(struct role *r, const char *name, const char *account,
	      const char *const *variables, role_ran_fn *fn, void *arg)
{
	(void)r;
	(void)variables;
	rig_forget_run();
	rig_run = (struct rig_run){ mem_strdup(name), mem_strdup(account), fn,
				    arg };
}

void role_run_forget(struct role *r, const void *arg)
{
	(void)r;
	if (rig_run.arg == arg)
		rig_forget_run();
}

static inline void rig_ran(int status, const char *output, const char *why)
{
	struct rig_run run = rig_run;

	CHECK_FATAL(run.fn != NULL);
	rig_run.fn = NULL;
	run.fn(run.arg, status, span_str(output), why);
}

static inline struct rig_peer *rig_peer(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rig_role.peers); i++)
		if (!strcmp(rig_role.peers[i].name, name))
			return &rig_role.peers[i];
	return NULL;
}

struct channel *role_peer(struct role *r, const char *name)
{
	(void)r;
	return rig_peer(name)->near;
}

static inline void rig_connect(struct rig_peer *p, const char *name)
{
	static const struct channel_ops near_ops = { .frame = rig_near_frame };
	static const struct channel_ops far_ops = { .frame = rig_far_frame };
	int fds[2];

	channel_pair(fds);
	p->name = name;
	p->near = channel_new(rig_loop, name, &near_ops, &rig_role);
	p->far = channel_new(rig_loop, "keeper", &far_ops, NULL);
	channel_attach(p->near, fds[0]);
	channel_attach(p->far, fds[1]);
}

/* ---- a configuration ---- */

#define RIG_PROVIDERS \
	"providers:\n" \
	"- name: one\n" \
	"  authorize_url: https://one.test/authorize\n" \
	"  token_url: https://one.test/token\n" \
	"  scopes: { common: mail }\n" \
	"  smtp: { host: smtp.one.test }\n" \
	"  imap: { host: imap.one.test }\n" \
	"- name: two\n" \
	"  authorize_url: https://two.test/authorize\n" \
	"  token_url: https://two.test/token\n" \
	"  scopes: { common: mail }\n" \
	"  smtp: { host: smtp.two.test }\n" \
	"  imap: { host: imap.two.test }\n" \
	"  sent_copy: true\n" \
	"- name: entra\n" \
	"  authorize_url: https://login.test/{tenant}/authorize\n" \
	"  token_url: https://login.test/{tenant}/token\n" \
	"  device_url: https://login.test/{tenant}/devicecode\n" \
	"  admin_consent_url: https://login.test/{tenant}/adminconsent\n" \
	"  portal_url: https://portal.test/{client_id}\n" \
	"  scopes:\n" \
	"    common: offline_access\n" \
	"    smtp: https://outlook.office.com/SMTP.Send\n" \
	"    imap: https://outlook.office.com/IMAP.AccessAsUser.All\n" \
	"  smtp: { host: smtp.office365.com }\n" \
	"  imap: { host: outlook.office365.com }\n"
#define RIG_ACCOUNT(address, provider) \
	"accounts:\n" \
	"- address: " address "\n" \
	"  provider: " provider "\n" \
	"  client_id: id\n" \
	"  services: [smtp, imap]\n"
#define RIG_NOBODY "accounts: []\n"

/* Sections behind those that every test needs. */
static const char *rig_ini_more = "";
/* Behind the others; and files that the configuration names. */
static const char *rig_providers_more = "";
static struct rig_file {
	const char *name, *content; /* "file:PATH" */
} rig_files[4];

/* The first configuration or a reload. */
static inline void rig_apply(const char *accounts)
{
	char *ini = mem_printf("[mailbearer]\nstate_dir = %s\n[listen a]\n"
			       "protocol = smtp\naddress = 127.0.0.1:1\n"
			       "tls = none\nplaintext_auth = loopback\n%s",
			       rig_role.dir, rig_ini_more);
	char *providers = mem_printf("%s%s", RIG_PROVIDERS,
				     rig_providers_more);
	struct config_blobs b = { NULL, 0 };
	struct buf why = BUF_INIT;
	bool taken;

	config_blobs_add(&b, "ini", "m.ini", span_str(ini));
	config_blobs_add(&b, "providers", "p.yaml", span_str(providers));
	config_blobs_add(&b, "accounts", "a.yaml", span_str(accounts));
	for (size_t i = 0; i < ARRAY_SIZE(rig_files); i++)
		if (rig_files[i].name)
			config_blobs_add(&b, rig_files[i].name, "a file",
					 span_str(rig_files[i].content));
	taken = keeper_ops.apply(&rig_role, &b, NULL, 0, &rig_role.keeper,
				 &why);
	if (!taken)
		fprintf(stderr, "%s\n", buf_cstr(&why));
	CHECK_FATAL(taken);
	config_blobs_clear(&b);
	buf_clear(&why);
	mem_free(providers);
	mem_free(ini);
}

/* The supervisor makes this folder. */
static inline void rig_make_vault(void)
{
	char *vault = mem_printf("%s/vault", rig_role.dir);

	CHECK_FATAL(mkdir(vault, 0700) == 0);
	mem_free(vault);
}

static inline void rig_start(const char *accounts)
{
	rig_begin();
	if (!*rig_role.dir) {
		strcpy(rig_role.dir, "/tmp/mb-keeper.XXXXXX");
		CHECK_FATAL(mkdtemp(rig_role.dir) != NULL);
		rig_make_vault();
	}
	rig_connect(&rig_role.peers[0], "relay/0");
	rig_connect(&rig_role.peers[1], "courier");
	rig_connect(&rig_role.peers[2], "desk");
	rig_apply(accounts);
}

/* The folder stays for another start. */
static inline void rig_stop(void)
{
	keeper_ops.stop(rig_role.keeper);
	rig_role.keeper = NULL;
	rig_role.done = false;
	for (size_t i = 0; i < ARRAY_SIZE(rig_role.peers); i++) {
		channel_free(&rig_role.peers[i].near);
		channel_free(&rig_role.peers[i].far);
	}
	rig_forget_fetches();
	rig_forget_run();
	memset(rig_findings, 0, sizeof(rig_findings));
	rig_probed = 0;
	rig_probe_held = false;
	rig_end();
}

static inline void rig_clean(void)
{
	char *command = mem_printf("rm -rf '%s'", rig_role.dir);

	CHECK_INT(system(command), 0);
	mem_free(command);
	*rig_role.dir = '\0';
}

/* ---- asking ---- */

static struct buf rig_reply; /* the body of the frame that answered */
static bool rig_replied, rig_timed_out;

static void rig_on_reply(void *arg, const struct frame *f)
{
	(void)arg;
	buf_clear(&rig_reply);
	if (f)
		buf_add(&rig_reply, f->body);
	rig_timed_out = !f;
	rig_replied = true;
}

static inline struct frame rig_frame(void)
{
	return (struct frame){ .body = buf_span(&rig_reply) };
}

static inline void rig_send(const char *peer, struct buf *frame, int64_t ms)
{
	rig_replied = false;
	channel_request(rig_peer(peer)->far, frame, NULL, 0, ms, rig_on_reply,
			&rig_role);
}

static inline struct frame_mark rig_begin_frame(struct buf *out,
						const char *peer,
						enum frame_type type)
{
	return frame_begin(out, type, channel_next_id(rig_peer(peer)->far), 0);
}

static inline void rig_admin_send(const char *method, const char *path,
				  const char *body)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = rig_begin_frame(&out, "desk", FRAME_ADMIN);

	frame_put_str(&out, FIELD_METHOD, method);
	frame_put_str(&out, FIELD_PATH, path);
	if (body)
		frame_put_str(&out, FIELD_BODY, body);
	frame_end(&out, m);
	rig_send("desk", &out, RIG_PATIENCE_MS);
}

/* The status; the document is in rig_reply. */
static inline int rig_admin(const char *method, const char *path,
			    const char *body)
{
	struct frame f;

	rig_admin_send(method, path, body);
	UNTIL(rig_replied);
	f = rig_frame();
	return (int)frame_number(&f, FIELD_CODE, 0);
}

static inline char *rig_member(const char *name)
{
	static const struct json_limits limits = { 1u << 20, 16 };
	struct frame f = rig_frame();
	struct json *j = json_parse(frame_text(&f, FIELD_BODY), &limits);
	char *text = span_dup(json_get_text(j, name));

	json_free(&j);
	return text;
}

static inline void rig_grant_send_for(const char *account, enum service s)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = rig_begin_frame(&out, "courier", FRAME_GRANT_GET);

	frame_put_str(&out, FIELD_ACCOUNT, account);
	frame_put_number(&out, FIELD_SERVICE, s);
	frame_end(&out, m);
	rig_send("courier", &out, RIG_PATIENCE_MS);
}

static inline void rig_grant_send(const char *account)
{
	rig_grant_send_for(account, SERVICE_SMTP);
}

static inline enum grant_result rig_grant_result(void)
{
	struct frame f;

	UNTIL(rig_replied);
	CHECK(!rig_timed_out);
	f = rig_frame();
	return (enum grant_result)frame_number(&f, FIELD_RESULT, 99);
}

#define RIG_TOKENS(n) \
	"{\"access_token\":\"access-" n "\",\"token_type\":\"Bearer\"," \
	"\"expires_in\":3600,\"refresh_token\":\"refresh-" n "\"," \
	"\"scope\":\"mail https://outlook.office.com/SMTP.Send " \
	"https://outlook.office.com/IMAP.AccessAsUser.All\"}"

/* Until the code is sent; the fetch is rig_asked. */
static inline void rig_sign_in_begin(const char *account)
{
	char *path = mem_printf("/v1/accounts/%s/auth", account), *url, *body;
	const char *state;

	CHECK_INT(rig_admin("POST", path, "{\"method\":\"paste\"}"), 200);
	mem_free(path);
	url = rig_member("url");
	state = strstr(url, "state=");
	CHECK_FATAL(state != NULL);
	body = mem_printf("{\"query\":\"code=c&state=%.*s\"}",
			  (int)strcspn(state + 6, "&"), state + 6);
	rig_admin_send("POST", "/v1/auth/callback", body);
	UNTIL(rig_asked() != NULL);
	mem_free(body);
	mem_free(url);
}

static inline void rig_sign_in(const char *account)
{
	char *status;

	rig_sign_in_begin(account);
	rig_answer(rig_asked(), 200, RIG_TOKENS("1"));
	UNTIL(rig_replied);
	status = rig_member("status");
	CHECK_STR(status, "done");
	mem_free(status);
}

#endif

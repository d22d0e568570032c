/*
 * Tokens tried at mail servers: courier asks them, because keeper reads
 * nothing that a mail server says.
 */
#include "keeper/keeper.h"

#include "base/clock.h"
#include "codec/verdict.h"
#include "role/report.h"

#define PROBE_MS (30 * MSEC_PER_SEC)
/* For people and logs; courier may have been broken into. */
#define TEXT_MAX 1024

struct probe {
	struct account *account;
	struct secret token; /* to be masked in what comes back */
	probe_fn *fn;
	void *arg;
};

static void probe_free(struct probe *p)
{
	secret_clear(&p->token);
	mem_free(p);
}

/* One line; without what we sent. Fresh. */
static char *text_of(const struct probe *p, const struct frame *f,
		     enum frame_field field)
{
	char *text = span_dup(span_first(frame_text(f, field), TEXT_MAX));

	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	secret_mask(text, &p->token);
	return text;
}

/* Courier knows the account's address, but not its client. */
static char *step_of(const struct probe *p, const struct frame *f)
{
	const struct account_config *c = p->account->config;
	struct verdict_names names = { c->address, c->client_id, c->tenant };
	char *text = text_of(p, f, FIELD_STEP);
	struct buf step = BUF_INIT;

	verdict_step(&step, text, &names);
	mem_free(text);
	return buf_take(&step);
}

static void tell(struct probe *p, const struct probe_result *r)
{
	probe_fn *fn = p->fn;
	void *arg = p->arg;

	probe_free(p);
	fn(arg, r);
}

static void tell_away(struct probe *p)
{
	static const struct probe_result away = {
		.class = REPORT_TEMPORARY,
		.cause = "not-tried",
		.text = "It could not be tried now",
		.step = "Nothing to do: the first use will tell",
		.words = "",
		.openid_configuration = "",
		.scope = "",
	};

	tell(p, &away);
}

static void on_probed(void *arg, const struct frame *f)
{
	struct probe *p = arg;
	char *texts[6];
	struct probe_result r;
	uint64_t class = f ? frame_number(f, FIELD_CLASS, REPORT_CLASS_COUNT) :
			     REPORT_CLASS_COUNT;

	if (class >= REPORT_CLASS_COUNT) {
		tell_away(p);
		return;
	}
	texts[0] = text_of(p, f, FIELD_CAUSE);
	texts[1] = text_of(p, f, FIELD_TEXT);
	texts[2] = step_of(p, f);
	texts[3] = text_of(p, f, FIELD_WORDS);
	texts[4] = text_of(p, f, FIELD_ISSUER);
	texts[5] = text_of(p, f, FIELD_SCOPE);
	r = (struct probe_result){ (enum report_class)class, texts[0],
				   texts[1], texts[2], texts[3], texts[4],
				   texts[5] };
	tell(p, &r);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		mem_free(texts[i]);
}

static void put_request(struct buf *out, const struct account *a,
			enum service s, const struct secret *token)
{
	const struct provider_config *p = a->config->provider;
	const struct endpoint_config *e = &p->endpoints[s];
	char *mechanisms = credentials_mechanisms(a);

	frame_put_str(out, FIELD_ACCOUNT, a->config->address);
	frame_put_number(out, FIELD_SERVICE, s);
	frame_put_str(out, FIELD_USER, accounts_user(a->config, s));
	frame_put_str(out, FIELD_HOST, e->host);
	frame_put_number(out, FIELD_PORT, e->port);
	frame_put_number(out, FIELD_TLS, e->tls);
	/* only this one tells whose tokens are taken (RFC 7628 §3.2.2) */
	frame_put_str(out, FIELD_MECHANISMS,
		      token ? mechanisms : "oauthbearer");
	mem_free(mechanisms);
	if (token)
		frame_put(out, FIELD_TOKEN, secret_span(token));
	if (a->ca_pem)
		frame_put_str(out, FIELD_CA, a->ca_pem);
}

struct probe *probe_start(struct account *a, enum service s,
			  const struct secret *token, probe_fn *fn, void *arg)
{
	struct channel *courier = role_peer(a->k->role, "courier");
	struct probe *p = MEM_NEW(struct probe);
	struct buf out = BUF_SECRET;
	struct frame_mark m = frame_begin(&out, FRAME_PROBE,
					  channel_next_id(courier), 0);

	p->account = a;
	p->fn = fn;
	p->arg = arg;
	if (token)
		secret_copy(&p->token, token);
	put_request(&out, a, s, token);
	frame_end(&out, m);
	channel_request(courier, &out, NULL, 0, PROBE_MS, on_probed, p);
	return p;
}

void probe_cancel(struct probe **pp)
{
	struct probe *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	channel_forget(role_peer(p->account->k->role, "courier"), p);
	probe_free(p);
}

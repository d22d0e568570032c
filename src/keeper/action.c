/* The one thing that mends a state, as a link or a command (codec/action.h). */
#include "keeper/keeper.h"

#include "codec/action.h"
#include "codec/verdict.h"

static bool ends_with(const char *host, const char *domain)
{
	size_t n = strlen(host), d = strlen(domain);

	return n >= d && span_equal_nocase(span_str(host + n - d),
					   span_str(domain));
}

/* In whichever cloud. Where it is, there is a shell with these commands. */
static bool is_exchange(const struct provider_config *p)
{
	static const char *const domains[] = { ".office365.com",
					       ".office365.us",
					       ".partner.outlook.cn" };

	for (unsigned s = 0; s < SERVICE_COUNT; s++)
		for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
			if (p->endpoints[s].host &&
			    ends_with(p->endpoints[s].host, domains[i]))
				return true;
	return false;
}

static unsigned facts_of(const struct account *a)
{
	const struct account_config *c = a->config;
	unsigned facts = 0;

	if (is_exchange(c->provider))
		facts |= ACTION_AT_EXCHANGE;
	if (c->flow == FLOW_CLIENT_CREDENTIALS)
		facts |= ACTION_IS_APP_ONLY;
	if (c->sign_in_as)
		facts |= ACTION_IS_SHARED;
	if (!credentials_of_person(a))
		facts |= ACTION_NO_PERSON;
	return facts;
}

static char *fill_in(const struct account *a, const char *what)
{
	const struct account_config *c = a->config;
	char *portal = c->provider->portal_url ?
			       accounts_url(c, c->provider->portal_url) :
			       NULL;
	const struct verdict_names names = { .account = c->address,
					     .client_id = c->client_id,
					     .tenant = c->tenant,
					     .user = c->sign_in_as,
					     .portal = portal ? portal : "" };
	struct buf out = BUF_INIT;

	verdict_step(&out, what, &names);
	mem_free(portal);
	return buf_take(&out);
}

char *action_step(const struct account *a, const struct state_change *c)
{
	struct action action = action_of(c->state, c->cause, facts_of(a));
	char *command, *step;

	if (action.kind != ACTION_COMMAND)
		return mem_strdup(c->step);
	command = fill_in(a, action.what);
	step = c->step && strstr(c->step, command) ?
		       mem_strdup(c->step) :
		       mem_printf("An administrator runs: %s", command);
	mem_free(command);
	return step;
}

void mending_init(struct mending *m, const struct account *a, enum service s)
{
	const struct service_state *st = &a->services[s];
	enum account_state state = a->config->disabled ? ACCOUNT_DISABLED :
							 st->state;
	struct action action = action_of(state, st->cause, facts_of(a));

	*m = (struct mending){ .kind = action.kind };
	if (action.kind == ACTION_SIGN_IN) {
		m->url = link_signin(a);
		if (!m->url)
			m->command = mem_printf("mailbearerctl auth %s",
						a->config->address);
	} else if (action.kind == ACTION_CONSENT) {
		m->url = link_consent(a);
		if (!m->url)
			m->url = consent_url(a);
	} else if (action.kind == ACTION_COMMAND) {
		m->command = fill_in(a, action.what);
	} else if (action.kind == ACTION_PORTAL && *action.what) {
		m->url = fill_in(a, action.what);
	}
}

void mending_clear(struct mending *m)
{
	mem_free(m->url);
	mem_free(m->command);
	*m = (struct mending){ .kind = ACTION_NONE };
}

struct json *mending_json(const struct mending *m, const struct account *a)
{
	struct json *j = json_new_object();

	json_put_str(j, "kind", action_kind_name(m->kind));
	json_put_if(j, "url", m->url);
	json_put_if(j, "command", m->command);
	if (m->kind == ACTION_CONSENT)
		json_put(j, "permissions", consent_permissions(a));
	return j;
}

struct json *consent_action(const struct account *a)
{
	struct mending m = { .kind = ACTION_CONSENT, .url = link_consent(a) };
	struct json *j;

	if (!m.url)
		m.url = consent_url(a);
	j = mending_json(&m, a);
	mending_clear(&m);
	return j;
}

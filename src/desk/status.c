#include "desk/status.h"

#include "base/mem.h"
#include "codec/frame.h"
#include "config.h"

/* States that need nobody; also one not known here needs somebody. */
static bool is_fine(struct span state)
{
	static const enum account_state fine[] = {
		ACCOUNT_CONNECTED, ACCOUNT_RETRYING, ACCOUNT_DISABLED
	};

	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		if (span_is(state, account_state_name(fine[i])))
			return true;
	return false;
}

static bool account_is_fine(const struct json *account)
{
	const struct json *services = json_get(account, "services"), *service;
	const char *name;
	void *at = NULL;

	while (json_next(services, &at, &name, &service))
		if (!is_fine(json_get_text(service, "state")))
			return false;
	return true;
}

static void put_by_name(struct json *map, struct span name, struct json *value)
{
	char *key = span_dup(name);

	json_put(map, key, value);
	mem_free(key);
}

static const struct json *get_by_name(const struct json *map, struct span name)
{
	char *key = span_dup(name);
	const struct json *value = json_get(map, key);

	mem_free(key);
	return value;
}

/* What of a count belongs into an account; none counts nothing. */
static struct json *queue_of(const struct json *count)
{
	static const char *const numbers[] = { "messages", "bytes", "held" };
	struct json *q = json_new_object();
	int64_t oldest = json_get_int(count, "oldest", 0);
	int64_t limit = json_get_int(count, "recipients_limit", 0);

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		json_put_int(q, numbers[i], json_get_int(count, numbers[i], 0));
	if (oldest > 0)
		json_put_int(q, "oldest", oldest);
	if (limit > 0) {
		json_put_int(q, "recipients_today",
			     json_get_int(count, "recipients_today", 0));
		json_put_int(q, "recipients_limit", limit);
	}
	return q;
}

static struct json *by_account(const struct json *counts)
{
	const struct json *list = json_get(counts, "accounts");
	struct json *map = json_new_object();

	for (size_t i = 0; i < json_count(list); i++)
		put_by_name(map, json_get_text(json_at(list, i), "account"),
			    queue_of(json_at(list, i)));
	return map;
}

/* Mail must not be forgotten because its account was. */
static bool add_removed(struct json *list, const struct json *known,
			const struct json *counts)
{
	const struct json *all = json_get(counts, "accounts");
	bool any = false;

	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *count = json_at(all, i);
		struct span name = json_get_text(count, "account");
		struct json *account;

		if (json_get_int(count, "messages", 0) == 0 ||
		    get_by_name(known, name))
			continue;
		account = json_new_object();
		json_put_text(account, "address", name);
		json_put_bool(account, "removed", true);
		json_put(account, "services", json_new_object());
		json_put(account, "queue", queue_of(count));
		json_add(list, account);
		any = true;
	}
	return any;
}

static bool add_accounts(struct json *list, struct json *known,
			 const struct json *accounts, const struct json *counts)
{
	const struct json *all = json_get(accounts, "accounts");
	struct json *queues = by_account(counts);
	bool ok = true;

	for (size_t i = 0; i < json_count(all); i++) {
		struct json *account = json_clone(json_at(all, i));
		struct span name = json_get_text(account, "address");
		const struct json *q = get_by_name(queues, name);

		ok = account_is_fine(account) && ok;
		put_by_name(known, name, json_new_object());
		if (counts)
			json_put(account, "queue",
				 q ? json_clone(q) : queue_of(NULL));
		json_add(list, account);
	}
	json_free(&queues);
	return ok;
}

struct json *status_merge(const struct json *accounts,
			  const struct json *counts)
{
	struct json *doc = json_new_object(), *list = json_new_array();
	struct json *known = json_new_object(), *away;
	bool ok = add_accounts(list, known, accounts, counts);

	if (add_removed(list, known, counts) || !counts)
		ok = false;
	json_put_str(doc, "version", PACKAGE_VERSION);
	json_put_bool(doc, "ok", ok);
	if (!counts) {
		away = json_new_array();
		json_add_str(away, "courier");
		json_put(doc, "away", away);
	}
	json_put(doc, "accounts", list);
	if (json_count(json_get(accounts, "warnings")) > 0)
		json_put(doc, "warnings",
			 json_clone(json_get(accounts, "warnings")));
	json_free(&known);
	return doc;
}

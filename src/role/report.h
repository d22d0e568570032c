/*
 * What a provider's answer means for an account, told to keeper: relay and
 * courier say it in the same words (FRAME_GRANT_REPORT).
 */
#ifndef ROLE_REPORT_H
#define ROLE_REPORT_H

#include "codec/verdict.h"
#include "net/channel.h"

struct report {
	const char *account;
	const char *ticket;   /* relay's right to speak; NULL for courier */
	enum service service;
	enum report_class class;
	uint64_t generation;  /* of the token that logged in; 0: none */
	const struct verdict_result *verdict; /* NULL: it works */
	const char *words; /* the provider's own; NULL: it said none */
};

void report_send(struct channel *keeper, const struct report *r);

/* What a verdict that is no message's fault says about the account. */
enum report_class report_class_of(enum verdict v);

#endif

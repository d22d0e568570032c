/* What an account needs beyond values of the right form. This room only. */
#ifndef CONFIG_ACCOUNT_CHECK_H
#define CONFIG_ACCOUNT_CHECK_H

#include "config/accounts.h"

/* In the order of enum account_flow. */
#define ACCOUNT_FLOWS                                                  \
	"authorization_code|device_code|client_credentials|"           \
	"service_account|password_grant|password|command"

void accounts_check(struct yaml_reader *r);

#endif

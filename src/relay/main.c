#include "relay/relay.h"

int main(void)
{
	return role_main(&relay_ops);
}

#include "keeper/keeper.h"

int main(void)
{
	return role_main(&keeper_ops);
}

#include "postgres.h"
#include "engine/engine.h"
EfAdvanceResult
ef_advance_branch(const EfBranchKey *key)
{
	return EF_ADVANCE_NOT_DUE;
}
void
ef_release_branch(void)
{
}
int
ef_read_due_branches(EfDueBranch *branches, int max)
{
	return 0;
}

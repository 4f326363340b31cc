/*-------------------------------------------------------------------------
 *
 * alias.h
 *	  Resource aliases: what a foreign URI in a Task's Resource stands for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ALIAS_H
#define EF_ALIAS_H

/*
 * The resource of our own kind (sql:, activity:, signal:, workflow:, update:) that a Task's Resource means.
 * One of our own kind is returned as it is, without looking; another is looked up among the aliases, and the
 * most specific pattern wins.  NULL if none matches.  The result is in the current memory context, or the argument.
 */
extern const char *ef_resolve_resource(const char *resource);

/*
 * The same for a Lambda function by one of its names: NAME, ACCOUNT:function:NAME or a whole ARN, each perhaps with a
 * version or alias (`:QUALIFIER`) behind it.  A whole ARN is looked up as it is; of a pattern, a name's region and
 * account do not matter.  The qualifier counts only for patterns that have one.
 */
extern const char *ef_resolve_function(const char *name);

#endif							/* EF_ALIAS_H */

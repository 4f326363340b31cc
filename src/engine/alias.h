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

#define EF_FUNCTION_PART ":function:"	/* of a Lambda function's ARN; its name follows */
#define EF_MACHINE_PART ":stateMachine:"	/* of a state machine's */

/*
 * The same for what a Task's parameters name: a Lambda function or a state machine.  The name may be NAME,
 * ACCOUNT:function:NAME or a whole ARN, each perhaps with a version or alias of the service's (`:QUALIFIER`) behind it.
 * A whole ARN is looked up as it is; else a pattern's region and account do not matter.  The qualifier counts only for
 * patterns that have one.
 */
extern const char *ef_resolve_named(const char *part, const char *name);

/* The qualifier of a name or of a pattern; NULL: it has none. */
extern const char *ef_qualifier_of(const char *part, const char *name);

#endif							/* EF_ALIAS_H */

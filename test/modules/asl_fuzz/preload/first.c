/*
 * first.c
 *	  AddressSanitizer starts with the first malloc().  In a server that is the one of a library's constructor, in
 *	  the middle of bindtextdomain(), whose lock it then breaks (it asks dlerror() for a translated message), and the
 *	  server waits for ever.  This library is preloaded, its constructor runs before all others (-z initfirst), and
 *	  allocates something.
 */
#include <stdlib.h>

static void *volatile first;

__attribute__((constructor)) static void
start_sanitizer(void)
{
	first = malloc(1);
	free(first);
}

/*-------------------------------------------------------------------------
 *
 * pattern.c
 *	  StringMatches: text in which "*" stands for any characters.
 *
 * The stars split a pattern into pieces.  The first piece must begin the text,
 * the last must end it, and each piece between is looked for behind the one
 * before it; the leftmost place is always good enough.  The search is that of
 * Knuth, Morris and Pratt, so matching takes time in proportion to the length of
 * the text, whatever the pattern.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/machine.h"
#include "miscadmin.h"

typedef struct Piece
{
	char	   *text;
	int			length;
	int		   *borders;		/* for each prefix the length of its longest proper prefix that ends it too */
} Piece;

struct AslPattern
{
	int			npieces;		/* one more than there are stars */
	Piece	   *pieces;
};

static void
compute_borders(Piece *piece)
{
	int			border = 0;

	piece->borders = palloc0(Max(piece->length, 1) * sizeof(int));
	for (int i = 1; i < piece->length; i++)
	{
		while (border > 0 && piece->text[i] != piece->text[border])
			border = piece->borders[border - 1];
		if (piece->text[i] == piece->text[border])
			border++;
		piece->borders[i] = border;
	}
}

AslPattern *
asl_pattern_compile(const char *text, int length)
{
	AslPattern *pattern = palloc0(sizeof(AslPattern));
	char	   *buffer = palloc(length + 1);
	int			max_pieces = 1;
	Piece	   *piece;

	for (int i = 0; i < length; i++)
		max_pieces += (text[i] == '*');
	pattern->pieces = palloc0(max_pieces * sizeof(Piece));
	pattern->npieces = 1;
	piece = pattern->pieces;
	piece->text = buffer;
	for (int i = 0; i < length; i++)
	{
		if (text[i] == '*')
		{
			piece++;
			pattern->npieces++;
			piece->text = buffer;
			continue;
		}
		if (text[i] == '\\')
		{
			i++;
			if (i == length || (text[i] != '*' && text[i] != '\\'))
				return NULL;
		}
		*buffer++ = text[i];
		piece->length++;
	}
	for (int i = 0; i < pattern->npieces; i++)
		compute_borders(&pattern->pieces[i]);
	return pattern;
}

/* Where the piece ends at its first place in the text, or NULL. */
static const char *
find_piece(const Piece *piece, const char *text, const char *end)
{
	int			matched = 0;

	for (;;)
	{
		if (matched == piece->length)
			return text;
		if (text == end)
			return NULL;
		while (matched > 0 && *text != piece->text[matched])
			matched = piece->borders[matched - 1];
		if (*text == piece->text[matched])
			matched++;
		text++;
	}
}

bool
asl_pattern_matches(const AslPattern *pattern, const char *text, int length)
{
	const char *end = text + length;
	const Piece *first = &pattern->pieces[0];
	const Piece *last = &pattern->pieces[pattern->npieces - 1];

	if (length < first->length || memcmp(text, first->text, first->length) != 0)
		return false;
	if (pattern->npieces == 1)
		return length == first->length;
	text += first->length;
	for (const Piece *piece = first + 1; piece < last; piece++)
	{
		CHECK_FOR_INTERRUPTS();
		text = find_piece(piece, text, end);
		if (text == NULL)
			return false;
	}
	return end - text >= last->length && memcmp(end - last->length, last->text, last->length) == 0;
}

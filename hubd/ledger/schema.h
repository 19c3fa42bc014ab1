/*
 * A schema is taken from its file as it is: what operators read in etc/ and
 * what hubd runs is one text. Private to this room.
 */
#ifndef HUBD_LEDGER_SCHEMA_H
#define HUBD_LEDGER_SCHEMA_H

/* Defines symbol, a char array: all of the file, and a zero. */
#define TAKE_IN(symbol, file)                              \
	__asm__(".pushsection .rodata\n"                   \
		".global " symbol "\n"                     \
		".type " symbol ", @object\n" symbol ":\n" \
		".incbin \"" file "\"\n"                   \
		".byte 0\n"                                \
		".popsection\n")

#endif
